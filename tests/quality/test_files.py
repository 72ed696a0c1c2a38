"""Files that are not as their table says, and what is said of each."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from millpond.datafile import file_schema, write_rows
from millpond.quality.files import misfits
from millpond.schemas import TABLES

TABLE = "tokens.rejects"
RIGHT = file_schema(TABLES[TABLE])
IDS, COPIES, REASONS = RIGHT


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ([IDS, COPIES], "column reason is missing"),
        ([IDS, COPIES, REASONS, pa.field("note", pa.string())], "column note is none of the table's"),
        ([REASONS, COPIES, IDS], "its columns are in another order"),
        ([IDS, COPIES, REASONS, REASONS], "column reason is there 2 times"),
        ([IDS, COPIES, REASONS.with_type(pa.binary())], "column reason is binary not null, not string not null"),
        ([IDS, COPIES, REASONS.with_nullable(True)], "column reason is string, not string not null"),
    ],
)
def test_each_misfit_is_named(tmp_path: Path, fields: list[pa.Field], sentence: str) -> None:
    path = tmp_path / "file.parquet"
    pq.write_table(pa.schema(fields).empty_table(), path)
    assert misfits(TABLE, [str(path)]) == [f"{path}: {sentence}"]


def test_what_is_written_for_a_table_fits_it(tmp_path: Path) -> None:
    [entry] = write_rows(TABLE, tmp_path, [{"doc_id": "0", "copy": 0, "reason": "no_tokens"}])
    assert misfits(TABLE, [entry.path]) == []
    (tmp_path / "text").write_text("no table")
    [said] = misfits(TABLE, [entry.path, str(tmp_path / "text")])
    assert said.startswith(f"{tmp_path / 'text'}: not a readable Parquet file: ")
