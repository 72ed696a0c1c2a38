"""One global order, whoever reads it: any number of processes and resumes see the same rows, each once an epoch."""

from __future__ import annotations

import json
import threading
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from token_shards import CONTEXT, shard_set, write_shards

from millpond.errors import ConfigError, ShardError
from millpond.shard import Shard
from millpond.shard_set import ShardSet
from millpond.train import data
from millpond.train.batches import Batch
from millpond.train.data import Loader
from millpond.train.order import Order

Place = tuple[int, int, int]


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> ShardSet:
    """Seven shards of different sizes."""
    return shard_set(tmp_path_factory.mktemp("shards"), (40, 9, 23, 1, 60, 17, 30))


def places(batch: Batch) -> list[Place]:
    return list(zip(batch.shard.tolist(), batch.sample.tolist(), batch.row.tolist(), strict=True))


def all_places(shards: ShardSet) -> list[Place]:
    opened = [shards.shard(n) for n in range(len(shards))]
    return [(n, s, r) for n, shard in enumerate(opened) for s in range(len(shard)) for r in range(len(shard.rows(s)))]


def taken(loader: Loader, count: int) -> list[Batch]:
    return list(islice(iter(loader), count))


@given(st.lists(st.integers(1, 30), min_size=1, max_size=12), st.integers(0, 2**64 - 1), st.integers(1, 14))
def test_an_epoch_is_a_permutation_within_windows(rows: list[int], seed: int, window: int) -> None:
    order = Order([rows], seed=seed, window=window)
    for epoch in (0, 1, 7):
        block = order.block(epoch * sum(rows), (epoch + 1) * sum(rows))
        seen = list(zip(block.shard.tolist(), block.row.tolist(), strict=True))
        assert sorted(seen) == [(n, r) for n, count in enumerate(rows) for r in range(count)]
        met = list(dict.fromkeys(block.shard.tolist()))
        start = 0
        for first in range(0, len(rows), window):  # a window's rows stand together, and are those of its shards
            members = sorted(met[first : first + window])
            stop = start + sum(rows[n] for n in members)
            assert sorted(set(block.shard[start:stop].tolist())) == members
            start = stop


@given(st.lists(st.integers(1, 9), min_size=1, max_size=6), st.lists(st.integers(1, 40), max_size=8))
def test_the_order_does_not_depend_on_how_it_is_asked_for(rows: list[int], cuts: list[int]) -> None:
    whole = Order([rows], seed=3, window=2).block(0, 4 * sum(rows) + sum(cuts))
    order, start = Order([rows], seed=3, window=2), 0
    for cut in cuts:
        part = order.block(start, start + cut)
        assert np.array_equal(part.shard, whole.shard[start : start + cut])
        assert np.array_equal(part.row, whole.row[start : start + cut])
        start += cut


def test_epochs_and_seeds_differ_and_the_order_stays_as_it_was_published() -> None:
    blocks = {
        tuple(Order([[50, 50]], seed=seed, window=2).block(e * 100, e * 100 + 100).row)
        for seed in (0, 1)
        for e in (0, 1)
    }
    assert len(blocks) == 4
    block = Order([[3, 2, 4, 1]], seed=5, window=2).block(8, 14)
    assert list(zip(block.shard.tolist(), block.row.tolist(), strict=True)) == [
        (1, 1),
        (1, 0),
        (1, 0),
        (0, 2),
        (0, 0),
        (1, 1),
    ]


