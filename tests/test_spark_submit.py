"""The jobs under spark-submit: on a real cluster of two workers, with a host that hangs, with tasks that die.

Whatever runs them, the tables are those of a run in this process. Where a task ran and how it ended is read from
Spark's event log.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from archives import gold_pages, write_warc
from cluster import HOSTS, cluster, environment
from pyspark.sql import SparkSession
from spark_events import SPECULATION, Attempt, event_settings, read_attempts

from millpond.config import load
from millpond.curate.config import CurateConfig
from millpond.curate.job import curate
from millpond.ingest.config import IngestConfig
from millpond.ingest.job import ingest_files
from millpond.lake import Lake
from millpond.tokenize.config import TokenizeConfig
from millpond.tokenize.job import tokenize

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="only Linux answers on all of 127.0.0.0/8"),
    pytest.mark.timeout(900),
]

ROOT = Path(__file__).resolve().parent.parent
FAULTY = Path(__file__).with_name("faulty_job.py")
CORPUS = ("corpus.candidates", "corpus.documents", "corpus.rejects", "corpus.duplicates")
SETTINGS = """
[curate.extract]
extractor = "resiliparse"
[tokenize]
vocab_size = 512
context_length = 64
buckets = 2
fractions = [0.7, 0.2, 0.1]
"""
SPARK = {
    "spark.cores.max": "2",
    "spark.scheduler.minRegisteredResourcesRatio": "1",  # start once both workers are there
    "spark.ui.enabled": "false",
}


@dataclass(frozen=True)
class Desk:
    """Where the jobs of these tests are submitted from, and what they read."""

    folder: Path
    config: Path
    archives: list[str]

    def submit(
        self,
        master: str,
        job: Path,
        lake: Lake,
        inputs: Sequence[str] = (),
        *,
        stage: str = "",
        options: Sequence[str] = (),
        settings: Mapping[str, str] | None = None,
        changed: Mapping[str, str] | None = None,
    ) -> list[Attempt]:
        """Run a job (`FAULTY` takes a stage) that must publish something; returns the attempts of all its tasks."""
        events = self.folder / f"{lake.root.name}-{stage or job.parent.name}-events"
        events.mkdir()
        settings = {**SPARK, **event_settings(events), **(settings or {})}
        conf = [part for key, value in settings.items() for part in ("--conf", f"{key}={value}")]
        spark_submit = [str(Path(sys.executable).with_name("spark-submit")), "--master", master, *conf, *options]
        arguments = [str(job), *filter(None, [stage]), "--config", str(self.config), "--lake", lake.uri, *inputs]
        done = subprocess.run(
            [*spark_submit, *arguments],
            env={**environment(), **(changed or {})},
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=240,
        )
        assert done.returncode == 0, done.stdout + done.stderr[-5000:]
        assert not json.loads(done.stdout.splitlines()[-1])["unchanged"]
        return read_attempts(events)


def hosts(attempts: Sequence[Attempt]) -> set[str]:
    """Where attempts were successful."""
    return {attempt.host for attempt in attempts if attempt.end == "Success"}


def shards(lake: Lake) -> list[dict[str, Any]]:
    """The rows of `tokens.shards`, but for where they lie and which snapshot they were made from."""
    rows = lake.read("tokens.shards").drop_columns(["path", "corpus_snapshot"]).to_pylist()
    return sorted(rows, key=lambda row: str(row["shard"]))


@pytest.fixture(scope="module")
def desk(test_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Desk:
    folder = tmp_path_factory.mktemp("submitted from here")
    pages = list(gold_pages(test_data / "html_gold" / "scrapinghub_aeb"))[:30]
    archives = [str(write_warc(folder / f"{n}.warc.gz", pages[n::2])) for n in range(2)]
    config = folder / "run.toml"
    config.write_text(SETTINGS)
    return Desk(folder, config, archives)


@pytest.fixture(scope="module")
def local(spark: SparkSession, desk: Desk) -> Lake:
    """What the three stages make in this process."""
    lake = Lake.open(str(desk.folder / "local"))
    ingest_files(lake, desk.archives, load(IngestConfig, desk.config, "ingest"))
    curate(lake, load(CurateConfig, desk.config, "curate"))
    tokenize(lake, load(TokenizeConfig, desk.config, "tokenize"))
    return lake


@pytest.fixture(scope="module")
def master(desk: Desk) -> Iterator[str]:
    """A cluster; tasks of `faulty_job.py` hang on its second worker."""
    hang = {
        "MILLPOND_FAULT": "task:pause",
        "MILLPOND_FAULT_LOG": str(desk.folder / "hung"),
        "MILLPOND_FAULT_GO": str(desk.folder / "never"),
    }
    with cluster(desk.folder / "cluster", {HOSTS[1]: hang}) as url:
        yield url


@pytest.fixture(scope="module")
def bare_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python with everything but Millpond."""
    folder = tmp_path_factory.mktemp("bare")
    venv.create(folder, with_pip=False)
    [packages] = folder.glob("lib/python*/site-packages")
    (packages / "borrowed.pth").write_text(f"{Path(pytest.__file__).parent.parent}\n")
    python = folder / "bin" / "python"
    assert subprocess.run([python, "-Ec", "import pyspark"]).returncode == 0
    assert subprocess.run([python, "-Ec", "import millpond"], stderr=subprocess.DEVNULL).returncode == 1
    return python


