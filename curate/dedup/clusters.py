"""k-means over vectors of whole numbers, and who goes within a cluster.

Vectors are embeddings (`millpond.curate.dedup.embedding`) of equal length but for rounding. Their products are
summed exactly, whatever the order, so the same vectors give the same clusters and the same copies on any machine.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from millpond.curate.dedup.embedding import SCALE, Vectors

Numbers = npt.NDArray[np.intp]
_Exact = npt.NDArray[np.float64]

_ROUNDS = 10
#: So many products are held at once.
_PRODUCTS = 1 << 22
_BLOCK = 256


def centroids(sample: Vectors, count: int) -> Vectors:
    """`count` centres of a sample of at least as many vectors; its first ones are where they start.

    Spherical k-means: a vector belongs to the centre of largest product, a centre is the direction of its vectors'
    sum. One without vectors stays where it is.
    """
    centres = sample[:count].copy()
    for _ in range(_ROUNDS):
        owners = nearest(sample, centres)
        order = np.argsort(owners, kind="stable")
        found, firsts = np.unique(owners[order], return_index=True)
        sums = np.add.reduceat(sample[order].astype(np.int64), firsts, axis=0).astype(np.float64)
        lengths = np.sqrt(np.square(sums).sum(axis=1, keepdims=True))
        centres[found] = np.rint(sums * SCALE / np.maximum(lengths, 1))
    return centres


def nearest(vectors: Vectors, centres: Vectors) -> Numbers:
    """Number of the centre of largest product for each vector; of equal ones the first."""
    columns, step = centres.T.astype(np.float64), max(_PRODUCTS // len(centres), 1)
    blocks = (vectors[at : at + step].astype(np.float64) @ columns for at in range(0, len(vectors), step))
    return np.concatenate([np.empty(0, np.intp), *(block.argmax(axis=1) for block in blocks)])


def copies(vectors: Vectors, threshold: float, most: int) -> Iterator[tuple[int, int, float]]:
    """(keeper, gone, cosine) of vectors in order of rank: one goes if one that stays before it is similar.

    Its keeper is the most similar of those, of equal ones the first. Only the first `most` that stay are compared
    with, so that the time grows with the vectors alone.
    """
    stay: list[int] = []
    for first in range(0, len(vectors), _BLOCK):
        before = len(stay)
        # Columns: those that stay from blocks before, then this block itself.
        others = np.concatenate((np.array(stay, np.intp), np.arange(first, min(first + _BLOCK, len(vectors)))))
        columns: _Exact = vectors[others].astype(np.float64)
        lengths = np.sqrt(np.square(columns).sum(axis=1))  # the squares are whole numbers, so their sum is exact
        lengths[lengths == 0] = np.inf
        cosines = (columns[before:] @ columns.T) / (lengths[before:, None] * lengths)
        inside = cosines[:, before:]
        inside[np.triu_indices(len(inside))] = -np.inf
        for place in range(len(inside)):
            best = int(cosines[place].argmax())
            if cosines[place, best] >= threshold:
                yield int(others[best]), first + place, float(cosines[place, best])
            if cosines[place, best] >= threshold or len(stay) >= most:
                inside[:, place] = -np.inf  # nothing is compared with it
            else:
                stay.append(first + place)
