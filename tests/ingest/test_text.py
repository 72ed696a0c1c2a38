"""Texts from JSON Lines and Parquet: every row becomes a page or is counted, with its number."""

from __future__ import annotations

import bz2
import gzip
import json
import tracemalloc
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from millpond.errors import InputError
from millpond.ingest.config import TextConfig
from millpond.ingest.text import read_text

Found = tuple[list[dict[str, Any]], list[dict[str, Any]]]


def read(path: Path, **config: Any) -> Found:
    """Pages and rejects of a file; the counts balance."""
    rows = list(read_text(str(path), TextConfig(**config), crawl="c"))
    pages = [row for tag, row in rows if tag == "page"]
    rejects = [row for tag, row in rows if tag == "reject"]
    tag, file = rows[-1]
    assert tag == "file" and file["records"] == len(pages) + sum(row["records"] for row in rejects)
    size = sum(row["source_length"] for row in pages) + sum(row["length"] for row in rejects)
    assert file["bytes"] == size + file["padding"]
    if path.suffix in (".jsonl", ".csv", ".tsv"):
        assert file["bytes"] == path.stat().st_size
    return pages, rejects


def lines(*rows: object) -> bytes:
    return b"".join(row if isinstance(row, bytes) else json.dumps(row).encode() + b"\n" for row in rows)


@pytest.mark.parametrize(
    ("suffix", "pack"),
    [
        ("", bytes),
        (".gz", gzip.compress),
        (".gz", lambda data: gzip.compress(data[:40]) + gzip.compress(data[40:])),
        (".bz2", bz2.compress),
        (".zst", zstandard.compress),
    ],
)
def test_lines_become_pages(tmp_path: Path, suffix: str, pack: Callable[[bytes], bytes]) -> None:
    path = tmp_path / f"a b.jsonl{suffix}"
    path.write_bytes(pack(b"\xef\xbb\xbf" + lines({"text": "Grüße"}, b"\n", {"text": "", "n": 1}, {"text": "drei"})))
    pages, rejects = read(path)
    assert not rejects
    assert [(page["body"].decode(), page["source_offset"]) for page in pages] == [("Grüße", 0), ("", 2), ("drei", 3)]
    assert pages[0]["url"] == f"{path.as_uri()}#0"
    assert (pages[0]["content_type"], pages[0]["charset"], pages[0]["crawl"]) == ("text/plain", "utf-8", "c")
    assert read(path)[0] == pages  # the same file gives the same ids


BAD: list[tuple[bytes, str]] = [
    (b"not json\n", "not JSON"),
    (b'{"text": "open\n', "not JSON"),
    (b'["text"]\n', "not an object but list"),
    (b'{"other": 1}\n', "text is missing or null"),
    (b'{"text": null}\n', "text is missing or null"),
    (b'{"text": 7}\n', "text is int, not a text"),
    (b'{"text": "x\\ud800"}\n', "lone surrogate at character 1"),
    (b'{"text": "x", "score": NaN}\n', "NaN is not JSON"),
    (b'{"text": "x", "n": ' + b"9" * 5000 + b"}\n", "not JSON"),
    (b'{"text": "a", "text": "b"}\n', "names a key twice"),
    (b'{"text": "bad \xff utf-8"}\n', "not JSON"),
    (b'{"text": ' + b"[" * 100_000 + b"\n", "not JSON"),
]


@pytest.mark.parametrize(("line", "detail"), BAD)
def test_a_bad_line_is_counted_with_its_number(tmp_path: Path, line: bytes, detail: str) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(lines({"text": "first"}, line, {"text": "last"}))
    pages, rejects = read(path)
    assert [page["body"] for page in pages] == [b"first", b"last"]
    assert [(row["reason"], row["offset"]) for row in rejects] == [("bad_row", 1)]
    assert detail in rejects[0]["detail"]


