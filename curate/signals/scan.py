"""Texts as arrays: their characters, what each is, where words and marks lie, a hash of every word.

`Scan` looks the code points of some texts up in a table of what each is; where words begin and end follows from
neighbours, so the time is linear in the texts whatever they hold. A word is a run of letters, marks and digits,
joined over an inner apostrophe (`it's`). A mark is one sign, or a run of one dot, dash or ruling sign (`...`,
`---`). Where a script sets no spaces (Han, kana, Thai, Lao, Khmer, Burmese), each letter is a word.

Several short texts go together, because a call into NumPy costs as much as a thousand characters. Nothing depends
on which texts share a scan.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from millpond.curate.polynomial import Hashes, powers
from millpond.curate.signals.characters import (
    JOINS,
    NOT_SPACED,
    SPACE,
    UNSPACED,
    Codes,
    Kinds,
    code_points,
    folded_table,
    kinds_table,
)

Places = npt.NDArray[np.int64]

#: Texts of one scan: enough that calls do not count, and so few that their arrays stay in a processor's cache.
GROUP_CHARS = 1 << 16
#: The number of a text takes 6 bits of the keys of n-grams (`millpond.curate.signals.gopher`).
GROUP_TEXTS = 64
_BLOCK_CHARS = 1 << 15
#: Base of the polynomial hash; odd, so that no power of it vanishes modulo 2^64.
BASE = 0x9E3779B97F4A7C15
_MIX = 0xD6E8FEB86659FD93  # odd, so multiplying loses nothing


class Scan:
    """Texts as arrays.

    Attributes:
        texts: the texts, at most `GROUP_TEXTS`.
        whole: all of them, a line break behind each.
        codes: its code points.
        kinds: what each code point is.
        edges: where each text begins, and the end of the last.
        starts: the first place of each word or mark, ascending.
        bounds: words `bounds[i]` to `bounds[i + 1]` are those of text i.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        if len(texts) > GROUP_TEXTS:
            raise ValueError(f"{len(texts)} texts in one scan: at most {GROUP_TEXTS}")
        self.texts = tuple(texts)
        self.whole = "".join(f"{text}\n" for text in texts)
        self.codes = code_points(self.whole)
        self.kinds: Kinds = kinds_table().take(self.codes)
        self._goes_on = _goes_on(self.codes, self.kinds)
        first = (self.kinds & SPACE) == 0
        first[1:] &= ~self._goes_on
        self.starts: Places = np.flatnonzero(first)
        sizes = np.array([0, *(len(text) + 1 for text in texts)], dtype=np.int64)
        self.edges = np.cumsum(sizes)
        self.bounds: Places = np.searchsorted(self.starts, self.edges)

    @cached_property
    def ends(self) -> Places:
        """The place behind each word or mark."""
        last = (self.kinds & SPACE) == 0
        last[:-1] &= ~self._goes_on
        return np.flatnonzero(last) + 1

    @cached_property
    def lengths(self) -> Places:
        """Characters of each word or mark."""
        return self.ends - self.starts

    @property
    def word_counts(self) -> list[int]:
        """How many words and marks each text has."""
        counts: list[int] = np.diff(self.bounds).tolist()
        return counts

    @cached_property
    def text_of(self) -> Places:
        """The number of the text of each word or mark."""
        return np.repeat(np.arange(len(self.texts)), np.diff(self.bounds))

    @cached_property
    def word_kinds(self) -> Kinds:
        """What the characters of each word or mark are, all together; `SPACE` may come from what lies behind."""
        return np.bitwise_or.reduceat(self.kinds, self.starts) if len(self.starts) else self.kinds[:0]

    @cached_property
    def hashes(self) -> tuple[Hashes, Hashes]:
        """Polynomial hash of each word or mark, and the power of the base by which a text before it is multiplied.

        The hash of two strings in a row is hash(first) · power(second) + hash(second) modulo 2^64.
        """
        return _hashes(self.codes[(self.kinds & SPACE) == 0], self.lengths)

    @cached_property
    def folded(self) -> Hashes:
        """A hash of each word or mark that is the same for upper and lower case, and for all digits.

        Its bits are mixed: any of them, and sums of such hashes, can pick a place in a table.
        """
        letters = self.codes[(self.kinds & SPACE) == 0]
        hashes, _ = _hashes(folded_table().take(letters), self.lengths)
        hashes ^= hashes >> np.uint64(32)
        hashes *= np.uint64(_MIX)
        hashes ^= hashes >> np.uint64(29)
        return hashes

    @cached_property
    def lower(self) -> list[str]:
        """The texts in lower case."""
        return [text.lower() for text in self.texts]

    @cached_property
    def chunks(self) -> tuple[Places, Places]:
        """Where what stands between white space begins, and the places behind it."""
        solid = (self.kinds & SPACE) == 0
        edges = np.flatnonzero(solid[1:] != solid[:-1]) + 1  # a text ends in white space, so chunks come in pairs
        if len(solid) and solid[0]:
            edges = np.concatenate(([0], edges))
        return edges[::2], edges[1::2]

    @cached_property
    def lines(self) -> tuple[Places, Places, Places]:
        """Where what stands between newlines begins, the newlines, and as `bounds` which lines are whose."""
        ends = np.flatnonzero(self.codes == 0x0A)
        starts = np.concatenate((self.edges[:1], ends[:-1] + 1))[: len(ends)]
        return starts, ends, np.searchsorted(starts, self.edges)

    def total(self, values: npt.NDArray[np.generic]) -> list[int]:
        """The sum over each text's words or marks."""
        return totals(values, self.bounds)

    def words(self) -> list[list[str]]:
        """The words and marks of each text themselves, in order."""
        found = [self.whole[start:end] for start, end in zip(self.starts.tolist(), self.ends.tolist(), strict=True)]
        bounds = self.bounds.tolist()
        return [found[start:end] for start, end in pairwise(bounds)]


