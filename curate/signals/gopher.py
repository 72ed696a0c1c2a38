"""Gopher's signals: word and line statistics, and how much of a text repeats itself.

Source: Rae et al. 2021, arXiv 2112.11446, appendix A1, in the reading of datatrove 0.10.1: given the same
words, rules over these signals keep and drop what its two Gopher filters keep and drop. Repeated n-grams are
found by 64-bit hashes of all positions at once, so the time grows as n log n with the text.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache

import numpy as np

from millpond.curate.polynomial import Hashes
from millpond.curate.signals.characters import ALPHA, SOLID
from millpond.curate.signals.scan import BASE, Places, Scan

#: Signal → its value for each text.
Signals = dict[str, list[float | int | None]]

STOP_WORDS = ("the", "be", "to", "of", "and", "that", "have", "with")
TOP_NGRAMS = (2, 3, 4)
DUPLICATE_NGRAMS = (5, 6, 7, 8, 9, 10)

_SEPARATOR = np.uint64(0x20)
_TEXT_BITS = 58
_BLOCK = 1 << 16
_TEXT_SHIFT = np.uint64(_TEXT_BITS)


def quality(scan: Scan, stop_words: Sequence[tuple[str, ...]] | None = None) -> Signals:
    """Word and line statistics of texts; a ratio of nothing is null.

    `stop_words` are those of each text's language (none: their count is null); Gopher's own for all by default.
    """
    totals = scan.word_counts
    solid = (scan.word_kinds & SOLID) != 0
    solids = scan.total(solid)
    # No letter counts as punctuation, so a word with one is solid.
    alphabetic = scan.total((scan.word_kinds & ALPHA) != 0)
    lines = [text.splitlines() for text in scan.texts]
    bullets = [sum(line.lstrip().startswith(("•", "-")) for line in found) for found in lines]
    dots = [text.count("...") + text.count("…") for text in scan.texts]
    trailing = [
        sum(line.rstrip().endswith(("...", "…")) for line in found) if some else 0
        for found, some in zip(lines, dots, strict=True)
    ]
    sizes = list(map(len, lines))
    return {
        "word_count": [*solids],
        "mean_word_length": ratios(scan.total(scan.lengths * solid), solids),
        "hash_word_ratio": ratios([text.count("#") for text in scan.texts], totals),
        "ellipsis_word_ratio": ratios(dots, totals),
        "bullet_line_ratio": ratios(bullets, sizes),
        "ellipsis_line_ratio": ratios(trailing, sizes),
        "alpha_word_ratio": ratios(alphabetic, totals),
        "stop_word_count": [*_stop_words(scan, stop_words or [STOP_WORDS] * len(scan.texts))],
    }


def repetition(scan: Scan) -> Signals:
    """Shares of paragraphs, lines and n-grams that repeat; shares of characters are of the whole text."""
    chars = list(map(len, scan.texts))
    signals: Signals = {}
    paragraphs = [_paragraphs(text) for text in scan.texts]
    for name, items in (("paragraph", paragraphs), ("line", [_lines(text) for text in scan.texts])):
        found = [repeats(pieces) for pieces in items]
        signals[f"duplicate_{name}_ratio"] = ratios([count for count, _ in found], map(len, items))
        signals[f"duplicate_{name}_char_ratio"] = ratios([size for _, size in found], chars)
    hashes, powers = scan.hashes
    spaced = joined = hashes
    ends = np.concatenate((np.zeros(1, dtype=np.int64), np.cumsum(scan.lengths)))
    for n in range(2, max(DUPLICATE_NGRAMS) + 1):
        # The n-gram at i is the (n − 1)-gram at i, and the word n − 1 places on.
        places = max(len(hashes) - n + 1, 0)
        power, word = powers[n - 1 :], hashes[n - 1 :]
        joined = joined[:places] * power
        joined += word
        if n in TOP_NGRAMS:
            spaced = spaced[:places] * np.uint64(BASE)
            spaced += _SEPARATOR
            spaced *= power
            spaced += word
            signals[f"top_{n}gram_char_ratio"] = ratios(_top(scan, spaced, ends, n), chars)
        if n in DUPLICATE_NGRAMS:
            signals[f"duplicate_{n}gram_char_ratio"] = ratios(_duplicated(scan, joined, ends, n), chars)
    return signals


def ratios(parts: Iterable[int | None], wholes: Iterable[float | int | None]) -> list[float | int | None]:
    """Part by whole; null where there is no part, or nothing to divide by."""
    return [part / whole if whole and part is not None else None for part, whole in zip(parts, wholes, strict=True)]


def _paragraphs(text: str) -> list[str]:
    return [piece.lstrip("\n") for piece in text.strip().split("\n\n") if piece not in ("", "\n")] or [""]


def _lines(text: str) -> list[str]:
    first, *rest = text.split("\n")
    return [first, *filter(None, rest[:-1]), *rest[-1:]]  # runs of newlines count as one break


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


@lru_cache(maxsize=1000)
def _hash_set(words: tuple[str, ...]) -> Hashes:
    """Hashes of words, ascending."""
    parts = [Scan([word]).hashes[0] for word in dict.fromkeys(words)]
    return np.unique(np.concatenate([part for part in parts if len(part) == 1] or [np.empty(0, dtype=np.uint64)]))


def _stop_words(scan: Scan, lists: Sequence[tuple[str, ...]]) -> list[int | None]:
    """How many different words of its list each text has; null without a list."""
    counts = np.zeros(len(scan.texts), dtype=np.int64)
    hashes, _ = scan.hashes
    for words in set(lists):
        known = _hash_set(words)
        if not len(known):
            continue
        places = np.searchsorted(known, hashes).clip(max=len(known) - 1)
        found = known[places] == hashes
        pairs = np.unique(scan.text_of[found] * len(known) + places[found])
        chosen = np.array([listed == words for listed in lists])
        counts += chosen * np.bincount(pairs // len(known), minlength=len(lists))
    return [count if words else None for count, words in zip(counts.tolist(), lists, strict=True)]


def _keys(scan: Scan, hashes: Hashes, n: int) -> tuple[Hashes, Places]:
    """The n-grams that lie in one text: its number above 58 bits of the n-gram's hash, and its first word."""
    texts = scan.text_of
    places = np.flatnonzero(texts[: len(hashes)] == texts[n - 1 :])
    keys = hashes[places] & np.uint64((1 << _TEXT_BITS) - 1)
    return keys | (texts[places].astype(np.uint64) << _TEXT_SHIFT), places


