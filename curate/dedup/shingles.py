"""Shingles: a text as a set of 32-bit hashes, one for each run of `ngram` words or characters in it.

Words are those of `content_words`, each character in lower case by itself, so spacing, punctuation and case do
not count; characters are the text's code points as they stand. A text of fewer than `ngram` tokens has one
shingle, of all of them; a text without tokens has none.

The hash of a word is the polynomial of its code points modulo 2^64 in an odd base, and of a character its code
point, both mixed by xor-shifts and a product; the hash of a shingle is the upper half of the polynomial of its
tokens' hashes. `word_shingle_hash` and `character_shingle_hash` say the same of one shingle, for other tools.

No Python runs per word: texts are joined and their code points looked up in one table; prefix sums of the code
points, each divided by the power of its place, give every word's polynomial as a difference. Work goes in blocks
that fit a processor's cache, and is linear in the text.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from typing import Literal

import numpy as np
import numpy.typing as npt

from millpond.curate.polynomial import powers
from millpond.curate.signals.characters import code_points
from millpond.curate.signals.words import content_words

Hashes = npt.NDArray[np.uint32]
Wide = npt.NDArray[np.uint64]
Places = npt.NDArray[np.intp]
Kind = Literal["words", "characters"]

_MASK = (1 << 64) - 1
_CHARACTER_BASE = 0x9DDFEA08EB382D69
_TOKEN_BASE = 0x9E3779B97F4A7C15
_MIXER = 0xD6E8FEB86659FD93
_BLOCK = 1 << 15
_GROUP = 1 << 17
ALONE = np.uint32(1 << 31)


def word_shingle_hash(shingle: bytes) -> int:
    """32-bit hash of a shingle of words, given as UTF-8, in lower case and with single spaces between."""
    return _combined(_polynomial(map(ord, word), _CHARACTER_BASE) for word in _decoded(shingle).split(" "))


def character_shingle_hash(shingle: bytes) -> int:
    """32-bit hash of a shingle of characters, given as UTF-8."""
    return _combined(map(ord, _decoded(shingle)))


def _decoded(shingle: bytes) -> str:
    return shingle.decode("utf-8", "surrogatepass")


def _combined(tokens: Iterable[int]) -> int:
    return _polynomial(map(_mixed_one, tokens), _TOKEN_BASE) >> 32


def _polynomial(values: Iterable[int], base: int) -> int:
    result = 0
    for value in values:
        result = (result * base + value) & _MASK
    return result


def _mixed_one(value: int) -> int:
    value ^= value >> 32
    value = value * _MIXER & _MASK
    return value ^ value >> 32


def _mixed(values: Wide) -> Wide:
    """Spread near values over 64 bits, in place."""
    half = np.uint64(32)
    values ^= values >> half
    values *= np.uint64(_MIXER)
    values ^= values >> half
    return values


class Shingles:
    """Cuts texts into shingles of `ngram` words or characters."""

    def __init__(self, ngram: int = 5, kind: Kind = "words") -> None:
        self.ngram = ngram
        self.kind = kind

    def hashes(self, texts: Sequence[str]) -> tuple[Hashes, Places, Places]:
        """All shingles of all texts, as often as they occur.

        Returns:
            hashes, starts and stops: the shingles of text i are `hashes[starts[i]:stops[i]]`; what lies between
            belongs to none.
        """
        tokens, starts, stops = text_words(texts) if self.kind == "words" else _text_characters(texts)
        hashes, shift = _shingled(tokens, self.ngram), self.ngram - 1
        # Shorter texts have their one shingle behind all others.
        short = np.flatnonzero((starts < stops) & (stops - starts <= shift))
        more = [_shingled(tokens[starts[text] : stops[text]], int(stops[text] - starts[text])) for text in short]
        stops = np.maximum(stops - shift, starts)
        starts[short] = len(hashes) + np.arange(len(short))
        stops[short] = starts[short] + 1
        return np.concatenate((hashes, *more)), starts, stops

    def of(self, text: str) -> Hashes:
        """Distinct hashes of one text's shingles, ascending."""
        hashes, [start], [stop] = self.hashes([text])
        return np.unique(hashes[start:stop])


def groups(texts: Iterable[str]) -> Iterator[list[str]]:
    """Texts in groups of a size to hash together, so that what is worked on stays in a processor's cache."""
    group, size = [], 0
    for text in texts:
        group.append(text)
        size += len(text)
        if size >= _GROUP:
            yield group
            group, size = [], 0
    if group:
        yield group