def totals(values: npt.NDArray[np.generic], bounds: Places) -> list[int]:
    """The sum of values from each bound to the next."""
    sums = np.concatenate(([0], np.cumsum(values, dtype=np.int64)))
    found: list[int] = np.diff(sums[bounds]).tolist()
    return found


def groups(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    """Cut texts into groups of a size to scan at once; a long text stands alone."""
    first = chars = 0
    for place, text in enumerate(texts):
        if place > first and (chars + len(text) > GROUP_CHARS or place - first == GROUP_TEXTS):
            yield texts[first:place]
            first, chars = place, 0
        chars += len(text)
    if texts:
        yield texts[first:]


def word_spans(kinds: Kinds) -> tuple[Places, Places]:
    """Where words alone lie, no marks: runs of letters between all signs, and letters that are words."""
    spaced = (kinds & NOT_SPACED) == 0
    part = spaced | ((kinds & UNSPACED) != 0)
    goes_on = spaced[1:] & spaced[:-1]
    first, last = part.copy(), part
    first[1:] &= ~goes_on
    last[:-1] &= ~goes_on
    return np.flatnonzero(first), np.flatnonzero(last) + 1


def _goes_on(codes: Codes, kinds: Kinds) -> npt.NDArray[np.bool_]:
    """Whether a character and its right neighbour are of one word or mark; the last has none."""
    spaced = (kinds & NOT_SPACED) == 0
    goes_on: npt.NDArray[np.bool_] = spaced[1:] & spaced[:-1]
    joins = np.flatnonzero(kinds & JOINS)
    signs = codes[joins]
    apostrophe = (signs == 0x27) | (signs == 0x2019)
    inner = joins[apostrophe]
    inner = inner[(inner > 0) & (inner < len(codes) - 1)]
    inner = inner[spaced[inner - 1] & spaced[inner + 1]]
    goes_on[inner - 1] = goes_on[inner] = True
    goes_on[joins[:-1][(joins[1:] == joins[:-1] + 1) & (signs[1:] == signs[:-1]) & ~apostrophe[1:]]] = True
    return goes_on


def _hashes(codes: Codes, lengths: Places) -> tuple[Hashes, Hashes]:
    """Hash and power of each word, from the words' characters in a row.

    A word's hash is a difference of prefix sums, block by block; a word longer than a block is summed in parts.
    """
    letters = codes + np.uint32(1)
    ends = np.cumsum(lengths)
    up, down = powers(BASE, _BLOCK_CHARS)
    hashes = np.empty(len(ends), dtype=np.uint64)
    start = offset = 0
    while start < len(ends):
        stop = int(np.searchsorted(ends, offset + _BLOCK_CHARS, side="right"))
        if stop > start:
            places = ends[start:stop] - offset
            sums = np.multiply(letters[offset : offset + places[-1]], down[: places[-1]], dtype=np.uint64)
            found = np.cumsum(sums, out=sums)[places - 1]
            found[1:] -= found[:-1].copy()
            hashes[start:stop] = found * up[places - 1]
        else:
            stop = start + 1
            hashes[start] = _long_hash(letters[offset : ends[start]])
        start, offset = stop, int(ends[stop - 1])
    factors = up.take(lengths, mode="clip")
    for place in np.flatnonzero(lengths >= _BLOCK_CHARS).tolist():
        factors[place] = pow(BASE, int(lengths[place]), 1 << 64)
    return hashes, factors


def _long_hash(letters: Codes) -> int:
    value = 0
    for start in range(0, len(letters), _BLOCK_CHARS):
        block = letters[start : start + _BLOCK_CHARS]
        found = int(np.multiply(block, powers(BASE, _BLOCK_CHARS)[0][len(block) - 1 :: -1], dtype=np.uint64).sum())
        value = (value * pow(BASE, len(block), 1 << 64) + found) % (1 << 64)
    return value
