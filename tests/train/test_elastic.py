"""World size, worker processes, crashes and resumes change nothing: the global sequence is that of one quiet run."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from token_shards import write_shards
from torch.utils.data import DataLoader

from millpond.shard_set import ShardSet
from millpond.train.batches import Batch
from millpond.train.data import Loader
from millpond.train.mixture import Mixture, Part

ROWS, SEED, WINDOW = 12, 11, 2

#: Of each row: step, sample, row, offset of its first token in the shard, and its tokens.
Seen = list[tuple[int, str, int, int, int, bytes]]


def mixture(folder: Path) -> Mixture:
    """Opened anew, as another process does."""
    sets = [ShardSet.of_folder(folder / name, "train") for name in ("web", "books")]
    return Mixture([Part(sets[0], weight=0.7), Part(sets[1], weight=0.3)])


def seen(mix: Mixture, batches: tuple[Batch, ...] | list[Batch]) -> Seen:
    """The rows of one global batch, in order, from the parts of its ranks."""
    rows: Seen = []
    for part in batches:
        assert part.position == len(rows) % ROWS
        for number, sample, row, tokens in zip(part.shard, part.sample, part.row, part.tokens, strict=True):
            index = mix.shard(int(number)).index
            offset = index.samples.offset[int(sample)] + int(row) * index.context_length * 2
            rows.append(
                (
                    part.step,
                    index.name,
                    int(sample),
                    int(row),
                    offset,
                    bytes(memoryview(tokens.numpy() if hasattr(tokens, "numpy") else tokens)),
                )
            )
    return rows


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two sets of shards; their texts are packed, so documents cross rows, samples and batches."""
    folder = tmp_path_factory.mktemp("elastic")
    write_shards(folder / "web", (40, 9, 23, 12))
    write_shards(folder / "books", (10, 6))
    return folder


@pytest.fixture(scope="module")
def quiet(folder: Path) -> list[Seen]:
    """The global batches of a run that nothing happened to, over several epochs of either set."""
    mix = mixture(folder)
    return [seen(mix, [batch]) for batch in islice(iter(Loader(mix, batch_rows=ROWS, seed=SEED, window=WINDOW)), 80)]


@pytest.mark.filterwarnings("ignore:This DataLoader will create")  # more processes than this machine has cores
def test_worlds_and_workers_change_between_stops(folder: Path, quiet: list[Seen]) -> None:
    mix = mixture(folder)
    epoch = mix.sets[0].total_rows / (0.7 * ROWS)
    phases = [(2, 0, 7), (4, 2, 11), (1, 3, 5), (2, 2, 13), (1, 0, 9)]  # world, workers, steps
    assert sum(steps for *_, steps in phases[:2]) < epoch, "two stops in one epoch"
    assert sum(steps for *_, steps in phases) > 1.2 * epoch
    state, found = None, []
    for world, workers, steps in phases:
        ranks = [
            Loader(mixture(folder), batch_rows=ROWS, rank=rank, world_size=world, seed=SEED, window=WINDOW)
            for rank in range(world)
        ]
        for rank in ranks:
            if state is not None:
                rank.load_state_dict(json.loads(state))
        readers: list[Iterator[Batch]] = [
            iter(DataLoader(rank, batch_size=None, num_workers=workers)) for rank in ranks
        ]
        states = set()
        for _ in range(steps):
            parts = [next(reader) for reader in readers]
            found.append(seen(mix, parts))
            states = {json.dumps(rank.state_after(part)) for rank, part in zip(ranks, parts, strict=True)}
        (state,) = states
    assert found == quiet[: len(found)]


class Run(RuleBasedStateMachine):
    """A run that advances, saves, crashes, and goes on elsewhere with other numbers of processes."""

    folder: Path
    quiet: list[Seen]
    copies = 0

    @initialize(world=st.sampled_from((1, 2, 3, 4)))
    def begin(self, world: int) -> None:
        self.saved: str | None = None
        self.step = 0
        self._start(self.folder, world)

    def _start(self, where: Path, world: int) -> None:
        self.mixture = mixture(where)
        self.ranks = [
            Loader(self.mixture, batch_rows=ROWS, rank=rank, world_size=world, seed=SEED, window=WINDOW)
            for rank in range(world)
        ]
        self.step = 0
        for rank in self.ranks:
            if self.saved is not None:
                rank.load_state_dict(json.loads(self.saved))
                self.step = json.loads(self.saved)["step"]
        self.readers = [iter(rank) for rank in self.ranks]

    @precondition(lambda self: self.step < 70)
    @rule(steps=st.integers(1, 9))
    def advance(self, steps: int) -> None:
        for _ in range(steps):
            batches = [next(reader) for reader in self.readers]
            assert seen(self.mixture, batches) == self.quiet[self.step]
            self.step += 1

    @rule()
    def save(self) -> None:
        (self.saved,) = {json.dumps(rank.state_dict()) for rank in self.ranks}
        assert json.loads(self.saved)["step"] == self.step and len(self.saved) < 300

    @rule(world=st.sampled_from((1, 2, 3, 4)), elsewhere=st.booleans())
    def crash(self, world: int, elsewhere: bool) -> None:
        self.teardown()
        where = self.folder
        if elsewhere:
            Run.copies += 1
            where = self.folder.with_name(f"copy-{Run.copies}")
            shutil.copytree(self.folder, where)
        self._start(where, world)

    def teardown(self) -> None:
        for reader in getattr(self, "readers", ()):
            reader.close()


def test_any_history_gives_the_same_sequence(folder: Path, quiet: list[Seen]) -> None:
    Run.folder, Run.quiet = folder, quiet
    case = Run.TestCase
    case.settings = settings(max_examples=30, stateful_step_count=15, deadline=None, derandomize=True, database=None)
    case("runTest").runTest()
    assert Run.copies > 5
