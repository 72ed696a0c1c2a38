from __future__ import annotations

import multiprocessing
import resource
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import duckdb
import pytest

from millpond.errors import InputError, LakeError, MillpondError
from millpond.eval import queries
from millpond.eval.sql import TableFiles, connect, run, write_database
from millpond.schemas import TABLES

Rows = dict[str, list[dict[str, Any]]]


class Publishing(TableFiles, Protocol):
    uri: str

    def publish(self, table: str, rows: list[dict[str, Any]], files: int = 1) -> list[str]: ...


Make = Callable[[Rows], Publishing]

LINE = {"run_id": "r", "stage": "s", "unit": "records", "entry": "in", "amount": 1}


def test_every_table_is_an_empty_typed_view_before_the_first_release(lake: Publishing) -> None:
    with connect(lake) as connection:
        for name, spec in TABLES.items():
            answer = run(connection, f"SELECT * FROM {name}")
            assert answer.columns == tuple(spec.schema.names)
            assert answer.rows == []


def test_an_empty_view_has_the_types_of_a_full_one(lake: Publishing, story: Rows) -> None:
    with connect(lake) as empty:
        before = {name: run(empty, f"SELECT * FROM {name}").types for name in TABLES}
    for name, rows in story.items():
        lake.publish(name, rows[:2])
    with connect(lake) as full:
        for name in TABLES:
            if story[name]:
                assert run(full, f"SELECT * FROM {name}").types == before[name], name


def test_views_hold_the_rows_of_all_files_and_no_column_of_the_path(lake: Publishing, story: Rows) -> None:
    lake.publish("corpus.documents", story["corpus.documents"], files=3)
    with connect(lake) as connection:
        answer = run(connection, "SELECT doc_id, language, fetched_at FROM corpus.documents ORDER BY doc_id")
    expected = [(row["doc_id"], row["language"], row["fetched_at"]) for row in story["corpus.documents"]]
    assert answer.rows == sorted(expected)


def test_times_are_utc_whatever_the_machine_says(lake: Publishing, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    at = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    lake.publish(
        "ops.releases", [{"release": 1, "released_at": at, "run_id": "r", "stage": "s", "digest": "d", "tables": "{}"}]
    )
    with connect(lake) as connection:
        assert run(connection, "SELECT released_at, released_at::VARCHAR FROM ops.releases").rows == [
            (at, "2026-01-02 03:04:05+00")
        ]


def test_a_release_published_meanwhile_is_not_mixed_in(lake: Publishing) -> None:
    lake.publish("ops.ledger", [LINE])
    lake.publish("ops.runs", [{"run_id": "r", "stage": "s", "digest": "d"}])

    class Moving:
        def tables(self) -> Mapping[str, int]:
            released = lake.tables()
            lake.publish("ops.ledger", [LINE, LINE])
            lake.publish("ops.audits", [{"run_id": "r", "table": "t", "expectation": "e", "success": True}])
            return released

        def files(self, table: str, snapshot: int | None = None) -> list[str]:
            return lake.files(table, snapshot)

    with connect(Moving()) as connection:
        counts = run(connection, "SELECT (FROM ops.ledger SELECT count(*)), (FROM ops.audits SELECT count(*))")
    assert counts.rows == [(1, 0)]


def test_a_missing_file_is_named(lake: Publishing) -> None:
    (path,) = lake.publish("ops.ledger", [LINE])
    Path(path).unlink()
    with pytest.raises(LakeError, match=r"ops\.ledger: cannot read its released files: .*No files found"):
        connect(lake)


def test_rows_beyond_the_limit_are_said_to_be_missing(lake: Publishing) -> None:
    with connect(lake) as connection:
        assert run(connection, "FROM range(5)", max_rows=5).truncated is False
        short = run(connection, "FROM range($n)", {"n": 5}, max_rows=4)
    assert (short.rows, short.truncated) == ([(0,), (1,), (2,), (3,)], True)


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("", "one SQL statement at a time; this text holds 0"),
        ("SELECT 1; SELECT 2", "this text holds 2"),
        ("SELEC 1", "SQL: Parser Error: syntax error at or near"),
        ("SELECT nonsense FROM ops.ledger", 'Referenced column "nonsense" not found'),
        ("SELECT $missing", "missing"),
        ("SELECT 'a'::INT", "Could not convert string 'a' to INT32"),
        ("PIVOT ops.ledger ON entry USING sum(amount)", "name the values"),
        ("CREATE TABLE t AS SELECT 1", "CREATE is not possible here"),
    ],
)
def test_a_wrong_query_is_one_clear_line(lake: Publishing, sql: str, message: str) -> None:
    with connect(lake) as connection, pytest.raises(InputError) as raised:
        run(connection, sql)
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("sql", ["DESCRIBE ops.ledger", "SHOW ALL TABLES", "SUMMARIZE ops.ledger", "FROM ops.ledger"])
def test_looking_around_is_possible(lake: Publishing, sql: str) -> None:
    lake.publish("ops.ledger", [LINE])
    with connect(lake) as connection:
        assert run(connection, sql).rows


