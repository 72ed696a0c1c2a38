"""Personal data: found by its form, and replaced by a placeholder that names its kind.

`find(text, kinds)` gives spans in order that do not overlap; `mask(text, config)` replaces the kinds that the
configuration names by `<EMAIL>`, `<PHONE>`, `<IP_ADDRESS>`, `<IBAN>`, `<CREDIT_CARD>`, `<NATIONAL_ID>` or `<SECRET>`,
and counts all. Where two readings overlap, secrets come first, then e-mail, IP, IBAN, ids with letters, cards, ids and
telephones. Names of persons and places are not found: they need a model of the language.

Guarantees: a text without masked data comes out as the same object; masking twice changes nothing more; the time
is linear in the text whatever it holds.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection

from millpond.curate.privacy.accounts import ibans
from millpond.curate.privacy.addresses import emails, ip_addresses
from millpond.curate.privacy.config import PiiConfig
from millpond.curate.privacy.credentials import credentials
from millpond.curate.privacy.digit_runs import digit_runs
from millpond.curate.privacy.national_ids import lettered_ids
from millpond.curate.privacy.span import FILLER, KINDS, NUMBER, NUMBERS, Kind, Span, blanked, dense

PLACEHOLDERS: dict[Kind, str] = {kind: f"<{kind.upper()}>" for kind in KINDS}
_PLACEHOLDER = re.compile(f"<({'|'.join(kind.upper() for kind in KINDS)})>")


def find(text: str, kinds: Collection[Kind] = KINDS, *, public_ips_only: bool = True) -> list[Span]:
    """Personal data of these kinds, in order."""
    work = _PLACEHOLDER.sub(_filler, text) if "<" in text else text
    found: list[Span] = []

    def keep(spans: list[Span]) -> None:
        nonlocal work
        if spans:
            work = blanked(work, spans)
            found.extend(spans)

    if "secret" in kinds:
        keep(credentials(work))
    if "email" in kinds and "@" in work:
        keep(list(emails(work)))
    if "ip_address" in kinds:
        keep(ip_addresses(work, public_only=public_ips_only))
    places = dense(text)
    if "iban" in kinds and places:
        keep(list(ibans(work, places)))
    if "national_id" in kinds:
        keep(lettered_ids(work, places))
    if places and not NUMBERS.isdisjoint(kinds):
        found.extend(digit_runs(work, places, kinds))
    found.sort()
    return found


def mask(text: str, config: PiiConfig) -> tuple[str, dict[Kind, int]]:
    """The text with the kinds `config.mask` replaced, and how many there are of every kind.

    Kinds that are only counted are looked for in what masking leaves.
    """
    found = find(text, config.mask, public_ips_only=config.public_ips_only)
    if found:
        pieces, last = [], 0
        for span in found:
            pieces += [text[last : span.start], PLACEHOLDERS[span.kind]]
            last = span.end
        text = "".join((*pieces, text[last:]))
    others = [kind for kind in KINDS if kind not in config.mask]
    counts = Counter(span.kind for span in found)
    counts.update(span.kind for span in find(text, others, public_ips_only=config.public_ips_only))
    return text, {kind: counts[kind] for kind in KINDS}


def _filler(match: re.Match[str]) -> str:
    kind = match[1].lower()
    return (NUMBER if kind in NUMBERS else FILLER) * len(match[0])
