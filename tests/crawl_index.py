"""Columnar index files as Common Crawl makes them, of rows that a test chooses."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

#: Columns that decide, in the order of a row's values.
NAMES = (
    "url_host_name",
    "url_surtkey",
    "url_host_registered_domain",
    "content_languages",
    "content_mime_type",
    "content_mime_detected",
    "fetch_status",
)


def index_file(rows: Sequence[dict[str, Any]], group: int = 2) -> bytes:
    """An index of these rows, sorted by key."""
    file = io.BytesIO()
    types = {
        "fetch_status": pa.int16(),
        "warc_record_offset": pa.int32(),
        "warc_record_length": pa.int32(),
    }
    ordered = sorted(rows, key=lambda row: str(row["url_surtkey"]))
    table = pa.table(
        {name: pa.array([row[name] for row in ordered], types.get(name, pa.string())) for name in rows[0]}
    )
    pq.write_table(table, file, row_group_size=group)
    return file.getvalue()
