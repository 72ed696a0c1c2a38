"""Numbers in groups: runs of digits are found whole, and told apart as cards, national ids and telephones.

A run is all digits with no more than three spaces, dots, dashes, slashes or brackets between them. It is searched for
cards by their layout; what these leave is tried whole, then in the parts that its wider gaps make, then word by
word. What a placeholder leaves of a run has been tried before and is left alone. Linear in the text.
"""

from __future__ import annotations

import re
from bisect import bisect, insort
from collections.abc import Collection, Iterable, Iterator

from millpond.curate.privacy.accounts import CARD, is_card
from millpond.curate.privacy.national_ids import digits_id
from millpond.curate.privacy.phones import is_phone, names_phone
from millpond.curate.privacy.span import NUMBER, Kind, Span, before

_GAP = r" .\-/()\u00a0\u2009\u2011\u202f"
_RUN = re.compile(rf"[0-9](?<![0-9A-Za-z_][0-9])(?:[{_GAP}]{{0,3}}[0-9]){{6,}}")
_BEHIND_NUMBER = re.compile(rf"{NUMBER}[{_GAP}]{{0,3}}$")
_BEFORE_NUMBER = re.compile(rf"[{_GAP}]{{0,3}}{NUMBER}")
_EXTENSION = re.compile(
    r" ?(?:x|ext)[0-9]{1,6}(?![0-9A-Za-z_@])"
    rf"| ?(?:x|ext\.?|extension) ?[0-9]{{1,6}}(?![A-Za-z_@]|[{_GAP}]{{0,3}}[0-9{NUMBER}])",
    re.IGNORECASE,
)
_PLAIN = str.maketrans("\u00a0\u2009\u2011\u202f", "  - ")
#: What stands between two numbers: a slash or dash in spaces, or a space before a bracket.
_PART = re.compile(r"(?:(?! [/-] | \().)+", re.DOTALL)
_WORD = re.compile(r"\(\d{1,5}\) ?[^ ]+|[^ ]+")
#: No number is longer, with all its gaps.
_LONGEST = 40
_LEAST_DIGITS, _MOST_DIGITS = 7, 19
#: A number is a telephone where no more than this stands between it and a telephone.
_AND = re.compile(r"[\s,;/]{0,3}(?:or|and|und|oder|et|ou|y|o|e)?[\s,;/]{0,3}")


def digit_runs(work: str, places: Iterable[tuple[int, int]], kinds: Collection[Kind]) -> list[Span]:
    """Cards, national ids and telephones among the digits of a text, in order; `places` is where digits are dense."""
    search = _Search(work, kinds)
    for start, end in places:
        for match in _RUN.finditer(work, start, end):
            search.run(*match.span())
    return search.found


class _Search:
    def __init__(self, work: str, kinds: Collection[Kind]) -> None:
        self.work = work
        self.kinds = kinds
        self.found: list[Span] = []

    def run(self, start: int, end: int) -> None:
        """Search one run."""
        work, extended = self.work, end
        if extension := _EXTENSION.match(work, end):
            extended = extension.end()
        elif (sign := work[end : end + 1]) and (sign in "_@" or (sign.isascii() and sign.isalpha())):
            # `2nd`, `5km`: the last group of digits is part of a word.
            extended = end = _last_group(work, start, end)
        for _ in range(2):
            start -= work[start - 1 : start] in ("(", "+")
        if work[start] == "(" and ")" not in work[start:end]:
            start += 1
        if _BEHIND_NUMBER.search(work, max(0, start - 4), start) or _BEFORE_NUMBER.match(work, end):
            return
        self._try(start, end, 0)
        last = self.found[-1] if self.found else None
        if extended > end and last is not None and last.end == end and last.kind == "phone":
            self.found[-1] = last._replace(end=extended)

    def _try(self, start: int, end: int, level: int) -> None:
        """Try the pieces of `work[start:end]` that this level makes, and on the next level what they leave."""
        if level == len(_LEVELS) or end - start < _LEAST_DIGITS:
            return
        left = start
        for first, last in _LEVELS[level](self.work[start:end].translate(_PLAIN)):
            if self._take(start + first, start + last):
                self._try(left, start + first, level + 1)
                left = start + last
        self._try(left, end, level + 1)

    def _take(self, start: int, end: int) -> bool:
        if not _LEAST_DIGITS <= end - start <= _LONGEST:
            return False
        text = self.work[start:end].translate(_PLAIN)
        digits = "".join(filter(str.isdigit, text))
        if not _LEAST_DIGITS <= len(digits) <= _MOST_DIGITS:
            return False
        place = bisect(self.found, (start, end, "", ""))
        previous = self.found[place - 1] if place else None
        context = before(self.work, start, previous.end if previous else 0)
        told = self._told(text, digits, context, self._named(start, previous, context))
        if told is None:
            return False
        insort(self.found, Span(start, end, *told))
        return True

    def _told(self, text: str, digits: str, context: str, named: bool) -> tuple[Kind, str] | None:
        """Kind and name of a number."""
        if "credit_card" in self.kinds and CARD.fullmatch(text) and is_card(digits, context):
            return "credit_card", "credit_card"
        phone = "phone" in self.kinds and is_phone(text, digits, context, named)
        if phone and named and text == digits:  # `phone 12345678901` is no tax number
            return "phone", "phone"
        if "national_id" in self.kinds and (name := digits_id(text, digits, context)):
            return "national_id", name
        return ("phone", "phone") if phone else None

    def _named(self, start: int, previous: Span | None, context: str) -> bool:
        near = previous is not None and previous.kind == "phone" and start - previous.end <= _LEAST_DIGITS
        if near and previous is not None and _AND.fullmatch(self.work, previous.end, start):
            return True
        return names_phone(context)


def _last_group(work: str, start: int, end: int) -> int:
    while end > start and work[end - 1].isdigit():
        end -= 1
    while end > start and not work[end - 1].isdigit():
        end -= 1
    return end


def _cards(run: str) -> Iterator[tuple[int, int]]:
    return (match.span() for match in CARD.finditer(run))


def _whole(run: str) -> Iterator[tuple[int, int]]:
    yield 0, len(run)


def _parts(run: str) -> Iterator[tuple[int, int]]:
    return _stripped(_PART, run)


def _words(run: str) -> Iterator[tuple[int, int]]:
    return _stripped(_WORD, run)


def _stripped(pattern: re.Pattern[str], run: str) -> Iterator[tuple[int, int]]:
    """Matches, without what no number begins or ends with."""
    for match in pattern.finditer(run):
        text = match[0]
        yield match.start() + len(text) - len(text.lstrip(" -/.)")), match.start() + len(text.rstrip(" -/.("))


_LEVELS = (_cards, _whole, _parts, _words)