def test_limits(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(lines({"text": "a" * 90}, {"text": "b" * 900}, {"text": "é" * 45}, {"text": "last"}))
    pages, rejects = read(path, max_row_bytes=400, max_body_bytes=80)
    assert [page["body"] for page in pages] == [b"last"]
    assert [(row["reason"], row["offset"]) for row in rejects] == [("too_large", n) for n in (0, 1, 2)]


@pytest.mark.parametrize("suffix", [".jsonl.gz", ".jsonl.zst"])
def test_a_damaged_archive_gives_what_it_still_holds_and_says_so(tmp_path: Path, suffix: str) -> None:
    pack = gzip.compress if suffix.endswith("gz") else zstandard.compress
    path = tmp_path / f"x{suffix}"
    path.write_bytes(pack(lines({"text": "one"}, {"text": "two"})) + pack(lines({"text": "three"}))[:-4])
    pages, rejects = read(path)
    assert [page["body"] for page in pages][:2] == [b"one", b"two"]
    assert [row["reason"] for row in rejects] == ["damaged"]


def test_columns_by_name(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    good = {"body": "t", "link": "https://a.example/1", "key": "k 1", "when": "2024-05-01T00:00:00+02:00"}
    path.write_bytes(
        lines(
            good,
            {**good, "link": None, "when": None},
            {**good, "link": 5},
            {**good, "link": " "},
            {**good, "when": "soon"},
            {**good, "when": "9999-12-31T23:59:59-01:00"},
            {**good, "link": "a.example/1"},
            {**good, "link": "HTTPS://a.example/2"},
            {**good, "link": None, "key": None},
        )
    )
    pages, rejects = read(path, text_column="body", url_column="link", id_column="key", date_column="when")
    addresses = ["https://a.example/1", f"{path.as_uri()}#k%201", "https://a.example/2"]
    assert [page["url"] for page in pages] == addresses
    assert pages[0]["fetched_at"] == datetime(2024, 4, 30, 22, tzinfo=UTC) and pages[1]["fetched_at"] is None
    assert pages[0]["registered_domain"] == "a.example"
    assert [(row["reason"], row["offset"]) for row in rejects] == [("bad_row", n) for n in (2, 3, 4, 5, 6, 8)]


def test_a_wrong_column_name_is_an_error_that_names_the_columns(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    for count in (3, 300):
        path.write_bytes(lines(*[{"content": "x", "id": 1}] * count))
        with pytest.raises(InputError, match="no column 'text'; its columns are: content, id"):
            list(read_text(str(path), TextConfig()))
    table = tmp_path / "x.parquet"
    pq.write_table(pa.table({"content": ["x"], "id": [1]}), table)
    with pytest.raises(InputError, match="no column 'text'; its columns are: content, id"):
        list(read_text(str(table), TextConfig()))
    for each in (path, table):
        with pytest.raises(InputError, match="no column 'where'"):
            list(read_text(str(each), TextConfig(text_column="content", url_column="where")))


def test_columns_that_appear_late_are_read(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(
        lines(*[{"id": n} for n in range(1000)], {"text": "a"}, {"text": "b", "link": "https://h.test/b"})
    )
    pages, rejects = read(path, url_column="link")
    assert [page["url"] for page in pages] == [f"{path.as_uri()}#1000", "https://h.test/b"]
    assert [row["offset"] for row in rejects] == list(range(1000))
    assert {row["detail"] for row in rejects} == {"text is missing or null, not a text"}


def test_only_a_few_names_of_columns_are_remembered(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(lines(*({f"{n}-{'k' * 500}": 1} for n in range(5000)), {"text": "last"}))
    tracemalloc.start()
    try:
        rows = sum(row.get("records", 1) for tag, row in read_text(str(path), TextConfig()) if tag != "file")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert rows == 5001 and peak < 2 << 20


def test_rows_of_a_parquet_file(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    texts = [None] * 50 + [f"text {n}" for n in range(100)]
    days = [date(2024, 5, 1)] * 150
    pq.write_table(pa.table({"text": pa.array(texts, pa.string()), "day": days, "n": range(150)}), path)
    pages, rejects = read(path, batch_rows=7, date_column="day", id_column="n")
    assert [page["source_offset"] for page in pages] == list(range(50, 150))
    assert [row["offset"] for row in rejects] == list(range(50))
    assert pages[0]["fetched_at"] == datetime(2024, 5, 1, tzinfo=UTC)
    assert pages[0]["url"] == f"{path.as_uri()}#50"


@pytest.mark.parametrize(
    "column",
    [
        pa.array([0, 10**18, 1], pa.timestamp("us")),
        pa.array([0, 253402300799 * 10**6, 1], pa.timestamp("us", "+02:00")),
        pa.array([0, 5 * 10**6, 1], pa.date32()),
    ],
)
def test_dates_python_does_not_know_are_bad_rows(tmp_path: Path, column: pa.Array) -> None:
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"text": ["a", "b", "c"], "day": column}), path)
    pages, rejects = read(path, date_column="day")
    assert [page["source_offset"] for page in pages] == [0, 2]
    assert [(row["reason"], row["offset"]) for row in rejects] == [("bad_row", 1)]


def test_a_cell_that_is_not_utf_8_is_a_bad_row(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"text": pa.array([b"a", b"\xff", b"c"]).view(pa.string())}), path)
    pages, rejects = read(path)
    assert [page["body"] for page in pages] == [b"a", b"c"]
    assert [(row["reason"], row["offset"]) for row in rejects] == [("bad_row", 1)]


def test_large_texts_of_a_parquet_file_are_measured_a_few_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    texts = pa.array(["x" * (4 << 20)] * 32)
    pq.write_table(pa.table({"text": texts}), path, use_dictionary=False, write_batch_size=1, compression="zstd")
    del texts
    arrow = 0
    tracemalloc.start()
    try:
        for tag, row in read_text(str(path), TextConfig(max_body_bytes=1 << 20)):
            arrow = max(arrow, pa.total_allocated_bytes())
            assert tag == "file" or row["reason"] == "too_large"
        python = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert arrow < 64 << 20 and python < 2 << 20


def test_a_damaged_parquet_file(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    texts = [f"text {n} " * 20 for n in range(1000)]
    pq.write_table(pa.table({"text": texts}), path, row_group_size=100, compression="zstd", use_dictionary=False)
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 200] = bytes(200)
    path.write_bytes(data)
    pages, rejects = read(path)
    lost = range(rejects[0]["offset"], rejects[0]["offset"] + 100)
    assert [row["reason"] for row in rejects] == ["damaged"] and rejects[0]["records"] == 100
    assert [page["body"].decode() for page in pages] == [t for n, t in enumerate(texts) if n not in lost]
    path.write_bytes(data[:middle])
    with pytest.raises(InputError, match="not a readable Parquet file"):
        read(path)


@pytest.mark.parametrize("name", ["x.jsonl", "x.jsonl.gz", "x.parquet"])
def test_missing_and_empty_files(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    with pytest.raises(InputError, match="no such file"):
        read(path)
    if name.endswith(".parquet"):
        pq.write_table(pa.table({"text": pa.array([], pa.string())}), path)
    else:
        path.write_bytes(b"" if name.endswith("l") else gzip.compress(b"\n"))
    with pytest.raises(InputError, match="holds no rows"):
        read(path)


@settings(max_examples=60)
@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=50), min_size=1, max_size=20), st.booleans())
def test_texts_come_back_whole(tmp_path_factory: pytest.TempPathFactory, texts: list[str], escaped: bool) -> None:
    path = tmp_path_factory.mktemp("t") / "x.jsonl"
    path.write_text("".join(json.dumps({"text": t}, ensure_ascii=escaped) + "\n" for t in texts), encoding="utf-8")
    pages, rejects = read(path)
    assert not rejects and [page["body"].decode() for page in pages] == texts
    assert len({page["page_id"] for page in pages}) == len(texts)


def test_real_tables(test_data: Path) -> None:
    path = next((test_data / "tasks").rglob("*.jsonl"))
    first = json.loads(path.read_bytes().splitlines()[0])
    column = next(name for name, value in first.items() if isinstance(value, str))
    pages, rejects = read(path, text_column=column)
    with path.open("rb") as file:
        assert len(pages) + len(rejects) == sum(1 for line in file if line.strip())
    assert pages
