"""A small lake as it stands before each stage, to be put back and disturbed as often as wanted.

Two ingests, so that what is disturbed finds an older release of its own tables. The lake always lies in the same
folder: a stage that starts from the same state has the same inputs, paths and digest, and must make the same rows.
Stages run as `python -m millpond …` in sessions of their own, so that a group, or one process of it, can be killed and
what is left behind be found.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import benchmarks.from_tests  # noqa: F401
import cluster
from archives import gold_pages, write_warc
from benchmarks.copies import with_copies

from millpond.config import digest_of
from millpond.errors import InputError, MillpondError
from millpond.lake import Lake
from millpond.schemas import OPS_RELEASES, TABLES

ROOT = Path(__file__).resolve().parent.parent
#: Real pages; copies of some are planted among them.
PAGES = 40
#: Archives of each ingest: as many page files, so that curation has that many partitions and more.
ARCHIVES = 7
#: Columns that say when and by which run a row was made; equal work differs in nothing else.
VOLATILE = frozenset({"run_id", "started_at", "finished_at", "seconds", "data_seconds"})
SETTINGS = """
[curate.dedup.lines]
unit = "lines"
[tokenize]
vocab_size = 512
context_length = 64
buckets = 2
fractions = [0.7, 0.2, 0.1]
[train]
steps = 12
global_batch_rows = 8
micro_batch_rows = 8
validate_every = 6
[train.schedule]
warmup_steps = 2
[train.checkpoint]
every_steps = 2
[eval]
sample_tokens = 8
"""


class EvidenceError(MillpondError):
    """Something undisturbed went wrong: there is nothing to compare with."""


@dataclass(frozen=True)
class Stage:
    """A stage as it is started, and the files whose appearance says that its tasks are at work."""

    name: str
    command: tuple[str, ...]
    sign: str = ""


@dataclass(frozen=True)
class Rows:
    """What a table holds: a digest of its rows but for volatile columns, and how often each key is there."""

    digest: str
    keys: Counter[tuple[Any, ...]]


Contents = dict[str, Rows]


@dataclass(frozen=True)
class Ended:
    """How a stage ended."""

    code: int
    result: dict[str, Any]
    """What it wrote to stdout with `--output json`."""
    log: str


class Scene:
    """The lake, its states and the stages that lead from one to the next.

    Args:
        folder: an empty folder to work in; its name may have spaces.
        data: the folder of test data.

    Raises:
        InputError: there is no test data.
    """

    def __init__(self, folder: Path, data: Path) -> None:
        pages = list(gold_pages(data / "html_gold" / "scrapinghub_aeb"))[:PAGES]
        if len(pages) < PAGES:
            raise InputError(f"no test data at {data}: set MILLPOND_TEST_DATA")
        self.folder = folder
        self.root = folder / "my lake"
        self.config = folder / "run.toml"
        self.config.write_text(SETTINGS)
        pages = with_copies(pages)
        half = len(pages) // 2
        first, self.second = (
            [str(write_warc(folder / f"{name}-{n}.warc.gz", part[n::ARCHIVES])) for n in range(ARCHIVES)]
            for name, part in (("first", pages[:half]), ("second", pages[half:]))
        )
        self.stages = (
            Stage("ingest", ("ingest", "warc", *self.second), "web/pages/data/*.parquet"),
            Stage("curate", ("curate",), "corpus/candidates/data/*.parquet"),
            Stage("tokenize", ("tokenize",), "shards/*/*"),
            Stage("train", ("train",), "models/*/checkpoints/*"),
            Stage("eval", ("eval",)),
        )
        self._prelude = (Stage("ingest", ("ingest", "warc", *first)), *self.stages[1:3])
        self.clean: dict[str, Contents] = {}
        """Stage → what the lake holds after an undisturbed run of it."""

    def build(self, last: str) -> None:
        """Run everything once, undisturbed, up to a stage, keeping the lake as it stands before each.

        Raises:
            EvidenceError: a stage failed.
        """
        for stage in self._prelude:
            self._undisturbed(stage)
        for stage in self.stages:
            shutil.copytree(self.root, self._kept(stage.name))
            self.clean[stage.name] = self._undisturbed(stage)
            if stage.name == last:
                break

    def before(self, stage: Stage) -> Lake:
        """Put the lake back as it stood before a stage."""
        shutil.rmtree(self.root)
        shutil.copytree(self._kept(stage.name), self.root)
        return self.lake()

    def lake(self) -> Lake:
        """The lake as it is now, through a connection of its own."""
        return Lake.open(str(self.root), create=False)

    def start(self, stage: Stage, **environment: str) -> subprocess.Popen[bytes]:
        """Start a stage in a session and process group of its own."""
        command = [sys.executable, "-m", "millpond", *stage.command, "--output", "json"]
        return self._start([*command, *self._places()], environment)

    def submit(
        self, master: str, job: Sequence[str], inputs: Sequence[str], conf: Mapping[str, str], **environment: str
    ) -> Ended:
        """Run a job, a file and what it is to be told first, under spark-submit."""
        spark_submit = [str(Path(sys.executable).with_name("spark-submit")), "--master", master]
        options = [part for key, value in conf.items() for part in ("--conf", f"{key}={value}")]
        return self.end(self._start([*spark_submit, *options, *job, *self._places(), *inputs], environment))

    def _places(self) -> list[str]:
        return ["--lake", str(self.root), "--config", str(self.config)]

    def _start(self, command: Sequence[str], environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
        own = {**cluster.environment(), **environment}
        # Files and no pipes: a pipe stays open as long as anything that is left behind.
        with (self.folder / "out").open("wb") as out, (self.folder / "err").open("wb") as err:
            return subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=own, start_new_session=True
            )

    def end(self, process: subprocess.Popen[bytes]) -> Ended:
        """Wait for a started stage."""
        with stopped_on_error(process):
            code = process.wait()
        lines = (self.folder / "out").read_text(errors="replace").splitlines()
        log = (self.folder / "err").read_text(errors="replace")
        result = json.loads(lines[-1]) if lines and lines[-1].startswith("{") else {}
        return Ended(code, result, log[-2000:])

    def run(self, stage: Stage) -> Ended:
        """Run a stage to its end."""
        return self.end(self.start(stage))

    def _undisturbed(self, stage: Stage) -> Contents:
        ended = self.run(stage)
        if ended.code or ended.result["unchanged"]:
            raise EvidenceError(f"{stage.name} failed undisturbed: {ended.log}")
        return contents(self.lake())

    def _kept(self, name: str) -> Path:
        return self.folder / "kept" / name


@contextmanager
def stopped_on_error(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """Kill a stage's group where the block is left by an exception, such as Ctrl-C, before its folder goes."""
    try:
        yield
    except BaseException:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise


