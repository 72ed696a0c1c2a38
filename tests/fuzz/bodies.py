"""Fuzz target: bodies as HTTP sends them, chunked and compressed.

python tests/fuzz/bodies.py corpus/ -max_total_time=60
"""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["millpond.ingest"]):
    from millpond.ingest.http_body import decode_body
    from millpond.ingest.page import Rejected

CODINGS = ("", "gzip", "deflate", "br", "zstd", "gzip, br", "nonsense", "x-gzip")
LIMIT = 1 << 16


def chunked(body: bytes, sizes: bytes) -> bytes:
    """`body` in chunks of these sizes."""
    pieces = []
    for size in sizes:
        piece, body = body[: size + 1], body[size + 1 :]
        if piece:
            pieces.append(b"%x\r\n%s\r\n" % (len(piece), piece))
    pieces.append(b"%x\r\n%s\r\n" % (len(body), body) if body else b"")
    return b"".join(pieces) + b"0\r\n\r\n"


def one_input(data: bytes) -> None:
    """A body is decoded to at most the limit or refused; chunks of it give it back."""
    if len(data) < 6:
        return
    coding, sizes, body = CODINGS[data[0] % len(CODINGS)], data[1:5], data[5:]
    for transfer in ("", "chunked"):
        try:
            decoded = decode_body(body, transfer_encoding=transfer, content_encoding=coding, limit=LIMIT)
        except Rejected:
            continue
        if len(decoded) > LIMIT:
            raise RuntimeError(f"{len(decoded)} bytes, limit {LIMIT}")
    whole = decode_body(chunked(body, sizes), transfer_encoding="chunked", content_encoding="", limit=1 << 24)
    if whole != body:
        raise RuntimeError("chunks were not joined to what they were cut from")


if __name__ == "__main__":
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