def jaccard(first: Hashes, second: Hashes) -> float:
    """Jaccard similarity of two sets of distinct hashes; 0 where both are empty."""
    common = len(np.intersect1d(first, second, assume_unique=True))
    union = len(first) + len(second) - common
    return common / union if union else 0.0


def text_words(texts: Sequence[str]) -> tuple[Wide, Places, Places]:
    """Mixed hashes of the words of all texts, starts and stops: those of text i are `hashes[starts[i]:stops[i]]`."""
    codes, lasts = _joined(texts)
    hashes, ends = _words(codes)
    stops = np.searchsorted(ends, lasts)
    return hashes, np.concatenate(([0], stops[:-1])), stops


def _text_characters(texts: Sequence[str]) -> tuple[Wide, Places, Places]:
    codes, lasts = _joined(texts)
    return _mixed(codes.astype(np.uint64)), np.concatenate(([0], lasts[:-1] + 1)), lasts


def _joined(texts: Sequence[str]) -> tuple[Hashes, Places]:
    """Code points of all texts, and the place behind each text: a line break, which separates words."""
    codes = code_points("".join(f"{text}\n" for text in texts))
    return codes, np.cumsum([len(text) + 1 for text in texts], dtype=np.intp) - 1


def rolled(tokens: Wide, length: int) -> Wide:
    """The polynomial, modulo 2^64, of each run of `length` tokens.

    That of a run is made of those of its halves, so the work grows with the logarithm of the length.
    """
    if length == 1 or len(tokens) < length:
        return tokens[: max(len(tokens) - length + 1, 0)].copy()
    half, odd = divmod(length, 2)
    parts = rolled(tokens, half)
    combined = parts[:-half] * np.uint64(pow(_TOKEN_BASE, half, 1 << 64))
    combined += parts[half:]
    if odd:
        combined = combined[:-1]
        combined *= np.uint64(_TOKEN_BASE)
        combined += tokens[length - 1 :]
    return combined


def _shingled(tokens: Wide, ngram: int) -> Hashes:
    """The hash of each run of `ngram` tokens."""
    return (rolled(tokens, ngram) >> np.uint64(32)).astype(np.uint32)


def _words(codes: Hashes) -> tuple[Wide, Places]:
    """Mixed hash and last place of each word among code points, of which the last is a separator."""
    table, (up, down) = letter_table(), powers(_CHARACTER_BASE, _BLOCK + 1)
    hashes: list[Wide] = [np.empty(0, dtype=np.uint64)]
    places: list[Places] = [np.empty(0, dtype=np.intp)]
    begun = np.zeros(1, dtype=np.uint64)  # what a block holds of a word that goes on in the next
    for start in range(0, len(codes), _BLOCK):
        letters = table.take(codes[start : start + _BLOCK + 1])
        size = min(_BLOCK, len(letters))
        # A word ends before a separator, before a letter that is a word alone, and with such a letter.
        bounds = (letters - np.uint32(1)) >= ALONE - np.uint32(1)
        ends = np.flatnonzero((letters[:-1] != 0) & (bounds[:-1] | bounds[1:]))
        sums = (letters[:size] & ~ALONE) * down[:size]
        sums[:1] += begun
        np.cumsum(sums, out=sums)
        pieces = np.diff(sums[np.append(ends, size - 1)], prepend=np.uint64(0)) * up[np.append(ends, size)]
        begun = pieces[-1:]
        hashes.append(_mixed(pieces[:-1]))
        places.append(ends + start)
    return np.concatenate(hashes), np.concatenate(places)


@cache
def letter_table() -> Hashes:
    """Code point → its lower case, with the highest bit set if it is a word alone; 0 if it is part of no word."""
    letters = np.arange(0x110000, dtype=np.uint32)
    # What lies beyond these planes is private or not assigned, and part of words.
    codes = [*range(0x40000), *range(0xE0000, 0xE1000)]
    lower = [chr(code).lower()[0] for code in codes]
    lower[ord("ς")] = "σ"  # which of the two a capital becomes depends on what follows it
    # Twice the same letter is one word of two letters, or two words.
    words = content_words(" ".join(2 * letter for letter in lower))
    letters[codes] = 0
    parts = code_points("".join(words))
    letters[parts] = parts
    letters[code_points("".join(word for word in words if len(word) == 1))] |= ALONE
    letters[codes] = letters[code_points("".join(lower))]
    return letters
