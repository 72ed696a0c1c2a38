"""Compressions a file may have: how a member of each begins, is inflated and ends.

A member is what a compressor makes at one go: a gzip member, a bzip2 stream, a frame of Zstandard or LZ4.
Every inflater takes input in pieces and is asked for a bounded output, so no member can take much memory.
"""

from __future__ import annotations

import bz2
import re
from collections.abc import Callable
from typing import NamedTuple, Protocol

import lz4.frame
import zstandard
from isal import igzip_lib, isal_zlib

from millpond.ingest.window import Window

_GzipError: type[Exception] = igzip_lib.IsalError  # type: ignore[assignment]  # declared as an instance

#: What inflaters raise on damage; lz4 has no type of its own.
ERRORS: tuple[type[Exception], ...] = (_GzipError, OSError, EOFError, ValueError, RuntimeError, zstandard.ZstdError)

_Igzip, _GZIP_FLAG = igzip_lib.IgzipDecompressor, igzip_lib.DECOMP_GZIP
_ZSTD_WINDOW = 128 << 20
_MAX_DICTIONARY = 16 << 20


class Inflater(Protocol):
    """One member being inflated."""

    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    @property
    def needs_input(self) -> bool: ...

    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


class Codec(NamedTuple):
    """A compression."""

    name: str
    suffix: str
    magic: re.Pattern[bytes]
    """First bytes of a member; enough to look for one."""
    inflater: Callable[[], Inflater]
    input_bytes: int
    """Input is given in pieces of at most this, so that the output of one stays bounded."""
    verbatim: int
    """The longest stretch of what is packed that may stand unchanged in the compressed file."""
    end: Callable[[Window, int], int | None]
    """Where a damaged member at an offset ends by its structure; None where that cannot be told."""
    end_is_sure: bool
    """Whether the checksum or the size stands where `end` says, so that no damage can have moved it."""

    def open(self, head: bytes) -> Inflater:
        """An inflater for the member that begins with `head`."""
        return _Skip() if head[1:4] == _SKIPPABLE else self.inflater()


class _Zstd:
    needs_input = True

    def __init__(self, dictionary: zstandard.ZstdCompressionDict | None) -> None:
        decompressor = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW, dict_data=dictionary)
        self._stream = decompressor.decompressobj()

    @property
    def eof(self) -> bool:
        return self._stream.eof

    @property
    def unused_data(self) -> bytes:
        return self._stream.unused_data

    def decompress(self, data: bytes, max_length: int, /) -> bytes:
        return self._stream.decompress(data)


class _Skip:
    """A skippable frame of Zstandard or LZ4: a member that holds nothing."""

    needs_input = True

    def __init__(self) -> None:
        self._head = b""
        self._left: int | None = None
        self.eof = False
        self.unused_data = b""

    def decompress(self, data: bytes, max_length: int, /) -> bytes:
        if self._left is None:
            self._head += data
            if len(self._head) < 8:
                return b""
            self._left, data = int.from_bytes(self._head[4:8], "little"), self._head[8:]
        self.eof, self.unused_data = len(data) >= self._left, data[self._left :]
        self._left -= min(len(data), self._left)
        return b""


def _gzip() -> Inflater:
    return _Igzip(_GZIP_FLAG)


def _gzip_end(window: Window, offset: int) -> int | None:
    place = offset + 10
    flags = window.at(offset, 4)[3]
    if flags & 4:
        place += 2 + int.from_bytes(window.at(place, 2), "little")
    for flag in (8, 16):  # file name and comment, each up to a zero byte
        if flags & flag:
            length = window.at(place, 1 << 16).find(b"\0")
            if length < 0:
                return None
            place += length + 1
    if flags & 2:
        place += 2
    stream = igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_DEFLATE)
    check = size = 0
    while not stream.eof:
        data = window.at(place, 1 << 16) if stream.needs_input else b""
        if stream.needs_input and not data:
            return None
        place += len(data)
        try:
            piece = stream.decompress(data, 1 << 20)
        except _GzipError:
            return None
        check, size = isal_zlib.crc32(piece, check), size + len(piece)
    end = place - len(stream.unused_data) + 8
    trailer = window.at(end - 8, 8)
    stated = (trailer[:4] == check.to_bytes(4, "little"), trailer[4:] == (size & 0xFFFFFFFF).to_bytes(4, "little"))
    return end if len(trailer) == 8 and any(stated) else None