HOSTILE = [
    "select * from read_text('/etc/passwd')",
    "select * from read_csv('/etc/passwd')",
    "select * from '/etc/passwd'",
    "select * from glob('/etc/*')",
    "select * from sniff_csv('/etc/passwd')",
    "copy (select 1) to '{canary}'",
    "select 1; copy (select 1) to '{canary}'",
    "with x as (copy (select 1) to '{canary}') from x",
    "export database '{canary}'",
    "attach '{canary}' as x",
    "attach '{file}' as x",
    "copy ops.ledger to '{file}' (use_tmp_file false)",
    "with x as (copy (select 1) to '{file}' (use_tmp_file false)) from x",
    "explain analyze copy (select 1) to '{file}' (use_tmp_file false)",
    "select * from json_execute_serialized_sql(json_serialize_sql("
    "'with x as (copy (select 1) to ''{file}'' (use_tmp_file false)) from x'))",
    "select * from query('with x as (copy (select 1) to ''{file}'' (use_tmp_file false)) from x')",
    "with x as (copy (select 'a' d, 1 n) to '{file}' (use_tmp_file false)) pivot x on d using sum(n)",
    "select * from enable_logging(storage='file', storage_config={{'path': '{canary}'}})",
    "select * from enable_profiling(save_location='{canary}')",
    "with x as (insert into ops.ledger values (1) returning *) from x",
    "select * from pyvar",
    "set lock_configuration=false",
    "set memory_limit='1TB'",
    "set enable_external_access=true",
    "install httpfs",
    "load httpfs",
    "select * from 'http://127.0.0.1:9/x.parquet'",
    "create temp table z as select * from range(1000000000)",
    "drop view ops.ledger",
    "select length(repeat('a', 4000000000))",
    "select len(range(1000000000))",
    "select " + "(" * 3000 + "1" + ")" * 3000,
]


CONTROL = "select amount from ops.ledger"


def _attack(lake: TableFiles, names: dict[str, str], answers: multiprocessing.Queue[list[str]]) -> None:
    limit = 6 << 30  # of address space: what ignores DuckDB's own limit fails at once
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    pyvar = {"secret": ["canary"]}  # noqa: F841 - what DuckDB would find in the caller's frame
    through = []
    with connect(lake) as connection:
        for sql in (*HOSTILE, CONTROL):
            try:
                through.append(f"{sql}: {run(connection, sql.format(**names)).rows}")
            except MillpondError:
                continue
            except MemoryError:
                continue
    answers.put(through)


def test_hostile_queries_read_and_write_nothing(make_lake: Make, tmp_path: Path) -> None:
    lake = make_lake({"ops.ledger": [LINE]})
    (file,) = lake.files("ops.ledger")
    content = Path(file).read_bytes()
    names = {"canary": str(tmp_path / "CANARY"), "file": file}
    context = multiprocessing.get_context("fork")
    answers = context.Queue()
    child = context.Process(target=_attack, args=(lake, names, answers))
    child.start()
    through = answers.get(timeout=100)
    child.join()
    assert through == [f"{CONTROL}: [(1,)]"]  # the child was able to answer all along
    assert Path(file).read_bytes() == content
    assert [path for path in Path(lake.uri).rglob("*") if path.is_file()] == [Path(file)]
    assert list(tmp_path.iterdir()) == []


