"""DuckDB as stages use it: what is no bug is an error in one line, and names of files are names."""

from __future__ import annotations

import tempfile
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from millpond.duck import connect, scan
from millpond.errors import LakeError


def test_what_the_machine_lacks_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(LakeError, match=r"gone\.parquet") as refused, connect() as connection:
        connection.execute(f"from {scan([str(tmp_path / 'gone.parquet')])}")
    assert "\n" not in str(refused.value)
    monkeypatch.setattr(tempfile, "tempdir", "/proc/nowhere")
    wide = "create table wide as select range as n, repeat('x', 200) || range as t from range(400000)"
    named = "DuckDB spills to /proc/nowhere; TMPDIR names another folder"
    with pytest.raises(LakeError, match=named), connect() as connection:
        connection.execute("set memory_limit = '20MB'")
        connection.execute(wide)
        connection.execute("select * from wide order by t desc").fetchmany(1)


def test_a_wrong_query_stays_a_bug() -> None:
    with pytest.raises(duckdb.BinderException), connect() as connection:
        connection.execute("select nothing_of_this_name")


def test_names_of_files_are_no_patterns_or_partitions(tmp_path: Path) -> None:
    folder = tmp_path / "it's n=1"
    folder.mkdir()
    pq.write_table(pa.table({"m": [7]}), folder / "a.parquet")
    with connect() as connection:
        assert connection.execute(f"select * from {scan([str(folder / 'a.parquet')])}").fetchall() == [(7,)]
