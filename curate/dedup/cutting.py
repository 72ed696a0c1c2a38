"""A text's words with their places, and the text without some of them.

Words are those of `millpond.curate.dedup.shingles`, here spelled out. What stays of a text stays byte for byte. A
piece that is cut out takes along the signs that touch its words, and whole lines where no other words stand on them;
of the white space before and behind it the wider one stays. Where a letter is a word, its marks go and stay with it.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from millpond.curate.dedup.shingles import ALONE, Places, letter_table
from millpond.curate.signals.characters import NOT_SPACED, code_points, kinds_table

Marked = npt.NDArray[np.bool_]
_SPACE = re.compile(r"\s")


@dataclass(frozen=True)
class Words:
    """The words of a text."""

    starts: Places
    """The first place of each in the text."""
    ends: Places
    """The place behind each."""
    spelling: str
    """All of them as they are compared, a space behind each."""
    bounds: Places
    """Where each begins in the spelling, and the end of the last."""

    @classmethod
    def of(cls, text: str) -> Words:
        """Find and spell them, in linear time."""
        letters = letter_table().take(code_points(text))
        part = letters != 0
        goes_on = part[1:] & part[:-1] & ((letters[1:] | letters[:-1]) < ALONE)
        first, last = part.copy(), part.copy()
        first[1:] &= ~goes_on
        last[:-1] &= ~goes_on
        starts, ends = np.flatnonzero(first), np.flatnonzero(last) + 1
        bounds = np.concatenate(([0], np.cumsum(ends - starts + 1)))
        spelled = np.insert(letters[part] & ~ALONE, bounds[1:] - np.arange(1, len(bounds)), 0x20)
        return cls(starts, ends, spelled.astype("<u4").tobytes().decode("utf-32-le"), bounds)

    def __len__(self) -> int:
        return len(self.starts)

    def spelled(self, start: int, count: int) -> str:
        """`count` words from one on, a space behind each."""
        return self.spelling[self.bounds[start] : self.bounds[start + count]]


def without_words(text: str, words: Words, gone: Marked) -> str:
    """A text without the words that are marked; empty if none is left."""
    gone = _with_marks(text, words, gone)
    if gone.all():
        return ""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], gone, [False]))))
    pieces, at = [], 0
    for first, behind in edges.reshape(-1, 2).tolist():
        before = int(words.ends[first - 1]) if first else 0
        after = int(words.starts[behind]) if behind < len(words) else len(text)
        left = text[before : words.starts[first]]
        right = text[words.ends[behind - 1] : after]
        from_left, from_right = _reach(left, right, first == 0, behind == len(words))
        pieces.append(text[at : before + from_left])
        at = after - len(right) + from_right
    pieces.append(text[at:])
    result = pieces[:1]
    for piece in pieces[1:]:
        result[-1:] = _joined(result[-1], piece)
    return "".join(result)


def _with_marks(text: str, words: Words, gone: Marked) -> Marked:
    """What is marked, where combining marks that are words of their own are as the letter they stand on."""
    if not gone.any():
        return gone
    combining = _combining().take(code_points(text)[words.starts])
    combining[0] = False
    combining[1:] &= words.starts[1:] == words.ends[:-1]
    return gone[np.maximum.accumulate(np.where(combining, 0, np.arange(len(gone))))]


@cache
def _combining() -> Marked:
    """Code point → whether it is a combining mark."""
    table = np.zeros(0x110000, dtype=np.bool_)
    table[[code for code in range(0x20000) if unicodedata.category(chr(code))[0] == "M"]] = True
    return table


def _reach(left: str, right: str, begins: bool, ends: bool) -> tuple[int, int]:
    """How much stays of what stands left of a cut, up to the last word, and where in what stands right of it, up to
    the next word, the rest begins."""
    if ("\n" in left or begins) and ("\n" in right or ends):
        return left.rfind("\n") + 1, right.find("\n") if "\n" in right else len(right)
    last = next((place for place in range(len(left), 0, -1) if left[place - 1].isspace()), None)
    space = _SPACE.search(right)
    # Signs without white space beside them belong to the word before them.
    return (
        last if last is not None else 0 if begins else len(left),
        space.start() if space else len(right),
    )


def _joined(left: str, right: str) -> tuple[str, str]:
    """Two pieces whose white space at the seam is the wider of the two."""
    kept, rest = left.rstrip(), right.lstrip()
    if not kept or not rest:
        return kept, rest
    between = left[len(kept) :], right[: len(right) - len(rest)]
    seam = max(between, key=lambda space: (space.count("\n"), len(space)))
    if not seam and not (kinds_table().take(code_points(kept[-1] + rest[0])) & NOT_SPACED).any():
        seam = " "  # or two words would become one
    return kept, seam + rest
