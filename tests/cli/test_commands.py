"""The whole way from WARC to report through the command line, and every way of looking at what came of it."""

from __future__ import annotations

import hashlib
import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import duckdb
import pytest
from command import Whole, call, on_terminal
from warcio.archiveiterator import ArchiveIterator

from millpond import __version__

STAGES = ("ingest", "curate", "tokenize", "train", "eval")
COMMANDS = (
    *("ingest", "curate", "mix", "tokenize", "train", "eval", "compact", "export"),
    *("report", "sql", "trace", "tables", "snapshots", "doctor", "run", "demo"),
)


def ask(whole: Whole, query: str) -> list[dict[str, Any]]:
    """A query's rows, through the command line."""
    ended = call("sql", query, "--lake", whole.lake.uri, "--output", "json")
    assert ended.code == 0 and ended.err == "", ended.err
    return list(json.loads(ended.out))


def test_run_shows_each_stage_as_it_ends_and_a_table_of_all(whole: Whole) -> None:
    lines = whole.ended.out.splitlines()
    assert [line.partition(":")[0] for line in lines[:5]] == list(STAGES)
    assert lines[0] == "ingest: release 1 (in 40, out 40)"
    assert lines[5].split() == ["stage", "release", "unit", "in", "out", "the", "rest", "seconds"]
    assert [line.split()[:2] for line in lines[6:12]] == [
        ["ingest", "1"],
        ["curate", "2"],
        ["tokenize", "3"],
        ["tokenize", "3"],
        ["train", "4"],
        ["eval", "5"],
    ]
    report = whole.lake.root / "report.html"
    assert lines[-1] == f"report: {report}" and "Millpond report" in report.read_text()


def test_progress_is_lines_without_a_terminal_and_libraries_are_silent(whole: Whole) -> None:
    [last] = [line for line in whole.ended.err.splitlines() if " step 6/6 (100.0%)" in line]
    assert last.count(" | ") == 6 and "eta 0:00:00" in last, "a step is one line, however long"
    for noise in ("Loading weights", "Writing model", "%|", "WARN"):
        assert noise not in whole.ended.err


def test_second_run_changes_nothing_and_says_so(whole: Whole) -> None:
    before = [release.number for release in whole.lake.releases()]
    again = call("run", whole.config, "--lake", whole.lake.uri)
    assert again.code == 0 and before == [1, 2, 3, 4, 5]
    assert [release.number for release in whole.lake.releases()] == before
    for number, stage in enumerate(STAGES, 1):
        assert f"{stage}: nothing to do, release {number} already holds this input and configuration" in again.out
    assert again.out.splitlines()[5:] == whole.ended.out.splitlines()[5:]


def test_every_reject_has_a_reason(whole: Whole) -> None:
    query = "select reason, count(*) as pages from corpus.rejects group by 1 order by 1"
    shown = call("sql", query, "--lake", whole.lake.uri)
    lines = [line.split() for line in shown.out.splitlines()]
    assert lines[0] == ["reason", "pages"] and len(lines) > 3
    counted = Counter(whole.lake.read("corpus.rejects", ["reason"])["reason"].to_pylist())
    assert {reason: int(pages) for reason, pages in lines[1:]} == counted


def test_ledger_balances_and_is_what_the_tables_hold(whole: Whole) -> None:
    lines = ask(
        whole,
        "select stage, unit, sum(amount) filter (entry = 'in') as came, sum(amount) filter (entry = 'out') as went, "
        "sum(amount) filter (entry <> 'in') as told from ops.ledger group by all",
    )
    assert {line["stage"] for line in lines} == set(STAGES)
    assert all(line["came"] == line["told"] for line in lines)
    amounts = {(line["stage"], line["unit"]): (line["came"], line["went"]) for line in lines}
    rows = whole.lake.rows
    assert amounts["ingest", "records"] == (40, rows("web.pages"))
    assert amounts["curate", "documents"] == (rows("web.pages"), rows("corpus.documents"))
    assert amounts["tokenize", "documents"][0] == rows("corpus.documents")
    assert amounts["tokenize", "tokens"][1] == sum(whole.lake.read("tokens.shards", ["tokens"])["tokens"].to_pylist())
    assert amounts["train", "records"] == (48, rows("train.batches"))
    assert amounts["eval", "records"][1] == 16


