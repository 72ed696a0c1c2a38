"""The order in which training sees rows: a pure function of seed, position, window and mixture.

A source is a set of shards. Its epoch permutes the shards, takes them in windows of `window` consecutive ones, and
permutes the rows inside each window, so only a window's shards need be at hand. Epochs follow each other without a
gap and nothing is dropped: position p of the source's endless sequence lies in its epoch p // rows.

A mixture of sources is one endless sequence, too. After n blocks of `BLOCK` rows each source has given its share of
them, exact to fewer rows than there are sources (`shares`); inside a block a permutation says whose turn it is. So
any position is found without those before it, and a single source is the mixture of one.

Permutations sort the raw output of a Philox counter generator (Salmon et al. 2011) keyed by seed and epoch, or by
seed and block, which NumPy guarantees not to change; `Generator.permutation` carries no such promise.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from millpond.errors import ConfigError

Ints = npt.NDArray[np.int64]

BLOCK = 1024
_NONE = np.empty(0, np.int64)
_PLACES = 2**64 - 1  # the generator's number for a block's permutation; sources count from 0


class Rows(NamedTuple):
    """Which rows, in order: the number of the shard among those of all sources, and of the row in the shard."""

    shard: Ints
    row: Ints


class _Span(NamedTuple):
    """One window of a source: the position of its first row, its rows in order, its shards and the next one's."""

    first: int
    rows: Rows
    shards: Ints
    coming: Ints


class Order:
    """The endless sequence over sources; holds one window of each in memory."""

    def __init__(
        self, sources: Sequence[Sequence[int]], *, seed: int, window: int, weights: Sequence[int] | None = None
    ) -> None:
        """Of each source the row counts of its shards, each at least 1, and its weight: its share of all rows.

        Without weights every row comes as often as any other. `window` is a number of shards of each source.

        Raises:
            ConfigError: seed or window is out of range.
        """
        if not 0 <= seed < 2**64:
            raise ConfigError(f"seed={seed}: must be at least 0 and below 2**64")
        if window < 1:
            raise ConfigError(f"window={window}: must be at least 1 shard")
        self._seed = seed
        self._weights = list(weights or map(sum, sources))
        firsts = np.cumsum([0, *map(len, sources)]).tolist()
        self._sources = [
            _Source(rows, number, first, seed, window)
            for number, (rows, first) in enumerate(zip(sources, firsts, strict=False))
        ]

    def block(self, start: int, stop: int) -> Rows:
        """The rows at positions start … stop - 1 of the endless sequence; at least one.

        Cheapest in ascending order: going to another window costs a sort of its rows.
        """
        first = start - start % BLOCK
        turns = np.concatenate([self._turns(number) for number in range(first // BLOCK, -(-stop // BLOCK))])
        before, turns = turns[: start - first], turns[start - first : stop - first]
        rows = Rows(np.empty(stop - start, np.int64), np.empty(stop - start, np.int64))
        for number, (source, given) in enumerate(zip(self._sources, shares(first, self._weights), strict=True)):
            places = np.flatnonzero(turns == number)
            if len(places):
                at = given + int(np.count_nonzero(before == number))
                rows.shard[places], rows.row[places] = source.block(at, at + len(places))
        return rows

    def near(self) -> tuple[list[int], list[int]]:
        """The shards of the windows that were asked for last, and those of the windows that follow them."""
        spans = [source.span for source in self._sources]
        return [n for span in spans for n in span.shards.tolist()], [n for s in spans for n in s.coming.tolist()]

    def _turns(self, number: int) -> npt.NDArray[np.intp]:
        """Of each position of a block, which source gives it."""
        begun, ended = (shares(n * BLOCK, self._weights) for n in (number, number + 1))
        counts = [after - before for before, after in zip(begun, ended, strict=True)]
        turns = np.repeat(np.arange(len(counts)), counts)
        return turns[_permutation(BLOCK, self._seed, number, _PLACES)] if len(counts) > 1 else turns


class _Source:
    """One source's own endless sequence."""

    def __init__(self, rows: Sequence[int], number: int, first: int, seed: int, window: int) -> None:
        """Its shards are numbered from `first`."""
        self.total = sum(rows)
        self._rows = np.array(rows, np.int64)
        self._number, self._first, self._seed, self._window = number, first, seed, window
        self.span = _Span(0, Rows(_NONE, _NONE), _NONE, _NONE)

    def block(self, start: int, stop: int) -> Rows:
        """The rows at positions start … stop - 1."""
        parts = []
        while start < stop:
            if not self.span.first <= start < self.span.first + len(self.span.rows.row):
                self.span = self._load(start)
            first, rows = self.span.first, self.span.rows
            taken = slice(start - first, stop - first)
            parts.append(Rows(rows.shard[taken], rows.row[taken]))
            start += len(parts[-1].row)
        return Rows(np.concatenate([p.shard for p in parts]), np.concatenate([p.row for p in parts]))

    def _load(self, position: int) -> _Span:
        """The window in which `position` lies."""
        epoch, within = divmod(position, self.total)
        shards = self._shuffled(len(self._rows), epoch, stream=0)
        counts = np.add.reduceat(self._rows[shards], np.arange(0, len(shards), self._window))
        ends = np.cumsum(counts)
        number = int(np.searchsorted(ends, within, side="right"))
        following = (number + 1) * self._window
        members, coming = shards[number * self._window : following], shards[following : following + self._window]
        if not len(coming):
            coming = self._shuffled(len(shards), epoch + 1, stream=0)[: self._window]
        lengths = self._rows[members]
        shard = np.repeat(members, lengths)
        row = np.arange(len(shard)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        order = self._shuffled(len(shard), epoch, stream=1 + number)
        first = epoch * self.total + int(ends[number] - counts[number])
        return _Span(first, Rows(self._first + shard[order], row[order]), self._first + members, self._first + coming)

    def _shuffled(self, count: int, epoch: int, stream: int) -> Ints:
        """A permutation of `count`; `stream` 0 is for shards, 1 + n for window n of the epoch."""
        return _permutation(count, self._seed, epoch, self._number, stream)


def shares(rows: int, weights: Sequence[int]) -> list[int]:
    """How many of the first `rows` rows each source gives; the sum is `rows`, and no share falls when `rows` grows.

    The first takes its share, rounded down, the next its share of what is left, and so on. Largest remainders would
    be a little nearer, but there a source's count can fall, and a row would have to be taken back.
    """
    counts, left = [], sum(weights)
    for weight in weights:
        counts.append(rows * weight // left)
        rows -= counts[-1]
        left -= weight
    return counts


def _permutation(count: int, seed: int, turn: int, number: int, stream: int = 0) -> Ints:
    generator = np.random.Philox(key=seed | turn << 64, counter=stream << 128 | number << 192)
    return np.argsort(generator.random_raw(count), kind="stable")
