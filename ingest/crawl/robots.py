"""robots.txt of one site, by RFC 9309.

An answer 2xx is parsed; up to five redirects are followed (to other hosts too), and more of them, like 4xx, mean that
there are no rules; 429, 5xx and no answer at all mean that the whole site is off limits for now. Rules are matched by
protego; what it does not do itself is done here: which groups are a robot's, byte order marks, lines that end in a
carriage return alone, and the limit of 500 KiB.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from functools import cached_property
from urllib.parse import urlsplit

from protego import Protego
from pydantic import BaseModel, ConfigDict

from millpond.ingest.charset import byte_order_mark
from millpond.ingest.crawl.fetch import Answer, Failure
from millpond.ingest.crawl.links import canonical_url
from millpond.ingest.crawl.signals import USE_LINES, Reservations
from millpond.ingest.http_body import decode_body
from millpond.ingest.page import Rejected
from millpond.reasons import Reason

MAX_BYTES = 500 << 10
MAX_AGE = timedelta(hours=24)
_MAX_REDIRECTS = 5
#: A line's name, with a colon or without.
_LINE = re.compile(
    r"^[ \t]*(user[- ]?agent|d[eis]+al+[oa]w|allow|crawl-?delay|sitemap|content-usage|content-signal)[ \t]*[: \t]"
    r"([^\n]*)",
    re.I | re.M,
)
_SPELLING = re.compile(r"d[eis]+al+[oa]w")
_MATCHED = {"allow": "Allow", "disallow": "Disallow", "crawldelay": "Crawl-delay"}
_PRODUCT = re.compile(r"\*(?![^\s])|[A-Za-z0-9_-]+")


class RobotsFile(BaseModel):
    """The text of a robots.txt, none where there are no rules, and when it was fetched."""

    model_config = ConfigDict(frozen=True)

    text: str
    at: datetime

    def is_fresh(self, now: datetime) -> bool:
        """Whether it may be used without asking again."""
        return now - self.at < MAX_AGE


class Robots:
    """The rules of a site for one robot; `robot` is the product name of the user agent."""

    def __init__(self, text: str, robot: str) -> None:
        self._text = text
        self._records = _records(text, robot)
        lines = [f"{_MATCHED[name]}: {value}" for name, value in self._records if name in _MATCHED]
        self._rules = Protego.parse("\n".join(("User-agent: *", *lines)))
        self._robot = robot

    def allows(self, url: str) -> bool:
        """Whether the rules let us fetch `url`; robots.txt itself always."""
        return urlsplit(url).path == "/robots.txt" or bool(self._rules.can_fetch(url, self._robot))

    @property
    def crawl_delay(self) -> float:
        """Seconds the site wants between requests; 0 where it does not say."""
        return self._rules.crawl_delay(self._robot) or 0.0

    @property
    def sitemaps(self) -> list[str]:
        """Canonical addresses of the sitemaps it names, whatever group they stand in."""
        found = (canonical_url(value) for name, value in _lines(self._text) if name == "sitemap")
        return list(dict.fromkeys(url for url in found if url))

    @cached_property
    def reservations(self) -> Reservations:
        """What it says of use for training."""
        return Reservations(self._records)


def _lines(text: str) -> Iterator[tuple[str, str]]:
    """Names, in lower case and without hyphens, and values of the lines that are known; some misspellings are, too."""
    for line in _LINE.finditer(text):
        name = _SPELLING.sub("disallow", line[1].lower().replace("-", "").replace(" ", ""))
        yield name, line[2].partition("#")[0].strip()


def _records(text: str, robot: str) -> list[tuple[str, str]]:
    """The lines of the groups that hold for a robot: those that name it, else those for all.

    A group is the user-agent lines up to the first rule and what follows; protego takes it to end at any line, and a
    name for ours if ours begins with it. The lines on use before the first group hold for
    each robot whose group has none.
    """
    groups: dict[str, list[tuple[str, str]]] = {}
    for_all: list[tuple[str, str]] = []
    agents: list[str] = []
    ruled = False
    for name, value in _lines(text):
        if name == "useragent":
            agents, ruled = ([] if ruled else agents), False
            agents.append(product(value))
            groups.setdefault(agents[-1], [])
        else:
            ruled = ruled or name in ("allow", "disallow")
            if not groups and name in USE_LINES:
                for_all.append((name, value))
            for agent in set(agents):
                groups[agent].append((name, value))
    ours = groups.get(robot.lower(), groups.get("*", []))
    return ours if any(name in USE_LINES for name, _ in ours) else [*ours, *for_all]


def product(agent: str) -> str:
    """The product name that a user agent begins with, in lower case, or `*`; empty where there is none."""
    name = _PRODUCT.match(agent)
    return name[0].lower() if name else ""


def robots_text(content: bytes) -> str:
    """The text of a robots.txt from its bytes."""
    content = content[:MAX_BYTES]
    return _clean(content.decode(byte_order_mark(content) or "utf-8", "replace"))


def _clean(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "")


#: A way to fetch an address for its robots.txt.
Get = Callable[[str], Awaitable[Answer | Failure]]


async def fetch_robots(get: Get, site: str) -> RobotsFile | Failure:
    """Fetch the rules of the site at `site` (scheme, host and port); a failure where it is off limits."""
    url = f"{site}/robots.txt"
    answer = await _followed(get, url)
    if isinstance(answer, Failure):
        return answer if answer.final else _off_limits(url, answer.detail, answer.fetched_at)
    if answer.status == 429 or answer.status >= 500:
        return _off_limits(url, str(answer.status), answer.fetched_at, answer.retry_after)
    if _is_cut(answer):
        return _off_limits(url, "its answer is cut short", answer.fetched_at)
    if not 200 <= answer.status < 300:
        return RobotsFile(text="", at=answer.fetched_at)
    try:
        return _parsed(answer)
    except Rejected as error:
        return _off_limits(url, error.detail, answer.fetched_at)


async def fetch_beside(get: Get, url: str) -> RobotsFile:
    """Fetch another file of a site's rules, without which there are none; its text is empty where it cannot be had."""
    answer = await _followed(get, url)
    if isinstance(answer, Answer) and 200 <= answer.status < 300 and not _is_cut(answer):
        with suppress(Rejected):
            return _parsed(answer)
    return RobotsFile(text="", at=answer.fetched_at)


async def _followed(get: Get, url: str) -> Answer | Failure:
    """What came in the end, redirects followed as far as they may be."""
    for _ in range(_MAX_REDIRECTS):
        answer = await get(url)
        if isinstance(answer, Failure) or not 300 <= answer.status < 400 or _is_cut(answer):
            return answer
        target = canonical_url(answer.location, url) if answer.location else None
        if target is None:
            return answer
        url = target
    return await get(url)


def _is_cut(answer: Answer) -> bool:
    return answer.truncated in ("time", "disconnect")


def _parsed(answer: Answer) -> RobotsFile:
    content = decode_body(
        answer.body,
        transfer_encoding=None,
        content_encoding=answer.header("content-encoding"),
        limit=16 * MAX_BYTES,
    )
    return RobotsFile(text=robots_text(content), at=answer.fetched_at)


def _off_limits(url: str, detail: str, at: datetime, retry_after: float | None = None) -> Failure:
    said = f"{url} cannot be had ({detail}), so the site is off limits"
    return Failure(url, Reason.ROBOTS, said, at, down=True, retry_after=retry_after)
