"""Reading files of other machines: forward in large blocks or by ranges, going on after every passing fault.

A file is streamed and never fetched to disk first. A read that fails is repeated from the byte where it stopped, as
`millpond.patience` says. A file that changes while it is read is an error: a web server's with its next answer, any
other at its end. Who reads only some of a file looks at it once more (`millpond.inputs.refuse_changed`).
"""

from __future__ import annotations

import io
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, BinaryIO, NamedTuple

from millpond.errors import InputError
from millpond.patience import PATIENCE, Patience, Repeats
from millpond.sources import Source, source_of

#: A read begins with little, for a footer or a header may be all that is wanted, and grows while it goes forward.
_FIRST_BLOCK, _BLOCK = 1 << 18, 8 << 20


def open_remote(url: str, patience: Patience = PATIENCE, version: str | None = None) -> io.BufferedReader:
    """Open a file to read; seekable, of known size, and fastest where it is read forward.

    Args:
        url: the file.
        patience: how long failing reads are repeated.
        version: `identity` of the file when it was first looked at, if it was.

    Raises:
        InputError: there is none, it cannot be read, or it is another than `version`. Reading raises it too.
    """
    return io.BufferedReader(RemoteFile(url, source_of(url, patience), patience, version), _FIRST_BLOCK)


def identity(url: str, patience: Patience = PATIENCE) -> str:
    """Size and version of a file in words, without its content.

    Raises:
        InputError: there is none, or it cannot be read.
    """
    source = source_of(url, patience)
    try:
        return str(Repeats(url, patience).until_done(source.stat))
    finally:
        source.close()


def read_range(url: str, start: int, length: int, patience: Patience = PATIENCE) -> bytes:
    """Bytes `start` to `start + length` of a file.

    Raises:
        InputError: there is no such file or it is shorter, or it cannot be read.
    """
    source, repeats = source_of(url, patience), Repeats(url, patience)
    pieces: list[bytes] = []
    at = start
    try:
        while at < start + length:
            piece = repeats.until_done(lambda: source.range(at, start + length))  # noqa: B023  # called at once
            if not piece:
                raise InputError(f"{url}: ends at byte {at}, and bytes {start} to {start + length} were asked for")
            repeats.progress(len(piece))
            pieces.append(piece)
            at += len(piece)
    finally:
        source.close()
    return b"".join(pieces)


class Range(NamedTuple):
    """Bytes of a file."""

    url: str
    start: int
    length: int


def read_ranges(
    ranges: Iterable[Range], at_once: int = 16, patience: Patience = PATIENCE, max_bytes: int = 1 << 28
) -> Iterator[tuple[Range, bytes | InputError]]:
    """Many ranges, in their order, `at_once` at a time; one that cannot be read comes as its error.

    No more than twice as many are held in memory, and no more than `max_bytes`, if that is not less than one alone.
    """

    def one(wanted: Range) -> bytes | InputError:
        try:
            return read_range(*wanted, patience)
        except InputError as error:
            return error

    with ThreadPoolExecutor(at_once, thread_name_prefix="ranges") as pool:
        waiting: deque[tuple[Range, Future[bytes | InputError]]] = deque()
        held = 0
        try:
            for wanted in ranges:
                while waiting and (len(waiting) >= 2 * at_once or held + wanted.length > max_bytes):
                    first, done = waiting.popleft()
                    yield first, done.result()
                    del done  # it has the bytes
                    held -= first.length
                waiting.append((wanted, pool.submit(one, wanted)))
                held += wanted.length
            while waiting:
                first, done = waiting.popleft()
                yield first, done.result()
        finally:
            for _, left in waiting:
                left.cancel()


def read_until(file: BinaryIO, stop: int) -> None:
    """Say that a file will be read up to `stop` and hardly further: then no more of a remote one is fetched ahead."""
    raw = getattr(file, "raw", None)
    if isinstance(raw, RemoteFile):
        raw.read_until(stop)


class RemoteFile(io.RawIOBase):
    """A file of another machine. While it is read forward, the next block is fetched meanwhile."""

    def __init__(self, url: str, source: Source, patience: Patience, version: str | None) -> None:
        super().__init__()
        self.url = url
        self._source = source
        self._repeats = Repeats(url, patience)
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="ahead")
        self._position = 0
        self._data, self._start = b"", 0
        self._want = _FIRST_BLOCK
        self._ahead: tuple[int, Future[bytes]] | None = None
        try:
            self.stat = self._repeats.until_done(self._source.stat)
            if version is not None and str(self.stat) != version:
                raise InputError(f"{url}: has changed since it was first looked at: {version} has become {self.stat}")
            self._until = self.stat.size
        except BaseException:
            self.close()
            raise

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Costs nothing; reading elsewhere begins with a small block again."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self.stat.size}[whence]
        self._position = max(0, base + offset)
        return self._position

    def tell(self) -> int:
        """Where the next read begins."""
        return self._position

    def readinto(self, buffer: Any) -> int:
        """Read what is there of the present block.

        Raises:
            InputError: the file cannot be read, or has changed.
        """
        view = memoryview(buffer).cast("B")
        if self._position >= self.stat.size or not view:
            return 0
        if not self._start <= self._position < self._start + len(self._data):
            self._load()
        at = self._position - self._start
        piece = self._data[at : at + len(view)]
        view[: len(piece)] = piece
        self._position += len(piece)
        return len(piece)

    def close(self) -> None:
        """Let go of the connection."""
        if not self.closed:
            self._repeats.stop.set()
            self._source.close()  # ends what is being fetched
            self._pool.shutdown(cancel_futures=True)
        super().close()

    def read_until(self, stop: int) -> None:
        """Fetch nothing behind `stop` before it is asked for, and then little."""
        self._until = min(stop, self.stat.size)
        self._source.until = stop if stop < self.stat.size else None

    def _load(self) -> None:
        """Make the block at the present position the present one, and begin to fetch the one behind it."""
        forward = self._position == self._start + len(self._data)
        ahead, self._ahead = self._ahead, None
        if ahead and ahead[0] == self._position:
            self._data = ahead[1].result()
        else:
            if ahead and not ahead[1].cancel():
                ahead[1].exception()  # a source serves one read at a time
            forward = forward and self._position != self._until
            self._want = min(2 * self._want, _BLOCK) if forward else _FIRST_BLOCK
            self._data = self._block(self._position, self._want)
        self._start = self._position
        end = self._start + len(self._data)
        if forward and self._start and end < self._until:
            self._want = min(2 * self._want, _BLOCK)
            self._ahead = end, self._pool.submit(self._block, end, self._want)

    def _block(self, start: int, length: int) -> bytes:
        stop = min(start + length, self._until if start < self._until else self.stat.size)
        pieces: list[bytes] = []
        at = start
        while at < stop:
            piece = self._repeats.until_done(lambda: self._source.read(at, stop))  # noqa: B023  # called at once
            self._repeats.progress(len(piece))
            pieces.append(piece)
            at += len(piece)
        if stop == self.stat.size and (now := self._repeats.until_done(self._source.stat)) != self.stat:
            raise InputError(f"{self.url}: changed while it was read: {self.stat} has become {now}")
        return b"".join(pieces)
