"""The member reader: nothing goes missing under any damage, and nothing stored inside a record gets out."""

from __future__ import annotations

import io
import random
import tracemalloc
from collections.abc import Sequence
from itertools import pairwise

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st
from warcs import HTML, PACKERS, checksum_off, member, record, skippable, stored

from millpond.ingest.warc_records import Damage, Item, Limits, WarcRecord, read_records

CODECS = ("gzip", "bzip2", "zstd", "lz4", "plain")


def read(data: bytes, name: str = "x.warc") -> list[Item]:
    """Items of a file, which cover all of it."""
    items = list(read_records(io.BytesIO(data), name))
    assert_tiles(items, len(data))
    return items


def assert_tiles(items: Sequence[Item], size: int) -> None:
    """Ranges follow on each other from the first byte to the last; one without a length goes up to the next."""
    place, open_end = 0, False
    for item in items:
        assert item.offset == place or (open_end and item.offset > place), (place, item)
        place, open_end = item.offset + (item.length or 0), item.length is None
    assert place == size or open_end, (place, size)


def uris(items: Sequence[Item]) -> list[str]:
    return [i.headers.get("warc-target-uri", "").rpartition("/")[2] for i in items if isinstance(i, WarcRecord)]


def page(number: int, size: int = 0) -> bytes:
    """A record with its number and `size` bytes that no compressor makes smaller."""
    return record(number, HTML + b"\r\n" + random.Random(number).randbytes(size) + b"%d" % number)


@pytest.mark.parametrize("codec", CODECS)
@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 2**32), faults=st.lists(st.sampled_from(["flip", "cut", "drop", "insert"]), max_size=3))
def test_ranges_cover_the_file_and_records_are_the_originals(codec: str, seed: int, faults: list[str]) -> None:
    rng = random.Random(seed)
    sizes = [rng.choice([0, 50, 5000]) for _ in range(6)]
    records = [page(number, size) for number, size in enumerate(sizes)]
    data = bytearray(b"".join(map(PACKERS[codec], records)))
    for fault in faults:
        place = rng.randrange(len(data) + 1)
        if fault == "flip" and place < len(data):
            data[place] ^= 1 << rng.randrange(8)
        elif fault == "cut":
            del data[place:]
        elif fault == "drop":
            del data[place : place + rng.randrange(1, 50)]
        elif fault == "insert":
            data[place:place] = rng.randbytes(rng.randrange(1, 50))
    items = read(bytes(data), f"x.warc{SUFFIX[codec]}")
    if codec in ("plain", "zstd"):
        return  # no checksum, or none over its header: a changed letter may go unseen, a lost record may not
    whole = {one[one.index(b"HTTP/") : -4] for one in records}
    assert {item.block for item in items if isinstance(item, WarcRecord)} <= whole
    assert len(uris(items)) == 6 or not faults or any(isinstance(i, Damage) for i in items) or "cut" in faults


SUFFIX = {"gzip": ".gz", "bzip2": ".bz2", "zstd": ".zst", "lz4": ".lz4", "plain": ""}


@pytest.mark.parametrize("codec", CODECS)
@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 2**32), fault=st.sampled_from(["flip", "drop", "insert"]), hit=st.integers(0, 4))
def test_one_damaged_record_costs_only_itself(codec: str, seed: int, fault: str, hit: int) -> None:
    rng = random.Random(seed)
    parts = [bytearray(PACKERS[codec](page(number, rng.choice([0, 300])))) for number in range(5)]
    place = rng.randrange(1 if codec == "plain" else 0, len(parts[hit]) - (0 if codec != "plain" else 6))
    if fault == "flip":
        parts[hit][place] ^= 1 << rng.randrange(8)
    elif fault == "drop":
        del parts[hit][place : place + rng.randrange(1, 5)]
    else:
        parts[hit][place:place] = b"\xa5" * rng.randrange(1, 5)
    items = read(b"".join(map(bytes, parts)), f"x.warc{SUFFIX[codec]}")
    found = uris(items)
    if len(found) == 5:  # damage that no one can see: a letter of a plain file, a date in a gzip header
        del found[hit]
    assert found == [str(number) for number in range(5) if number != hit]


def test_records_between_two_damaged_members_come_out_if_they_are_more_than_a_block_can_hold() -> None:
    parts = [member(page(number, 30_000)) for number in range(12)]
    for hit in (2, 8):
        parts[hit] = parts[hit][:300] + b"\0" * 50 + parts[hit][350:]
    items = read(b"".join(parts), "x.warc.gz")
    assert uris(items) == [str(n) for n in range(12) if n not in (2, 8)]
    ranges = [(i.offset, i.length) for i in items if isinstance(i, Damage)]
    assert ranges == [(sum(map(len, parts[:hit])), len(parts[hit])) for hit in (2, 8)]


