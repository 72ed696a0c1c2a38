"""SQL over the released lake: DuckDB views on Parquet files, and a lock around them.

Input: a lake that names, for every table, the files of its released snapshot. Output: an in-memory
connection with one view per table (`web.pages`, `ops.ledger`, …), or a `.duckdb` file with the same views.
All views show one release, whatever is published meanwhile (only `ops.releases` may list a newer one); a table
without rows is an empty view with the right columns.

`connect` gives a connection that reaches the lake's files and nothing else: no other file, no network, no
extension, no setting. The files it may read it may also overwrite (`COPY … TO` one of them, even inside a
`WITH`), for DuckDB's permission knows no direction. So text from outside goes through `run`, which executes
one reading statement, in a read-only transaction, after its plan was searched for operators that write.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import duckdb
import pyarrow as pa

from millpond import durable
from millpond.duck import quote, reach_warehouses, scan, spill_folder
from millpond.errors import InputError, LakeError
from millpond.schemas import OPS_RELEASES, TABLES, TableSpec
from millpond.storage import is_url

#: Column types of an empty view.
_TYPES: dict[pa.DataType, str] = {
    pa.string(): "VARCHAR",
    pa.int32(): "INTEGER",
    pa.int64(): "BIGINT",
    pa.float64(): "DOUBLE",
    pa.binary(): "BLOB",
    pa.bool_(): "BOOLEAN",
    pa.date32(): "DATE",
    pa.timestamp("us", tz="UTC"): "TIMESTAMP WITH TIME ZONE",
}

#: Plan operators that write a file, or hide a statement which the plan does not show.
_WRITING = ("COPY", "EXECUTE_SERIALIZED", "EXTERNAL_RESOURCE")

#: Oldest DuckDB whose command line opens a file from `write_database`.
_STORAGE = "v1.0.0"


class TableFiles(Protocol):
    """What SQL needs of a lake."""

    def tables(self) -> Mapping[str, int]:
        """Table name → snapshot id of the newest release; empty before the first."""

    def files(self, table: str, snapshot: int | None = None) -> list[str]:
        """Paths or URLs of the Parquet files of one table's snapshot, by default its released one."""


@dataclass(frozen=True)
class Result:
    """A query's answer: `rows` are tuples in the order of `columns`; `types` are DuckDB's names."""

    columns: tuple[str, ...]
    types: tuple[str, ...]
    rows: list[tuple[Any, ...]]
    truncated: bool = False
    """More rows followed than `max_rows`."""


def connect(lake: TableFiles, tables: Mapping[str, int] | None = None) -> duckdb.DuckDBPyConnection:
    """Open an in-memory DuckDB over a release of the lake, then lock it.

    `tables` are the release's snapshots by table; the newest release's by default.

    Times are in UTC. What does not fit in memory spills to the system's folder for temporary files.

    Raises:
        LakeError: a data file of the release is missing or is not Parquet.
    """
    files = _released_files(lake, tables)
    connection = duckdb.connect(
        config={
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
            "allow_community_extensions": "false",
            "allow_persistent_secrets": "false",
            "python_enable_replacements": "false",
            # Only made when something spills, and removed again by DuckDB.
            "temp_directory": spill_folder(),
        }
    )
    reach_warehouses(connection)
    connection.execute("SET GLOBAL TimeZone = 'UTC'")
    reachable = ", ".join(quote(path) for paths in files.values() for path in paths)
    connection.execute(f"SET allowed_paths = [{reachable}]")  # must come before the door closes
    connection.execute("SET enable_external_access = false")
    _create_views(connection, files)
    connection.execute("SET lock_configuration = true")
    return connection


def run(
    connection: duckdb.DuckDBPyConnection,
    sql: str,
    parameters: Mapping[str, Any] | None = None,
    max_rows: int | None = None,
) -> Result:
    """Answer one reading statement (SELECT, WITH, FROM, DESCRIBE, SHOW, SUMMARIZE).

    Args:
        parameters: values of `$name` in `sql`.
        max_rows: fetch at most so many rows and mark the result as truncated if there are more.

    Raises:
        InputError: not exactly one reading statement, or DuckDB refused it; the message is one line.
    """
    with connection.cursor() as cursor:  # a transaction of its own, whatever `connection` is doing
        try:
            statements = cursor.extract_statements(sql)
            if len(statements) != 1:
                raise InputError(f"write one SQL statement at a time; this text holds {len(statements)}")
            _check_reads(statements[0])
            cursor.execute("BEGIN TRANSACTION READ ONLY")
            values = dict(parameters or {})
            plan = cursor.execute(f"EXPLAIN (FORMAT json) {statements[0].query}", values).fetchall()
            _check_plan(plan)
            cursor.execute(statements[0].query, values)
            rows = cursor.fetchall() if max_rows is None else cursor.fetchmany(max_rows)
            truncated = max_rows is not None and cursor.fetchone() is not None
            columns = cursor.description or []
        except duckdb.Error as error:
            raise InputError(f"SQL: {_one_line(error)}") from error
    return Result(
        tuple(str(column[0]) for column in columns),
        tuple(str(column[1]) for column in columns),
        rows,
        truncated,
    )


