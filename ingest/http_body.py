"""Undoing what HTTP did to a body: transfer encoding `chunked`, then content encodings, stacked or not.

Output is bounded before memory is taken: every decompressor is asked for at most what is still allowed.

Headers lie. Archives keep `Content-Encoding: gzip` beside a body they stored inflated, and browsers show
such a page. So a body that carries no sign of the coding its header names, and reads as text, is taken
as it stands. A body that does carry the sign must decode to its very end; otherwise it is refused.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable

import brotli
import zstandard

from millpond.ingest.page import Rejected
from millpond.reasons import Reason

_PIECE = 1 << 16
_MAX_MEMBERS = 1 << 14  # what is left of a piece is copied once a member: 1 GiB at most
_ZSTD_PIECE = 1 << 8  # 256 bytes of zstd make at most 8 MiB: its API knows no output limit
_ZSTD_WINDOW = 8 << 20  # RFC 9659: the largest window a `Content-Encoding: zstd` may use
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_MAX_CODINGS = 4
_CHUNK_SIZE = re.compile(rb"[ \t]*([0-9A-Fa-f]{1,16})[ \t]*(?:;[^\r\n]*)?\r?\n")
_MEDIA_TYPE = re.compile(r"\s*([^\s;,/]+/[^\s;,]+)")
_CHARSET = re.compile(r";\s*charset\s*=\s*[\"']?([^\s;\"',]+)", re.I)
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")


def parse_content_type(value: str | None) -> tuple[str | None, str | None]:
    """Media type (lower case) and charset label of a Content-Type; None for what it does not say."""
    media_type = _MEDIA_TYPE.match(value or "")
    label = _CHARSET.search(value or "")
    return media_type[1].lower() if media_type else None, label[1] if label else None


def decode_body(body: bytes, *, transfer_encoding: str | None, content_encoding: str | None, limit: int) -> bytes:
    """`body` with its encodings undone, at most `limit` bytes.

    Raises:
        Rejected: a coding is unknown or broken (body_encoding), or the result is too long or has too many
            parts (too_large).
    """
    transfer = _codings(transfer_encoding)
    codings = _codings(content_encoding)
    if transfer and transfer[-1] == "chunked":
        body = _unchunk(body)
        transfer.pop()
    for coding in reversed(codings + transfer):
        body = _decode(body, coding, limit)
    if len(body) > limit:
        raise Rejected(Reason.TOO_LARGE, f"body of {len(body)} bytes, limit {limit}")
    return body


def _codings(header: str | None) -> list[str]:
    names = [name.strip().lower() for name in (header or "").split(",")]
    names = [name for name in names if name not in ("", "identity", "none", "binary", "7bit", "8bit")]
    if len(names) > _MAX_CODINGS:
        raise Rejected(Reason.BODY_ENCODING, f"{len(names)} encodings on top of each other")
    return names


def _decode(body: bytes, coding: str, limit: int) -> bytes:
    decoder = _DECODERS.get(coding)
    if decoder is None:
        if _is_text(body):
            return body
        raise Rejected(Reason.BODY_ENCODING, f"unknown encoding {coding[:40]!r}")
    if not body:
        return body
    try:
        return decoder(body, limit)
    except (zlib.error, brotli.error, zstandard.ZstdError, EOFError) as error:
        if not _begins_like(coding, body, error) and _is_text(body):
            return body
        raise Rejected(Reason.BODY_ENCODING, f"{coding}: {error}") from error


def _begins_like(coding: str, body: bytes, error: Exception) -> bool:
    """Whether a body that could not be decoded begins as the coding does.

    Deflate without zlib's header and Brotli have no sign; what fits them up to its end was cut short.
    """
    if coding in ("gzip", "x-gzip"):
        return body[:2] == b"\x1f\x8b"
    if coding == "zstd":
        return body[:4] == _ZSTD_MAGIC
    return isinstance(error, EOFError) or (coding == "deflate" and _has_zlib_header(body))


def _has_zlib_header(body: bytes) -> bool:
    return len(body) >= 2 and body[0] & 15 == 8 and int.from_bytes(body[:2], "big") % 31 == 0


def _is_text(body: bytes) -> bool:
    return not _CONTROL.search(body, 0, 1024)


def _unchunk(body: bytes) -> bytes:
    """Join the chunks of a `chunked` body; trailers are dropped."""
    if not _CHUNK_SIZE.match(body):
        # No size where the first must be: archives store bodies unchunked and keep the header.
        # The end of a chunked body tells that it was chunked and its beginning is broken.
        if body.rstrip(b"\r\n").endswith(b"\n0") or not _is_text(body):
            raise Rejected(Reason.BODY_ENCODING, "chunked: the first chunk has no size")
        return body
    joined = bytearray()
    view, position = memoryview(body), 0
    while True:
        head = _CHUNK_SIZE.match(body, position)
        if head is None:
            raise Rejected(Reason.BODY_ENCODING, f"chunked: no chunk size at byte {position}")
        size, start = int(head[1], 16), head.end()
        if size == 0:
            return bytes(joined)
        if start + size > len(body):
            raise Rejected(Reason.BODY_ENCODING, f"chunked: a chunk of {size} bytes is cut short")
        joined += view[start : start + size]
        position = start + size
        if body.startswith(b"\r\n", position):
            position += 2
        elif body.startswith(b"\n", position):
            position += 1
        else:
            raise Rejected(Reason.BODY_ENCODING, f"chunked: no line end after the chunk at byte {position}")


class _Output:
    """Pieces of a growing result that refuses to pass its limit."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.size = 0
        self.pieces: list[bytes] = []

    def add(self, piece: bytes) -> None:
        self.size += len(piece)
        if self.size > self.limit:
            raise Rejected(Reason.TOO_LARGE, f"more than {self.limit} bytes when inflated")
        self.pieces.append(piece)