def outer(inner: bytes, number: int = 1) -> bytes:
    return record(number, b"HTTP/1.1 200 OK\r\nContent-Type: application/warc\r\n\r\n" + inner)


INNER = b"".join(member(page(100 + n, 200)) for n in range(20))


@pytest.mark.parametrize("inner", [INNER, INNER[:-30], INNER[:-8]], ids=["whole", "cut", "without its last checksum"])
@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 2**32), fault=st.sampled_from(["none", "flip", "header", "drop", "insert", "cut", "sum"]))
def test_an_archive_inside_a_record_never_becomes_records(inner: bytes, seed: int, fault: str) -> None:
    """The inner archive lies in the file byte by byte, in one stored block or several, and its record is damaged."""
    rng = random.Random(seed)
    good = [member(page(n)) for n in (0, 2, 3)]
    packed = bytearray(stored(outer(inner)))
    first = packed.index(inner[:20])
    place = rng.randrange(len(packed))
    if fault == "flip":
        packed[place] ^= 1 << rng.randrange(8)
    elif fault == "header":
        packed[rng.randrange(first)] ^= 1 << rng.randrange(8)
    elif fault == "drop":
        del packed[place : place + rng.randrange(1, 9)]
    elif fault == "insert":
        packed[place:place] = rng.randbytes(rng.randrange(1, 9))
    elif fault == "sum":
        packed = bytearray(checksum_off(bytes(packed)))
    data = good[0] + bytes(packed) + good[1] + good[2]
    if fault == "cut":
        data = (good[0] + bytes(packed))[: len(good[0]) + place]
    found = uris(read(data, "x.warc.gz"))
    assert set(found) <= {"0", "1", "2", "3"}
    assert found == (["0"] if fault == "cut" else [uri for uri in "0123" if uri != "1" or uri in found])


@pytest.mark.parametrize("blocks", [16_000, 65_535])
def test_an_archive_larger_than_a_stored_block_never_becomes_records(blocks: int) -> None:
    """Its members are torn where stored blocks meet; a run of them up to there is not believed."""
    inner = b"".join(member(page(100 + n, 3000)) for n in range(60))
    block = outer(inner)
    pieces = [block[i : i + blocks] for i in range(0, len(block), blocks)]
    raw = b"".join(
        bytes([i == len(pieces) - 1]) + len(p).to_bytes(2, "little") + (len(p) ^ 0xFFFF).to_bytes(2, "little") + p
        for i, p in enumerate(pieces)
    )
    packed = member(block)[:10] + raw + member(block)[-8:]
    good = [member(page(n)) for n in (0, 2)]
    assert uris(read(good[0] + packed + good[1], "x.warc.gz")) == ["0", "1", "2"]
    for place in (12, 13, 14, 10 + blocks + 5 + 2, 10 + 2 * (blocks + 5) + 3):
        broken = bytearray(packed)
        broken[place] ^= 255
        assert uris(read(good[0] + bytes(broken) + good[1], "x.warc.gz")) == ["0", "2"]


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_a_plain_archive_inside_a_plain_record_never_becomes_records(seed: int) -> None:
    rng = random.Random(seed)
    inner = b"".join(page(100 + n) for n in range(5))
    packed = bytearray(outer(inner))
    head = packed.index(b"\r\n\r\n")
    packed[rng.randrange(head)] ^= 1 << rng.randrange(8)
    found = uris(read(page(0) + bytes(packed) + page(2)))
    assert found[0] == "0" and found[-1] == "2" and len(found) <= 3 and not any(u.startswith("10") for u in found)


def test_a_dictionary_in_the_first_frame_is_used() -> None:
    samples = [page(n) for n in range(200)]
    dictionary = zstandard.train_dictionary(4096, [*samples])
    pack = zstandard.ZstdCompressor(dict_data=dictionary).compress
    for stated in (dictionary.as_bytes(), zstandard.compress(dictionary.as_bytes())):
        first = b"\x5d\x2a\x4d\x18" + len(stated).to_bytes(4, "little") + stated
        items = read(first + b"".join(map(pack, samples[:5])), "x.warc.zst")
        assert uris(items) == list("01234") and items[0].length == len(first)


def test_headers_of_old_drafts_and_folded_lines() -> None:
    for version in ("WARC/0.17", "WARC/0.18", "warc/1.1"):
        data = page(0).replace(b"WARC/1.0", version.encode()).replace(b"http://h.test", b"http://\r\n h.test")
        data = data.replace(b"Content-Type", b"no colon\r\n folded\r\nContent-Type", 1)
        [found] = read(data)
        assert isinstance(found, WarcRecord) and found.headers["warc-target-uri"] == "http:// h.test/0"


