"""Hostile archives: no crash, no hang, bounded memory, every undamaged record, a reason for each other one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from archives import write_warc
from hostile_warcs import hostile_warcs

from millpond.ingest.config import IngestConfig
from millpond.ingest.job import ingest_files
from millpond.lake import Lake

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

LIMIT = 512 << 20
#: Reads files in a process of its own and says what came of each, and how much memory it took at most.
CHILD = """
import json, sys
from millpond.ingest.config import WarcConfig
from millpond.ingest.warc import read_warc
for path in sys.argv[1:]:
    rows = [(tag, row.get("url"), row.get("reason"), row.get("records"), row.get("bytes"), row.get("detail"))
            for tag, row in read_warc(path, WarcConfig())]
    print(json.dumps(rows))
status = open("/proc/self/status").read()
print(int(status.split("VmHWM:")[1].split()[0]) << 10)
"""


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("hostile")
    paths = {}
    for name, hostile in hostile_warcs().items():
        paths[name] = folder / f"{name}.warc.gz"
        paths[name].write_bytes(hostile.data)
    return paths


def test_each_is_read_in_bounded_memory(files: dict[str, Path]) -> None:
    child = subprocess.run(
        [sys.executable, "-c", CHILD, *map(str, files.values())],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    *lines, peak = child.stdout.splitlines()
    assert int(peak) < LIMIT
    expected = hostile_warcs()
    for (name, path), line in zip(files.items(), lines, strict=True):
        rows: list[list[Any]] = json.loads(line)
        pages = "".join(row[1].rpartition("/")[2] for row in rows if row[0] == "page")
        reasons = Counter(row[2] for row in rows if row[0] == "reject")
        assert (name, pages, reasons) == (name, expected[name].pages, expected[name].rejects)
        assert all(row[5] for row in rows if row[0] == "reject")
        assert [(row[3], row[4]) for row in rows if row[0] == "file"] == [
            (len(pages) + sum(reasons.values()), path.stat().st_size)
        ]


def workers() -> list[Path]:
    """This machine's view of the session's Python workers: forks of a daemon that is Java's child."""
    found = []
    for status in Path("/proc").glob("[0-9]*/status"):
        with suppress(OSError):
            if b"pyspark.daemon" in (status.parent / "cmdline").read_bytes() and os.getpid() in ancestors(status):
                found.append(status.parent)
    return found


def ancestors(status: Path) -> Iterator[int]:
    while (parent := int(status.read_text().split("PPid:")[1].split()[0])) > 1:
        yield parent
        status = Path(f"/proc/{parent}/status")


def memory(kind: str) -> dict[Path, int]:
    """Bytes of memory of each worker: `VmRSS` now, `VmHWM` at most."""
    found = {}
    for worker in workers():
        with suppress(OSError):
            found[worker] = int((worker / "status").read_text().split(f"{kind}:")[1].split()[0]) << 10
    return found


def test_a_job_over_all_of_them_and_good_files_succeeds(
    files: dict[str, Path], lake: Lake, tmp_path: Path, spark: SparkSession
) -> None:
    good = [(f"http://good.example/{n}", b"<p>Page %d" % n) for n in range(10)]
    paths = [write_warc(tmp_path / "a good.warc.gz", good[:5]), write_warc(tmp_path / "z good.warc.gz", good[5:])]
    before = memory("VmRSS")  # of workers that other jobs left
    for worker in before:
        (worker / "clear_refs").write_text("5")
    outcome = ingest_files(lake, [*map(str, paths), *map(str, files.values())], IngestConfig())
    peaks = [peak - before.get(worker, 0) for worker, peak in memory("VmHWM").items()]
    assert len(peaks) > 1 and max(peaks) < LIMIT, peaks
    rejects = lake.read("web.rejects").to_pylist()
    expected = hostile_warcs()
    for name, path in files.items():
        found = Counter(row["reason"] for row in rejects if row["file"] == str(path))
        found.pop("duplicate_page", None)  # all archives have the same five pages
        assert (name, found) == (name, expected[name].rejects)
    urls = Counter(lake.read("web.pages", ["url"])["url"].to_pylist())
    assert {url for url, _ in good} <= urls.keys()
    # Five pages of the archives, and the one that lies about its encoding.
    assert len(urls) == 15 and urls.total() == 16
    rows = [row for row in lake.read("ops.ledger").to_pylist() if row["run_id"] == outcome.run_id]
    came = {"records": 10 + sum(len(hostile.pages) + sum(hostile.rejects.values()) for hostile in expected.values())}
    came["bytes"] = sum(Path(path).stat().st_size for path in (*paths, *files.values()))
    for unit, amount in came.items():
        counts = Counter({row["entry"]: 0 for row in rows})
        for row in rows:
            counts[row["entry"]] += row["amount"] * (row["unit"] == unit)
        assert amount == counts.pop("in") == counts.total()
