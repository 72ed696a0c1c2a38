"""Gopher's signals: word and line statistics, and how much of a text repeats itself.

Source: Rae et al. 2021, arXiv 2112.11446, appendix A1, in the reading of datatrove 0.10.1: given the same
words, rules over these signals keep and drop what its two Gopher filters keep and drop. Repeated n-grams are
found by 64-bit hashes of all positions at once, so the time grows as n log n with the text.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from millpond.curate.signals.words import PUNCTUATION

Signals = dict[str, float | int | None]
Hashes = npt.NDArray[np.uint64]

STOP_WORDS = frozenset(("the", "be", "to", "of", "and", "that", "have", "with"))
TOP_NGRAMS = (2, 3, 4)
DUPLICATE_NGRAMS = (5, 6, 7, 8, 9, 10)

#: Base of the polynomial hash; odd, so that no power of it vanishes modulo 2^64.
_BASE = 0x9E3779B97F4A7C15
_SEPARATOR = np.uint64(0x20)
_BLOCK_CHARS = 1 << 20


def quality(text: str, words: Sequence[str]) -> Signals:
    """Word and line statistics of a text, no word of it empty; a ratio of nothing is null."""
    counts = Counter(words)
    total = len(words)
    solid = solid_chars = alphabetic = 0
    for word, count in counts.items():
        if word.isalpha():  # no letter counts as punctuation
            alphabetic += count
        elif PUNCTUATION.issuperset(word):
            continue
        elif any(map(str.isalpha, word)):
            alphabetic += count
        solid += count
        solid_chars += count * len(word)
    lines = text.splitlines()
    bullets = sum(line.lstrip().startswith(("•", "-")) for line in lines)
    trailing = sum(line.rstrip().endswith(("...", "…")) for line in lines)
    return {
        "word_count": solid,
        "mean_word_length": _ratio(solid_chars, solid),
        "hash_word_ratio": _ratio(text.count("#"), total),
        "ellipsis_word_ratio": _ratio(text.count("...") + text.count("…"), total),
        "bullet_line_ratio": _ratio(bullets, len(lines)),
        "ellipsis_line_ratio": _ratio(trailing, len(lines)),
        "alpha_word_ratio": _ratio(alphabetic, total),
        "stop_word_count": len(STOP_WORDS & counts.keys()),
    }


def repetition(text: str, words: Sequence[str]) -> Signals:
    """Shares of paragraphs, lines and n-grams that repeat; shares of characters are of the whole text."""
    paragraphs = [piece.lstrip("\n") for piece in text.strip().split("\n\n") if piece not in ("", "\n")] or [""]
    first, *rest = text.split("\n")
    lines = [first, *filter(None, rest[:-1]), *rest[-1:]]  # runs of newlines count as one break
    paragraph_repeats, paragraph_chars = repeats(paragraphs)
    line_repeats, line_chars = repeats(lines)
    signals: Signals = {
        "duplicate_paragraph_ratio": _ratio(paragraph_repeats, len(paragraphs)),
        "duplicate_paragraph_char_ratio": _ratio(paragraph_chars, len(text)),
        "duplicate_line_ratio": _ratio(line_repeats, len(lines)),
        "duplicate_line_char_ratio": _ratio(line_chars, len(text)),
    }
    lengths = np.fromiter(map(len, words), dtype=np.int64, count=len(words))
    hashes, powers = _word_hashes(words, lengths)
    spaced = joined = hashes
    ends = np.concatenate((np.zeros(1, dtype=np.int64), np.cumsum(lengths)))
    for n in range(2, max(DUPLICATE_NGRAMS) + 1):
        # The n-gram at i is the (n − 1)-gram at i, and the word n − 1 places on.
        places = max(len(words) - n + 1, 0)
        power, word = powers[n - 1 :], hashes[n - 1 :]
        joined = joined[:places] * power + word
        sizes = ends[n : n + places] - ends[:places]
        if n in TOP_NGRAMS:
            spaced = (spaced[:places] * np.uint64(_BASE) + _SEPARATOR) * power + word
            value = _top(spaced, sizes + (n - 1)) if places else None
            signals[f"top_{n}gram_char_ratio"] = None if value is None else _ratio(value, len(text))
        if n in DUPLICATE_NGRAMS:
            signals[f"duplicate_{n}gram_char_ratio"] = _ratio(_duplicated(joined, sizes, n), len(text))
    return signals


def repeats(items: Iterable[str]) -> tuple[int, int]:
    """How many items repeat an earlier one, and their characters."""
    seen: set[str] = set()
    count = chars = 0
    for item in items:
        if item in seen:
            count += 1
            chars += len(item)
        else:
            seen.add(item)
    return count, chars


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _word_hashes(words: Sequence[str], lengths: npt.NDArray[np.int64]) -> tuple[Hashes, Hashes]:
    """Polynomial hash of each word, and the power of the base by which a text before it is multiplied.

    The hash of two strings in a row is hash(first) · base^len(second) + hash(second) modulo 2^64, so an
    n-gram joined without spaces is recognised whatever its words are.
    """
    if not words:
        return np.empty(0, dtype=np.uint64), np.empty(0, dtype=np.uint64)
    longest = int(lengths.max())
    table = np.full(longest + 1, _BASE, dtype=np.uint64)
    table[0] = 1
    np.cumprod(table, out=table)
    ends = np.cumsum(lengths)
    hashes = np.empty(len(words), dtype=np.uint64)
    start = 0
    while start < len(words):
        offset = int(ends[start - 1]) if start else 0
        stop = max(int(np.searchsorted(ends, offset + _BLOCK_CHARS, side="right")), start + 1)
        block = "".join(words[start:stop]).encode("utf-32-le", "surrogatepass")
        codes = np.frombuffer(block, dtype=np.uint32).astype(np.uint64) + np.uint64(1)
        word_ends = ends[start:stop] - offset
        exponents = np.repeat(word_ends, lengths[start:stop]) - np.arange(1, len(codes) + 1)
        starts = word_ends - lengths[start:stop]
        hashes[start:stop] = np.add.reduceat(codes * table[exponents], starts)
        start = stop
    return hashes, table[lengths]


def _top(hashes: Hashes, sizes: npt.NDArray[np.int64]) -> int:
    """Characters of all places of the most frequent n-gram; of several, the one that came first."""
    order = np.argsort(hashes, kind="stable")
    ordered = hashes[order]
    starts = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1]))
    counts = np.diff(starts, append=len(ordered))
    most = counts.max()
    return int(most) * int(sizes[order[starts[counts == most]].min()])


def _duplicated(hashes: Hashes, sizes: npt.NDArray[np.int64], n: int) -> int:
    """Characters of n-grams seen before, reading from the left; one that counts is stepped over whole."""
    order = np.argsort(hashes)
    ordered = hashes[order]
    same = ordered[1:] == ordered[:-1]
    if not same.any():
        return 0
    # Only places whose n-gram comes more than once can count or be remembered to any effect.
    places = np.sort(order[np.append(same, False) | np.append(False, same)])
    seen: set[int] = set()
    chars = free = 0
    found = hashes[places].tolist(), sizes[places].tolist()
    for place, value, size in zip(places.tolist(), *found, strict=True):
        if place < free:
            continue
        if value in seen:
            chars += size
            free = place + n
        else:
            seen.add(value)
    return chars