def zip_of_millpond(folder: Path) -> Path:
    """What `make dist-spark` makes."""
    shutil.copytree(ROOT / "src" / "millpond", folder / "millpond", ignore=shutil.ignore_patterns("__pycache__"))
    subprocess.run([sys.executable, "-m", "zipfile", "-c", "millpond.zip", "millpond"], cwd=folder, check=True)
    return folder / "millpond.zip"


def test_three_jobs_on_two_workers_make_the_tables_of_a_local_run(
    desk: Desk, master: str, local: Lake, bare_python: Path, tmp_path: Path
) -> None:
    lake = Lake.open(str(desk.folder / "clustered"))
    attempts = desk.submit(master, ROOT / "ingest" / "job.py", lake, desk.archives)
    assert hosts(attempts) == set(HOSTS), "both workers must have read"
    assert lake.rows("web.pages") == 30 and lake.digest("web.pages") == local.digest("web.pages")

    attempts = desk.submit(master, ROOT / "curate" / "job.py", lake)
    assert hosts(attempts) == set(HOSTS)
    assert {table: lake.digest(table) for table in CORPUS} == {table: local.digest(table) for table in CORPUS}
    assert lake.rows("corpus.documents") and lake.rows("corpus.rejects")

    # The last one with a Python that does not know Millpond but from the zip, in the driver and on both workers.
    bare = {"PYTHONPATH": "", "PYSPARK_PYTHON": str(bare_python), "PYSPARK_DRIVER_PYTHON": str(bare_python)}
    shipped = ("--py-files", str(zip_of_millpond(tmp_path)))
    attempts = desk.submit(master, ROOT / "tokenize" / "job.py", lake, options=shipped, changed=bare)
    assert hosts(attempts) == set(HOSTS)
    assert lake.rows("tokens.documents") and lake.digest("tokens.documents") == local.digest("tokens.documents")
    assert shards(lake) == shards(local)


def test_a_hanging_host_is_overtaken_by_a_speculative_attempt(desk: Desk, master: str, local: Lake) -> None:
    lake = Lake.open(str(desk.folder / "overtaken"))
    attempts = desk.submit(master, FAULTY, lake, desk.archives, stage="ingest", settings=SPECULATION)
    assert (desk.folder / "hung").read_text().split() == ["task"], "one task must have hung"
    [copy] = [attempt for attempt in attempts if attempt.speculative and attempt.end == "Success"]
    assert (copy.number, copy.host) == (1, HOSTS[0])
    [hung] = [a for a in attempts if (a.stage, a.task, a.number) == (copy.stage, copy.task, 0)]
    assert (hung.end, hung.host) == ("TaskKilled", HOSTS[1])
    assert lake.rows("web.pages") == 30 and lake.digest("web.pages") == local.digest("web.pages")


def test_tasks_that_die_once_are_done_again(desk: Desk, local: Lake) -> None:
    lake, died = Lake.open(str(desk.folder / "retried")), desk.folder / "died"
    fault = {"MILLPOND_FAULT": "first-attempt:kill-self", "MILLPOND_FAULT_LOG": str(died)}
    attempts = desk.submit("local[2,4]", FAULTY, lake, desk.archives, stage="ingest", changed=fault)
    assert died.read_text().split() == ["first-attempt"] * 2, "both tasks must have died"
    assert sorted((a.task, a.number, a.end) for a in attempts if a.stage == attempts[0].stage) == [
        (0, 0, "ExceptionFailure"),
        (0, 1, "Success"),
        (1, 0, "ExceptionFailure"),
        (1, 1, "Success"),
    ]
    assert lake.rows("web.pages") == 30 and lake.digest("web.pages") == local.digest("web.pages")