def write_database(lake: TableFiles, path: str | Path) -> Path:
    """Write a `.duckdb` file with the views, for the duckdb command line, DBeaver or a notebook.

    The file holds no data: its views name the release's Parquet files by absolute path. An existing file at
    `path` is replaced in one step. It is not locked: whoever opens it chooses what their DuckDB may do.

    Raises:
        LakeError: a data file of the release is missing or is not Parquet.
        InputError: `path` cannot be written.
    """
    target = Path(path).absolute()
    part = durable.temporary(target)
    files = _released_files(lake)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            with duckdb.connect() as connection:
                reach_warehouses(connection)
                connection.execute(f"ATTACH {quote(str(part))} AS lake (STORAGE_VERSION {quote(_STORAGE)})")
                connection.execute("USE lake")
                _create_views(connection, files)
                connection.execute("USE memory")
                connection.execute("DETACH lake")
            durable.commit(part, target)
        finally:
            part.unlink(missing_ok=True)
    except (OSError, duckdb.Error) as error:
        raise InputError(f"{target}: cannot write the database: {_one_line(error)}") from error
    return target


def _released_files(lake: TableFiles, tables: Mapping[str, int] | None = None) -> dict[str, list[str]]:
    """Absolute paths by table, all of one release: the snapshots are looked up once."""
    released = lake.tables() if tables is None else tables
    files: dict[str, list[str]] = {}
    for name in TABLES:
        if name in released:
            paths = lake.files(name, released[name])
        elif name == OPS_RELEASES.name:  # a release cannot name the snapshot that its own row makes
            paths = lake.files(name)
        else:
            paths = []
        files[name] = [path if is_url(path) else str(Path(path).absolute()) for path in paths]
    return files


def _create_views(connection: duckdb.DuckDBPyConnection, files: Mapping[str, list[str]]) -> None:
    for schema in sorted({name.partition(".")[0] for name in TABLES}):
        connection.execute(f"CREATE SCHEMA {schema}")
    for name, spec in TABLES.items():
        try:
            connection.execute(f"CREATE VIEW {name} AS {_view(spec, files[name])}")
        except duckdb.Error as error:
            raise LakeError(f"{name}: cannot read its released files: {_one_line(error)}") from error


def _view(spec: TableSpec, paths: list[str]) -> str:
    if paths:
        return f"SELECT * FROM {scan(paths)}"
    columns = ", ".join(f'NULL::{_TYPES[field.type]} AS "{field.name}"' for field in spec.schema)
    return f"SELECT {columns} WHERE false"


def _check_reads(statement: duckdb.Statement) -> None:
    kind = statement.type
    if kind is duckdb.StatementType.MULTI:
        raise InputError("PIVOT: name the values of its columns, as in `PIVOT t ON kind IN ('near', 'exact')`")
    if kind is not duckdb.StatementType.SELECT:
        raise InputError(f"{kind.name} is not possible here: ask with SELECT, FROM, DESCRIBE, SHOW or SUMMARIZE")


def _check_plan(plan: list[tuple[Any, ...]]) -> None:
    for _, text in plan:
        for operator in _operators(json.loads(text)):
            if any(word in operator.upper() for word in _WRITING):
                raise InputError(f"{operator} is not possible here: a query reads the lake and writes nothing")


def _operators(node: Any) -> Iterator[str]:
    if isinstance(node, list):
        for child in node:
            yield from _operators(child)
    elif isinstance(node, dict):
        yield str(node.get("name", ""))
        yield from _operators(node.get("children", []))


def _one_line(error: Exception) -> str:
    """DuckDB's message without the copy of the query and the arrow under it."""
    return " ".join(str(error).partition("\nLINE ")[0].split())
