"""Whose turn it is: at each host one fetch at a time, and a pause after it, over all the tasks of a crawl.

Hosts are shared out between the tasks, but a robots.txt may redirect to a host of another one. So the turns stand in a
file that all tasks see: a slot for each host, which is locked while its host is asked, and says when it may be asked
next. Two hosts that happen to share a slot wait for one another.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import random
import struct
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from pathlib import Path
from types import TracebackType
from typing import Self

#: Name of the file in a crawl's folder.
TURNS = "turns"
_SLOTS = 1 << 20
_TIME = struct.Struct("<d")
_POLL_SECONDS = 0.02


class Turns:
    """The turns of one task; a context manager that holds the file open, which is made where it is missing."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._locks: dict[str, asyncio.Lock] = {}
        self._next: dict[str, float] = {}

    def __enter__(self) -> Self:
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o666)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._file)

    @asynccontextmanager
    async def at(self, host: str, delay: float) -> AsyncIterator[None]:
        """Wait for the turn at a host; when the block ends, `delay` seconds pass before the next begins."""
        async with self._locks.setdefault(host, asyncio.Lock()):
            while not self._take(host):
                await asyncio.sleep(self._left(host) or random.uniform(0, _POLL_SECONDS))
            try:
                yield
            finally:
                self.pause(host, delay)
                os.pwrite(self._file, _TIME.pack(max(self._told(host), time.time() + delay)), _slot(host))
                fcntl.lockf(self._file, fcntl.LOCK_UN, _TIME.size, _slot(host))

    def pause(self, host: str, seconds: float) -> None:
        """Let this task's next turn at a host begin no sooner than in so many seconds."""
        self._next[host] = max(self._next.get(host, 0.0), time.monotonic() + seconds)

    def next_at(self, host: str) -> datetime:
        """When the next turn at a host may begin."""
        return datetime.now(UTC) + timedelta(seconds=self._left(host))

    def _take(self, host: str) -> bool:
        """Lock a host if its pause is over and no other task has it; that is looked at again once it is locked."""
        if self._left(host) > 0:
            return False
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, _TIME.size, _slot(host))
        except BlockingIOError:
            return False
        if self._left(host) > 0:
            fcntl.lockf(self._file, fcntl.LOCK_UN, _TIME.size, _slot(host))
            return False
        return True

    def _left(self, host: str) -> float:
        """Seconds until a host may be asked."""
        return max(0.0, self._next.get(host, 0.0) - time.monotonic(), self._told(host) - time.time())

    def _told(self, host: str) -> float:
        """Until when the last turn of any task at a host is to be followed by none."""
        told = os.pread(self._file, _TIME.size, _slot(host))
        return float(_TIME.unpack(told)[0]) if len(told) == _TIME.size else 0.0


def _slot(host: str) -> int:
    """Where in the file a host's slot begins."""
    return int.from_bytes(blake2b(host.encode(), digest_size=8).digest(), "little") % _SLOTS * _TIME.size