def test_a_token_sample_leads_back_to_bytes_of_the_archive(whole: Whole) -> None:
    found = ask(
        whole,
        """
        select t.shard, t.sample, d.url, p.source_file, p.source_offset, p.source_length, p.payload_digest
        from tokens.documents t
        join corpus.documents d using (doc_id)
        join web.pages p on p.page_id = d.doc_id
        where t.shard = (select min(shard) from tokens.shards where split = 'train') and t.sample = 0
        """,
    )
    assert found
    for page in found:
        assert page["source_file"] == str(whole.warc)
        with Path(page["source_file"]).open("rb") as file:
            file.seek(page["source_offset"])
            record = next(iter(ArchiveIterator(file)))
            assert record.rec_headers.get_header("WARC-Target-URI") == page["url"]
            assert hashlib.sha256(record.content_stream().read()).hexdigest() == page["payload_digest"]


def test_tables_and_snapshots(whole: Whole) -> None:
    shown = json.loads(call("tables", "--lake", whole.lake.uri, "--output", "json").out)
    assert {row["table"]: row["rows"] for row in shown} == {n: whole.lake.rows(n) for n in whole.lake.tables()}
    assert all(row["files"] > 0 and row["bytes"] > 0 for row in shown if row["rows"])
    ended = call("snapshots", "corpus.documents", "--lake", whole.lake.uri, "--output", "json")
    [snapshot] = json.loads(ended.out)
    assert (snapshot["release"], int(snapshot["snapshot"])) == (2, whole.lake.tables()["corpus.documents"])


def test_explain_shows_what_went_and_where_the_time_went(whole: Whole) -> None:
    told = json.loads(call("curate", "explain", "--lake", whole.lake.uri, "--output", "json").out)
    gone = sum(cost["documents"] for cost in told["costs"])
    assert (told["candidates"], told["documents"]) == (40, whole.lake.rows("corpus.documents"))
    assert gone == 40 - told["documents"] > 0 and told["token_bytes"] != 4.0
    ended = call("curate", "explain", "--examples", "1", "--lake", whole.lake.uri)
    assert ended.code == 0 and "time of 40 pages" in ended.out and "slowest pages" in ended.out
    assert set(told["stages"]) == {"extract", "decide", "audit"} and "time of the run that decided" in ended.out
    for cost in told["costs"]:
        assert cost["rule"] in ended.out and len(cost["examples"]) == min(cost["documents"], 2)
        assert all(example["url"] in ended.out for example in cost["examples"][:1])


def test_saved_database_opens_in_plain_duckdb(whole: Whole, tmp_path: Path) -> None:
    path = tmp_path / "my lake.duckdb"
    ended = call("sql", "--save", path, "--lake", whole.lake.uri)
    assert ended.code == 0 and ended.out == f"{path}\n"
    with duckdb.connect(str(path), read_only=True) as plain:
        assert plain.sql("select count(*) from corpus.documents").fetchall() == [
            (whole.lake.rows("corpus.documents"),)
        ]


def test_queries_piped_in_are_answered_one_by_one(whole: Whole) -> None:
    queries = "select 1 as one; -- é; first\nselect count(*)\n  as pages from web.pages; select 3\nas three; ;-- end"
    ended = call("sql", "--lake", whole.lake.uri, stdin=queries)
    assert (ended.code, ended.out.split(), ended.err) == (0, ["one", "1", "pages", "40", "three", "3"], "")
    failed = call("sql", "--lake", whole.lake.uri, "--output", "json", stdin="selec 1;\nselect 2 as two;")
    assert failed.code == 1 and "syntax error" in failed.err
    assert [json.loads(line) for line in failed.out.splitlines()][1] == [{"two": 2}]


def test_long_answers_are_cut_for_people_only(whole: Whole) -> None:
    query = "select range as n from range(1500)"
    shown = call("sql", query, "--lake", whole.lake.uri)
    assert len(shown.out.splitlines()) == 1001 and "the first 1,000 rows" in shown.err
    assert len(ask(whole, query)) == 1500
    [text] = ask(whole, "select repeat('word ' , 500) as text, 'nan'::double as loss, '\\x01'::blob as b")
    assert text == {"text": "word " * 500, "loss": None, "b": "AQ=="}
    assert len(call("sql", "select repeat('a b\\n', 500)", "--lake", whole.lake.uri).out) < 600


