"""A real stage killed while it publishes: its whole process group, or its driver alone, with a JVM behind it.

All points and stages are `make evidence`'s; here each kind of kill is shown once, with every change.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from archives import gold_pages, write_warc
from cluster import environment
from pyspark.sql import SparkSession
from sessions import left_behind

from millpond.ingest.config import IngestConfig
from millpond.ingest.job import ingest_files
from millpond.lake import Lake


@pytest.mark.parametrize(("point", "victim"), [("after-branch", "kill"), ("before-release", "kill-self")])
def test_killed_while_publishing_then_run_again(
    spark: SparkSession, test_data: Path, tmp_path: Path, point: str, victim: str
) -> None:
    pages = list(gold_pages(test_data / "html_gold" / "scrapinghub_aeb"))[:12]
    first, second = (str(write_warc(tmp_path / f"{n}.warc.gz", pages[n::2])) for n in range(2))
    lake, clean = Lake.open(str(tmp_path / "my lake")), Lake.open(str(tmp_path / "clean"))
    config = IngestConfig()
    for each in (lake, clean):
        ingest_files(each, [first], config)
    ingest_files(clean, [second], config)
    before = lake.release(), lake.digest("web.pages")

    fired = tmp_path / "fired"
    killed = subprocess.Popen(
        [sys.executable, "-m", "millpond", "ingest", "warc", second, "--lake", lake.uri],
        env={**environment(), "MILLPOND_FAULT": f"{point}:{victim}", "MILLPOND_FAULT_LOG": str(fired)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    while killed.poll() is None:
        assert (lake.release(), lake.digest("web.pages")) == before, "readers must not see any of it"
        time.sleep(0.1)
    assert killed.returncode == -signal.SIGKILL and fired.read_text().split() == [point]
    assert (lake.release(), lake.digest("web.pages")) == before

    assert not ingest_files(lake, [second], config).unchanged
    assert lake.digest("web.pages") == clean.digest("web.pages") and lake.rows("web.pages") == 12
    assert ingest_files(lake, [second], config).unchanged
    until = time.monotonic() + 60
    while (left := left_behind(killed.pid)) and time.monotonic() < until:
        time.sleep(0.2)
    assert not left, "a JVM or a worker outlived its driver"