ARC1 = (
    b"filedesc://x.arc 0.0.0.0 20080430204825 text/plain 4\n1 0\n\n"
    b"http://h.test/a b 1.2.3.4 20080430204826 text/html 19\nHTTP/1.1 200 OK\n\nx\n\n"
    b"dns:h.test 1.2.3.4 20080430204827 text/dns 3\nabc\n"
)
ARC2 = ARC1.replace(b" text/html 19", b" text/html 200 checksum - 300 x.arc 19")


@pytest.mark.parametrize("data", [ARC1, ARC2], ids=["v1", "v2"])
@pytest.mark.parametrize("codec", ["plain", "gzip"])
def test_arc_records_are_responses(data: bytes, codec: str) -> None:
    starts = [data.index(b"filedesc"), data.index(b"http:"), data.index(b"dns:"), len(data)]
    packed = [PACKERS[codec](data[a:b]) for a, b in pairwise(starts)]
    items = [i for i in read(b"".join(packed), "x.arc") if isinstance(i, WarcRecord)]
    assert [i.kind for i in items] == ["warcinfo", "response", "response"]
    assert items[1].headers["warc-target-uri"] == "http://h.test/a b" and items[1].block is not None
    assert items[1].headers["warc-date"] == "2008-04-30T20:48:26Z" and len(items[1].block) == 19
    assert [i.length for i in items] == [len(p) for p in packed]
    broken = bytearray(b"".join(packed))
    broken[len(packed[0]) + 8] ^= 255
    assert "h.test" in uris(read(bytes(broken), "x.arc"))[-1]


def test_a_search_among_hostile_candidates_ends() -> None:
    """Places that look like members by the thousand, each of which would inflate for long."""
    lie = stored(b"WARC/1.0\r\nContent-Length: 99\r\n\r\n")[:-8].replace(b"\x01", b"\x00", 1)
    data = member(page(0)) + b"\0" + lie * 20_000 + b"\x1f\x8b\x08\x00" * 50_000
    assert uris(read(data, "x.warc.gz")) == ["0"]


def test_memory_stays_bounded_whatever_a_member_inflates_to() -> None:
    bomb = member(page(1) + bytes(200 << 20))
    head = member(record(2, extra="X: " + "a" * (20 << 20) + "\r\n"))
    data = member(page(0)) + bomb + head + member(page(3))
    tracemalloc.start()
    try:
        items = list(read_records(io.BytesIO(data), "x.warc.gz", Limits(block=1 << 20)))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert uris(items) == ["0", "1", "3"] and peak < 16 << 20


def test_skippable_frames_and_empty_members_are_padding() -> None:
    pack = PACKERS["zstd"]
    items = read(skippable(b"x" * 99) + pack(page(0)) + skippable(b"") + pack(b"") + pack(page(1)) + pack(b""))
    assert [type(item).__name__ for item in items] == ["Padding", "WarcRecord", "Padding", "WarcRecord", "Padding"]


class Once(io.BytesIO):
    """A file that counts what is read of it, and how often reading does not go on where it ended."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.taken = self.jumps = self.place = 0

    def read(self, size: int | None = -1, /) -> bytes:
        self.jumps += self.tell() != self.place
        data = super().read(size)
        self.taken += len(data)
        self.place = self.tell()
        return data


def test_a_clean_file_is_read_forward_once() -> None:
    for codec in CODECS:
        data = b"".join(PACKERS[codec](page(number, 20_000)) for number in range(100))
        file = Once(data)
        assert len(list(read_records(file, "x.warc"))) == 100
        assert file.taken == len(data) > 1 << 20 and file.jumps == 0


@pytest.mark.parametrize("sure", [True, False])
def test_an_end_that_neither_checksum_nor_size_confirms_is_not_believed(sure: bool) -> None:
    """A member can seem to end in the middle of another one, right before an archive that lies there.

    Then its archive comes out only if four bytes of size or checksum fit as well, as they do in a member that is
    damaged and whose end is its own: members that are damaged one after the other are told apart by that.
    """
    size = (8).to_bytes(4, "little") if sure else b"\xee" * 4
    false_end = member(b"whatever")[:-8] + b"\xee" * 4 + size
    data = member(page(0)) + false_end + INNER[: len(INNER) // 2] + b"the rest" + member(page(1)) + member(page(2))
    found = uris(read(data, "x.warc.gz"))
    assert [uri for uri in found if len(uri) == 1] == ["0", "1", "2"]
    assert (len(found) > 3) == sure
