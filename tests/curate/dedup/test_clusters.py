"""k-means over whole numbers, and who goes within a cluster."""

from __future__ import annotations

import numpy as np
import pytest

from millpond.curate.dedup import clusters as module
from millpond.curate.dedup.clusters import centroids, copies, nearest
from millpond.curate.dedup.embedding import DIMENSIONS, SCALE, Vectors


def directions(values: np.ndarray) -> Vectors:
    scaled: Vectors = np.rint(values / np.linalg.norm(values, axis=1, keepdims=True) * SCALE).astype(np.int16)
    return scaled


def clumps(count: int, size: int, spread: float, seed: int = 1) -> Vectors:
    """`count` directions, `size` vectors near each, one of each in turn."""
    generator = np.random.default_rng(seed)
    middles = np.tile(generator.normal(size=(count, DIMENSIONS)), (size, 1))
    return directions(middles + spread * generator.normal(size=middles.shape))


def test_clumps_become_clusters_and_empty_centres_stay() -> None:
    vectors = clumps(5, 40, 0.5)
    centres = centroids(vectors, 5)
    owners = nearest(vectors, centres)
    assert len(set(owners.tolist())) == 5 and (owners.reshape(40, 5) == owners[:5]).all()
    assert np.array_equal(centroids(np.repeat(vectors[:1], 4, axis=0), 3), np.repeat(vectors[:1], 3, axis=0))


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = clumps(30, 10, 1.0)
    expected, found = centroids(vectors, 9), list(copies(vectors, 0.5, 300))
    monkeypatch.setattr(module, "_PRODUCTS", 50)
    monkeypatch.setattr(module, "_BLOCK", 7)
    assert np.array_equal(centroids(vectors, 9), expected)
    assert list(copies(vectors, 0.5, 300)) == found and 100 < len(found) < 300


def test_who_goes_is_similar_to_one_that_stays() -> None:
    """Against the rule, pair by pair; the threshold cuts through the clumps, so likenesses make chains."""
    vectors = clumps(40, 10, 1.0, seed=3)
    exact = vectors.astype(np.float64)
    lengths = np.sqrt((exact**2).sum(axis=1))
    cosines = exact @ exact.T / np.outer(lengths, lengths)
    stay: list[int] = []
    expected = []
    for place in range(len(vectors)):
        if alike := [other for other in stay if cosines[place, other] >= 0.5]:
            keeper = max(alike, key=lambda other: (cosines[place, other], -other))
            expected.append((keeper, place))
        else:
            stay.append(place)
    found = list(copies(vectors, 0.5, len(vectors)))
    assert [pair[:2] for pair in found] == expected and 40 < len(stay) < 360
    assert all(cosine == pytest.approx(cosines[low, high]) for low, high, cosine in found)


def test_a_large_cluster_is_compared_with_its_first_ones_only() -> None:
    vectors = np.concatenate((clumps(600, 1, 0.0), clumps(600, 1, 0.0)))
    assert [pair[:2] for pair in copies(vectors, 0.9, 1000)] == [(n, 600 + n) for n in range(600)]
    assert [pair[:2] for pair in copies(vectors, 0.9, 50)] == [(n, 600 + n) for n in range(50)]
