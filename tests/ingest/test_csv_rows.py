"""CSV: rows become pages or are counted with their numbers, whatever their quotes and sizes."""

from __future__ import annotations

import csv
import gzip
import io
import tracemalloc
from pathlib import Path
from typing import Any

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
    rows = list(read_text(str(path), TextConfig(**config)))
    pages = [row for tag, row in rows if tag == "page"]
    rejects = [row for tag, row in rows if tag == "reject"]
    tag, file = rows[-1]
    assert tag == "file" and file["records"] == len(pages) + sum(row["records"] for row in rejects)
    size = sum(row["source_length"] for row in pages) + sum(row["length"] for row in rejects)
    assert file["bytes"] == size + file["padding"]
    if path.suffix in (".jsonl", ".csv", ".tsv"):
        assert file["bytes"] == path.stat().st_size
    return pages, rejects


def test_blank_lines_come_before_the_header_and_behind_it(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(b"\n\r\ntext\n\na text\n\n")
    pages, rejects = read(path)
    assert [(page["body"], page["source_offset"]) for page in pages] == [(b"a text", 0)] and not rejects


def test_rows_become_pages(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(
        b"\xef\xbb\xbfid,text,link,day\r\n"
        b'1,"a ""quoted"", text\r\nof two lines",https://a.example/1,2024-05-01\r\n'
        b"\r\n"
        b'2,5" disk,,\n'
        b"3,,,\n"
    )
    pages, rejects = read(path, url_column="link", id_column="id", date_column="day")
    assert not rejects
    assert [page["body"] for page in pages] == [b'a "quoted", text\r\nof two lines', b'5" disk', b""]
    assert [page["url"] for page in pages] == ["https://a.example/1", f"{path.as_uri()}#2", f"{path.as_uri()}#3"]
    assert [page["source_offset"] for page in pages] == [0, 1, 2]
    assert pages[0]["content_type"] == "text/plain" and pages[0]["fetched_at"] is not None


@pytest.mark.parametrize(
    ("name", "delimiter", "pack"),
    [("x.tsv", None, bytes), ("x.csv", ";", bytes), ("x.csv.gz", ";", gzip.compress), ("x.tsv.zst", None, None)],
)
def test_other_delimiters_and_packed_files(tmp_path: Path, name: str, delimiter: str | None, pack: Any) -> None:
    path = tmp_path / name
    between = delimiter or "\t"
    path.write_bytes((pack or zstandard.compress)(f"n{between}text\n1{between}one, two\n".encode()))
    pages, _ = read(path, delimiter=delimiter, media_type="text/html")
    assert [(page["body"], page["content_type"]) for page in pages] == [(b"one, two", "text/html")]


@pytest.mark.parametrize(
    ("row", "detail"),
    [
        (b"1\n", "1 fields, and the header has 2"),
        (b"1,2,3\n", "3 fields, and the header has 2"),
        (b'1,"a"b\n', "not CSV: "),
        (b"1,bad \xff\n", "lone surrogate"),
        (b"1,mac\rline\n", "not CSV: new-line"),
    ],
)
def test_a_bad_row_is_counted_with_its_number(tmp_path: Path, row: bytes, detail: str) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(b"n,text\n0,first\n" + row + b"2,last\n")
    pages, rejects = read(path)
    assert [(page["body"], page["source_offset"]) for page in pages] == [(b"first", 0), (b"last", 2)]
    assert [(row["reason"], row["offset"]) for row in rejects] == [("bad_row", 1)] and detail in rejects[0]["detail"]


def test_bytes_that_are_not_utf_8_do_no_harm_in_a_column_that_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(b"n,text\n\xff,good\n")
    assert [page["body"] for page in read(path)[0]] == [b"good"]


def test_a_quote_that_is_never_closed(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(b'n,text\n0,first\n1,"open\n2,lost\n')
    pages, rejects = read(path)
    assert [page["body"] for page in pages] == [b"first"]
    assert [row["reason"] for row in rejects] == ["bad_row"] and "unexpected end" in rejects[0]["detail"]


@pytest.mark.parametrize("text", ["x" * 5000, "x\n" * 2500, 'x ""y"",\n' * 500])
def test_a_row_that_is_too_long_is_passed_over(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(f'n,text\n0,first\n1,"{text}",more\n2,"last"\n'.encode())
    pages, rejects = read(path, max_row_bytes=1000)
    assert [(page["body"], page["source_offset"]) for page in pages] == [(b"first", 0), (b"last", 2)]
    assert [row["reason"] for row in rejects] == ["too_large"]
    assert f"row of {len(text) + len('1,..,more.')} bytes" in rejects[0]["detail"]


def test_a_row_as_large_as_a_file_takes_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "x.csv.gz"
    path.write_bytes(gzip.compress(b'n,text\n0,first\n1,"' + bytes(64 << 20)))
    tracemalloc.start()
    try:
        pages, rejects = read(path, max_row_bytes=1 << 20)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(pages) == 1 and [row["reason"] for row in rejects] == ["too_large"] and peak < 8 << 20


def test_a_damaged_archive_gives_what_it_still_holds(tmp_path: Path) -> None:
    path = tmp_path / "x.csv.gz"
    path.write_bytes(gzip.compress(b"n,text\n0,one\n1,two\n") + gzip.compress(b"2,three\n")[:-4])
    pages, rejects = read(path)
    assert [page["body"] for page in pages][:2] == [b"one", b"two"] and rejects[-1]["reason"] == "damaged"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"id,content\n1,x\n", "has no column 'text'; its columns are: content, id"),
        (b"id;text\n1;x\n", "has no column 'text'; its columns are: id;text"),
        (b"text,text\n1,x\n", "has more than one column 'text'"),
        (b'"text\n', "no header can be read"),
        (b"id,text\n", "holds no rows"),
        (b"", "has no column 'text'"),
    ],
)
def test_a_header_that_does_not_do(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        read(path)


FIELD = st.text(st.characters(codec="utf-8", exclude_characters="\r\x00"), max_size=20)


@settings(max_examples=80)
@given(st.lists(st.tuples(FIELD, FIELD), min_size=1, max_size=10), st.booleans())
def test_texts_come_back_whole(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]], all_quoted: bool
) -> None:
    path = tmp_path_factory.mktemp("t") / "x.csv"
    out = io.StringIO(newline="")
    writer = csv.writer(out, quoting=csv.QUOTE_ALL if all_quoted else csv.QUOTE_MINIMAL, lineterminator="\n")
    writer.writerows([("text", "other"), *rows])
    path.write_bytes(out.getvalue().encode())
    pages, rejects = read(path)
    assert not rejects and [page["body"].decode() for page in pages] == [text for text, _ in rows]
