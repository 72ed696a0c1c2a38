"""Records, members and whole archives made by hand, so that tests can break them."""

from __future__ import annotations

import bz2
import gzip
from collections.abc import Callable

import lz4.frame
import zstandard

HTML = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n"


def record(
    number: int, http: bytes | None = None, length: object = None, extra: str = "", kind: str = "response"
) -> bytes:
    if http is None:
        body = b"<html><body>document %d</body></html>" % number
        http = HTML + b"Content-Length: %d\r\n\r\n" % len(body) + body
    head = (
        f"WARC/1.0\r\nWARC-Type: {kind}\r\nWARC-Record-ID: <urn:uuid:{number:032d}>\r\n"
        f"WARC-Date: 2024-01-01T00:00:00Z\r\nWARC-Target-URI: http://h.test/{number}\r\n{extra}"
        f"Content-Type: application/http\r\nContent-Length: {len(http) if length is None else length}\r\n\r\n"
    )
    return head.encode() + http + b"\r\n\r\n"


def member(data: bytes) -> bytes:
    return gzip.compress(data, mtime=0)


def stored(data: bytes) -> bytes:
    """A gzip member that holds `data` as it is, in stored blocks."""
    return gzip.compress(data, 0, mtime=0)


def frame(data: bytes) -> bytes:
    """An LZ4 frame with checksums."""
    packed: bytes = lz4.frame.compress(data, content_checksum=True, block_checksum=True)
    return packed


#: How a record is packed into a member, by codec.
PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "plain": bytes,
    "gzip": member,
    "bzip2": bz2.compress,
    "zstd": zstandard.ZstdCompressor(write_checksum=True).compress,
    "lz4": frame,
}


def skippable(data: bytes) -> bytes:
    """A skippable frame of Zstandard or LZ4."""
    return b"\x50\x2a\x4d\x18" + len(data).to_bytes(4, "little") + data


def checksum_off(packed: bytes) -> bytes:
    """A gzip member with a wrong checksum."""
    return packed[:-6] + bytes([packed[-6] ^ 1]) + packed[-5:]
