"""DuckDB over data files, for the questions that stages ask themselves: `connect()`, and `scan(files)` in its SQL.

What does not fit in memory spills to a folder of its own among the system's temporary files, which DuckDB makes when
it needs it and removes when the connection closes; it would otherwise lie in the working directory. A full disk, and
memory that does not suffice, are errors of the lake, in one line.
"""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from millpond import storage
from millpond.errors import LakeError


@contextmanager
def connect() -> Iterator[duckdb.DuckDBPyConnection]:
    """An in-memory database of its own, closed at the end of the block.

    Raises:
        LakeError: a file cannot be read, or neither memory nor the folder for temporary files has room.
    """
    try:
        with duckdb.connect(config={"temp_directory": spill_folder()}) as connection:
            reach_warehouses(connection)
            yield connection
    except (duckdb.IOException, duckdb.OutOfMemoryException) as error:
        said = str(error).strip().splitlines()[0]
        raise LakeError(f"{said} (DuckDB spills to {tempfile.gettempdir()}; TMPDIR names another folder)") from error


def reach_warehouses(connection: duckdb.DuckDBPyConnection) -> None:
    """Let a connection read lakes in object storage as everything else here does; it would fetch an extension."""
    for system in storage.warehouse_systems():
        connection.register_filesystem(system)


def spill_folder() -> str:
    """Where a connection may spill."""
    return str(Path(tempfile.gettempdir()) / f"millpond-sql-{secrets.token_hex(8)}")


def scan(files: Iterable[str]) -> str:
    """Parquet files as a table of a FROM clause. Folders named like Hive's partitions are folders."""
    return f"read_parquet([{', '.join(map(quote, files))}], hive_partitioning = false)"


def quote(text: str) -> str:
    """A text as an SQL literal."""
    return "'" + text.replace("'", "''") + "'"
