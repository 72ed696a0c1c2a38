"""The inflated bytes of a file, and where in it each compressed member begins.

Plain, gzip, bzip2 and Zstandard files look the same here: a chain of members, each beginning where the one
before it ends (a plain file is one member). Memory is bounded whatever a member inflates to, and damage is
an exception that says where: a stream that is cut short or fails its checksum is never taken for its end.
"""

from __future__ import annotations

import bz2
import re
from collections.abc import Callable
from typing import BinaryIO, NamedTuple, NoReturn, Protocol

import zstandard
from isal import isal_zlib

from millpond.errors import InputError

_OUTPUT = 1 << 18
_GzipError: type[Exception] = isal_zlib.IsalError  # type: ignore[assignment]  # declared as an instance


class StreamDamage(Exception):
    """A compressed member that cannot be inflated: `offset` is where it begins in the file."""

    def __init__(self, offset: int, detail: str) -> None:
        super().__init__(detail)
        self.offset = offset
        self.detail = detail


class _Inflater(Protocol):
    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    @property
    def needs_input(self) -> bool: ...

    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


class _Gzip:
    def __init__(self) -> None:
        self._stream = isal_zlib.decompressobj(31)

    @property
    def eof(self) -> bool:
        return self._stream.eof

    @property
    def unused_data(self) -> bytes:
        return self._stream.unused_data

    @property
    def needs_input(self) -> bool:
        return not self._stream.unconsumed_tail

    def decompress(self, data: bytes, max_length: int, /) -> bytes:
        return self._stream.decompress(self._stream.unconsumed_tail + data, max_length)


class _Zstd:
    needs_input = True

    def __init__(self) -> None:
        self._stream = zstandard.ZstdDecompressor(max_window_size=128 << 20).decompressobj()

    @property
    def eof(self) -> bool:
        return self._stream.eof

    @property
    def unused_data(self) -> bytes:
        return self._stream.unused_data

    def decompress(self, data: bytes, max_length: int, /) -> bytes:
        return self._stream.decompress(data)


class _Codec(NamedTuple):
    name: str
    magic: re.Pattern[bytes]
    inflater: Callable[[], _Inflater]
    input_bytes: int


_CODECS = (
    _Codec("gzip", re.compile(rb"\x1f\x8b"), _Gzip, 1 << 16),
    _Codec("bzip2", re.compile(rb"BZh"), bz2.BZ2Decompressor, 1 << 16),
    # A skippable frame is a member that holds nothing.
    # Zstandard's API knows no output limit, so it is fed little: 1 KiB makes at most 32 MiB.
    _Codec("zstd", re.compile(rb"\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18"), _Zstd, 1 << 10),
)
_MAGIC_BYTES = 4
_UNREADABLE = {
    b"\x04\x22\x4d\x18": "LZ4",
    b"\x5d\x2a\x4d\x18": "Zstandard with a dictionary in the file",
    b"PK\x03\x04": "ZIP",
    b"\xfd7zXZ": "XZ",
}