def test_the_lock_is_what_refuses_other_files(lake: Publishing, tmp_path: Path) -> None:
    """`connect` alone, without `run`: no file outside the lake, no setting, no extension."""
    with connect(lake) as connection:
        for sql in ("FROM read_text('/etc/passwd')", f"COPY (SELECT 1) TO '{tmp_path / 'x'}'", "LOAD httpfs"):
            with pytest.raises(duckdb.Error, match="disabled"):
                connection.execute(sql)
        with pytest.raises(duckdb.Error, match="locked"):
            connection.execute("SET threads = 1")


QUERIES = {name: query for name, query in vars(queries).items() if isinstance(query, queries.Query)}


@pytest.mark.parametrize("name", QUERIES)
def test_canned_queries_run_on_any_lake(name: str, lake: Publishing, make_lake: Make, story: Rows) -> None:
    query = QUERIES[name]
    values = {
        "shard": "train-00000.tar",
        "sample": 0,
        "row": 0,
        "run": "run-train",
        "step": 1,
        "domain": "weir.example",
    }
    parameters = {key: values[key] for key in query.parameters}
    with connect(lake) as empty:
        assert run(empty, query.sql, parameters).rows == []
    with connect(make_lake(story)) as full:
        assert run(full, query.sql, parameters).rows


def test_outcomes_account_for_every_candidate(make_lake: Make, story: Rows) -> None:
    with connect(make_lake(story)) as connection:
        outcomes = run(connection, queries.OUTCOMES.sql).rows
    assert outcomes[0][:2] == ("kept", "kept")
    assert sum(row[2] for row in outcomes) == len(story["corpus.candidates"])


def test_balance_shows_a_line_that_was_lost(make_lake: Make, story: Rows) -> None:
    ledger = story["ops.ledger"]
    lost = next(line for line in ledger if line["reason"] == "gopher_quality")
    for lines, difference in ((ledger, 0), ([line for line in ledger if line is not lost], lost["amount"])):
        with connect(make_lake({**story, "ops.ledger": lines})) as connection:
            answer = run(connection, queries.BALANCE.sql)
        books = [dict(zip(answer.columns, row, strict=True)) for row in answer.rows]
        assert [book["difference"] for book in books if book["stage"] == "curate" and book["unit"] == "documents"] == [
            difference
        ]
        assert all(book["difference"] == 0 for book in books if book["stage"] != "curate")


def test_the_database_file_answers_as_the_connection_does(make_lake: Make, story: Rows, tmp_path: Path) -> None:
    lake = make_lake(story)
    path = tmp_path / "out" / "pond.duckdb"
    path.parent.mkdir()
    path.write_text("an older file")
    assert write_database(lake, path) == path
    assert list(path.parent.iterdir()) == [path]
    question = "SELECT registered_domain, count(*) FROM corpus.documents GROUP BY 1 ORDER BY 1"
    with duckdb.connect(str(path), read_only=True) as opened, connect(lake) as connection:
        assert opened.execute(question).fetchall() == run(connection, question).rows
        assert opened.execute("SELECT count(*) FROM web.frontier").fetchall() == [(0,)]
        (tags,) = opened.execute("SELECT tags FROM duckdb_databases() WHERE database_name = 'pond'").fetchall()[0]
    assert tags == {"storage_version": "v1.0.0+"}


def test_a_database_that_cannot_be_written_leaves_nothing(lake: Publishing, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot write the database"):
        write_database(lake, tmp_path / "file" / "pond.duckdb")


def test_words_and_tokens_of_a_vocabulary_are_of_the_same_documents() -> None:
    with duckdb.connect() as connection:
        for statement in (
            "create schema corpus",
            "create schema tokens",
            "create table corpus.documents as from (values ('a', 'en', 10::bigint), ('b', 'en', 90), ('z', 'xx', 0)) "
            "t(doc_id, language, text_bytes)",
            "create table corpus.candidates as from (values ('a', 2::bigint), ('z', 0)) t(doc_id, word_count)",
            "create table tokens.documents as from (values ('a', 0, 5, 1), ('a', 1, 5, 1), ('b', 0, 97, 0), "
            "('z', 0, 1, 0)) t(doc_id, copy, length, unknown)",
        ):
            connection.execute(statement)
        found = connection.execute(queries.FERTILITY.sql).fetchall()
    assert found == [("en", 2, 100, 2.0, 1.0, 0.01), ("xx", 1, 0, None, None, 0.0)]
