"""Rows of pages and rejects, and the batches made of them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from millpond.ingest.page import (
    RowBatcher,
    address_of,
    host_of,
    page_row,
    parse_instant,
    registered_domain,
    reject_row,
)
from millpond.reasons import Reason
from millpond.schemas import PAGES, WEB_REJECTS


def page(**changes: Any) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "url": "https://www.example.co.uk/a",
        "fetched_at": datetime(2024, 5, 1, 12, tzinfo=UTC),
        "status": 200,
        "content_type": "text/html",
        "body": b"<p>hello",
        "charset": "utf-8",
        "crawl": None,
        "source_file": "a.warc",
        "source_offset": 0,
        "source_length": 10,
    }
    return page_row(**{**fields, **changes})


def test_a_page_row_fits_the_table_and_its_id_follows_from_what_it_is() -> None:
    row = page()
    assert set(row) == set(PAGES.schema.names)
    assert row["registered_domain"] == "example.co.uk"
    assert len(row["page_id"]) == 32 and int(row["page_id"], 16) >= 0
    assert page(source_file="b.warc", source_offset=7, crawl="x")["page_id"] == row["page_id"]
    for change in ({"url": "https://example.co.uk/b"}, {"fetched_at": None}, {"body": b"other"}):
        assert page(**change)["page_id"] != row["page_id"]


def test_a_reject_row_fits_the_table_whatever_its_text() -> None:
    row = reject_row(file="f", reason=Reason.DAMAGED, detail="x\ud800" * 1000, crawl=None, url="http://h/\udfff")
    assert set(row) == set(WEB_REJECTS.schema.names)
    assert len(row["detail"]) == 300
    batch = RowBatcher(WEB_REJECTS.schema, 1).add(row)
    assert batch is not None and batch.num_rows == 1


@pytest.mark.parametrize(
    ("host", "domain"),
    [
        ("www.example.com", "example.com"),
        ("a.b.example.co.jp", "example.co.jp"),
        ("someone.github.io", "someone.github.io"),
        ("github.io", "github.io"),
        ("192.168.0.1", "192.168.0.1"),
        ("::1", "::1"),
        ("localhost", "localhost"),
    ],
)
def test_registered_domain(host: str, domain: str) -> None:
    assert registered_domain(host) == domain


def test_host_of_odd_addresses() -> None:
    assert host_of("HTTP://User:pw@Example.COM.:8080/x") == "example.com"
    assert host_of("http://[::1]:80/") == "::1"
    assert host_of("http://[bad") is None
    assert host_of("file:///a/b") is None


def test_address_of() -> None:
    assert address_of(" HTTP://Example.COM/A ") == "http://Example.COM/A"
    assert address_of("urn:x:Y") == "urn:x:Y"
    for text in ("", "http", "//h/x", "example.com/x", "1a:b", "\u212a:x"):
        assert address_of(text) is None


def test_parse_instant() -> None:
    assert parse_instant("2015-07-29T20:10:45+02:00") == datetime(2015, 7, 29, 18, 10, 45, tzinfo=UTC)
    assert parse_instant("2024-01-01T00:00:00.123456Z") == datetime(2024, 1, 1, 0, 0, 0, 123456, tzinfo=UTC)
    assert parse_instant("yesterday") is None
    assert parse_instant("0001-01-01T00:00:00+14:00") is None
    assert parse_instant("9999-12-31T23:59:59-01:00") is None


def test_batches_have_the_schema_even_where_a_column_is_all_null() -> None:
    batcher = RowBatcher(PAGES.schema, target_bytes=1 << 20)
    assert batcher.add(page(fetched_at=None, status=None, source_length=None)) is None
    batch = batcher.flush()
    assert batch is not None and batch.schema == PAGES.schema
    assert batcher.flush() is None


def test_a_row_that_does_not_fit_is_an_error() -> None:
    batcher = RowBatcher(PAGES.schema)
    with pytest.raises(ValueError, match="crawl"):
        batcher.add({key: value for key, value in page().items() if key != "crawl"})
    with pytest.raises(ValueError, match="body"):
        batcher.add({**page(), "body": None})


@given(st.lists(st.binary(max_size=200), max_size=60), st.integers(1, 2000))
def test_batches_hold_every_row_once_and_in_order(bodies: list[bytes], target: int) -> None:
    schema = pa.schema([pa.field("body", pa.binary(), nullable=False)])
    batcher = RowBatcher(schema, target)
    batches = [batch for body in bodies if (batch := batcher.add({"body": body})) is not None]
    if (last := batcher.flush()) is not None:
        batches.append(last)
    assert [row["body"] for batch in batches for row in batch.to_pylist()] == bodies
    assert all(sum(map(len, batch["body"].to_pylist()[:-1])) < target for batch in batches)
