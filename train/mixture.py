"""What a run reads: one set of shards, or several that are mixed, as one."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import accumulate
from math import gcd, lcm
from typing import TYPE_CHECKING, Literal, NamedTuple, cast

import numpy as np

from millpond.config import digest_of
from millpond.errors import ConfigError, ShardError
from millpond.shard import Shard
from millpond.shard_set import ShardSet, open_shards
from millpond.train.config import DataConfig, PartConfig
from millpond.train.order import Order

if TYPE_CHECKING:
    from millpond.shard_cache import DistantShard


class Part(NamedTuple):
    """One set of a mixture, and how much of it: its share of the rows, or how often each of its rows comes."""

    shards: ShardSet
    weight: float | None = None
    """Share of the mixture's rows, in any unit."""
    repeats: float | None = None
    """Times that each row comes while those of a part with `repeats` 1 come once."""


class Mixture:
    """Shards of all parts under one numbering, in the order of the parts.

    It has what a `ShardSet` has, and passes for one.
    """

    def __init__(self, parts: Sequence[Part]) -> None:
        """All parts have weights, or none has: one without `repeats`, too, is taken once.

        Raises:
            ConfigError: a weight is not a positive number, or weights and repeats are mixed.
            ShardError: the parts do not fit together.
        """
        if not parts:
            raise ConfigError("a mixture has at least one part")
        self.sets = tuple(part.shards for part in parts)
        first = self.sets[0]
        for each in self.sets[1:]:
            for field in ("split", "context_length", "vocab_size", "eos_id", "tokenizer_digest"):
                mine, theirs = getattr(each, field), getattr(first, field)
                if mine != theirs:
                    raise ShardError(f"{each.names[0]}: {field} is {mine!r}, that of {first.names[0]} is {theirs!r}")
        self.weights = _whole(parts)
        self._firsts = list(accumulate((len(each) for each in self.sets), initial=0))
        self.names = tuple(name for each in self.sets for name in each.names)
        if len(set(self.names)) < len(self.names):
            twice = next(name for name in self.names if self.names.count(name) > 1)
            raise ShardError(f"{twice} is in two parts of the mixture: raise the weight of the one that has it")
        self.rows = tuple(rows for each in self.sets for rows in each.rows)
        self.rows_per_sample = tuple(rows for each in self.sets for rows in each.rows_per_sample)
        self.padding = tuple(padding for each in self.sets for padding in each.padding)
        self.total_rows = sum(each.total_rows for each in self.sets)
        self.split, self.context_length, self.eos_id = first.split, first.context_length, first.eos_id
        self.vocab_size, self.tokenizer_digest, self.dtype = first.vocab_size, first.tokenizer_digest, first.dtype
        alone = len(self.sets) == 1
        whole = [[each.fingerprint, weight] for each, weight in zip(self.sets, self.weights, strict=True)]
        self.fingerprint = first.fingerprint if alone else digest_of(whole)
        """Sha256 (hex) over the parts' own and their weights; that of its set where there is one."""

    def __len__(self) -> int:
        """Number of shards."""
        return len(self.names)

    def order(self, seed: int, window: int) -> Order:
        """The endless sequence of its rows."""
        return Order([each.rows for each in self.sets], seed=seed, window=window, weights=self.weights)

    def shard(self, number: int) -> Shard:
        """The shard of that number, see `ShardSet.shard`."""
        part = self._part(number)
        return self.sets[part].shard(number - self._firsts[part])

    def distant(self, number: int) -> DistantShard | None:
        """A shard that is not here yet, see `ShardSet.distant`."""
        part = self._part(number)
        return self.sets[part].distant(number - self._firsts[part])

    def bring(self, number: int) -> None:
        """Have a shard at hand before it is asked for, see `ShardSet.bring`."""
        part = self._part(number)
        self.sets[part].bring(number - self._firsts[part])

    def size(self, number: int) -> int:
        """Bytes of a shard that a cache has to hold, see `ShardSet.size`."""
        part = self._part(number)
        return self.sets[part].size(number - self._firsts[part])

    def _part(self, number: int) -> int:
        return int(np.searchsorted(self._firsts, number, side="right")) - 1


def open_mixture(config: DataConfig, split: Literal["train", "validation"]) -> Mixture:
    """The shards that a run's settings name, of one split.

    Raises:
        ShardError: there are none, one is not usable, or they are of another split or do not fit together.
        InputError: a name means nothing, or cannot be read.
    """
    where = config.shards if split == "train" else config.validation or ()
    cache = None
    if config.cache is not None:
        from millpond.shard_cache import ShardCache  # brings every filesystem with it

        cache = ShardCache(config.cache, config.cache_bytes)

    def opened(names: str | tuple[str, ...]) -> ShardSet:
        return open_shards((names,) if isinstance(names, str) else names, split, cache)

    parts = [each for each in where if isinstance(each, PartConfig)]
    if not parts:
        return Mixture([Part(opened(cast("str | tuple[str, ...]", where)))])
    return Mixture([Part(opened(part.shards), part.weight, part.repeats) for part in parts])


def _whole(parts: Sequence[Part]) -> list[int]:
    """The parts' shares of rows as the smallest whole numbers."""
    weighted = [part.weight is not None for part in parts]
    if any(weighted) and (not all(weighted) or any(part.repeats is not None for part in parts)):
        raise ConfigError("a mixture has weights or repeats, not both, and weights for each part or none")
    given = [_given(part) for part in parts]
    if not all(0 < number < float("inf") for number in given):
        raise ConfigError(f"weights or repeats {given}: each must be more than 0")
    exact = [Fraction(str(number)) for number in given]  # as written: .1 is a tenth
    if not all(weighted):
        exact = [share * part.shards.total_rows for share, part in zip(exact, parts, strict=True)]
    common = lcm(*(share.denominator for share in exact))
    whole = [int(share * common) for share in exact]
    return [share // gcd(*whole) for share in whole]


def _given(part: Part) -> float:
    if part.weight is not None:
        return part.weight
    return 1 if part.repeats is None else part.repeats
