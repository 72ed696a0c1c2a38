"""Reading WARC files: real ones, broken ones, and the law that nothing goes missing."""

from __future__ import annotations

import gzip
import hashlib
import tracemalloc
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from warcs import HTML, PACKERS, checksum_off, member, record, skippable

from millpond.errors import InputError
from millpond.ingest.config import WarcConfig
from millpond.ingest.page import RowBatcher
from millpond.ingest.warc import read_warc
from millpond.reasons import Reason
from millpond.schemas import PAGES, WEB_REJECTS


class Read:
    """What came of one file, the law already checked."""

    def __init__(self, path: Path, config: WarcConfig | None = None) -> None:
        rows = list(read_warc(str(path), config or WarcConfig(), crawl="c"))
        self.pages = [row for tag, row in rows if tag == "page"]
        self.rejects = [row for tag, row in rows if tag in ("reject", "kinds")]
        assert [tag for tag, _ in rows].count("file") == 1 and rows[-1][0] == "file"
        self.file = rows[-1][1]
        assert self.file["records"] == len(self.pages) + sum(row["records"] for row in self.rejects)
        assert self.file["bytes"] == path.stat().st_size
        lengths = [*(row["source_length"] for row in self.pages), *(row["length"] for row in self.rejects)]
        claimed = sum(length or 0 for length in lengths) + self.file["padding"] + self.file["shared"]
        assert claimed == self.file["bytes"]
        told_by = ("file", "offset", "url", "reason", "detail")
        keys = [tuple(row[name] for name in told_by) for row in self.rejects]
        assert len(keys) == len(set(keys))
        for spec, found in ((PAGES, self.pages), (WEB_REJECTS, self.rejects)):
            batcher = RowBatcher(spec.schema)
            for row in found:
                batcher.add(row)
            batcher.flush()

    @property
    def urls(self) -> list[str]:
        return [row["url"].removeprefix("http://h.test/") for row in self.pages]

    @property
    def reasons(self) -> Counter[str]:
        counts: Counter[str] = Counter()
        for row in self.rejects:
            counts[row["reason"]] += row["records"]
        return counts

    @property
    def damage(self) -> list[tuple[int, int]]:
        return [(r["offset"], r["length"]) for r in self.rejects if r["reason"] == Reason.DAMAGED]


@pytest.fixture
def write(tmp_path: Path) -> Callable[[bytes], Path]:
    def write_file(data: bytes) -> Path:
        path = tmp_path / "some file.warc.gz"
        path.write_bytes(data)
        return path

    return write_file


FIVE = [record(i) for i in range(5)]


@pytest.mark.parametrize("packer", PACKERS)
def test_pages_of_a_good_file_and_where_they_lie(packer: str, write: Callable[[bytes], Path]) -> None:
    parts = [PACKERS[packer](one) for one in FIVE]
    read = Read(write(b"".join(parts)))
    assert read.urls == ["0", "1", "2", "3", "4"] and not read.rejects
    place = 0
    for page, part in zip(read.pages, parts, strict=True):
        assert (page["source_offset"], page["source_length"]) == (place, len(part))
        place += len(part)
    first = read.pages[0]
    assert first["body"] == b"<html><body>document 0</body></html>"
    assert (first["status"], first["content_type"], first["charset"]) == (200, "text/html", "utf-8")
    assert (first["host"], first["crawl"]) == ("h.test", "c")
    assert first["fetched_at"].isoformat() == "2024-01-01T00:00:00+00:00"


@pytest.mark.parametrize("packer", ["gzip", "bzip2", "zstd", "lz4"])
def test_several_records_in_a_member_and_a_record_in_several_members(
    packer: str, write: Callable[[bytes], Path]
) -> None:
    pack = PACKERS[packer]
    whole = b"".join(FIVE)
    together = Read(write(pack(whole)))
    assert together.urls == ["0", "1", "2", "3", "4"]
    # what is marked of them: that none has a range of its own
    assert {(page["source_offset"], page["source_length"]) for page in together.pages} == {(0, None)}
    assert together.file["shared"] == together.file["bytes"]
    blocks = b"".join(pack(whole[i : i + 100]) for i in range(0, len(whole), 100))
    assert Read(write(blocks + pack(b""))).urls == ["0", "1", "2", "3", "4"]