def test_every_command_writes_json_alone(whole: Whole, tmp_path: Path) -> None:
    for arguments, kind in (
        (("run", whole.config), dict),
        (("ingest", "warc", whole.warc, "--config", whole.config), dict),
        *(((stage, "--config", whole.config), dict) for stage in STAGES[1:]),
        (("curate", "explain"), dict),
        (("curate", "recut", "--predict"), list),
        (("report", "--to", tmp_path / "page.html"), dict),
        (("sql", "from ops.audits"), list),
        (("sql", "--save", tmp_path / "x.duckdb"), dict),
        (("tables",), list),
        (("snapshots", "web.pages"), list),
    ):
        ended = call(*arguments, "--lake", whole.lake.uri, "--output", "json")
        assert ended.code == 0 and ended.err == "", (arguments, ended)
        value = json.loads(ended.out)
        assert isinstance(value, kind)
        assert value.get("unchanged", True) if isinstance(value, dict) else value
    assert (tmp_path / "page.html").stat().st_size > 10_000
    assert isinstance(json.loads(call("doctor", "--output", "json").out), list)


def test_resolved_settings_lie_beside_every_output_and_repeat_the_run(whole: Whole) -> None:
    runs = ask(whole, "select stage, run_id, config from ops.runs")
    assert {run["stage"] for run in runs} == set(STAGES)
    for run in runs:
        path = whole.lake.run_folder(run["run_id"]) / "config.json"
        assert json.loads(path.read_text()) == json.loads(run["config"])
        if run["stage"] != "ingest":
            again = call(run["stage"], "--config", path, "--lake", whole.lake.uri)
            assert "nothing to do" in again.out, again.err
    shards = ask(whole, "select path from tokens.shards")
    models = ask(whole, "select export_path from train.runs")
    beside = {Path(row["path"]).parent for row in shards} | {Path(row["export_path"]).parent for row in models}
    assert all((folder / "config.json").is_file() for folder in beside)


def test_doctor_says_what_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert call("doctor").code == 0
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "venv"))
    ended = call("doctor", "--output", "json")
    [java] = [row for row in json.loads(ended.out) if not row["ok"]]
    assert ended.code == 1 and java["what"] == "java" and "openjdk" in java["what to do"]


def test_help() -> None:
    bare, asked = call(), call("--help")
    assert (bare.code, asked.code) == (2, 0) and bare.out.strip() == asked.out.strip()
    listed = [line.split()[1] for line in bare.out.splitlines() if line.startswith("│ ") and line[2].isalpha()]
    assert listed == list(COMMANDS)
    for command in (*((name,) for name in COMMANDS), ("ingest", "warc"), ("ingest", "text"), ("ingest", "site")):
        ended = call(*command, "--help")
        assert ended.code == 0 and f"Usage: millpond {' '.join(command)}" in ended.out
        assert "--output" in ended.out or command in (("ingest",), ("export",))
    assert call("--version").out == f"millpond {__version__}\n"


def test_prompt_outlives_mistakes_and_remembers(whole: Whole, tmp_path: Path) -> None:
    keys = ("select 6*7\n", "as answer;\n", "selec;\n", "\\d web.pages\n", "\\q\n")
    code, screen = on_terminal("sql", "--lake", whole.lake.uri, keys=keys, home=tmp_path)
    assert code == 0, screen
    assert "answer\n    42" in screen and "...>" in screen
    assert 'error: SQL: Parser Error: syntax error at or near "selec"' in screen
    assert "payload_digest" in screen.partition("\\d web.pages")[2]
    assert "select 6*7" in (tmp_path / ".millpond_history").read_text()
    assert on_terminal("sql", "--lake", whole.lake.uri, keys=("\x04",), home=tmp_path)[0] == 0


def test_a_terminal_shows_a_bar_and_nothing_of_the_libraries(tmp_path: Path) -> None:
    texts = tmp_path / "texts.jsonl"
    texts.write_text('{"text": "Ponds turn mills."}\n')
    code, screen = on_terminal("ingest", "text", texts, "--lake", tmp_path / "lake")
    assert code == 0, screen
    assert "━━━" in screen and screen.endswith("ingest: release 1 (in 1, out 1)\n")
    without_bar = [line for line in screen.splitlines() if "━" not in line and line.strip()]
    assert without_bar == ["ingest: release 1 (in 1, out 1)"]