def _inflate(body: bytes, limit: int, wbits: int) -> bytes:
    output, view, position = _Output(limit), memoryview(body), 0
    for _ in range(_MAX_MEMBERS):
        stream = zlib.decompressobj(wbits)
        while not stream.eof:
            data: bytes | memoryview = stream.unconsumed_tail
            if not data:
                data = view[position : position + _PIECE]
                position += len(data)
            piece = stream.decompress(data, _PIECE)
            if not piece and not data and not stream.eof:
                raise EOFError("the stream is cut short")
            output.add(piece)
        position -= len(stream.unused_data)
        if position == len(body):
            return b"".join(output.pieces)
        if wbits != 31 or not body.startswith(b"\x1f\x8b", position):
            raise EOFError(f"{len(body) - position} bytes after the end of the stream")
    raise Rejected(Reason.TOO_LARGE, f"more than {_MAX_MEMBERS} gzip members")


def _gunzip(body: bytes, limit: int) -> bytes:
    return _inflate(body, limit, 31)


def _undeflate(body: bytes, limit: int) -> bytes:
    """`deflate` means zlib; some servers send it without zlib's header."""
    return _inflate(body, limit, 15 if _has_zlib_header(body) else -15)


def _unbrotli(body: bytes, limit: int) -> bytes:
    output, stream = _Output(limit), brotli.Decompressor()
    output.add(stream.process(body, output_buffer_limit=_PIECE))
    while not stream.is_finished():
        piece = stream.process(b"", output_buffer_limit=_PIECE)
        if not piece and not stream.is_finished():
            raise EOFError("the stream is cut short")
        output.add(piece)
    return b"".join(output.pieces)


def _unzstd(body: bytes, limit: int) -> bytes:
    output, view, position = _Output(limit), memoryview(body), 0
    decompressor = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW)
    for _ in range(_MAX_MEMBERS):
        stream = decompressor.decompressobj()
        while not stream.eof:
            data = view[position : position + _ZSTD_PIECE]
            if not data:
                raise EOFError("the stream is cut short")
            position += len(data)
            output.add(stream.decompress(data))
        position -= len(stream.unused_data)
        if position == len(body):
            return b"".join(output.pieces)
        if not body.startswith(_ZSTD_MAGIC, position):
            raise EOFError(f"{len(body) - position} bytes after the end of the stream")
    raise Rejected(Reason.TOO_LARGE, f"more than {_MAX_MEMBERS} zstd frames")


_DECODERS: dict[str, Callable[[bytes, int], bytes]] = {
    "gzip": _gunzip,
    "x-gzip": _gunzip,
    "deflate": _undeflate,
    "br": _unbrotli,
    "zstd": _unzstd,
}
