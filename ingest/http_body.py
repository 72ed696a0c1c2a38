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

from millpond.schemas import Reason

_PIECE = 1 << 16
_ZSTD_PIECE = 1 << 10  # 1 KiB of zstd makes at most 32 MiB: its API knows no output limit
_ZSTD_WINDOW = 8 << 20  # RFC 9659: the largest window a `Content-Encoding: zstd` may use
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_MAX_CODINGS = 4
_CHUNK_SIZE = re.compile(rb"[ \t]*([0-9A-Fa-f]{1,16})[ \t]*(?:;[^\r\n]*)?\r?\n")
_MEDIA_TYPE = re.compile(r"\s*([^\s;,/]+/[^\s;,]+)")
_CHARSET = re.compile(r";\s*charset\s*=\s*[\"']?([^\s;\"',]+)", re.I)
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")


class BodyError(Exception):
    """A body that cannot be had: `reason` (body_encoding or too_large) and a detail for the reject."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


def parse_content_type(value: str | None) -> tuple[str | None, str | None]:
    """Media type (lower case) and charset label of a Content-Type; None for what it does not say."""
    media_type = _MEDIA_TYPE.match(value or "")
    label = _CHARSET.search(value or "")
    return media_type[1].lower() if media_type else None, label[1] if label else None


def decode_body(body: bytes, *, transfer_encoding: str | None, content_encoding: str | None, limit: int) -> bytes:
    """`body` with its encodings undone, at most `limit` bytes.

    Raises:
        BodyError: a coding is unknown or broken (body_encoding), or the result is too long (too_large).
    """
    transfer = _codings(transfer_encoding)
    codings = _codings(content_encoding)
    if transfer and transfer[-1] == "chunked":
        body = _unchunk(body)
        transfer.pop()
    for coding in reversed(codings + transfer):
        body = _decode(body, coding, limit)
    if len(body) > limit:
        raise BodyError(Reason.TOO_LARGE, f"body of {len(body)} bytes, limit {limit}")
    return body


def _codings(header: str | None) -> list[str]:
    names = [name.strip().lower() for name in (header or "").split(",")]
    names = [name for name in names if name not in ("", "identity", "none", "binary", "7bit", "8bit")]
    if len(names) > _MAX_CODINGS:
        raise BodyError(Reason.BODY_ENCODING, f"{len(names)} encodings on top of each other")
    return names


def _decode(body: bytes, coding: str, limit: int) -> bytes:
    decoder = _DECODERS.get(coding)
    if decoder is None:
        if _is_text(body):
            return body
        raise BodyError(Reason.BODY_ENCODING, f"unknown encoding {coding[:40]!r}")
    if not body:
        return body
    try:
        return decoder(body, limit)
    except (zlib.error, brotli.error, zstandard.ZstdError, EOFError) as error:
        if not _begins_like(coding, body, error) and _is_text(body):
            return body
        raise BodyError(Reason.BODY_ENCODING, f"{coding}: {error}") from error


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
            raise BodyError(Reason.BODY_ENCODING, "chunked: the first chunk has no size")
        return body
    chunks: list[memoryview] = []
    view, position = memoryview(body), 0
    while True:
        head = _CHUNK_SIZE.match(body, position)
        if head is None:
            raise BodyError(Reason.BODY_ENCODING, f"chunked: no chunk size at byte {position}")
        size, start = int(head[1], 16), head.end()
        if size == 0:
            return b"".join(chunks)
        if start + size > len(body):
            raise BodyError(Reason.BODY_ENCODING, f"chunked: a chunk of {size} bytes is cut short")
        chunks.append(view[start : start + size])
        position = start + size
        if body.startswith(b"\r\n", position):
            position += 2
        elif body.startswith(b"\n", position):
            position += 1
        else:
            raise BodyError(Reason.BODY_ENCODING, f"chunked: no line end after the chunk at byte {position}")


class _Output:
    """Pieces of a growing result that refuses to pass its limit."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.size = 0
        self.pieces: list[bytes] = []

    def add(self, piece: bytes) -> None:
        self.size += len(piece)
        if self.size > self.limit:
            raise BodyError(Reason.TOO_LARGE, f"more than {self.limit} bytes when inflated")
        self.pieces.append(piece)


def _inflate(body: bytes, limit: int, wbits: int) -> bytes:
    output = _Output(limit)
    while True:
        stream = zlib.decompressobj(wbits)
        data = body
        while not stream.eof:
            piece = stream.decompress(data, _PIECE)
            data = stream.unconsumed_tail
            if not piece and not data and not stream.eof:
                raise EOFError("the stream is cut short")
            output.add(piece)
        body = stream.unused_data
        if not body:
            return b"".join(output.pieces)
        if wbits != 31 or body[:2] != b"\x1f\x8b":
            raise EOFError(f"{len(body)} bytes after the end of the stream")


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
    output = _Output(limit)
    while True:
        stream = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW).decompressobj()
        position = 0
        while not stream.eof:
            if position >= len(body):
                raise EOFError("the stream is cut short")
            output.add(stream.decompress(body[position : position + _ZSTD_PIECE]))
            position += _ZSTD_PIECE
        body = stream.unused_data + body[position:]
        if not body:
            return b"".join(output.pieces)
        if body[:4] != _ZSTD_MAGIC:
            raise EOFError(f"{len(body)} bytes after the end of the stream")


_DECODERS: dict[str, Callable[[bytes, int], bytes]] = {
    "gzip": _gunzip,
    "x-gzip": _gunzip,
    "deflate": _undeflate,
    "br": _unbrotli,
    "zstd": _unzstd,
}
