"""Files of other machines as the readers of `millpond.remote` see them: a size, a version, and bytes from a place on.

Nothing here is repeated: a fault is an exception, and the same call may be made again. Two kinds suffice. `https://`
is read over fsspec's session in answers that go on until the file ends; every other filesystem by its own ranges.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, cast

from fsspec.asyn import sync

from millpond.errors import InputError
from millpond.patience import Changed, Patience
from millpond.storage import filesystem

#: What identifies the content of a file, best first, as the filesystems call it.
_VERSIONS = (
    ("ETag", "etag"),
    ("VersionId", "version_id", "generation", "blob_id", "sha256", "md5Hash", "Content-MD5"),
    ("LastModified", "last_modified", "Last-Modified", "updated", "mtime", "created"),
)
_CONTENT_RANGE = re.compile(r"bytes (?:(\d+)-\d+|\*)/(\d+)")
#: Bytes of an answer that are passed over at a time.
_SKIPPED = 1 << 20


class Stat(NamedTuple):
    """What a file is: its size, and what changes with its content."""

    size: int
    version: str

    def __str__(self) -> str:
        return f"{self.size} bytes, {self.version or 'no version'}"


class Status(OSError):
    """An HTTP answer without the bytes that were asked for."""

    def __init__(self, status: int, headers: Any) -> None:
        super().__init__(f"HTTP status {status}")
        self.status = status
        self.headers = headers


class Source(Protocol):
    """One file, read by one thread at a time. Any call may fail and may be repeated."""

    until: int | None
    """No more is asked for than lies before this, or than a read wants; None where all may be asked for."""

    def stat(self) -> Stat: ...

    def read(self, start: int, stop: int) -> bytes:
        """At least one of these bytes, from the first on."""
        ...

    def range(self, start: int, stop: int) -> bytes:
        """These bytes in a request of their own, or the first of them where the connection is cut."""
        ...

    def close(self) -> None: ...


def source_of(url: str, patience: Patience) -> Source:
    """The file a URL names; nothing is asked for yet."""
    if url.startswith(("http://", "https://")):
        return _Http(url, patience)
    return _Filesystem(url)


class _Filesystem:
    """A file of any filesystem that fsspec knows."""

    def __init__(self, url: str) -> None:
        self._system, self._name = filesystem(url, once=True)
        self.until: int | None = None
        self._file: Any = None

    def stat(self) -> Stat:
        self._system.invalidate_cache()
        info = self._system.info(self._name)
        if info["type"] == "directory":
            raise IsADirectoryError(self._name)
        for names in _VERSIONS:
            if found := [str(info[name]) for name in names if info.get(name)]:
                return Stat(int(info["size"]), " ".join(found))
        return Stat(int(info["size"]), "")

    def read(self, start: int, stop: int) -> bytes:
        if self._file is None:
            self._file = self._system.open(self._name, "rb", cache_type="none")
        self._file.seek(start)
        piece = cast(bytes, self._file.read(stop - start))
        if not piece:
            raise Changed(f"ends at byte {start}")
        return piece

    def range(self, start: int, stop: int) -> bytes:
        return cast(bytes, self._system.cat_file(self._name, start=start, end=stop))

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


class _Http:
    """A file of a web server, over fsspec's session: one answer is read forward as far as it reaches.

    A server that knows no ranges can still be read forward; what was read before a cut is then read again and dropped.
    """

    def __init__(self, url: str, patience: Patience) -> None:
        self._system, self._url = filesystem(url)
        self._stall = patience.stall_seconds
        self.until: int | None = None
        self._stat: Stat | None = None
        self._answer: Any = None
        self._at = 0
        self._end: int | None = None
        self._fault: Exception | None = None

    def stat(self) -> Stat:
        if self._answer is None:
            self._call(self._open, 0, 1)
            self.close()
        if self._stat is None:
            raise Changed("no size")
        return self._stat

    def read(self, start: int, stop: int) -> bytes:
        if self._answer is None or self._at != start or (self._end is not None and stop > self._end):
            self.close()
            self._end = None if self.until is None else max(stop, self.until)
            self._call(self._open, start, self._end)
            if self._answer.status == 200:  # no ranges here: all comes, from the first byte on
                self._end = None
                self._call(self._skip, start)
        return cast(bytes, self._call(self._take, stop))

    def range(self, start: int, stop: int) -> bytes:
        self.close()
        self._call(self._open, start, stop)
        if self._answer.status == 200 and self._at < start:
            raise InputError(f"{self._url}: the server sends no ranges of files: name the file as a whole")
        return cast(bytes, self._call(self._take, min(stop, self._stat.size if self._stat else stop)))

    def close(self) -> None:
        answer, self._answer = self._answer, None
        if answer is not None:
            self._system.loop.call_soon_threadsafe(answer.close)

    def _call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return sync(self._system.loop, function, *arguments)
        except BaseException:
            self.close()
            raise

    async def _open(self, start: int, stop: int | None) -> None:
        from aiohttp import ClientTimeout

        session = await self._system.set_session()
        options = self._system.kwargs
        last = "" if stop is None else stop - 1
        own = {"Range": f"bytes={start}-{last}", "Accept-Encoding": "identity"}
        answer = await session.get(
            self._system.encode_url(self._url),
            **{
                **options,
                "headers": {**options.get("headers", {}), **own},
                "timeout": ClientTimeout(total=None, sock_connect=self._stall, sock_read=self._stall),
                "auto_decompress": False,
            },
        )
        self._answer, self._at, self._fault = answer, 0, None
        place = _CONTENT_RANGE.fullmatch(answer.headers.get("Content-Range", ""))
        if answer.status == 206 and place and place[1] == str(start):
            self._at, total = start, int(place[2])
        elif answer.status == 200 and answer.content_length is not None:
            total = answer.content_length
        elif answer.status == 416 and place and place[2] == "0":
            total = 0
        elif answer.status in (200, 206):
            raise InputError(f"{self._url}: the server does not say how large the file is: fetch it and name the copy")
        else:
            raise Status(answer.status, answer.headers)
        version = answer.headers.get("ETag") or answer.headers.get("Last-Modified", "")
        if self._stat not in (None, now := Stat(total, version)):
            raise Changed(f"{self._stat} has become {now}")
        self._stat = now

    async def _skip(self, start: int) -> None:
        """Pass over what comes before a place."""
        while self._at < start:
            self._at += len(await self._some(min(start - self._at, _SKIPPED)))

    async def _take(self, stop: int) -> bytes:
        """What comes up to `stop`; a fault behind some bytes is raised by the next call, for those bytes are good."""
        if self._fault is not None:
            raise self._fault
        taken = bytearray()
        try:
            while self._at < stop:
                piece = await self._some(stop - self._at)
                taken += piece
                self._at += len(piece)
        except Exception as error:
            if not taken:
                raise
            self._fault = error
        return bytes(taken)

    async def _some(self, size: int) -> bytes:
        piece = cast(bytes, await self._answer.content.read(size))
        if not piece:
            raise ConnectionError(f"the answer ends at byte {self._at}")
        return piece
