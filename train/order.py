"""The order in which training sees rows: a pure function of seed, epoch, position and window.

An epoch permutes the shards, takes them in windows of `window` consecutive ones, and permutes the rows inside
each window, so only a window's shards need be at hand. Epochs follow each other without a gap and nothing is
dropped: position p of the endless sequence lies in epoch p // rows.

Permutations sort the raw output of a Philox counter generator keyed by (seed, epoch) (Salmon et al. 2011),
which NumPy guarantees not to change; `Generator.permutation` carries no such promise.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from millpond.errors import ConfigError

Ints = npt.NDArray[np.int64]


class Rows(NamedTuple):
    """Which rows, in order: the number of the shard in its set, and of the row in the shard."""

    shard: Ints
    row: Ints


class _Span(NamedTuple):
    """One window: the position of its first row, and its rows in order."""

    first: int
    rows: Rows


class Order:
    """The endless sequence over shards of these row counts; holds one window in memory."""

    def __init__(self, rows: Sequence[int], *, seed: int, window: int) -> None:
        """`rows` are the shards' row counts, each at least 1; `window` is a number of shards.

        Raises:
            ConfigError: seed or window is out of range.
        """
        if not 0 <= seed < 2**64:
            raise ConfigError(f"seed={seed}: must be at least 0 and below 2**64")
        if window < 1:
            raise ConfigError(f"window={window}: must be at least 1 shard")
        self.total = sum(rows)
        self._rows = np.array(rows, np.int64)
        self._seed, self._window = seed, window
        self._span = self._load(0)

    def block(self, start: int, stop: int) -> Rows:
        """The rows at positions start … stop - 1 of the endless sequence; at least one.

        Cheapest in ascending order: going to another window costs a sort of its rows.
        """
        parts = []
        while start < stop:
            if not self._span.first <= start < self._span.first + len(self._span.rows.row):
                self._span = self._load(start)
            first, rows = self._span
            taken = slice(start - first, stop - first)
            parts.append(Rows(rows.shard[taken], rows.row[taken]))
            start += len(parts[-1].row)
        return Rows(np.concatenate([p.shard for p in parts]), np.concatenate([p.row for p in parts]))

    def _load(self, position: int) -> _Span:
        """The window in which `position` lies."""
        epoch, within = divmod(position, self.total)
        shards = self._permutation(len(self._rows), epoch, stream=0)
        counts = np.add.reduceat(self._rows[shards], np.arange(0, len(shards), self._window))
        ends = np.cumsum(counts)
        number = int(np.searchsorted(ends, within, side="right"))
        members = shards[number * self._window : (number + 1) * self._window]
        lengths = self._rows[members]
        shard = np.repeat(members, lengths)
        row = np.arange(len(shard)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        order = self._permutation(len(shard), epoch, stream=1 + number)
        first = epoch * self.total + int(ends[number] - counts[number])
        return _Span(first, Rows(shard[order], row[order]))

    def _permutation(self, count: int, epoch: int, stream: int) -> Ints:
        """A permutation of `count`; `stream` 0 is for shards, 1 + n for window n of the epoch."""
        generator = np.random.Philox(key=self._seed | epoch << 64, counter=stream << 128)
        return np.argsort(generator.random_raw(count), kind="stable")