def contents(lake: Lake) -> Contents:
    """What a reader finds in each table of the newest release."""
    return {table: _rows(lake, table) for table in lake.tables() if table != OPS_RELEASES.name}


def _rows(lake: Lake, table: str) -> Rows:
    spec = TABLES[table]
    steady = [name for name in spec.schema.names if name not in VOLATILE]
    key = [name for name in spec.key if name not in VOLATILE] or steady
    if steady == spec.schema.names:
        digest = lake.digest(table)
    else:
        digest = digest_of(sorted(json.dumps(row, default=str) for row in lake.read(table, steady).to_pylist()))
    return Rows(digest, Counter(tuple(row.values()) for row in lake.read(table, key).to_pylist()))


def lost_and_doubled(expected: Contents, found: Contents) -> tuple[int, int]:
    """Rows that are not there, and rows that are there too often, by their keys."""
    lost = doubled = 0
    for table in expected.keys() | found.keys():
        wanted, got = (side[table].keys if table in side else Counter() for side in (expected, found))
        lost += (wanted - got).total()
        doubled += (got - wanted).total()
    return lost, doubled


def differing(expected: Contents, found: Contents) -> list[str]:
    """Tables whose rows are not the same."""
    return sorted(table for table in expected.keys() | found.keys() if expected.get(table) != found.get(table))
