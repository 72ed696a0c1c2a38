"""Batches of rows in one fixed global order, made at any step: the loader without its threads.

Batch s is rows s·B … (s+1)·B - 1 of the endless sequence that `millpond.train.order` defines; rank r of w takes the
r-th of w equal slices. A sample's bytes are verified before any of its rows is handed out.
"""

from __future__ import annotations

from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np

from millpond.errors import ConfigError, InputError, ShardError
from millpond.shard import Tokens
from millpond.train.mixture import Mixture
from millpond.train.order import Ints, Rows

#: So many rows of a shard are not worth waiting for the whole of it, for a first batch.
FEW = 32


class Batch(NamedTuple):
    """One rank's share of one global batch."""

    step: int
    position: int
    """Position of the first row in the global batch; the rows follow each other."""
    tokens: Tokens
    """Shape (rows, context_length), in the shards' dtype: `torch.from_numpy(tokens).long()` is a model's input."""
    valid: Ints
    """Shape (rows,): tokens of each row that are not padding; padding stands at the end."""
    shard: Ints
    """Shape (rows,): number of each row's shard in the mixture (`Mixture.names`)."""
    sample: Ints
    row: Ints
    """Shape (rows,): place of each row within its sample."""


class Batches:
    """One rank's batches, each by its step."""

    def __init__(
        self, mixture: Mixture, *, batch_rows: int, rank: int, world_size: int, seed: int, window: int
    ) -> None:
        """`batch_rows` is the global batch, `window` a number of shards of each part that are shuffled together.

        Raises:
            ConfigError: the batch does not divide evenly between ranks, or a value is out of range.
        """
        if not 0 <= rank < world_size:
            raise ConfigError(f"rank={rank}: must be at least 0 and below world_size={world_size}")
        if batch_rows < 1 or batch_rows % world_size:
            raise ConfigError(f"batch_rows={batch_rows}: must be a positive multiple of world_size={world_size}")
        self.rows = batch_rows // world_size
        self.order = mixture.order(seed, window)
        self.identity = {
            "fingerprint": mixture.fingerprint,
            "batch_rows": batch_rows,
            "seed": seed,
            "window": window,
        }
        """What the sequence of global batches depends on."""
        self._mixture, self._batch_rows = mixture, batch_rows
        self._position = rank * self.rows
        self._shard_rows, self._sample_rows = np.array(mixture.rows), np.array(mixture.rows_per_sample)
        self._padding = np.array(mixture.padding)
        for each in mixture.sets:
            each.max_open = window

    def rows_of(self, step: int, steps: int, every: int) -> Rows:
        """This rank's rows of the batches `step`, `step + every`, …: of `steps` batches, one after the other."""
        last = step + (steps - 1) * every
        block = self.order.block(step * self._batch_rows, (last + 1) * self._batch_rows)
        mine = slice(self._position, self._position + self.rows)
        return Rows(*(column.reshape(-1, self._batch_rows)[::every, mine].ravel() for column in block))

    def gather(self, rows: Rows, step: int, every: int, pool: Executor) -> list[Batch]:
        """The batches of these `rows_of`; the threads of `pool` verify and copy, each a shard.

        Raises:
            ShardError: a shard is damaged.
            InputError: a shard of another machine cannot be fetched.
        """
        shard, row = rows
        sample, row_of_sample = np.divmod(row, self._sample_rows[shard])
        context = self._mixture.context_length
        ends = row == self._shard_rows[shard] - 1
        valid = context - np.where(ends, self._padding[shard], 0)
        tokens = np.empty((len(shard), context), self._mixture.dtype)
        numbers, firsts = np.unique(shard, return_index=True)
        places = {n: np.flatnonzero(shard == n) for n in numbers[np.argsort(firsts)].tolist()}
        one = len(shard) == self.rows  # a run's first batch is gathered alone, and somebody waits for it
        distant = self._from_afar(places, sample, row_of_sample, tokens) if one else set()
        tasks = []
        for number, chosen in places.items():  # window after window: only one is kept open
            if number not in distant:
                shard_there = self._mixture.shard(number)
                wanted = sample[chosen], row_of_sample[chosen], tokens, chosen
                tasks.append(pool.submit(shard_there.gather, *wanted))
        for task in tasks:
            task.result()
        shares = [slice(first, first + self.rows) for first in range(0, len(shard), self.rows)]
        return [
            Batch(step + n * every, self._position, tokens[s], valid[s], shard[s], sample[s], row_of_sample[s])
            for n, s in enumerate(shares)
        ]

    def _from_afar(self, places: dict[int, Ints], sample: Ints, row: Ints, tokens: Tokens) -> set[int]:
        """Read the rows of shards that are still being fetched, where they are few; which shards that was done for.

        Where it fails (a server may have no ranges) the whole shard is waited for; it says what is wrong, if anything.
        """
        few = {n: chosen for n, chosen in places.items() if len(chosen) <= FEW}
        far = {n: shard for n in few if (shard := self._mixture.distant(n)) is not None}
        if not far:
            return set()

        def read(number: int) -> bool:
            chosen = places[number]
            try:
                far[number].gather(sample[chosen], row[chosen], tokens, chosen)
            except InputError:
                return False
            return True

        with ThreadPoolExecutor(len(far)) as pool:
            return {number for number, done in zip(far, pool.map(read, far), strict=True) if done}

    def step_of(self, state: dict[str, Any]) -> int:
        """The step that comes next after `state`.

        Raises:
            ShardError: the state belongs to other shards, or to another sequence over them.
        """
        for key, mine in self.identity.items():
            if state.get(key) != mine:
                raise ShardError(
                    f"cannot resume: {key} was {state.get(key)!r}, now it is {mine!r}; "
                    "use the shards and settings the run began with, or start a new run"
                )
        step = state.get("step")
        if not isinstance(step, int) or step < 0:
            raise ShardError(f"cannot resume: step is {step!r}, not a number of batches")
        return step
