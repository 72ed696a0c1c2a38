"""Reading WARC files beside warcio, fastwarc and datatrove's reader: `python -m benchmarks.ingest`.

Every side reads the same files in processes of its own, in turn, several rounds; the median counts. Then a whole
ingest job reads one large file, and its two halves as two files. Writes `docs/ingest.md`.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import peer
from benchmarks.ingest_side import SIDES
from benchmarks.machine import describe, pinned
from benchmarks.measure import BenchmarkError
from benchmarks.page import table
from benchmarks.pages import ROOT, make_pages

from millpond.errors import MillpondError
from millpond.ingest.config import IngestConfig
from millpond.ingest.job import ingest_files
from millpond.lake import Lake
from millpond.spark import session

PAGES = 8_000
ROUNDS = 5
WORK = ROOT / ".bench" / "ingest"
#: Reading records may take so many times what bare fastwarc does.
MOST_FASTWARC = 1.3
#: Making page rows has to be so many times as fast as datatrove's reader.
LEAST_DATATROVE = 10
#: One large file may take so much longer than its halves as two files.
MOST_SPLIT = 0.10
_LARGE_BYTES = 1 << 30

_PAGE = """\
# Reading WARC files

Written by `python -m benchmarks.ingest` on {date} at commit {commit}.

Machine: {processor}, {memory_gib} GiB, {system}, Python {python}. fastwarc {fastwarc}, warcio {warcio}; datatrove
{datatrove} in an environment of its own (`benchmarks/peers/datatrove.txt`).

## One process

{count:,} pages in {files} gzipped WARC files of {megabytes:,.0f} MB together. Each side ran {rounds} times in a
process of its own, in turn with the others, and had read one file before the clock started; given are medians of
processor time. MB are those of the files. "Records" is every record with its body in memory; "page rows" is the whole
way to a row of `web.pages`: HTTP header, transfer and content encodings, charset, digests. datatrove's documents are
its way to the same point.

{readers}
{verdicts}

## One large file, and its halves

A file of {large:,.0f} MB, read by a whole ingest job on {used} cores with `split_bytes` as shipped, and the same
records as two files of half the size; then the one file by a single task, in a Spark session of its own. Each job has
a lake of its own, in turn, {split_rounds} rounds after one that is not counted; the median counts.