def _zstd_end(window: Window, offset: int) -> int | None:
    head = window.at(offset, 18)
    try:
        place = offset + zstandard.frame_header_size(head)
        checksum = zstandard.get_frame_parameters(head).has_checksum
    except zstandard.ZstdError:
        return None
    last = 0
    while not last:
        block = int.from_bytes(window.at(place, 3), "little")
        last, kind = block & 1, block >> 1 & 3
        place += 3 + (1 if kind == 1 else block >> 3)
        if kind == 3 or place > window.end:
            return None
    place += 4 * checksum
    return place if place <= window.end else None


def _lz4_end(window: Window, offset: int) -> int | None:
    flags = window.at(offset, 5)[-1]
    place = offset + 7 + 8 * bool(flags & 8) + 4 * bool(flags & 1)
    while size := int.from_bytes(window.at(place, 4), "little") & 0x7FFFFFFF:
        place += 4 + size + 4 * bool(flags & 16)
        if place + 4 > window.end:
            return None
    place += 4 + 4 * bool(flags & 4)
    return place if place <= window.end else None


_SKIPPABLE = b"\x2a\x4d\x18"
#: Bytes that tell a codec's magic.
MAGIC_BYTES = 10

GZIP = Codec("gzip", ".gz", re.compile(rb"\x1f\x8b\x08[\x00-\x1f]"), _gzip, 1 << 16, 65535, _gzip_end, True)
_BZIP2_MAGIC = re.compile(rb"BZh[1-9](?:1AY&SY|\x17rE8P\x90)")
BZIP2 = Codec("bzip2", ".bz2", _BZIP2_MAGIC, bz2.BZ2Decompressor, 1 << 16, 0, lambda window, offset: None, False)
# Zstandard's API knows no output limit, so it is fed little: 1 KiB makes at most 32 MiB.
_ZSTD_MAGIC = re.compile(rb"\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18")
ZSTD = Codec("zstd", ".zst", _ZSTD_MAGIC, lambda: _Zstd(None), 1 << 10, 128 << 10, _zstd_end, False)
_LZ4_MAGIC = re.compile(rb"\x04\x22\x4d\x18|[\x50-\x5f]\x2a\x4d\x18")
LZ4 = Codec("lz4", ".lz4", _LZ4_MAGIC, lz4.frame.LZ4FrameDecompressor, 1 << 16, 4 << 20, _lz4_end, False)
#: In the order they are tried: a skippable frame at the beginning is taken for Zstandard's.
CODECS = (GZIP, BZIP2, ZSTD, LZ4)

_FOREIGN = {b"PK\x03\x04": "ZIP", b"\xfd7zXZ": "XZ"}


def codec_of(window: Window) -> Codec | None:
    """The compression a file begins with; None for none.

    A Zstandard file may begin with a frame that holds the dictionary of all others.
    """
    head = window.at(window.begin, MAGIC_BYTES)
    if head.startswith(b"\x5d\x2a\x4d\x18"):
        size = int.from_bytes(head[4:8], "little")
        if size > _MAX_DICTIONARY:
            return ZSTD
        content = window.at(window.begin + 8, size)
        if content.startswith(b"\x28\xb5\x2f\xfd"):
            reader = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW).stream_reader(content)
            try:
                content = reader.read(_MAX_DICTIONARY)
            except zstandard.ZstdError:
                return ZSTD  # frames that need it will be damage
        dictionary = zstandard.ZstdCompressionDict(content)
        return ZSTD._replace(inflater=lambda: _Zstd(dictionary))
    return next((codec for codec in CODECS if codec.magic.match(head)), None)


def foreign(window: Window) -> str | None:
    """Name of a packing that is known but not read here, if a file begins as one."""
    head = window.at(window.begin, 8)
    return next((kind for magic, kind in _FOREIGN.items() if head.startswith(magic)), None)
