"""Secrets in code and configuration: keys and tokens by their issuer's prefix, private keys, and assignments.

Issuers give their tokens fixed beginnings and lengths so that they can be found; those are taken as they are. Any
other value counts where it is assigned to a name such as `api_key` or `password`, is at least 16 characters long and
is as irregular as random characters are (entropy). Sources: the issuers' documentation of their formats.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from math import log2

from millpond.curate.privacy.span import FILLERS, Span, blanked

_END = rf"(?![0-9A-Za-z_{FILLERS}])"

#: Name, how its tokens begin, what follows. A group is the secret itself, where it is not all of it.
_TOKENS: tuple[tuple[str, str, str], ...] = (
    ("aws_access_key", "AKIA ASIA", r"[A-Z2-7]{16}"),
    ("gitlab_token", "glpat-", r"[0-9A-Za-z_-]{20,64}"),
    ("slack_token", "xoxa- xoxb- xoxe- xoxe. xoxo- xoxp- xoxr- xoxs- xapp-", r"(?:xox[bp]-)?[0-9A-Za-z-]{10,250}"),
    ("slack_webhook", "hooks.slack.com/services/", r"T\w{8,12}/B\w{8,12}/\w{20,28}"),
    ("google_api_key", "AIza", r"[0-9A-Za-z_-]{35}"),
    ("google_oauth_secret", "GOCSPX-", r"[0-9A-Za-z_-]{28}"),
    ("google_oauth_token", "ya29.", r"[0-9A-Za-z_-]{30,500}"),
    ("anthropic_key", "sk-ant-", r"[0-9A-Za-z_-]{40,200}"),
    ("openai_key", "sk-", r"(?:(?:proj|svcacct|admin)-[0-9A-Za-z_-]{40,200}|[0-9A-Za-z]{48})"),
    ("pypi_token", "pypi-AgEIcHlwaS5vcmc", r"[0-9A-Za-z_-]{50,300}"),
    ("sendgrid_key", "SG.", r"[0-9A-Za-z_-]{22}\.[0-9A-Za-z_-]{43}"),
    ("azure_storage_key", "AccountKey=", r"([0-9A-Za-z+/]{86}==)"),
    ("json_web_token", "eyJ", r"[0-9A-Za-z_-]{10,2000}\.eyJ[0-9A-Za-z_-]{10,4000}\.[0-9A-Za-z_-]{10,1000}"),
    ("url_password", "://", rf"([0-9A-Za-z._~-]{{1,64}}:[^\s:/@?#<>{{}}$\[\]{FILLERS}]{{3,128}})(?=@[0-9A-Za-z])"),
)
#: The same of those that an underscore gives away, which prose hardly has.
_UNDERSCORED: tuple[tuple[str, str, str], ...] = (
    ("github_token", "ghp_ gho_ ghu_ ghs_ ghr_", r"[0-9A-Za-z]{36,255}"),
    ("github_token", "github_pat_", r"[0-9A-Za-z]{22}_[0-9A-Za-z]{59}"),
    ("stripe_key", "sk_live_ sk_test_ rk_live_ rk_test_", r"[0-9A-Za-z]{16,247}"),
    ("stripe_webhook_secret", "whsec_", r"[0-9A-Za-z+/]{32,64}"),
    ("hugging_face_token", "hf_", r"[A-Za-z]{34}"),
    ("npm_token", "npm_", r"[0-9A-Za-z]{36}"),
    ("digitalocean_token", "dop_v1_ doo_v1_ dor_v1_", r"[0-9a-f]{64}"),
)


def _compiled(tokens: tuple[tuple[str, str, str], ...]) -> tuple[tuple[str, str, re.Pattern[str]], ...]:
    result = []
    for name, beginnings, rest in tokens:
        for begin in beginnings.split():
            boundary = "" if begin == "://" else "(?<![0-9A-Za-z_-])"
            result.append((name, begin, re.compile(f"{boundary}{re.escape(begin)}{rest}{_END}", re.ASCII)))
    return tuple(result)


_PATTERNS, _RARE_PATTERNS = _compiled(_TOKENS), _compiled(_UNDERSCORED)

_PEM_BEGIN = re.compile(r"-----BEGIN [A-Z0-9 ]{0,30}PRIVATE KEY(?: BLOCK)?-----")
_PEM_END = re.compile(r"-----END [A-Z0-9 ]{0,30}PRIVATE KEY(?: BLOCK)?-----")
_PEM_LONGEST = 20_000

_VALUE = re.compile(
    r"[=:]>?[ \t]{0,3}[\"'`]?([0-9A-Za-z_+/.~-]{16,200}={0,2})" + rf"(?![0-9A-Za-z_+/.~=<(\[{FILLERS}-])"
)
_NAME = re.compile(
    r"(?:api[_-]?key|secret(?:[_-]?(?:access[_-]?)?key)?|access[_-]?key|account[_-]?key|private[_-]?key|token"
    r"|auth(?:orization)?[_-]?key|encryption[_-]?key|signing[_-]?key|pass(?:wd|word|phrase)|pwd|credentials?)"
    r"[\"'`\])]{0,3}[ \t]{0,20}:?$",
    re.IGNORECASE,
)
_NAME_REACH = 48
#: Bits per character: random hexadecimal has nearly 4, random letters and digits of this length over 4.
_LEAST_ENTROPY = 3.2
_MADE_UP = re.compile(
    r"x{4}|\*{3}|\.{3}|1234567|abcdef|your|example|placeholder|changeme|redacted|dummy", re.IGNORECASE
)
_HAS_DIGIT = re.compile(r"[0-9]")
_HAS_LETTER = re.compile(r"[A-Za-z]")


def credentials(work: str) -> list[Span]:
    """Secrets, in order."""
    keys = list(_private_keys(work)) if "PRIVATE KEY" in work else []
    work = blanked(work, keys) if keys else work
    found: list[Span] = []
    for name, begin, pattern in (*_PATTERNS, *_RARE_PATTERNS) if "_" in work else _PATTERNS:
        place = work.find(begin)  # many times as fast as searching for the pattern
        while place >= 0:
            match = pattern.match(work, place)
            if match is not None:
                found.append(Span(*match.span(match.lastindex or 0), "secret", name))
            place = work.find(begin, match.end() if match else place + 1)
    found += [
        Span(*match.span(1), "secret", "assigned_secret") for match in _VALUE.finditer(work) if _assigned(work, match)
    ]
    return sorted([*keys, *_disjoint(found)])


def _private_keys(work: str) -> Iterator[Span]:
    last, end = 0, None
    for begin in _PEM_BEGIN.finditer(work):
        if begin.start() < last:
            continue
        if end is None or end.start() < begin.end():
            end = _PEM_END.search(work, begin.end())
            if end is None:
                return
        if end.end() - begin.start() <= _PEM_LONGEST:
            last = end.end()
            yield Span(begin.start(), last, "secret", "private_key")


def _assigned(work: str, match: re.Match[str]) -> bool:
    """Whether the value has a secret's name before it and looks random."""
    start = match.start()
    value = match[1]
    return (
        _NAME.search(work, max(0, start - _NAME_REACH), start) is not None
        and _HAS_DIGIT.search(value) is not None
        and _HAS_LETTER.search(value) is not None
        and _MADE_UP.search(value) is None
        and _entropy(value) >= _LEAST_ENTROPY
    )


def _entropy(value: str) -> float:
    size = len(value)
    return -sum(count / size * log2(count / size) for count in Counter(value).values())


def _disjoint(spans: list[Span]) -> list[Span]:
    """Without those that begin inside another; the longer one of two that begin together."""
    result: list[Span] = []
    for span in sorted(spans, key=lambda span: (span.start, -span.end)):
        if not result or span.start >= result[-1].end:
            result.append(span)
    return result
