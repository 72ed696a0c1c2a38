"""The streaming loader: an endless iterable of batches for any PyTorch loop.

    loader = Loader(ShardSet.of_folder("shards", "train"), batch_rows=64, rank=rank, world_size=world_size)
    for batch in loader: ...
    for batch in DataLoader(loader, batch_size=None, num_workers=2): ...

Which rows a step sees follows from the shards, the seed, the window and the mixture, and never from world size,
worker processes or resumes: the whole state is the number of the next step. Alone, the loader gathers ahead in a
thread and hands out NumPy arrays; in a `DataLoader` worker w of n makes every n-th batch, and they come as tensors.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from torch.utils.data import IterableDataset, get_worker_info

from millpond.shard_set import ShardSet
from millpond.train.ahead import Ahead, require_room
from millpond.train.batches import Batch, Batches
from millpond.train.mixture import Mixture, Part

AHEAD_TOKENS = 1 << 21  # gathered at once, at most: some megabytes
THREADS = min(4, os.cpu_count() or 1)  # that verify and copy


class Loader(IterableDataset[Batch]):
    """An endless iterable of batches.

    An iterator begins at the state the loader has when its first batch is asked for; use one at a time.
    """

    def __init__(
        self,
        shards: ShardSet | Mixture,
        *,
        batch_rows: int,
        rank: int = 0,
        world_size: int = 1,
        seed: int = 0,
        window: int = 8,
    ) -> None:
        """`batch_rows` is the global batch, `window` a number of shards (of each part) that are shuffled together.

        Raises:
            ConfigError: the batch does not divide evenly between ranks, a value is out of range, or a cache is too
                small for a window.
        """
        self._mixture = shards if isinstance(shards, Mixture) else Mixture([Part(shards)])
        self._batches = Batches(
            self._mixture, batch_rows=batch_rows, rank=rank, world_size=world_size, seed=seed, window=window
        )
        require_room(self._mixture, window)
        self._step = 0

    def __iter__(self) -> Iterator[Batch]:
        """Batches from the current step on, without end.

        Raises:
            ShardError: a shard is damaged; no row of the damaged sample was handed out.
            InputError: a shard of another machine cannot be fetched.
        """
        worker = get_worker_info()
        start, every = (self._step + worker.id, worker.num_workers) if worker else (self._step, 1)
        most = max(1, AHEAD_TOKENS // (self._batches.rows * self._mixture.context_length))
        steps = 1  # at first: a random row costs the reading and verifying of its whole sample
        with (
            ThreadPoolExecutor(THREADS, thread_name_prefix="millpond-data") as pool,
            ThreadPoolExecutor(1, thread_name_prefix="millpond-data") as thread,
            Ahead(self._mixture) as ahead,
        ):

            def gather(step: int, steps: int) -> list[Batch]:
                rows = self._batches.rows_of(step, steps, every)
                ahead.ask(*self._batches.order.near())
                return self._batches.gather(rows, step, every, pool)

            coming: deque[Future[list[Batch]]] = deque()
            while True:
                while len(coming) < 2:  # one may be late and nobody waits
                    coming.append(thread.submit(gather, start, steps))
                    start, steps = start + steps * every, min(2 * steps, most)
                for batch in coming.popleft().result():
                    self._step = batch.step + 1
                    yield batch

    def state_dict(self) -> dict[str, Any]:
        """The step that comes next, and what the sequence of batches depends on. Plain JSON values.

        It counts the batches this very object handed out: with worker processes ask `state_after`.
        """
        return {"step": self._step, **self._batches.identity}

    def state_after(self, batch: Batch) -> dict[str, Any]:
        """The state once `batch` was used, whichever process made it."""
        return {**self.state_dict(), "step": batch.step + 1}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where `state` was taken; rank, world size and worker processes may differ from then.

        Raises:
            ShardError: the state belongs to other shards, or to another sequence over them.
        """
        self._step = self._batches.step_of(state)
