"""Texts as arrays: their characters, what each is, where words and marks lie, a hash of every word.

`scan` looks the code points of some texts up in a table of what each is; where words begin and end follows from
neighbours, so the time is linear in the texts whatever they hold. A word is a run of letters, marks and digits,
joined over an inner apostrophe (`it's`). A mark is one sign, or a run of one dot, dash or ruling sign (`...`,
`---`). Where a script sets no spaces (Han, kana, Thai, Lao, Khmer, Burmese), each letter is a word.

Several short texts go together, because a call into NumPy costs as much as a thousand characters. Nothing depends
on which texts share a scan.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from functools import cache, cached_property
from itertools import pairwise

import numpy as np
import numpy.typing as npt

#: Characters that are no part of a word for Gopher's word count, as datatrove 0.10.1 lists them (CCNet's
#: table and Unicode's sentence terminals).
_SIGNS = (
    "0-8 B-1F 21-2F 3A-40 5B-60 7B-9F AB B4 BB 2013-2014 2019 201C-201E 2026 2236 2501 25BA 3001-3002 "
    "3008-300D 3010-3011 FF01 FF05 FF08-FF09 FF0C FF0E FF11 FF1A-FF1B FF1F FF5E"
)
#: Unicode's Sentence_Terminal property.
_TERMINALS = (
    "21 2E 3F 589 61D-61F 6D4 700-702 7F9 837 839 83D-83E 964-965 104A-104B 1362 1367-1368 166E 1735-1736 "
    "17D4-17D6 17D9-17DA 1803 1809 1944-1945 1AA8-1AAB 1B5A-1B5B 1B5E-1B5F 1B7D-1B7E 1C3B-1C3C 1C7E-1C7F "
    "203C-203D 2047-2049 2E2E 2E3C 2E53-2E54 3002 A4FF A60E-A60F A6F3 A6F7 A876-A877 A8CE-A8CF A92F "
    "A9C8-A9C9 AA5D-AA5F AAF0-AAF1 ABEB FE52 FE56-FE57 FF01 FF0E FF1F FF61 10A56-10A57 10F55-10F59 10F86-10F89 "
    "11047-11048 110BE-110C1 11141-11143 111C5-111C6 111CD 111DE-111DF 11238-11239 1123B-1123C 112A9 "
    "1144B-1144C 115C2-115C3 115C9-115D7 11641-11642 1173C-1173E 11944 11946 11A42-11A43 11A9B-11A9C "
    "11C41-11C42 11EF7-11EF8 11F43-11F44 16A6E-16A6F 16AF5 16B37-16B38 16B44 16E98 1BC9F 1DA88"
)
#: Scripts written without spaces between words.
_UNSPACED = (
    "E01-E3A E40-E4E E81-EDF 1000-109F 1780-17D3 3005-3007 3040-30FF 31F0-31FF 3400-4DBF 4E00-9FFF F900-FAFF "
    "FF66-FF9F 20000-3FFFF"
)
#: Beyond the basic plane only emoji, symbols and tags count as signs.
_FAR_SIGNS = "1D000-1D3FF 1F000-1FAFF E0000-E0FFF"


def _code_points(ranges: str) -> list[int]:
    result: list[int] = []
    for item in ranges.split():
        first, _, last = item.partition("-")
        result += range(int(first, 16), int(last or first, 16) + 1)
    return result


SENTENCE_END = frozenset(map(chr, _code_points(_TERMINALS)))
PUNCTUATION = frozenset(map(chr, _code_points(_SIGNS))) | SENTENCE_END

#: What a character is; more than one may hold.
SPACE, SIGN, UNSPACED, JOINS, SOLID, ALPHA, DIGIT, UPPER = (np.uint8(1 << bit) for bit in range(8))
_NOT_SPACED = SPACE | SIGN | UNSPACED
#: Signs of which a run is one mark, and those that join two halves of a word.
_RUNS = frozenset(".-=*~#")
_APOSTROPHES = frozenset("'’")

Kinds = npt.NDArray[np.uint8]
Codes = npt.NDArray[np.uint32]
Places = npt.NDArray[np.int64]
Hashes = npt.NDArray[np.uint64]


@cache
def kinds_table() -> Kinds:
    """What each code point is: white space, a sign by itself, a letter that is a word, ...; `SOLID` is what is
    neither space nor `PUNCTUATION`, `JOINS` the signs of runs and the apostrophes."""
    table = np.zeros(0x110000, dtype=np.uint8)
    # The planes that hold letters and digits; the rest of Unicode is empty or private.
    for code in range(0x40000):
        character = chr(code)
        table[code] = (
            (SPACE if character.isspace() else 0)
            | (ALPHA if character.isalpha() else 0)
            | (DIGIT if character.isdecimal() else 0)
            | (UPPER if character.isupper() else 0)
        )
    # A word is everything that is no space, punctuation, symbol or control: so combining marks are part of it.
    for code in range(0x10000):
        if (
            unicodedata.category(chr(code))[0] in "PSZC"
            and not table[code] & SPACE
            and chr(code) not in "_\u200c\u200d"
        ):
            table[code] |= SIGN
    table[_code_points(_FAR_SIGNS)] |= SIGN
    table[_code_points(_UNSPACED)] |= UNSPACED
    table[[ord(sign) for sign in _RUNS | _APOSTROPHES]] |= JOINS
    solid = (table & SPACE) == 0
    solid[[ord(sign) for sign in PUNCTUATION]] = False
    table[solid] |= SOLID
    return table


#: Texts of one scan: enough that calls do not count, and so few that their arrays stay in a processor's cache.
GROUP_CHARS = 1 << 16
#: The number of a text takes 6 bits in `Scan.keys`.
GROUP_TEXTS = 64
_BLOCK_CHARS = 1 << 15
#: Base of the polynomial hash; odd, so that no power of it vanishes modulo 2^64.
_BASE = 0x9E3779B97F4A7C15


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
        self.codes: Codes = np.frombuffer(self.whole.encode("utf-32-le", "surrogatepass"), "<u4")
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
    spaced = (kinds & _NOT_SPACED) == 0
    part = spaced | ((kinds & UNSPACED) != 0)
    goes_on = spaced[1:] & spaced[:-1]
    first, last = part.copy(), part
    first[1:] &= ~goes_on
    last[:-1] &= ~goes_on
    return np.flatnonzero(first), np.flatnonzero(last) + 1


def _goes_on(codes: Codes, kinds: Kinds) -> npt.NDArray[np.bool_]:
    """Whether a character and its right neighbour are of one word or mark; the last has none."""
    spaced = (kinds & _NOT_SPACED) == 0
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


@cache
def _powers() -> tuple[Hashes, Hashes]:
    """Powers of the base modulo 2^64, and of its inverse there, for the places of a block."""
    found = []
    for base in (_BASE, pow(_BASE, -1, 1 << 64)):
        powers = np.full(_BLOCK_CHARS, base, dtype=np.uint64)
        powers[0] = 1
        found.append(np.cumprod(powers, out=powers))
    return found[0], found[1]


def _hashes(codes: Codes, lengths: Places) -> tuple[Hashes, Hashes]:
    """Hash and power of each word, from the words' characters in a row.

    A word's hash is a difference of prefix sums, block by block; a word longer than a block is summed in parts.
    """
    letters = codes + np.uint32(1)
    ends = np.cumsum(lengths)
    up, down = _powers()
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
    powers = up.take(lengths, mode="clip")
    for place in np.flatnonzero(lengths >= _BLOCK_CHARS).tolist():
        powers[place] = pow(_BASE, int(lengths[place]), 1 << 64)
    return hashes, powers


def _long_hash(letters: Codes) -> int:
    value = 0
    for start in range(0, len(letters), _BLOCK_CHARS):
        block = letters[start : start + _BLOCK_CHARS]
        found = int(np.multiply(block, _powers()[0][len(block) - 1 :: -1], dtype=np.uint64).sum())
        value = (value * pow(_BASE, len(block), 1 << 64) + found) % (1 << 64)
    return value
