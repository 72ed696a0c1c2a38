"""Fixtures every room's tests share: real data, a lake in a folder with a space, one Spark session."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from millpond.lake import Lake

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

ROOT = Path(__file__).resolve().parent.parent

os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


#: Tests that may skip where nothing is missing: one line each, `node id  # why`.
SKIPS = Path(__file__).with_name("may_skip.txt")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name each skipped test that is not on the list."""
    for test in _unlisted(terminalreporter):
        terminalreporter.write_line(f"SKIPPED AND NOT IN {SKIPS.name}: {test}", red=True)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail a run that may skip nothing (`MILLPOND_NO_SKIPS`, as in CI) if it skipped what is not on the list."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("MILLPOND_NO_SKIPS") and reporter is not None and _unlisted(reporter):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _unlisted(reporter: pytest.TerminalReporter) -> list[str]:
    listed = {line.partition("#")[0].strip() for line in SKIPS.read_text().splitlines()}
    return sorted({report.nodeid for report in reporter.stats.get("skipped", [])} - listed)


@pytest.fixture(scope="session")
def test_data() -> Path:
    """Real pages, archives and texts; tests that need them skip where they are not."""
    folder = Path(os.environ.get("MILLPOND_TEST_DATA", ROOT.parent / "shared" / "data"))
    if not (folder / "README.md").exists():
        pytest.skip(f"no test data at {folder}: set MILLPOND_TEST_DATA")
    return folder


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """An empty lake, in a folder whose name has a space."""
    return Lake.open(str(tmp_path / "my lake"))


@pytest.fixture(scope="session")
def spark() -> Iterator[SparkSession]:
    """One Spark session for all tests of a process."""
    from millpond.spark import session

    running = session("millpond tests", {"spark.sql.shuffle.partitions": "4"})
    yield running
    running.stop()