{splits}
"""


def main() -> int:
    """Measure and write the page; 1 where a bar is missed."""
    try:
        missed = run()
    except MillpondError as error:
        sys.stderr.write(f"ingest: {error}\n")
        return error.exit_code
    if missed:
        sys.stderr.write(f"ingest: {'; '.join(missed)}\n")
    return int(bool(missed))


def run() -> list[str]:
    """Measure and write; what was missed."""
    pages = make_pages(PAGES, ROOT / ".bench" / "pages")
    files = sorted(str(path) for path in pages.quarter.glob("*.warc.gz"))
    megabytes = sum(Path(path).stat().st_size for path in files) / 1e6
    taken: dict[str, list[dict[str, Any]]] = {name: [] for name in SIDES}
    for _ in range(ROUNDS):
        for name, results in taken.items():
            results.append(_once(name, files))
    found = {results[0]["records"] for name, results in taken.items() if not name.startswith("datatrove")}
    if found != {pages.pages // 4}:  # what datatrove cannot decode it leaves out
        raise BenchmarkError(f"the readers found {found} records of {pages.pages // 4}")
    seconds = {name: statistics.median(result["processor"] for result in results) for name, results in taken.items()}
    ratios = {
        "records, × the time of bare fastwarc": (
            seconds["Millpond, records"] / seconds["fastwarc"],
            f"at most {MOST_FASTWARC}",
            seconds["Millpond, records"] <= MOST_FASTWARC * seconds["fastwarc"],
        ),
        "page rows, × as fast as datatrove's reader": (
            seconds["datatrove WarcReader"] / seconds["Millpond, page rows"],
            f"at least {LEAST_DATATROVE}",
            seconds["datatrove WarcReader"] >= LEAST_DATATROVE * seconds["Millpond, page rows"],
        ),
    }
    one, two = _large(sorted(pages.all.glob("*/*.warc.gz")))
    whole, halves = _jobs([one], two)
    alone = _jobs([one], tasks=1)[0]
    ratios["one large file, × the time of its halves"] = (
        whole / halves,
        f"at most {1 + MOST_SPLIT}",
        whole <= (1 + MOST_SPLIT) * halves,
    )
    facts = describe(ROOT, peer.pins("datatrove"), 1)
    (ROOT / "docs" / "ingest.md").write_text(
        _PAGE.format(
            **facts["machine"],
            date=facts["date"],
            commit=facts["commit"],
            python=facts["versions"]["python"],
            **pinned(ROOT / "requirements.lock", ["fastwarc", "warcio"]),
            **pinned(peer.pins("datatrove"), ["datatrove"]),
            count=pages.pages // 4,
            files=len(files),
            megabytes=megabytes,
            rounds=ROUNDS,
            readers=table(
                ("", "records", "s", "records/s", "MB/s"),
                [
                    (
                        name,
                        f"{taken[name][0]['records']:,}",
                        f"{seconds[name]:.2f}",
                        f"{taken[name][0]['records'] / seconds[name]:,.0f}",
                        f"{megabytes / seconds[name]:,.1f}",
                    )
                    for name in SIDES
                ],
            ),
            verdicts=table(
                ("", "measured", "bar", "kept"),
                [(name, f"{ratio:.2f}", bar, "yes" if kept else "NO") for name, (ratio, bar, kept) in ratios.items()],
            ),
            large=one.stat().st_size / 1e6,
            used=len(os.sched_getaffinity(0)),
            split_rounds=ROUNDS - 2,
            splits=table(
                ("", "s", "MB/s"),
                [
                    ("one file", f"{whole:.1f}", f"{one.stat().st_size / 1e6 / whole:.1f}"),
                    ("one file, one task", f"{alone:.1f}", f"{one.stat().st_size / 1e6 / alone:.1f}"),
                    ("two halves", f"{halves:.1f}", f"{one.stat().st_size / 1e6 / halves:.1f}"),
                ],
            ),
        )
    )
    return [f"{name}: {ratio:.2f}, {bar}" for name, (ratio, bar, kept) in ratios.items() if not kept]


def _once(name: str, files: Sequence[str]) -> dict[str, Any]:
    environment = SIDES[name][0]
    python = str(peer.ensure(environment)) if environment else sys.executable
    done = subprocess.run(
        [python, str(ROOT / "benchmarks" / "ingest_side.py"), name, *files], capture_output=True, text=True
    )
    if done.returncode:
        raise BenchmarkError(f"{name} exited with {done.returncode}:\n{done.stderr}")
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def _large(sources: Sequence[Path]) -> tuple[Path, list[Path]]:
    """A file of at least a GiB, of members of `sources`, and two that hold its halves."""
    WORK.mkdir(parents=True, exist_ok=True)
    halves = [WORK / "half-0.warc.gz", WORK / "half-1.warc.gz"]
    for half in halves:
        with half.open("wb") as output:
            while output.tell() < _LARGE_BYTES // 2:
                for source in sources:
                    with source.open("rb") as part:
                        shutil.copyfileobj(part, output)
    one = WORK / "one.warc.gz"
    with one.open("wb") as output:
        for half in halves:
            with half.open("rb") as part:
                shutil.copyfileobj(part, output)
    return one, halves


def _jobs(*inputs: Sequence[Path], tasks: int | None = None) -> list[float]:
    """Median seconds of a whole job over each, in a session of their own, by so many tasks."""
    config = IngestConfig() if tasks is None else IngestConfig(split_bytes=_LARGE_BYTES * 2)
    spark = session("benchmark", {"spark.default.parallelism": str(tasks)} if tasks else {})
    taken: list[list[float]] = [[] for _ in inputs]
    for number in range(ROUNDS - 1):
        for seconds, files in zip(taken, inputs, strict=True):
            with tempfile.TemporaryDirectory(dir=WORK) as folder:
                lake = Lake.open(folder, create=True)
                start = time.perf_counter()
                ingest_files(lake, [str(path) for path in files], config)
                if number:
                    seconds.append(time.perf_counter() - start)
    spark.stop()
    return [statistics.median(seconds) for seconds in taken]


if __name__ == "__main__":
    sys.exit(main())