def test_what_becomes_a_page_and_what_is_counted(write: Callable[[bytes], Path]) -> None:
    ok = b"HTTP/1.1 200 OK\r\n"
    parts = [
        record(0, b"software: x", kind="warcinfo"),
        record(1, b"GET / HTTP/1.1", kind="request"),
        record(2, b"GET / HTTP/1.1", kind="request"),
        record(3),
        record(4, b"HTTP/1.1 404 Not Found\r\nContent-Type: text/html\r\n\r\n"),
        record(5, ok + b"Content-Type: image/png\r\n\r\n\x89PNG"),
        record(6, ok + b"\r\n<!doctype html><html><body>no type"),
        record(7, ok + b"Content-Type: TEXT/html; charset=koi8-r\r\n\r\n" + "мир".encode("koi8-r")),
        record(8, b"no http at all"),
        record(9, HTML + b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(b"packed")),
        record(10, HTML + b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(b"packed")[:-3]),
        record(11, HTML + b"Content-Encoding: gzip\r\n\r\n<p>never packed"),
        record(12, HTML + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"),
        record(13, extra="WARC-Segment-Number: 1\r\n"),
        record(14).replace(b"http://h.test/14", b"<http://h.test/14>"),
        record(15).replace(b"WARC-Target-URI: http://h.test/15\r\n", b""),
        record(16).replace(b"http://h.test/16", b"dns:h.test"),
        _lower_head(record(17)),
    ]
    read = Read(write(b"".join(map(member, parts))))
    assert read.urls == ["3", "6", "7", "9", "11", "12", "14", "17"]
    bodies = {page["url"].rpartition("/")[2]: page["body"] for page in read.pages}
    assert (bodies["9"], bodies["11"], bodies["12"]) == (b"packed", b"<p>never packed", b"abc")
    assert read.pages[2]["charset"] == "koi8-r"
    details = {row["detail"]: row["records"] for row in read.rejects}
    assert details["request record"] == 2 and details["warcinfo record"] == 1
    assert {"404", "image/png", "dns: address"} <= details.keys()
    assert read.reasons == {"not_a_page": 8, "http_status": 1, "body_encoding": 1}


def _lower_head(data: bytes) -> bytes:
    head, blank, block = data.partition(b"\r\n\r\n")
    return head.lower() + blank + block


def test_resource_and_conversion_records_are_pages_too(write: Callable[[bytes], Path]) -> None:
    text = record(0, b"plain text", kind="conversion").replace(b"application/http", b"text/plain")
    page = record(1, b"<p>x", kind="resource").replace(b"application/http", b"text/html; charset=latin1")
    data = record(2, b"{}", kind="resource").replace(b"application/http", b"application/json")
    read = Read(write(text + page + data))
    assert [(p["status"], p["content_type"], p["charset"], p["body"]) for p in read.pages] == [
        (None, "text/plain", "utf-8", b"plain text"),
        (None, "text/html", "windows-1252", b"<p>x"),
    ]
    assert read.reasons == {"not_a_page": 1}


def test_limits_hold_and_what_passes_them_is_counted(write: Callable[[bytes], Path]) -> None:
    config = WarcConfig(max_record_bytes=2000, max_body_bytes=1000, max_header_bytes=1000)
    parts = [
        record(0),
        record(1, HTML + b"\r\n" + b" " * 3000),
        record(2, HTML + b"\r\n" + b" " * 1500),
        record(3, HTML + b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(bytes(5000))),
        record(4, HTML + b"X: " + b"a" * 1500 + b"\r\n\r\n<p>"),
        record(5, extra="X: " + "a" * 1500 + "\r\n"),
        record(6),
    ]
    read = Read(write(b"".join(map(member, parts))), config)
    assert read.urls == ["0", "6"]
    assert read.reasons == {"too_large": 4, "damaged": 1}


def test_a_large_member_is_skipped_without_taking_memory(write: Callable[[bytes], Path]) -> None:
    path = write(member(record(0)) + member(record(1, HTML + b"\r\n" + bytes(100 << 20))) + member(record(2)))
    tracemalloc.start()
    try:
        read = Read(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert read.urls == ["0", "2"] and read.reasons == {"too_large": 1}
    assert peak < 8 << 20


M = [member(one) for one in FIVE]


def lengths(value: object) -> list[bytes]:
    return [record(i, length=value if i == 2 else None) for i in range(5)]


#: Broken files: the data, the pages that must come out, how many ranges of damage there are.
BROKEN: dict[str, tuple[bytes, str, int]] = {
    "bit flipped": (M[0] + M[1] + M[2][:40] + bytes([M[2][40] ^ 255]) + M[2][41:] + M[3] + M[4], "0134", 1),
    "checksum wrong": (M[0] + M[1] + checksum_off(M[2]) + M[3], "013", 1),
    "two checksums wrong": (M[0] + checksum_off(M[1]) + M[2] + checksum_off(M[3]) + M[4], "024", 2),
    "first byte wrong": (b"\0" + M[0][1:] + M[1] + M[2], "12", 1),
    "last member cut": (b"".join(M)[:-20], "0123", 1),
    "last checksum cut": (b"".join(M)[:-8], "0123", 1),
    "member cut in the middle": (M[0] + M[1] + M[2][:-15] + M[3] + M[4], "0134", 1),
    "garbage between": (M[0] + M[1] + bytes(64) + b"GARBAGE" + M[2], "012", 1),
    "garbage behind": (b"".join(M) + b"GARBAGE", "01234", 1),
    "garbage behind a plain file": (b"".join(FIVE) + b"GARBAGE", "01234", 1),
    "plain file cut": (b"".join(FIVE)[:-30], "0123", 1),
    "header cut": (M[0] + member(b"WARC/1.0\r\nWARC-Type: resp"), "0", 1),
    "only a version": (member(b"WARC/1.0"), "", 1),
    "length too large": (b"".join(map(member, lengths(10**6))), "0134", 1),
    "length of just one record more": (b"".join(map(member, lengths(len(FIVE[3]) + 99))), "0134", 1),
    "length too small": (b"".join(map(member, lengths(20))), "0134", 1),
    "length too small, a W behind it": (M[0] + member(record(1, HTML + b"\r\n<p>Why", len(HTML) + 5)), "0", 1),
    "length negative": (b"".join(map(member, lengths(-5))), "0134", 1),
    "length 2**63": (b"".join(map(member, lengths(2**63))), "0134", 1),
    "length no number": (b"".join(map(member, lengths("abc"))), "0134", 1),
    "length too large, plain": (b"".join(lengths(10**6)), "0134", 1),
    "length too small, plain": (b"".join(lengths(20)), "0134", 1),
    "header of 2 MB": (M[0] + member(record(2, extra="X: " + "a" * (2 << 20) + "\r\n")) + M[3], "03", 1),
    "not a record between": (M[0] + member(b"<html>") + M[1] + member(b"x" * 99) + M[2], "012", 2),
}


@pytest.mark.parametrize("name", BROKEN)
def test_damage_costs_what_it_must_and_is_reported(name: str, write: Callable[[bytes], Path]) -> None:
    data, pages, ranges = BROKEN[name]
    read = Read(write(data))
    assert "".join(read.urls) == pages
    assert len(read.damage) == ranges and read.reasons == {"damaged": ranges}
    assert_every_byte_is_accounted_for(read)


def assert_every_byte_is_accounted_for(read: Read) -> None:
    # A page before damage in its own member has no length: the damage covers the member.
    spans = sorted([(p["source_offset"], p["source_length"] or 0) for p in read.pages] + read.damage)
    place = 0
    for offset, length in spans:
        assert offset == place
        place += length
    assert place == read.file["bytes"]


def test_a_block_that_does_not_fit_its_digest_is_damage(write: Callable[[bytes], Path]) -> None:
    http = HTML + b"\r\n<p>text"
    right = f"WARC-Block-Digest: sha256:{hashlib.sha256(http).hexdigest()}\r\n"
    wrong = f"WARC-Block-Digest: sha1:{hashlib.sha1(b'').hexdigest()}\r\n"
    unknown = "WARC-Block-Digest: crc32:00000000\r\n"
    path = write(record(0, http, extra=right) + record(1, http, extra=wrong) + record(2, http, extra=unknown))
    assert Read(path).urls == ["0", "2"] and Read(path).reasons == {"damaged": 1}
    assert Read(path, WarcConfig(verify_digests=False)).urls == ["0", "1", "2"]


def test_skippable_frames_are_skipped(write: Callable[[bytes], Path]) -> None:
    frames = [skippable(bytes(3000)), skippable(b"")]
    for number in range(3):
        frames += [PACKERS["zstd"](FIVE[number]), skippable(b"WARC/1.0 is not looked for here")]
    read = Read(write(b"".join(frames)))
    assert read.urls == ["0", "1", "2"] and not read.rejects
    starts = [len(b"".join(frames[:n])) for n in (2, 4, 6)]
    assert [page["source_offset"] for page in read.pages] == starts
    assert Read(write(b"".join(frames)[:-1])).reasons == {"damaged": 1}


@pytest.mark.parametrize("target", ["HTTP://h.test/0", "h.test/0", "http", "a b://h.test/0"])
def test_pages_have_an_address_with_a_scheme_in_lower_case(target: str, write: Callable[[bytes], Path]) -> None:
    read = Read(write(record(0).replace(b"http://h.test/0", target.encode()) + FIVE[1]))
    if target.startswith("HTTP:"):
        assert read.urls == ["0", "1"] and read.pages[0]["host"] == "h.test"
    else:
        assert read.urls == ["1"] and read.reasons == {"not_a_page": 1}
        assert read.rejects[0]["url"] == target


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "an empty file"),
        (member(b""), "holds no records"),
        (member(b"\r\n") * 3, "holds no records"),
        (b"just text in a file named .warc.gz", "no gzip data where a member should begin, but b'just text "),
        (member(b"<html>" * 9), "no WARC record begins here, but b'<html>"),
        (b"PK\x03\x04", "ZIP: not read here"),
        (b"\xfd7zXZ\x00", "XZ: not read here"),
    ],
)
def test_what_is_no_archive_is_one_damaged_range(data: bytes, message: str, write: Callable[[bytes], Path]) -> None:
    read = Read(write(data))
    assert not read.pages and read.damage == [(0, len(data))] and message in read.rejects[0]["detail"]


def test_a_path_that_is_no_file(tmp_path: Path) -> None:
    for path, message in ((tmp_path, "is a folder"), (tmp_path / "no.warc", "no such file")):
        with pytest.raises(InputError, match=message):
            list(read_warc(str(path), WarcConfig()))
