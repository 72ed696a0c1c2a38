"""Records, members and whole archives made by hand, so that tests can break them."""

from __future__ import annotations

import bz2
import gzip
import zlib
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


def plainly_stored(data: bytes) -> bytes:
    """A gzip member of `data` in one stored block, without a byte 0xFF where `data` has none."""
    for extra in range(256):  # until no length and no checksum has one
        block = data + b"\n" * (extra + 1)
        size, check = len(block).to_bytes(2, "little"), zlib.crc32(block).to_bytes(4, "little")
        raw = b"\x01" + size + bytes(255 - byte for byte in size) + block
        packed = b"\x1f\x8b\x08\0\0\0\0\0\0\x03" + raw + check + len(block).to_bytes(4, "little")
        if b"\xff" not in packed:
            return packed
    raise ValueError("no such member")


def crafted(before: bytes, verbatim: bytes, behind: bytes) -> bytes:
    """A gzip member that inflates to as many bytes as these three, and four, and has `verbatim` in itself.

    Its Huffman codes are 8 bits long, each the literal itself; 255 and the end of the block have 9 bits.
    """
    bits: list[int] = []

    def put(value: int, width: int) -> None:  # numbers go lowest bit first
        bits.extend(value >> i & 1 for i in range(width))

    def code(value: int, width: int) -> None:  # Huffman codes go highest bit first
        bits.extend(value >> i & 1 for i in reversed(range(width)))

    def literals(data: bytes) -> None:
        for byte in data:
            code(byte, 8) if byte < 255 else code(510, 9)

    for value, width in ((1, 1), (2, 2), (0, 5), (0, 5), (14, 4)):
        put(value, width)
    order = (16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1)
    for symbol in order:
        put({8: 1, 9: 2, 1: 2}.get(symbol, 0), 3)
    for length in [8] * 255 + [9, 9, 1]:
        code({8: 0b0, 1: 0b10, 9: 0b11}[length], {8: 1, 1: 2, 9: 2}[length])
    reverse = bytes(int(f"{i:08b}"[::-1], 2) for i in range(256))
    shift = b"\xff" * (-len(bits) % 8)  # each shifts what is behind it by one bit
    data = before + shift + verbatim.translate(reverse) + behind
    literals(data)
    code(511, 9)
    raw = bytes(sum(bit << i for i, bit in enumerate(bits[at : at + 8])) for at in range(0, len(bits), 8))
    return gzip.compress(b"")[:10] + raw + zlib.crc32(data).to_bytes(4, "little") + len(data).to_bytes(4, "little")
