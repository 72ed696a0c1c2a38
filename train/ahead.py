"""Shards brought to hand before their rows are due: fetched from other machines, read into memory from disks."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Self

from millpond.errors import ConfigError
from millpond.train.mixture import Mixture

_AT_ONCE = 4


class Ahead:
    """Brings the shards of the present windows and, where the cache has room for both, of the next ones."""

    def __init__(self, mixture: Mixture) -> None:
        self._mixture = mixture
        self._caches = {id(each.cache): each.cache for each in mixture.sets if each.cache is not None}
        self._asked: dict[int, Future[None]] = {}
        self._pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="millpond-ahead")

    def __enter__(self) -> Self:
        for cache in self._caches.values():
            cache.stopped.clear()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for cache in self._caches.values():
            cache.stopped.set()
        self._pool.shutdown(cancel_futures=True)

    def ask(self, present: Sequence[int], coming: Sequence[int]) -> None:
        """Begin to bring what is not here yet.

        Raises:
            ShardError, InputError: a shard that was asked for before could not be brought.
        """
        for future in self._asked.values():
            if future.done():
                future.result()
        near = {**dict.fromkeys(present), **dict.fromkeys(coming[: self._fitting(present, coming)])}
        self._asked = {n: self._asked.get(n) or self._pool.submit(self._mixture.bring, n) for n in near}

    def _fitting(self, present: Sequence[int], coming: Sequence[int]) -> int:
        """How many of the coming shards find room in the cache beside the present ones."""
        limit = min((cache.limit for cache in self._caches.values()), default=0)
        room = limit - sum(map(self._mixture.size, present))
        for count, number in enumerate(coming):
            room -= self._mixture.size(number)
            if room < 0:
                return count
        return len(coming)


def require_room(mixture: Mixture, window: int) -> None:
    """Refuse a cache that cannot hold a window.

    Raises:
        ConfigError: it is too small; says what is needed.
    """
    for cache in {id(each.cache): each.cache for each in mixture.sets}.values():
        sets = [each for each in mixture.sets if each.cache is cache]
        needed = sum(sum(sorted(map(each.size, range(len(each))))[-window:]) for each in sets)
        if cache is not None and needed > cache.limit:
            raise ConfigError(
                f"the cache {cache.folder} may hold {cache.limit} bytes, and the shards of a window of {window} have "
                f"up to {needed}: give it at least {needed} bytes, or twice that to fetch a window ahead"
            )
