"""Encodings of HTTP bodies: undone exactly, bounded, and never guessed where they are broken."""

from __future__ import annotations

import gzip
import time
import tracemalloc
import zlib

import brotli
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from millpond.ingest.http_body import decode_body, parse_content_type
from millpond.ingest.page import Rejected
from millpond.reasons import Reason

HTML = b"<html><body>" + b"<p>One sentence of prose, and then another.</p>" * 50 + b"</body></html>"


def raw_deflate(body: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(body) + packer.flush()


def unsized_zstd(body: bytes) -> bytes:
    return zstandard.ZstdCompressor(write_content_size=False, write_checksum=True).compress(body)


def chunked(body: bytes, size: int = 100) -> bytes:
    parts = [body[i : i + size] for i in range(0, len(body), size)]
    return b"".join(b"%x;ext=1\r\n%s\r\n" % (len(p), p) for p in parts) + b"0\r\nTrailer: x\r\n\r\n"


ENCODERS = {
    "gzip": gzip.compress,
    "x-gzip": lambda body: gzip.compress(body[:7]) + gzip.compress(body[7:]),
    "deflate": zlib.compress,
    "Deflate": raw_deflate,
    "br": brotli.compress,
    "zstd": unsized_zstd,
}


def decode(body: bytes, coding: str | None = None, transfer: str | None = None, limit: int = 1 << 20) -> bytes:
    return decode_body(body, transfer_encoding=transfer, content_encoding=coding, limit=limit)


@pytest.mark.parametrize("coding", ENCODERS)
@given(body=st.binary(max_size=3000))
def test_every_coding_is_undone(coding: str, body: bytes) -> None:
    assert decode(ENCODERS[coding](body), coding) == body
    assert decode(chunked(ENCODERS[coding](body)), coding, "chunked") == body


def test_stacked_codings_are_undone_from_the_outside() -> None:
    assert decode(brotli.compress(gzip.compress(HTML)), "gzip, br") == HTML
    assert decode(gzip.compress(gzip.compress(HTML)), "gzip,gzip") == HTML
    assert decode(chunked(gzip.compress(HTML)), None, "gzip, chunked") == HTML
    with pytest.raises(Rejected) as caught:
        decode(HTML, "gzip," * 5)
    assert caught.value.reason is Reason.BODY_ENCODING


@pytest.mark.parametrize("coding", [*ENCODERS, "utf-8", "none", "identity", ""])
def test_a_header_that_lies_about_plain_text_is_not_believed(coding: str) -> None:
    assert decode(HTML, coding) == HTML
    assert decode(HTML, coding, "chunked") == HTML


@pytest.mark.parametrize("coding", ENCODERS)
def test_a_stream_cut_short_is_refused(coding: str) -> None:
    packed = ENCODERS[coding](HTML)
    for cut in (1, 4, len(packed) // 2):
        with pytest.raises(Rejected) as caught:
            decode(packed[:-cut], coding)
        assert caught.value.reason is Reason.BODY_ENCODING


def test_data_behind_a_stream_and_binary_under_a_false_name_are_refused() -> None:
    for body, coding in (
        (gzip.compress(HTML) + b"more", "gzip"),
        (unsized_zstd(HTML) + b"more", "zstd"),
        (bytes(range(256)), "gzip"),
        (bytes(range(256)), "compress"),
    ):
        with pytest.raises(Rejected) as caught:
            decode(body, coding)
        assert caught.value.reason is Reason.BODY_ENCODING


@pytest.mark.parametrize(
    "body",
    [
        b"zz\r\nhello\r\n0\r\n\r\n",
        b"ffffffffffffffff\r\nhi\r\n",
        b"5\r\nhello0\r\n\r\n",
        b"5\r\nhello\r\nxx\r\n",
        b"5\r\nhello\r\n",
        b"\x00\x01binary",
    ],
)
def test_broken_chunks_are_refused(body: bytes) -> None:
    with pytest.raises(Rejected) as caught:
        decode(body, None, "chunked")
    assert caught.value.reason is Reason.BODY_ENCODING


@pytest.mark.parametrize("coding", ENCODERS)
def test_a_bomb_costs_no_more_than_its_limit(coding: str) -> None:
    # zstd's interface knows no limit: a piece of input may make 32 MiB
    allowance = 40 << 20 if coding == "zstd" else 4 << 20
    bomb = ENCODERS[coding](bytes(60 << 20))
    assert len(bomb) < 1 << 20
    tracemalloc.start()
    try:
        with pytest.raises(Rejected) as caught:
            decode(bomb, coding, limit=1 << 20)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert caught.value.reason is Reason.TOO_LARGE
    assert peak < allowance


@pytest.mark.parametrize(
    ("coding", "packed"), [("gzip", gzip.compress(b"", mtime=0)), ("zstd", zstandard.compress(b""))]
)
def test_millions_of_empty_members_end_quickly(coding: str, packed: bytes) -> None:
    body = packed * 3_000_000
    begin = time.process_time()
    with pytest.raises(Rejected, match="more than 16384") as caught:
        decode(body, coding)
    assert caught.value.reason is Reason.TOO_LARGE
    assert time.process_time() - begin < 5
    assert decode(packed * 5000 + ENCODERS[coding](HTML), coding) == HTML


def test_tiny_chunks_cost_little_memory() -> None:
    body = chunked(HTML * 20, size=1)
    tracemalloc.start()
    try:
        assert decode(body, None, "chunked") == HTML * 20
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < len(body)


def test_the_limit_is_exact() -> None:
    for coding, packed in (("gzip", gzip.compress(HTML)), ("", HTML)):
        assert decode(packed, coding, limit=len(HTML)) == HTML
        with pytest.raises(Rejected) as caught:
            decode(packed, coding, limit=len(HTML) - 1)
        assert caught.value.reason is Reason.TOO_LARGE


@given(st.binary(max_size=400), st.sampled_from([*ENCODERS, "zz"]), st.sampled_from([None, "chunked"]))
def test_any_bytes_give_a_body_or_a_reason(body: bytes, coding: str, transfer: str | None) -> None:
    try:
        assert len(decode(body, coding, transfer, limit=1000)) <= 1000
    except Rejected as error:
        assert error.reason in (Reason.BODY_ENCODING, Reason.TOO_LARGE) and error.detail


def test_content_type() -> None:
    assert parse_content_type('Text/HTML; Charset="UTF-8"') == ("text/html", "UTF-8")
    assert parse_content_type("text/html;charset=x, text/plain") == ("text/html", "x")
    assert parse_content_type("; charset=a") == (None, "a")
    assert parse_content_type(None) == (None, None)