@pytest.mark.parametrize("batch_rows", [4, 8, 20])
def test_any_world_size_sees_the_same_batches(shards: ShardSet, batch_rows: int) -> None:
    count = 3 * shards.total_rows // batch_rows + 2
    alone = taken(Loader(shards, batch_rows=batch_rows, seed=4, window=3), count)
    for world in (2, 4):
        ranks = [
            taken(Loader(shards, batch_rows=batch_rows, seed=4, window=3, rank=rank, world_size=world), count)
            for rank in range(world)
        ]
        for whole, *parts in zip(alone, *ranks, strict=True):
            assert [part.position for part in parts] == [n * batch_rows // world for n in range(world)]
            assert {part.step for part in parts} == {whole.step}
            for column in ("tokens", "valid", "shard", "sample", "row"):
                joined = np.concatenate([getattr(part, column) for part in parts])
                assert np.array_equal(joined, getattr(whole, column))


def test_worlds_may_change_at_two_resumes_within_an_epoch(shards: ShardSet) -> None:
    rows = 4
    per_epoch = shards.total_rows // rows
    expected = [places(batch) for batch in taken(Loader(shards, batch_rows=rows, seed=9), 2 * per_epoch)]
    state, seen = None, []
    for world, steps in ((2, per_epoch // 3 - 1), (4, per_epoch // 3 + 2), (1, per_epoch), (2, per_epoch // 3 - 3)):
        loaders = [Loader(shards, batch_rows=rows, seed=9, rank=rank, world_size=world) for rank in range(world)]
        for loader in loaders:
            if state:
                loader.load_state_dict(json.loads(state))
        for parts in zip(*(taken(loader, steps) for loader in loaders), strict=True):
            seen.append([place for part in parts for place in places(part)])
            assert all(part.step == len(seen) - 1 for part in parts)
        states = {json.dumps(loader.state_dict()) for loader in loaders}
        (state,) = states
    assert seen == expected[: len(seen)] and len(seen) > 1.9 * per_epoch


def test_each_row_comes_once_an_epoch_and_none_is_dropped(shards: ShardSet) -> None:
    rows, epochs = 7, 7  # seven epochs are a whole number of batches whatever the remainder
    batches = taken(Loader(shards, batch_rows=rows, seed=1, window=2), shards.total_rows * epochs // rows)
    sequence = [place for batch in batches for place in places(batch)]
    for epoch in range(epochs):
        assert sorted(sequence[epoch * shards.total_rows : (epoch + 1) * shards.total_rows]) == all_places(shards)


def test_a_batch_holds_what_its_origins_say(shards: ShardSet) -> None:
    batches = taken(Loader(shards, batch_rows=8, seed=2), 2 * shards.total_rows // 8)
    for batch in batches:
        assert batch.tokens.shape == (8, CONTEXT) and batch.tokens.dtype == shards.dtype
        for n, (shard, sample, row) in enumerate(places(batch)):
            assert np.array_equal(batch.tokens[n], shards.shard(shard).rows(sample)[row])
            assert (batch.tokens[n, batch.valid[n] :] == shards.eos_id).all()
    assert {int(n) for batch in batches for n in batch.valid} > {CONTEXT}


def test_valid_tokens_are_all_but_the_padding(shards: ShardSet) -> None:
    batches = taken(Loader(shards, batch_rows=1, seed=2), shards.total_rows)
    assert sum(int(batch.valid.sum()) for batch in batches) == shards.total_tokens
    assert sum(shards.padding) > 0


def test_a_batch_may_be_larger_than_the_corpus_and_ranks_more_than_shards(tmp_path: Path) -> None:
    shards = shard_set(tmp_path, [2])
    rows = 4 * shards.total_rows
    ranks = [taken(Loader(shards, batch_rows=rows, rank=rank, world_size=4), 2) for rank in range(4)]
    for step in range(2):
        for batches in ranks:
            assert sorted(places(batches[step])) == all_places(shards)


def test_the_state_counts_what_was_handed_out(shards: ShardSet) -> None:
    loader = Loader(shards, batch_rows=4)
    iterator = iter(loader)
    assert loader.state_dict()["step"] == 0
    for step in range(5):
        assert next(iterator).step == step
        assert loader.state_dict()["step"] == step + 1


def test_a_state_of_another_sequence_is_refused(shards: ShardSet, tmp_path: Path) -> None:
    state = Loader(shards, batch_rows=4, seed=1).state_dict()
    others = {
        "fingerprint": Loader(shard_set(tmp_path), batch_rows=4, seed=1),
        "batch_rows": Loader(shards, batch_rows=8, seed=1),
        "seed": Loader(shards, batch_rows=4, seed=2),
        "window": Loader(shards, batch_rows=4, seed=1, window=4),
    }
    for key, loader in others.items():
        with pytest.raises(ShardError, match=f"cannot resume: {key} was"):
            loader.load_state_dict(state)
    for step in (-1, None, "3", 1.5):
        with pytest.raises(ShardError, match="step is"):
            Loader(shards, batch_rows=4, seed=1).load_state_dict({**state, "step": step})
    with pytest.raises(ShardError, match="fingerprint was None"):
        others["seed"].load_state_dict({})


def test_what_cannot_be_divided_is_refused(shards: ShardSet) -> None:
    for wrong in (
        {"batch_rows": 6, "world_size": 4},
        {"batch_rows": 0},
        {"batch_rows": 4, "rank": 2, "world_size": 2},
        {"batch_rows": 4, "rank": -1},
        {"batch_rows": 4, "seed": -1},
        {"batch_rows": 4, "window": 0},
    ):
        with pytest.raises(ConfigError, match="="):
            Loader(shards, **wrong)


def test_no_row_of_a_damaged_sample_is_handed_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data, "AHEAD_TOKENS", 1)  # one batch at a time: everything before the damage comes
    write_shards(tmp_path, [40, 40])
    tar = tmp_path / "train-00001-000.tar"
    sample = 3
    place = Shard.open(tmp_path / "train-00001-000.index.json").index.samples.offset[sample] + 5
    content = bytearray(tar.read_bytes())
    content[place] ^= 4
    tar.write_bytes(content)
    loader = Loader(ShardSet.of_folder(tmp_path, "train"), batch_rows=1)
    seen: list[Place] = []
    with pytest.raises(ShardError, match=f"sample {sample} .* is damaged"):
        for batch in loader:
            seen += places(batch)
    assert seen and not [place for place in seen if place[:2] == (1, sample)]
    assert loader.state_dict()["step"] == len(seen)


def test_leaving_early_ends_the_thread(shards: ShardSet) -> None:
    iterator = iter(Loader(shards, batch_rows=4))
    next(iterator)
    assert [t for t in threading.enumerate() if t.name.startswith("millpond-data")]
    iterator.close()  # type: ignore[attr-defined]
    assert not [t for t in threading.enumerate() if t.name.startswith("millpond-data")]