def _top(scan: Scan, hashes: Hashes, ends: Places, n: int) -> list[int | None]:
    """Characters of all places of the most frequent n-gram; of several, the one that came first."""
    result: list[int | None] = [None] * len(scan.texts)
    keys, places = _keys(scan, hashes, n)
    if not len(keys):
        return result
    order = np.argsort(keys)
    ordered = keys[order]
    starts = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1]))
    counts = np.diff(starts, append=len(ordered))
    firsts = np.minimum.reduceat(order, starts)
    texts = (ordered[starts] >> _TEXT_SHIFT).astype(np.int64)
    edges = np.flatnonzero(np.append(True, texts[1:] != texts[:-1]))
    most = np.maximum.reduceat(counts, edges)
    firsts[counts != np.repeat(most, np.diff(edges, append=len(texts)))] = len(keys)
    chosen = places[np.minimum.reduceat(firsts, edges)]
    sizes = ends[chosen + n] - ends[chosen] + (n - 1)
    for text, value in zip(texts[edges].tolist(), (most * sizes).tolist(), strict=True):
        result[text] = value
    return result


def _duplicated(scan: Scan, hashes: Hashes, ends: Places, n: int) -> list[int | None]:
    """Characters of n-grams seen before, reading from the left; one that counts is stepped over whole."""
    result = [0] * len(scan.texts)
    keys, places = _keys(scan, hashes, n)
    order = np.argsort(keys)
    ordered = keys[order]
    same = np.flatnonzero(ordered[1:] == ordered[:-1])
    # Only places whose n-gram comes more than once can count or be remembered to any effect.
    repeated = np.zeros(len(keys), dtype=np.bool_)
    repeated[order[same]] = repeated[order[same + 1]] = True
    again = np.flatnonzero(repeated)
    seen: set[int] = set()
    free = 0
    for start in range(0, len(again), _BLOCK):  # a long text's places are many times larger as Python's numbers
        part = again[start : start + _BLOCK]
        first = places[part]
        sizes = ends[first + n] - ends[first]
        for place, value, size in zip(first.tolist(), keys[part].tolist(), sizes.tolist(), strict=True):
            if place < free:
                continue
            if value in seen:
                result[value >> _TEXT_BITS] += size
                free = place + n
            else:
                seen.add(value)
    return [*result]
