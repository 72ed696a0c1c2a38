"""A byte trigram language model: the floor that a trained model has to beat.

Input: two streams of texts, one to count and one to score. Output: bits per byte of the second. Probabilities
are interpolated from trigram, bigram, unigram and uniform with Witten-Bell weights, which follow from the
counts: no setting, no held-out tuning. Memory is one table of 256³ 32-bit counts (64 MiB), whatever is read.

Source: I. H. Witten and T. C. Bell, "The zero-frequency problem", IEEE Transactions on Information Theory
37(4), 1991, method C.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from millpond.errors import InputError

_CHUNK = 4 << 20  # bytes counted at once

Codes = npt.NDArray[np.int64]
Probabilities = npt.NDArray[np.float64]


@dataclass(frozen=True)
class TrigramScore:
    """Cost of a stream of texts: total bits, bytes scored, texts."""

    bits: float
    bytes: int
    texts: int

    @property
    def bits_per_byte(self) -> float:
        """Bits for each byte of text."""
        return self.bits / self.bytes


class ByteTrigram:
    """p(byte | two bytes before it), estimated from counts.

    Each text stands alone: its first byte follows two zero bytes, and its end is not predicted.
    """

    def __init__(self, texts: Iterable[str | bytes]) -> None:
        """Count `texts`, which are read once and never held together.

        Raises:
            InputError: there is no byte to count.
        """
        self._trigrams = np.zeros(1 << 24, dtype=np.uint32)
        for chunk in _chunks(texts):
            codes, counts = np.unique(_codes(chunk), return_counts=True)
            self._trigrams[codes] += counts.astype(np.uint32)
        table = self._trigrams.reshape(1 << 16, 256)
        bigrams = np.zeros((256, 256), dtype=np.int64)  # (byte before, byte)
        for first in range(256):
            bigrams += table[first << 8 : (first + 1) << 8]
        if not bigrams.any():
            raise InputError("the trigram model got no text: give it at least one training document")
        uniform = np.full(256, 1 / 256)
        unigram = _interpolate(bigrams.sum(axis=0)[None, :], uniform)[0]
        self._bigram = _interpolate(bigrams, unigram)
        self._totals = table.sum(axis=1, dtype=np.int64)
        self._kinds = np.count_nonzero(table, axis=1)

    def probabilities(self, first: int, second: int) -> Probabilities:
        """Distribution of the byte after `first`, `second`: shape (256,), sums to 1."""
        return self._of((first << 16) + (second << 8) + np.arange(256))

    def score(self, texts: Iterable[str | bytes]) -> TrigramScore:
        """Bits to code `texts`, each on its own.

        Raises:
            InputError: there is no byte to score.
        """
        bits, size, number = 0.0, 0, 0
        for chunk in _chunks(texts):
            bits -= float(np.log2(self._of(_codes(chunk))).sum())
            size += sum(map(len, chunk))
            number += len(chunk)
        if not size:
            raise InputError("the trigram model has no text to score: the split has no documents")
        return TrigramScore(bits, size, number)

    def _of(self, codes: Codes) -> Probabilities:
        contexts = codes >> 8
        kinds = self._kinds[contexts]
        backoff = self._bigram[contexts & 255, codes & 255]
        seen = self._totals[contexts] + kinds
        # A context never seen has no weight of its own: all of it goes to the bigram.
        mixed = (self._trigrams[codes] + kinds * backoff) / np.maximum(seen, 1)
        return np.asarray(np.where(seen > 0, mixed, backoff))


def _interpolate(counts: npt.NDArray[np.int64], backoff: Probabilities) -> Probabilities:
    """Witten-Bell over rows of counts (contexts, 256), with a distribution (256,) to fall back on."""
    kinds = np.count_nonzero(counts, axis=1)[:, None]
    seen = counts.sum(axis=1)[:, None] + kinds
    mixed = (counts + kinds * backoff) / np.maximum(seen, 1)
    return np.where(seen > 0, mixed, backoff)


def _chunks(texts: Iterable[str | bytes]) -> Iterator[list[bytes]]:
    chunk: list[bytes] = []
    size = 0
    for text in texts:
        chunk.append(text.encode() if isinstance(text, str) else text)
        size += len(chunk[-1])
        if size >= _CHUNK:
            yield chunk
            chunk, size = [], 0
    if size:
        yield chunk


def _codes(chunk: list[bytes]) -> Codes:
    """Trigram codes (first·2¹⁶ + second·2⁸ + third), one for each byte of each text."""
    joined = np.frombuffer(b"".join(b"\0\0" + text for text in chunk), dtype=np.uint8).astype(np.int64)
    codes = (joined[:-2] << 16) | (joined[1:-1] << 8) | joined[2:]
    lengths = np.array([len(text) + 2 for text in chunk])
    # The two codes that end in the zero bytes before a text belong to nothing.
    inside = np.ones(len(joined), dtype=bool)
    starts = np.cumsum(lengths) - lengths
    inside[starts] = False
    inside[starts + 1] = False
    return codes[inside[2:]]
