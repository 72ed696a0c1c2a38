"""A mixture gives each part its share at every place and its rows in turn, and never depends on how it is read."""

from __future__ import annotations

from collections import Counter
from math import lcm
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from token_shards import shard_set

from millpond.errors import ConfigError, MillpondError, ShardError
from millpond.shard_set import ShardSet
from millpond.train.config import TrainConfig
from millpond.train.data import Loader
from millpond.train.mixture import Mixture, Part, open_mixture
from millpond.train.order import BLOCK, Order, shares


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> tuple[ShardSet, ShardSet]:
    """A larger and a smaller set, both of several shards."""
    folder = tmp_path_factory.mktemp("sets")
    return shard_set(folder / "web", (40, 9, 23)), shard_set(folder / "books", (10, 6))


@given(st.lists(st.integers(1, 10**6), min_size=1, max_size=6), st.integers(0, 10**9), st.integers(1, 5000))
def test_shares_are_exact_and_never_fall(weights: list[int], rows: int, more: int) -> None:
    now, later = shares(rows, weights), shares(rows + more, weights)
    assert sum(now) == rows and all(a <= b for a, b in zip(now, later, strict=True))
    for count, weight in zip(now, weights, strict=True):
        assert abs(count - rows * weight / sum(weights)) < len(weights)
    period = sum(weights)
    assert shares(3 * period, weights) == [3 * weight for weight in weights]


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.lists(st.integers(20, 200), min_size=1, max_size=4), min_size=1, max_size=3),
    st.lists(st.integers(1, 9), min_size=3, max_size=3),
    st.lists(st.integers(0, 3 * BLOCK), min_size=1, max_size=5),
)
def test_any_place_is_found_alone_and_parts_keep_their_own_order(
    sources: list[list[int]], weights: list[int], places: list[int]
) -> None:
    weights = weights[: len(sources)]
    order = Order(sources, seed=7, window=2, weights=weights)
    whole = order.block(0, 3 * BLOCK + 8)
    for place in places:
        alone = Order(sources, seed=7, window=2, weights=weights).block(place, place + 8)
        assert np.array_equal(alone.shard, whole.shard[place : place + 8])
        assert np.array_equal(alone.row, whole.row[place : place + 8])
    first = 0
    for source, weight in zip(sources, weights, strict=True):
        its = (whole.shard >= first) & (whole.shard < first + len(source))
        counts = np.cumsum(its)
        at = np.arange(1, len(its) + 1) * weight / sum(weights)
        assert np.abs(counts - at).max() < BLOCK
        assert abs(counts[3 * BLOCK - 1] - at[3 * BLOCK - 1]) < len(sources)
        rows = list(zip((whole.shard[its] - first).tolist(), whole.row[its].tolist(), strict=True))
        every = sorted((n, row) for n, count in enumerate(source) for row in range(count))
        for epoch in range(len(rows) // len(every)):  # each row of a part once in each of its epochs
            assert sorted(rows[epoch * len(every) : (epoch + 1) * len(every)]) == every
        first += len(source)


def test_repeats_are_exact_over_an_epoch_of_the_mixture(sets: tuple[ShardSet, ShardSet]) -> None:
    web, books = sets
    mixture = Mixture([Part(web), Part(books, repeats=2.5)])
    total = 2 * web.total_rows + 5 * books.total_rows
    epochs = lcm(total, BLOCK) // total  # of the mixture: shares are exact where a block ends
    block = mixture.order(seed=3, window=2).block(0, epochs * total)
    times = Counter(zip(block.shard.tolist(), block.row.tolist(), strict=True))
    assert {times[key] for key in times if key[0] < len(web)} == {2 * epochs}
    assert {times[key] for key in times if key[0] >= len(web)} == {5 * epochs}
    assert len(times) == web.total_rows + books.total_rows


def test_a_mixture_hands_out_the_rows_it_names(sets: tuple[ShardSet, ShardSet]) -> None:
    web, books = sets
    mixture = Mixture([Part(web, weight=0.3), Part(books, weight=0.7)])
    assert mixture.weights == [3, 7] and mixture.names == web.names + books.names
    batch = next(iter(Loader(mixture, batch_rows=500, seed=2)))
    of_books = 0
    for n, (shard, sample, row) in enumerate(zip(batch.shard, batch.sample, batch.row, strict=True)):
        part, number = (web, shard) if shard < len(web) else (books, shard - len(web))
        of_books += part is books
        assert np.array_equal(batch.tokens[n], part.shard(int(number)).rows(int(sample))[row])
    assert 300 < of_books < 400


def test_a_mixture_is_known_by_its_parts_and_weights(sets: tuple[ShardSet, ShardSet]) -> None:
    web, books = sets
    assert Mixture([Part(web)]).fingerprint == web.fingerprint
    ways = [
        [Part(web), Part(books)],
        [Part(books), Part(web)],
        [Part(web), Part(books, repeats=2)],
        [Part(web, weight=1), Part(books, weight=1)],
    ]
    assert len({Mixture(parts).fingerprint for parts in ways}) == len(ways)
    same = [Mixture([Part(web, weight=a), Part(books, weight=b)]).fingerprint for a, b in ((0.7, 0.3), (70, 30))]
    assert same[0] == same[1]


def test_parts_that_make_no_mixture_are_refused(sets: tuple[ShardSet, ShardSet], tmp_path: Path) -> None:
    web, books = sets
    refused: list[tuple[list[Part], type[MillpondError], str]] = [
        ([], ConfigError, "at least one part"),
        ([Part(web, weight=1), Part(books)], ConfigError, "weights or repeats, not both"),
        ([Part(web, weight=1), Part(books, repeats=2)], ConfigError, "weights or repeats, not both"),
        ([Part(web, repeats=0)], ConfigError, "more than 0"),
        ([Part(web, weight=float("nan"))], ConfigError, "more than 0"),
        ([Part(web, weight=float("inf"))], ConfigError, "more than 0"),
        ([Part(web), Part(web)], ShardError, "is in two parts"),
    ]
    for parts, kind, why in refused:
        with pytest.raises(kind, match=why):
            Mixture(parts)


def test_settings_name_a_mixture(sets: tuple[ShardSet, ShardSet]) -> None:
    folders = [str(Path(each._files[0]).parent) for each in sets]
    parts = [{"shards": folders[0], "weight": 3}, {"shards": [folders[1] + "/train-*.index.json"], "weight": 1}]
    config = TrainConfig.from_mapping({"out": "o", "data": {"shards": parts}}, "test")
    assert TrainConfig.from_mapping(config.model_dump(mode="json"), "again") == config
    mixture = open_mixture(config.data, "train")
    expected = Mixture([Part(each, weight) for each, weight in zip(sets, (3, 1), strict=True)])
    assert mixture.fingerprint == expected.fingerprint
    with pytest.raises(ConfigError, match="weight"):
        TrainConfig.from_mapping({"out": "o", "data": {"shards": [{"shards": "x", "weight": 0}]}}, "test")