class MemberStream:
    """Reads `file` from its beginning, member after member.

    With a `barrier`, reading stops before a member whose first bytes are the barrier (in any case of
    letters), as it stops at the end of the file; `cross` goes on. Once a member was found damaged every
    further read raises the same `StreamDamage`.

    Args:
        file: a seekable binary file.
        name: the file's name, for messages.
        barrier: first bytes of a member that reading does not run into.

    Raises:
        InputError: the file has a compression that is not read here.
    """

    def __init__(self, file: BinaryIO, name: str, barrier: bytes = b"") -> None:
        self._file = file
        self.size = file.seek(0, 2)
        file.seek(0)
        head = file.read(8)
        file.seek(0)
        for magic, kind in _UNREADABLE.items():
            if head.startswith(magic):
                raise InputError(f"{name}: {kind} is not read here: recompress the file with gzip or zstd")
        self._codec = next((codec for codec in _CODECS if codec.magic.match(head)), None)
        self._barrier = barrier.lower()
        self._inflater: _Inflater | None = None
        self._input = b""
        self._buffer = b""
        self._at = 0
        self._damage: StreamDamage | None = None
        #: Whether the next member begins with the barrier and reading stopped there.
        self.at_barrier = False
        #: Bytes given out so far, counted inflated.
        self.position = 0
        #: Where the present member begins in the file.
        self.member_start = 0
        #: Where the present member begins, counted inflated.
        self.member_position = 0

    @property
    def compressed(self) -> bool:
        """Whether the file has a compression."""
        return self._codec is not None

    @property
    def offset(self) -> int:
        """Offset in the file of the next byte; of its member, where the file is compressed."""
        return self.member_start if self.compressed else self.position

    def read(self, size: int) -> bytes:
        """Up to `size` bytes, and at least one but at the end of the file or before the barrier."""
        if not self._more():
            return b""
        piece = self._buffer[self._at : self._at + size]
        self._take(len(piece))
        return piece

    def read_fully(self, size: int, keep: bool = True) -> tuple[bytes, int]:
        """Read `size` bytes, or fewer at the end; the bytes (none unless `keep`) and their number."""
        pieces: list[bytes] = []
        left = size
        while left and (piece := self.read(left)):
            left -= len(piece)
            if keep:
                pieces.append(piece)
        return b"".join(pieces), size - left

    def readline(self, limit: int) -> bytes:
        """Bytes through the next line feed, at most `limit`; fewer only at the end."""
        pieces: list[bytes] = []
        left = limit
        while left > 0 and self._more():
            end = self._buffer.find(b"\n", self._at, self._at + left)
            piece = self.read(left if end < 0 else end + 1 - self._at)
            pieces.append(piece)
            left -= len(piece)
            if end >= 0:
                break
        return b"".join(pieces)

    def peek(self, size: int) -> bytes:
        """The next bytes, up to `size`, as far as they are inflated already; they stay."""
        return self._buffer[self._at : self._at + size]

    def skip_newlines(self) -> int:
        """Pass over line ends within the present member; how many line feeds there were."""
        lines = 0
        while self._at < len(self._buffer) or self._inflate():
            byte = self._buffer[self._at]
            if byte not in b"\r\n":
                break
            lines += byte == 0x0A
            self._take(1)
        return lines

    def member_end(self) -> int | None:
        """Where the present member ends in the file, if all of it has been read; None otherwise.

        Raises:
            StreamDamage: the member is cut short or its checksum is wrong.
        """
        if self._at < len(self._buffer) or self._inflate():
            return None
        return self._file.tell() - (len(self._inflater.unused_data) if self._inflater else 0)

    def drop_member(self) -> None:
        """Pass over what is left of the present member, and stand at the next one's beginning."""
        while self._at < len(self._buffer) or self._inflate():
            self._take(len(self._buffer) - self._at)
        self._more()

    def cross(self) -> bool:
        """Go on behind the barrier, if that is what stopped reading; False at the end of the file."""
        if not self._more():
            self.at_barrier = False
        return self._at < len(self._buffer)

    def _take(self, size: int) -> None:
        self._at += size
        self.position += size

    def _more(self) -> bool:
        """Whether there is a byte to read; inflates, and opens members, up to it."""
        while not self.at_barrier and self._at >= len(self._buffer) and not self._inflate():
            end = self.member_end()
            if end is None or end >= self.size:
                return False
            self.member_start, self.member_position = end, self.position
            self._open_member()
        return not self.at_barrier

    def _open_member(self) -> None:
        if self._codec is None:
            return
        self._input = self._inflater.unused_data if self._inflater else b""
        while len(self._input) < _MAGIC_BYTES and (more := self._file.read(_MAGIC_BYTES)):
            self._input += more
        if not self._codec.magic.match(self._input):
            self._fail(f"no {self._codec.name} data where a member should begin")
        self._inflater = self._codec.inflater()
        head = b""
        while self._barrier and len(head) < len(self._barrier) and self._inflate():
            head += self._buffer
        if head:
            self._buffer, self._at = head, 0
        self.at_barrier = self.member_start > 0 and head[: len(self._barrier)].lower() == self._barrier != b""

    def _inflate(self) -> bool:
        """Put more of the present member into the empty buffer; False at its end."""
        if self._damage:
            raise self._damage
        self._buffer, self._at = b"", 0
        if self._codec is None:
            self._buffer = self._file.read(_OUTPUT)
            return bool(self._buffer)
        while self._inflater and not self._inflater.eof:
            if self._input or not self._inflater.needs_input:
                data, self._input = self._input, b""
            else:
                data = self._file.read(self._codec.input_bytes)
            try:
                self._buffer = self._inflater.decompress(data, _OUTPUT)
            except (_GzipError, OSError, zstandard.ZstdError) as error:
                self._fail(f"{self._codec.name}: {error}", error)
            if self._buffer:
                return True
            if not data and not self._inflater.eof and self._inflater.needs_input:
                self._fail(f"{self._codec.name}: the file ends inside a member")
        return False

    def _fail(self, detail: str, cause: Exception | None = None) -> NoReturn:
        self._buffer, self._at = b"", 0
        self._damage = StreamDamage(self.member_start, detail)
        raise self._damage from cause
