"""Parts of archives: however a file is cut, what is read is the same."""

from __future__ import annotations

import io
import random
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from warcs import HTML, PACKERS, checksum_off, crafted, member, plainly_stored, record, skippable, stored

from millpond.ingest.config import IngestConfig, WarcConfig
from millpond.ingest.parts import Part, PartRead, archives, cut_all, settle
from millpond.ingest.read import plan, read_rows
from millpond.ingest.warc import read_part, read_warc
from millpond.ingest.warc_records import Archive, Item, Padding, WarcRecord
from millpond.ingest.window import Window


def read_in_parts(data: bytes, name: str, size: int) -> tuple[list[Item], int]:
    """Items of a file read in parts of `size` bytes and settled, as a driver does it; and how often it read again."""
    parts = [piece for whole in archives(io.BytesIO(data), name) for piece in whole.cut(size)]
    read: list[tuple[PartRead, list[Item]]] = []
    rounds = 0
    while parts:
        rounds += 1
        for part in parts:
            archive = Archive(Window(io.BytesIO(data), part.begin, part.end), part.name)
            began, until = part.bounds(archive)
            items: list[Item] = []
            ended = None
            if began is not None:
                records = archive.records(began, until)
                while True:
                    try:
                        items.append(next(records))
                    except StopIteration as stop:
                        ended = stop.value
                        break
            read.append((PartRead(part, began, ended), items))
        kept, _, parts = settle([one for one, _ in read])
        read = [(one, items) for one, items in read if one in kept]
        assert rounds < 50
    read.sort(key=lambda both: -1 if both[0].began is None else both[0].began)
    return [item for _, items in read for item in items], rounds


def serial(data: bytes, name: str) -> list[Item]:
    return list(Archive(Window(io.BytesIO(data)), name).records())


def page(number: int, size: int = 0) -> bytes:
    return record(number, HTML + b"\r\n" + random.Random(number).randbytes(size) + b"%d" % number)


def archive_of(rng: random.Random, codec: str) -> bytes:
    """A file of a few records of many sizes, some of which hold archives, with padding between."""
    pack = PACKERS[codec]
    parts = []
    for number in range(rng.randrange(1, 12)):
        kind = rng.randrange(8)
        if kind == 0:
            inner = b"".join(pack(page(100 + n, 40)) for n in range(rng.randrange(1, 30)))
            parts.append((stored if codec == "gzip" else pack)(record(number, HTML + b"\r\n" + inner)))
        elif kind == 1 and codec in ("zstd", "lz4"):
            parts.append(skippable(b"x" * 50))
        elif kind == 2 and codec != "plain":
            parts.append(pack(b""))
        elif kind == 3:
            parts.append(pack(page(number) + page(number + 50)))
        else:
            parts.append(pack(page(number, rng.choice([0, 10, 300, 3000]))))
    return b"".join(parts)


SUFFIX = {"gzip": ".gz", "bzip2": ".bz2", "zstd": ".zst", "lz4": ".lz4", "plain": ""}


