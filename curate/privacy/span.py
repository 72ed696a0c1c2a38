"""What the finders of this folder share: a span, the kinds of personal data, and what stands before a span.

A finder looks at a working copy of the text in which whatever was found before, and every placeholder that the
text already holds, is overwritten by one of two fillers. They are lone surrogates, which text that can be encoded
never holds, so nothing matches across them. So a masked text is searched as its original was after the last find,
and gives nothing more.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Literal, NamedTuple, get_args

Kind = Literal["email", "phone", "ip_address", "iban", "credit_card", "national_id", "secret"]
KINDS: tuple[Kind, ...] = get_args(Kind)

#: Overwrites what was found. Runs of digits right beside a `NUMBER` are what was left of a longer run.
FILLER, NUMBER = "\udc00", "\udc01"
#: For patterns: nothing ends right before what is found later, so that nothing new does once that is masked.
FILLERS = FILLER + NUMBER
#: Kinds that are parts of runs of digits.
NUMBERS: frozenset[Kind] = frozenset({"credit_card", "national_id", "phone"})

#: Six digits with no more than three other characters between each: few places of most texts.
_DENSE = re.compile(r"[0-9](?:[^\n0-9]{0,3}[0-9]){5,}")

#: How far before a number a word that names its kind may stand.
_REACH = 60


class Span(NamedTuple):
    """Personal data at `text[start:end]`."""

    start: int
    end: int
    kind: Kind
    name: str
    """What it is exactly, such as `us_ssn`; else the kind."""


def blanked(text: str, spans: Iterable[Span]) -> str:
    """The text with the spans (in order) overwritten, character for character."""
    pieces, last = [], 0
    for start, end, kind, _ in spans:
        pieces += [text[last:start], (NUMBER if kind in NUMBERS else FILLER) * (end - start)]
        last = end
    return "".join((*pieces, text[last:]))


def before(work: str, start: int, floor: int = 0) -> str:
    """The last characters before `start`, lower case, from behind whatever was found there; not before `floor`."""
    text = work[max(floor, start - _REACH) : start]
    return text[max(text.rfind(FILLER), text.rfind(NUMBER)) + 1 :].lower()


@lru_cache(maxsize=1)  # a text is searched for one kind after another
def dense(text: str) -> tuple[tuple[int, int], ...]:
    """Where digits stand close together: whatever is a number of six digits or more lies in such a place."""
    return tuple(match.span() for match in _DENSE.finditer(text))
