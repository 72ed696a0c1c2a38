"""Archives that break readers: each of five records, or fewer, of which one is wrong in its own way."""

from __future__ import annotations

import gzip
from functools import cache
from typing import NamedTuple

import brotli
import zstandard
from warcs import HTML, PACKERS, member, record


class Hostile(NamedTuple):
    """A hostile archive and what must come of it."""

    data: bytes
    pages: str
    """Numbers of the records that become pages."""
    rejects: dict[str, int]
    """Records that do not, by reason."""


def _bomb(megabytes: int) -> bytes:
    return gzip.compress(bytes(megabytes << 20), 9, mtime=0)


def _packed_bomb(codec: str) -> bytes:
    """Three members; 300 MB of blanks are the second's."""
    pack = PACKERS[codec]
    return pack(record(0)) + pack(record(2, HTML + b"\r\n" + b" " * (300 << 20))) + pack(record(3))


def _third(http: bytes | None = None, length: object = None, extra: str = "") -> bytes:
    """Three members; what is given is the second's."""
    return M[0] + member(record(2, http, length, extra)) + M[3]


def _lengths(length: object) -> bytes:
    return b"".join(member(record(number, length=length if number == 2 else None)) for number in range(5))


M = [member(record(number)) for number in range(5)]
_CHUNKED = HTML + b"Transfer-Encoding: chunked\r\n\r\n"
_GZIP = HTML + b"Content-Encoding: gzip\r\n\r\n"
_BR = HTML + b"Content-Encoding: br\r\n\r\n"
_ZSTD = HTML + b"Content-Encoding: zstd\r\n\r\n"


@cache
def hostile_warcs() -> dict[str, Hostile]:
    """Every recipe, by name; about 1 MB together."""
    damaged = {"damaged": 1}
    return {
        "bitflip": Hostile(
            M[0] + M[1] + M[2][:40] + bytes([M[2][40] ^ 255]) + M[2][41:] + M[3] + M[4], "0134", damaged
        ),
        "cut_last": Hostile(b"".join(M)[:-20], "0123", damaged),
        "cut_middle": Hostile(M[0] + M[1] + M[2][:-15] + M[3] + M[4], "0134", damaged),
        "garbage": Hostile(M[0] + M[1] + bytes(64) + b"GARBAGE" + M[2] + M[3] + M[4], "01234", damaged),
        "one_member": Hostile(member(b"".join(map(record, range(5)))), "01234", {}),
        "cl_big": Hostile(_lengths(10**6), "0134", damaged),
        "cl_small": Hostile(_lengths(20), "0134", damaged),
        "cl_neg": Hostile(_third(length=-5), "03", damaged),
        "cl_2e63": Hostile(_third(length=2**63), "03", damaged),
        "cl_text": Hostile(_third(length="abc"), "03", damaged),
        "chunk_bad": Hostile(_third(_CHUNKED + b"zz\r\nhello\r\n0\r\n\r\n"), "03", {"body_encoding": 1}),
        "chunk_huge": Hostile(_third(_CHUNKED + b"ffffffffffffffff\r\nhi\r\n"), "03", {"body_encoding": 1}),
        # A body that only says it is gzip is a page, as in a browser.
        "enc_lie": Hostile(_third(_GZIP + b"<html>not gzip</html>"), "023", {}),
        "http_bomb": Hostile(_third(_GZIP + _bomb(50)), "03", {"too_large": 1}),
        "http_bomb_300": Hostile(_third(_GZIP + _bomb(300)), "03", {"too_large": 1}),
        "member_bomb": Hostile(_third(HTML + b"\r\n" + b" " * (50 << 20)), "03", {"too_large": 1}),
        "member_bomb_300": Hostile(_third(HTML + b"\r\n" + b" " * (300 << 20)), "03", {"too_large": 1}),
        "zstd_bomb_300": Hostile(_packed_bomb("zstd"), "03", {"too_large": 1}),
        "lz4_bomb_300": Hostile(_packed_bomb("lz4"), "03", {"too_large": 1}),
        "bz2_bomb_300": Hostile(_packed_bomb("bzip2"), "03", {"too_large": 1}),
        "br_bomb_300": Hostile(_third(_BR + brotli.compress(bytes(300 << 20), quality=1)), "03", {"too_large": 1}),
        "zstd_body_300": Hostile(_third(_ZSTD + zstandard.compress(bytes(300 << 20))), "03", {"too_large": 1}),
        "hdr_20MB": Hostile(_third(extra="X: " + "a" * (20 << 20) + "\r\n"), "03", damaged),
        "same_id": Hostile(M[0] * 3, "000", {}),
        "only_magic": Hostile(member(b"WARC/1.0"), "", damaged),
        "not_warc": Hostile(b"<html>" * 10, "", damaged),
        "empty": Hostile(b"", "", damaged),
    }
