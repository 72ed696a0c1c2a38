"""What an index selects: each condition, all of them together, and what is not even read."""

from __future__ import annotations

import io
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest
from crawl_index import NAMES, index_file
from hypothesis import given
from hypothesis import strategies as st

from millpond.errors import InputError
from millpond.ingest.common_crawl.index import captures
from millpond.ingest.config import CommonCrawlConfig

#: host, its part of the key, domain, languages, stated and detected type, status
ROWS = (
    ("www.alpha.example", "example,alpha", "alpha.example", "eng", "text/html", "text/html", 200),
    ("shop.alpha.example", "example,alpha,shop", "alpha.example", "deu,eng", "text/html", "application/pdf", 200),
    ("alpha.example", "example,alpha", "alpha.example", None, "text/html", None, 200),
    ("beta.example", "example,beta", "beta.example", "eng,deu", "text/plain", "text/plain", 404),
    ("192.0.2.7", "192.0.2.7", "192.0.2.7", "fra", "text/html", "text/html", 200),
)


def index(rows: Sequence[tuple[Any, ...]], group: int = 2, without: str = "") -> io.BytesIO:
    """An index file of these rows; each row's offset is its number."""
    numbered = [
        {
            **dict(zip(NAMES, row, strict=True)),
            "url_surtkey": f"{row[1]})/page",
            "url": f"https://{row[0]}/page",
            "warc_filename": "crawl-data/a.warc.gz",
            "warc_record_offset": number,
            "warc_record_length": 100,
        }
        for number, row in enumerate(rows)
    ]
    return io.BytesIO(index_file([{key: row[key] for key in row if key != without} for row in numbered], group))


def chosen(file: io.BytesIO, **settings: Any) -> set[int]:
    config = CommonCrawlConfig(**{"media_types": (), "statuses": (), **settings})
    return {capture.offset for capture in captures(file, "index", config, 0, 1 << 40)}


@pytest.mark.parametrize(
    ("settings", "wanted"),
    [
        ({}, {0, 1, 2, 3, 4}),
        ({"hosts": ("alpha.example",)}, {2}),
        ({"hosts": ("www.alpha.example",)}, {0}),
        ({"hosts": ("WWW.Alpha.example ",), "domains": ("BETA.example",)}, {0, 3}),
        ({"hosts": ("192.0.2.7",)}, {4}),
        ({"domains": ("alpha.example",)}, {0, 1, 2}),
        ({"domains": ("beta.example",), "hosts": ("alpha.example",)}, {2, 3}),
        ({"languages": ("eng",)}, {0, 3}),
        ({"languages": ("deu", "fra")}, {1, 4}),
        ({"media_types": ("text/html",)}, {0, 2, 4}),
        ({"statuses": (404, 500)}, {3}),
        ({"domains": ("alpha.example",), "languages": ("eng",), "statuses": (200,)}, {0}),
        ({"domains": ("gamma.example",)}, set()),
    ],
)
def test_each_condition(settings: dict[str, Any], wanted: set[int]) -> None:
    assert chosen(index(list(ROWS)), **settings) == wanted


def test_what_is_selected_by_default() -> None:
    found = captures(index(list(ROWS)), "index", CommonCrawlConfig(), 0, 1 << 40)
    assert {capture.offset for capture in found} == {0, 2, 4}


def test_row_groups_without_a_wanted_host_are_not_read() -> None:
    class Counting(io.BytesIO):
        read_bytes = 0

        def read(self, size: int | None = -1) -> bytes:
            data = super().read(size)
            Counting.read_bytes += len(data)
            return data

    rows: list[tuple[Any, ...]] = [
        (f"h{n}.example", f"example,h{n}", f"h{n}.example", "eng", "text/html", None, 200) for n in range(20000)
    ]
    file = Counting(index(rows, group=500).getvalue())
    assert chosen(file, domains=("h77.example",)) == {77}
    few, Counting.read_bytes = Counting.read_bytes, 0
    assert len(chosen(file)) == 20000
    assert few < Counting.read_bytes / 3  # most of it the footer


@given(st.lists(st.integers(0, 4000), max_size=4))
def test_ranges_of_a_file_hold_each_row_once(cuts: list[int]) -> None:
    file = index([row for row in ROWS for _ in range(8)], group=3)
    places = [0, *sorted(cuts), 1 << 40]
    config = CommonCrawlConfig(media_types=(), statuses=())
    found = [
        capture.offset for start, end in pairwise(places) for capture in captures(file, "index", config, start, end)
    ]
    assert found == [capture.offset for capture in captures(file, "index", config, 0, 1 << 40)]
    assert len(found) == 40


def test_a_file_that_is_no_index() -> None:
    with pytest.raises(InputError, match=r"x\.parquet: no index of Common Crawl: it has no column content_languages"):
        list(
            captures(
                index(list(ROWS), without="content_languages"),
                "x.parquet",
                CommonCrawlConfig(languages=("eng",)),
                0,
                1 << 40,
            )
        )
    assert chosen(index(list(ROWS), without="content_languages")) == {0, 1, 2, 3, 4}  # nobody asked for it
    with pytest.raises(InputError, match="x: not a readable Parquet file"):
        list(captures(io.BytesIO(b"nothing of the kind"), "x", CommonCrawlConfig(), 0, 1 << 40))


def test_a_damaged_page_is_an_error_of_the_file() -> None:
    data = bytearray(index(list(ROWS)).getvalue())
    place = data.index(b"https://") - 40
    data[place : place + 30] = b"\xff" * 30
    with pytest.raises(InputError, match="x: damaged, or no index of Common Crawl: "):
        list(captures(io.BytesIO(data), "x", CommonCrawlConfig(media_types=(), statuses=()), 0, 1 << 40))
