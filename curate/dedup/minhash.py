"""MinHash signatures of word shingles, value for value those of datasketch.

A document is the set of its shingles: each run of `ngram` words (lower case, no punctuation, see
`millpond.curate.words.content_words`), or all of its words where it has fewer. A shingle's 32-bit hash is
`shingle_hash` of its words joined by spaces, so `datasketch.MinHash(num_perm, seed, hashfunc=shingle_hash,
scheme="affine32")` updated with the same bytes holds the same values: stored signatures load into its LSH.
Here each word is hashed once and the shingles of a text are combined in NumPy, in blocks of bounded memory.

Source: Broder 1997 (MinHash, banding as in Leskovec et al., Mining of Massive Datasets, chapter 3);
permutations: datasketch 2.0, a·h + b modulo 2^32 with odd a over MurmurHash3's finalizer.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import xxhash

from millpond.curate.words import content_words

Hashes = npt.NDArray[np.uint32]

_FACTOR = 0x9E3779B97F4A7C15
_MASK = (1 << 64) - 1
_BLOCK = 1024
_EMPTY = np.uint32(0xFFFFFFFF)


def shingle_hash(shingle: bytes) -> int:
    """32-bit hash of a shingle, words joined by single spaces: xxHash64 of each, combined in order."""
    value = 0
    for word in shingle.split(b" "):
        value = (value * _FACTOR + xxhash.xxh64_intdigest(word)) & _MASK
    return value >> 32


class MinHasher:
    """Signatures of `num_perm` values over shingles of `ngram` words."""

    def __init__(self, num_perm: int = 112, ngram: int = 5, seed: int = 1) -> None:
        self.num_perm = num_perm
        self.ngram = ngram
        self.seed = seed
        generator = np.random.RandomState(seed)
        factors = generator.randint(0, 1 << 31, num_perm, dtype=np.uint32)
        self._factors = (factors * np.uint32(2) + np.uint32(1))[:, None]
        self._offsets = generator.randint(0, 1 << 32, num_perm, dtype=np.uint32)[:, None]

    def shingles(self, text: str) -> Hashes:
        """Distinct hashes of the text's shingles, ascending; empty for a text without words."""
        words = content_words(text)
        if not words:
            return np.empty(0, dtype=np.uint32)
        digest = xxhash.xxh64_intdigest
        known = {word: digest(word.encode("utf-8", "surrogatepass")) for word in set(words)}
        hashes = np.fromiter(map(known.__getitem__, words), dtype=np.uint64, count=len(words))
        size = min(self.ngram, len(words))
        places = len(words) - size + 1
        combined = hashes[:places].copy()
        for shift in range(1, size):
            combined *= np.uint64(_FACTOR)
            combined += hashes[shift : shift + places]
        ordered = np.sort((combined >> np.uint64(32)).astype(np.uint32))
        return ordered[np.concatenate(([True], ordered[1:] != ordered[:-1]))]

    def signature(self, shingles: Hashes) -> Hashes:
        """The signature of a set of shingle hashes, `num_perm` values; all ones for the empty set."""
        result = np.full(self.num_perm, _EMPTY, dtype=np.uint32)
        mixed = _finalised(shingles)
        for start in range(0, len(mixed), _BLOCK):
            values = self._factors * mixed[start : start + _BLOCK]
            values += self._offsets
            np.minimum(result, values.min(axis=1), out=result)
        return result

    def signatures(self, texts: Iterable[str]) -> list[bytes]:
        """Signature of each text as little-endian uint32 values."""
        return [self.signature(self.shingles(text)).astype("<u4", copy=False).tobytes() for text in texts]

    def jaccard(self, first: Hashes, second: Hashes) -> float:
        """True Jaccard similarity of two sets of distinct shingle hashes; 0 where both are empty."""
        common = len(np.intersect1d(first, second, assume_unique=True))
        union = len(first) + len(second) - common
        return common / union if union else 0.0


def _finalised(hashes: Hashes) -> Hashes:
    """MurmurHash3's 32-bit finalizer, a bijection that spreads near values."""
    mixed = hashes ^ (hashes >> np.uint32(16))
    mixed *= np.uint32(0x85EBCA6B)
    mixed ^= mixed >> np.uint32(13)
    mixed *= np.uint32(0xC2B2AE35)
    mixed ^= mixed >> np.uint32(16)
    return mixed
