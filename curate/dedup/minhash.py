"""MinHash signatures, value for value those of datasketch.

A text is the set of its shingles' 32-bit hashes (`millpond.curate.dedup.shingles`). With `hashfunc` the function
there that hashes one shingle, `datasketch.MinHash(num_perm, seed, hashfunc=…, scheme="affine32")` updated with the
shingles' bytes holds the same values: stored signatures load into its LSH.

Source: Broder 1997 (MinHash, banding as in Leskovec et al., Mining of Massive Datasets, chapter 3);
permutations: datasketch 2.0, a·h + b modulo 2^32 with odd a over MurmurHash3's finalizer.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from millpond.curate.dedup.shingles import Hashes, Kind, Shingles, groups

# So many permutations are taken at a time that what is worked on stays in a processor's cache.
_ROWS = 4
_EMPTY = np.uint32(0xFFFFFFFF)


class MinHasher:
    """Signatures of `num_perm` values over shingles of `ngram` words or characters."""

    def __init__(self, num_perm: int = 112, ngram: int = 5, seed: int = 1, kind: Kind = "words") -> None:
        self.num_perm = num_perm
        self.shingles = Shingles(ngram, kind)
        generator = np.random.RandomState(seed)
        factors = generator.randint(0, 1 << 31, num_perm, dtype=np.uint32)
        self._factors = (factors * np.uint32(2) + np.uint32(1))[:, None]
        self._offsets = generator.randint(0, 1 << 32, num_perm, dtype=np.uint32)[:, None]

    def signatures(self, texts: Iterable[str]) -> list[bytes]:
        """Signature of each text as `num_perm` little-endian uint32 values; all ones for a text without shingles."""
        return [row.tobytes() for group in groups(texts) for row in self._signatures(group)]

    def _signatures(self, texts: Sequence[str]) -> Hashes:
        hashes, starts, stops = self.shingles.hashes(texts)
        filled = np.flatnonzero(starts < stops)
        filled = filled[np.argsort(starts[filled])]
        # Every second of the ranges between these bounds is a text's; the last has to lie within.
        bounds = np.stack((starts[filled], stops[filled]), axis=1).ravel()
        hashes = np.append(_finalised(hashes), _EMPTY)
        result = np.full((len(texts), self.num_perm), _EMPTY, dtype="<u4")
        for at in range(0, self.num_perm if len(filled) else 0, _ROWS):
            values = self._factors[at : at + _ROWS] * hashes
            values += self._offsets[at : at + _ROWS]
            result[filled, at : at + _ROWS] = np.minimum.reduceat(values, bounds, axis=1)[:, ::2].T
        return result


def _finalised(hashes: Hashes) -> Hashes:
    """MurmurHash3's 32-bit finalizer, a bijection that spreads near values."""
    mixed = hashes ^ (hashes >> np.uint32(16))
    mixed *= np.uint32(0x85EBCA6B)
    mixed ^= mixed >> np.uint32(13)
    mixed *= np.uint32(0xC2B2AE35)
    mixed ^= mixed >> np.uint32(16)
    return mixed
