"""Shards of other machines, whole in a folder of bounded size that all processes of a machine share.

A tar is fetched once, whoever asks: it is written to `<sha256>.partial`, which its writer keeps locked, compared with
the sha256 of its index, and renamed to `<sha256>.tar`. When the folder is full, what was used longest ago goes, by any
process at any time: a file that is mapped stays readable until it is let go, its name only makes place for the next. A
process that dies leaves a partial file that nobody has locked; the next one to start, or to make room, removes it.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event
from typing import BinaryIO, cast

import numpy as np

from millpond import durable, faults
from millpond.errors import InputError, ShardError
from millpond.inputs import open_input, refuse_secrets
from millpond.patience import repeated
from millpond.remote import Range, read_ranges
from millpond.shard import Ints, ShardIndex, Tokens
from millpond.storage import filesystem

_PIECE = 1 << 20
_LOOK_AGAIN = 0.05  # seconds, while another process fetches what is wanted here


class ShardCache:
    """Index files and tars by their URLs. Threads may share one."""

    def __init__(self, folder: Path, limit: int) -> None:
        """A cache in `folder`, which is made where it is missing, of at most `limit` bytes.

        Raises:
            ShardError: the folder cannot be used.
        """
        self.folder, self.limit = folder, limit
        self.stopped = Event()
        """While it is set, fetching and waiting end with an error: whoever asked has gone."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with self._alone():
                self._sweep()
        except OSError as error:
            raise ShardError(f"{folder}: cannot be used as a cache of shards: {error}") from error

    def __reduce__(self) -> tuple[Callable[..., ShardCache], tuple[Path, int]]:
        return ShardCache, (self.folder, self.limit)

    def index(self, url: str) -> bytes:
        """The content of an index file; it is small, and read anew each time.

        Raises:
            InputError: it cannot be read, or the address holds a key.
        """
        refuse_secrets(url)
        system, name = filesystem(url, once=True)
        return repeated(url, lambda: cast(bytes, system.cat_file(name)))

    def has(self, sha256: str) -> bool:
        """Whether a tar is here now."""
        return (self.folder / f"{sha256}.tar").exists()

    def open(self, url: str, size: int, sha256: str) -> BinaryIO:
        """The tar at `url`, open to be read, fetched where it is not here; it counts as used now.

        Raises:
            InputError: it cannot be read.
            ShardError: it is not what its index says, or there is no room for it.
        """
        path = self.folder / f"{sha256}.tar"
        while True:
            try:
                file = path.open("rb")
            except FileNotFoundError:
                self._fetch(url, size, sha256, path)
                continue
            os.utime(file.fileno())
            return file

    def _fetch(self, url: str, size: int, sha256: str, path: Path) -> None:
        """Fetch, or wait for whoever does; it may be gone again, or still not here, when this returns."""
        partial = path.with_suffix(".partial")
        with os.fdopen(os.open(partial, os.O_RDWR | os.O_CREAT, 0o644), "r+b") as file:
            while not durable.lock(file):
                self._look_out(url)
                time.sleep(_LOOK_AGAIN)
            if path.exists() or not _is(file, partial):  # it was fetched, given up or swept away meanwhile
                return
            try:
                self._reserve(file, size, url)
                if (found := self._download(url, size, file)) != sha256:
                    raise ShardError(
                        f"{url}: is damaged or another: its sha256 is {found}, that of its index {sha256}; "
                        "copy the shard again or write it again"
                    )
                os.fsync(file.fileno())
                partial.rename(path)
            except BaseException:
                partial.unlink(missing_ok=True)
                raise

    def _download(self, url: str, size: int, file: BinaryIO) -> str:
        digest, read = hashlib.sha256(), 0
        with open_input(url) as source:
            while read <= size and (piece := source.read(_PIECE)):
                self._look_out(url)
                file.write(piece)
                digest.update(piece)
                read += len(piece)
                faults.point("shard-fetch")
        file.flush()
        return digest.hexdigest()

    def _look_out(self, url: str) -> None:
        if self.stopped.is_set():
            raise InputError(f"{url}: was let go of while it was fetched")

    def _reserve(self, file: BinaryIO, size: int, url: str) -> None:
        """Give `file` its size, so that it counts from now on, and remove what was used longest ago for it."""
        with self._alone():
            self._sweep()
            found = self._files()
            used = sum(stat.st_size for stat in found.values())
            tars = [path for path in found if path.suffix == ".tar"]
            for path in sorted(tars, key=lambda path: found[path].st_mtime_ns):
                if used + size <= self.limit:
                    break
                path.unlink()  # only who holds the lock removes these
                used -= found[path].st_size
            if used + size > self.limit:
                raise ShardError(
                    f"{self.folder}: no room for the {size} bytes of {url} in {self.limit}, of which {used} are being "
                    f"fetched: give the cache at least {used + size} bytes"
                )
            file.truncate(size)

    def _files(self) -> dict[Path, os.stat_result]:
        """What is here."""
        found = {}
        for path in self.folder.iterdir():
            with suppress(FileNotFoundError):  # it was renamed or removed meanwhile
                found[path] = path.stat()
        return found

    def _sweep(self) -> None:
        """Remove what dead processes left."""
        for partial in self.folder.glob("*.partial"):
            with suppress(FileNotFoundError), partial.open("rb") as file:
                if durable.lock(file) and _is(file, partial):
                    partial.unlink()

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Only one process at a time removes files and counts bytes."""
        with (self.folder / "lock").open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


class DistantShard:
    """A shard that is still being fetched: the first rows of a run are read from where they lie."""

    def __init__(self, url: str, index: Callable[[], ShardIndex]) -> None:
        self._url, self._read_index = url, index
        self._index: ShardIndex | None = None

    def gather(self, samples: Ints, rows: Ints, out: Tokens, places: Ints) -> None:
        """Copy rows, see `Shard.gather`; each sample is read by its range and verified.

        Raises:
            ShardError: a sample's bytes are not those that were written.
            InputError: they cannot be read; a server may have no ranges.
        """
        index = self._index = self._index or self._read_index()
        wanted = np.unique(samples).tolist()
        bounds = [index.region(sample) for sample in wanted]
        for sample, (_, region) in zip(
            wanted, read_ranges(Range(self._url, start, end - start) for start, end in bounds), strict=True
        ):
            if isinstance(region, InputError):
                raise region
            index.verify(sample, region, self._url)
            chosen = samples == sample
            out[places[chosen]] = index.rows_in(sample, region)[rows[chosen]]


def _is(file: BinaryIO, path: Path) -> bool:
    """Whether `path` still names the open file."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False
