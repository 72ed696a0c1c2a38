"""The streaming loader: batches of rows from token shards, in one fixed global order.

Batch s is rows s·B … (s+1)·B - 1 of the endless sequence that `millpond.train.order` defines; rank r of w
takes the r-th of w equal slices. So any world size and any number of resumes see the same batches, each row
once an epoch. The whole state is the number of the next step. A thread gathers batches ahead while others are
used; a sample's bytes are verified before any of its rows is handed out.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from millpond.errors import ConfigError, ShardError
from millpond.shard import ShardSet, Tokens
from millpond.train.order import Order

Ints = npt.NDArray[np.int64]

AHEAD_TOKENS = 1 << 22  # gathered at once, at most: some megabytes


class Batch(NamedTuple):
    """One rank's share of one global batch."""

    step: int
    position: int
    """Position of the first row in the global batch; the rows follow each other."""
    tokens: Tokens
    """Shape (rows, context_length), in the shards' dtype."""
    valid: Ints
    """Shape (rows,): tokens of each row that are not padding; padding stands at the end."""
    shard: Ints
    """Shape (rows,): number of each row's shard in the set (`ShardSet.names`)."""
    sample: Ints
    row: Ints
    """Shape (rows,): place of each row within its sample."""


class Loader:
    """An endless iterable of batches.

    `state_dict` counts the batches handed out, not those gathered ahead. An iterator begins at the state the
    loader has when its first batch is asked for; use one at a time.
    """

    def __init__(
        self,
        shards: ShardSet,
        *,
        batch_rows: int,
        rank: int = 0,
        world_size: int = 1,
        seed: int = 0,
        window: int = 8,
    ) -> None:
        """`batch_rows` is the global batch, `window` a number of shards that are shuffled together.

        Raises:
            ConfigError: the batch does not divide evenly between ranks, or a value is out of range.
        """
        if not 0 <= rank < world_size:
            raise ConfigError(f"rank={rank}: must be at least 0 and below world_size={world_size}")
        if batch_rows < 1 or batch_rows % world_size:
            raise ConfigError(f"batch_rows={batch_rows}: must be a positive multiple of world_size={world_size}")
        self.shards = shards
        self.batch_rows = batch_rows
        self._rows = batch_rows // world_size
        self._position = rank * self._rows
        self._order = Order(shards.rows, seed=seed, window=window)
        self._shard_rows = np.array(shards.rows)
        self._sample_rows = np.array(shards.rows_per_sample)
        self._padding = np.array(shards.padding)
        self._identity = {
            "fingerprint": shards.fingerprint,
            "batch_rows": batch_rows,
            "seed": seed,
            "window": window,
        }
        self._step = 0

    def __iter__(self) -> Iterator[Batch]:
        """Batches from the current step on, without end.

        Raises:
            ShardError: a shard is damaged; no row of the damaged sample was handed out.
        """
        most = max(1, AHEAD_TOKENS // (self._rows * self.shards.context_length))
        steps = 1  # at first: a random row costs the reading and verifying of its whole sample
        with ThreadPoolExecutor(1, thread_name_prefix="millpond-data") as thread:
            ahead = thread.submit(self._gather, self._step, steps)
            while True:
                batches = ahead.result()
                steps = min(2 * steps, most)
                ahead = thread.submit(self._gather, batches[-1].step + 1, steps)
                for batch in batches:
                    self._step = batch.step + 1
                    yield batch

    def state_dict(self) -> dict[str, Any]:
        """The step that comes next, and what the sequence of batches depends on. Plain JSON values."""
        return {"step": self._step, **self._identity}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where `state` was taken; rank and world size may differ from then.

        Raises:
            ShardError: the state belongs to other shards, or to another sequence over them.
        """
        for key, mine in self._identity.items():
            if state.get(key) != mine:
                raise ShardError(
                    f"cannot resume: {key} was {state.get(key)!r}, now it is {mine!r}; "
                    "use the shards and settings the run began with, or start a new run"
                )
        step = state.get("step")
        if not isinstance(step, int) or step < 0:
            raise ShardError(f"cannot resume: step is {step!r}, not a number of batches")
        self._step = step

    def _gather(self, step: int, steps: int) -> list[Batch]:
        """This rank's batches step … step + steps - 1."""
        block = self._order.block(step * self.batch_rows, (step + steps) * self.batch_rows)
        mine = slice(self._position, self._position + self._rows)
        shard, row = (column.reshape(steps, -1)[:, mine].ravel() for column in block)
        sample, row_of_sample = np.divmod(row, self._sample_rows[shard])
        context = self.shards.context_length
        ends = row == self._shard_rows[shard] - 1
        valid = context - np.where(ends, self._padding[shard], 0)
        tokens = np.empty((len(shard), context), self.shards.dtype)
        for number in np.unique(shard).tolist():
            chosen = np.flatnonzero(shard == number)
            self.shards.shard(number).gather(sample[chosen], row_of_sample[chosen], tokens, chosen)
        shares = [slice(n * self._rows, (n + 1) * self._rows) for n in range(steps)]
        return [
            Batch(step + n, self._position, tokens[s], valid[s], shard[s], sample[s], row_of_sample[s])
            for n, s in enumerate(shares)
        ]


def open_shards(where: Path | tuple[Path, ...], split: str) -> ShardSet:
    """The shards of a folder, or of the index files named, which must be of `split`.

    Raises:
        ShardError: there are none, one is not usable, or they are of another split.
    """
    paths = where if isinstance(where, tuple) else (where,)
    if len(paths) == 1 and paths[0].is_dir():
        return ShardSet.of_folder(paths[0], split)
    shards = ShardSet(paths)
    if shards.split != split:
        raise ShardError(f"{paths[0]}: is of the {shards.split} split, not {split}")
    return shards