@pytest.mark.parametrize("codec", PACKERS)
@settings(max_examples=120, deadline=None)
@given(seed=st.integers(0, 2**32), faults=st.integers(0, 3), size=st.integers(1, 3000))
def test_any_part_size_gives_what_reading_at_one_go_gives(codec: str, seed: int, faults: int, size: int) -> None:
    rng = random.Random(seed)
    data = bytearray(archive_of(rng, codec))
    for _ in range(faults):
        place = rng.randrange(len(data))
        fault = rng.randrange(4)
        if fault == 0:
            data[place] ^= 1 << rng.randrange(8)
        elif fault == 1:
            del data[place : place + rng.randrange(1, 60)]
        elif fault == 2:
            data[place:place] = rng.randbytes(rng.randrange(1, 60))
        else:
            del data[max(place, 1) :]
        if not data:
            return
    name = "x.warc" + SUFFIX[codec]
    size = max(size, len(data) // 40)
    assert without_padding(read_in_parts(bytes(data), name, size)[0]) == without_padding(serial(bytes(data), name))


def without_padding(items: list[Item]) -> list[Item]:
    """Padding before a part's first record may be cut in two; it is no row."""
    return [item for item in items if not isinstance(item, Padding)]


@pytest.mark.parametrize("codec", PACKERS)
def test_a_clean_file_is_read_once(codec: str) -> None:
    data = b"".join(PACKERS[codec](page(number, 20_000)) for number in range(60))
    name = f"x.warc{SUFFIX[codec]}"
    for size in (100_000, 250_000, 700_000):
        items, rounds = read_in_parts(data, name, size)
        assert items == serial(data, name) and rounds == 1
        parts = Part("x", name, 0, len(data), 0, len(data)).cut(size)
        guessed = [part.bounds(Archive(Window(io.BytesIO(data)), part.name))[0] for part in parts]
        assert len(guessed) > 1 and None not in guessed[:-1]


def test_an_archive_in_a_record_is_no_place_to_begin() -> None:
    inner = b"".join(member(page(100 + n, 3000)) for n in range(60))
    parts = [member(page(number, 20_000)) for number in range(8)]
    parts.insert(3, stored(record(20, HTML + b"\r\n" + inner)))
    parts.insert(6, checksum_off(stored(record(21, HTML + b"\r\n" + inner))))
    data = b"".join(parts)
    for size in range(5_000, 200_000, 13_337):
        items, rounds = read_in_parts(data, "x.warc.gz", size)
        assert without_padding(items) == without_padding(serial(data, "x.warc.gz")) and rounds == 1


def test_a_member_made_to_look_like_a_chain_is_found_out() -> None:
    """No compressor makes this one: its compressed bytes are themselves a chain longer than any stored block."""
    chain = b"".join(plainly_stored(page(100 + n) + b"\n" * 400) for n in range(150))
    lie = crafted(record(9, HTML + b"\r\n", length=len(HTML) + 2 + 4 + len(chain))[:-4], chain, b"\r\n\r\n")
    assert chain in lie and len(chain) > 65535
    parts = [member(page(number, 5_000)) for number in range(30)]
    data = b"".join([*parts[:15], lie, *parts[15:]])
    items = serial(data, "x.warc.gz")
    assert len(items) == 31 and all(isinstance(item, WarcRecord) for item in items)
    again = set()
    for size in range(20_000, 120_000, 7_777):
        found, rounds = read_in_parts(data, "x.warc.gz", size)
        assert found == items
        again.add(rounds)
    assert max(again) > 1


def test_a_plain_archive_in_a_plain_record_is_a_wrong_guess_that_is_found_out() -> None:
    """It is longer than what a guess is judged by; records behind damage begin where that is judged by more."""
    inner = b"".join(page(100 + n, 20_000) for n in range(80))
    assert len(inner) > 1 << 20
    pages = [page(n, 20_000) for n in range(20)]
    pages[12] = b"-" + pages[12]
    data = b"".join([*pages[:8], record(99, HTML + b"\r\n" + inner), *pages[8:]])
    items = serial(data, "x.warc")
    assert [type(item) for item in items].count(WarcRecord) == 20
    again = set()
    for size in range(150_000, 700_000, 77_777):
        found, rounds = read_in_parts(data, "x.warc", size)
        assert found == items
        again.add(rounds)
    assert max(again) > 1


def test_a_wrong_guess_is_thrown_away_and_read_again() -> None:
    part = Part("x", "x", 0, 100, 0, 100)
    first, inside, last = (PartRead(part, b, e) for b, e in ((0, 50), (40, 45), (60, 100)))
    kept, dropped, again = settle([last, inside, first])
    assert (kept, dropped) == ([first, last], [inside])
    assert [(one.start, one.stop, one.exact) for one in again] == [(50, 60, True)]
    beyond = PartRead(again[0], 50, 70)
    kept, dropped, again = settle([*kept, beyond])
    assert (kept, dropped) == ([first, beyond], [last]) and [(one.start, one.stop) for one in again] == [(70, 100)]
    assert settle([*kept, PartRead(again[0], 70, 100)])[1:] == ([], [])


def test_parts_are_enough_for_the_cores_and_no_smaller_than_makes_sense() -> None:
    whole = Part("x", "x", 0, 100 << 20, 0, 100 << 20)
    assert len(cut_all([whole], 128 << 20)) == 1
    assert len(cut_all([whole], 128 << 20, tasks=4)) == 4
    assert len(cut_all([whole, whole], 10 << 20, tasks=4)) == 20
    assert len(cut_all([whole], 128 << 20, tasks=1000)) == 25


def wacz(path: Path, files: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as file:
        for name, data in files.items():
            file.writestr(name, data)
    return path


def test_archives_inside_a_wacz_are_read_where_they_lie(tmp_path: Path) -> None:
    one = b"".join(member(page(n)) for n in range(3))
    path = wacz(
        tmp_path / "x.wacz",
        {"pages/pages.jsonl": b"{}", "archive/one.warc.gz": one, "archive/two.warc": page(7), "archive/x.txt": b"x"},
    )
    rows = list(read_warc(str(path), WarcConfig()))
    pages = [row for tag, row in rows if tag == "page"]
    assert [row["url"].rpartition("/")[2] for row in pages] == ["0", "1", "2", "7"]
    assert pages[0]["source_file"] == f"{path}/archive/one.warc.gz"
    data = path.read_bytes()
    for row, packed in zip(pages, [*map(member, map(page, range(3))), page(7)], strict=True):
        assert data[row["source_offset"] :][: row["source_length"]] == packed
    counts = [row for tag, row in rows if tag == "file"]
    assert [(row["records"], row["bytes"]) for row in counts] == [(3, len(one)), (1, len(page(7)))]
    parts = plan({str(path): None}, 60)
    assert len(parts) > 4 and all(part.begin <= part.start < part.end for part in parts)
    again = [row for part in parts for tag, row in read_rows(part, IngestConfig()) if tag == "page"]
    assert again == pages


def test_what_cannot_be_read_in_a_wacz_is_said(tmp_path: Path) -> None:
    for number, (path, said) in enumerate(
        [
            (wacz(tmp_path / "1.wacz", {"archive/a.warc": page(0)}, zipfile.ZIP_DEFLATED), "compressed inside"),
            (wacz(tmp_path / "2.wacz", {"a.txt": b"x"}), "no WARC file in its folder archive/"),
            (tmp_path / "3.wacz", "not a readable ZIP"),
        ]
    ):
        if number == 2:
            path.write_bytes(b"PK\x03\x04 and no more")
        [(kind, row), (_, count)] = list(read_warc(str(path), WarcConfig()))
        assert kind == "reject" and row["reason"] == "damaged" and said in row["detail"]
        assert count["records"] == 1


def test_archives_of_one_name_in_a_wacz_are_two_and_overlapping_ones_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.wacz"
    with zipfile.ZipFile(path, "w") as file, pytest.warns(UserWarning, match="Duplicate name"):
        file.writestr("archive/a.warc", page(0))
        file.writestr("archive/a.warc", page(1) + page(2))
        file.filelist.append(file.filelist[1])
    parts = plan({str(path): None}, 1 << 30)
    assert [part.refused for part in parts] == ["", "", "overlaps another file in the WACZ"]
    assert len({part.name for part in parts}) == 1 and len({part.whole for part in parts}) == 3
    rows = list(read_warc(str(path), WarcConfig()))
    assert [row["url"].rpartition("/")[2] for tag, row in rows if tag == "page"] == ["0", "1", "2"]
    assert [row["records"] for tag, row in rows if tag == "file"] == [1, 2, 1]


def test_counts_of_a_file_add_up_over_its_parts() -> None:
    data = b"".join(member(page(n, 3000)) + member(record(n, b"x", kind="request")) for n in range(60))
    whole = Part("x.warc.gz", "x.warc.gz", 0, len(data), 0, len(data))
    totals = []
    for size in (len(data), 40_000):
        rows = [row for part in whole.cut(size) for row in read_part(io.BytesIO(data), part, WarcConfig())]
        files = [row for tag, row in rows if tag == "file"]
        kinds = sum(row["records"] for tag, row in rows if tag == "kinds")
        totals.append((sum(row["records"] for row in files), sum(row["bytes"] for row in files), kinds))
    assert totals == [(120, len(data), 60)] * 2
