"""Reading WARC files beside warcio, fastwarc and datatrove's reader: `python -m benchmarks.ingest`.

Every side reads the same files in processes of its own, in turn, several rounds; the median counts. Then a whole
ingest job reads one large file, and its two halves as two files. Writes `docs/ingest.md`.
"""

from __future__ import annotations

import io
import json
import os
import random
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import benchmarks.from_tests  # noqa: F401
from archives import gold_pages
from benchmarks import peer
from benchmarks.ingest_side import SIDES
from benchmarks.machine import describe, pinned
from benchmarks.measure import BenchmarkError
from benchmarks.page import table
from benchmarks.pages import ROOT, gold_folder, make_pages
from fastwarc.warc import ArchiveIterator, WarcRecord
from isal import igzip
from warcio.warcwriter import WARCWriter

from millpond.errors import MillpondError
from millpond.ingest.config import IngestConfig
from millpond.ingest.job import ingest_files
from millpond.lake import Lake
from millpond.spark import session

PAGES = 8_000
#: In each file of short texts, and words in each.
TEXTS, TEXT_WORDS = 5_000, 400
ROUNDS = 5
#: Of whole jobs; one before them is not counted.
JOB_ROUNDS = 3
WORK = ROOT / ".bench" / "ingest"
#: Reading records may take so many times what bare fastwarc does.
MOST_FASTWARC = 1.3
#: Records, and page rows, have to come so many times as fast as datatrove's reader.
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

Each side ran {rounds} times in a process of its own, in turn with the others, and had read one file before the clock
started; given are medians of processor time. MB are those of the files. "Records" is every record with its body in
memory; "page rows" is the whole way to a row of `web.pages`: HTTP header, transfer and content encodings, charset,
digests checked and made. datatrove's documents are its way to the same point.

{readers}

On pages fastwarc alone, which only hands out bytes, is {bound:.1f} × as fast as datatrove's reader, so one that also
hands out every record within its time cannot be ten times as fast. What datatrove cannot decode it leaves out.

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
    WORK.mkdir(parents=True, exist_ok=True)
    sets = {
        "pages": (sorted(str(path) for path in pages.quarter.glob("*.warc.gz")), pages.pages // 4),
        "short texts": ([str(_texts(path)) for path in (WORK / "0.wet.gz", WORK / "1.wet.gz")], 2 * TEXTS),
    }
    shown, bound = [], 0.0
    ratios: dict[str, tuple[float, str, bool]] = {}
    for title, (files, count) in sets.items():
        seconds, found = _readers(files, count)
        megabytes = sum(Path(path).stat().st_size for path in files) / 1e6
        columns = (f"{count:,} {title}, {megabytes:.0f} MB", "records", "s", "records/s", "MB/s")
        rows = [
            (name, f"{found[name]:,}", f"{s:.2f}", f"{found[name] / s:,.0f}", f"{megabytes / s:,.1f}")
            for name, s in seconds.items()
        ]
        shown.append(table(columns, rows))
        bound = bound or seconds["datatrove WarcReader"] / seconds["fastwarc"]
        ratios |= _ratios(title, seconds)
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
            rounds=ROUNDS,
            readers="\n".join(shown),
            bound=bound,
            verdicts=table(
                ("", "measured", "bar", "kept"),
                [(name, f"{ratio:.2f}", bar, "yes" if kept else "NO") for name, (ratio, bar, kept) in ratios.items()],
            ),
            large=one.stat().st_size / 1e6,
            used=len(os.sched_getaffinity(0)),
            split_rounds=JOB_ROUNDS,
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


def _readers(files: Sequence[str], count: int) -> tuple[dict[str, float], dict[str, int]]:
    """Median seconds of each side over files of so many records, and how many it found."""
    taken: dict[str, list[dict[str, Any]]] = {name: [] for name in SIDES}
    for _ in range(ROUNDS):
        for name, results in taken.items():
            results.append(_once(name, files))
    found = {name: results[0]["records"] for name, results in taken.items()}
    if {n for name, n in found.items() if not name.startswith("datatrove")} != {count}:
        raise BenchmarkError(f"the readers found {found} records of {count}")
    seconds = {name: statistics.median(result["processor"] for result in results) for name, results in taken.items()}
    return seconds, found


def _ratios(title: str, seconds: dict[str, float]) -> dict[str, tuple[float, str, bool]]:
    """What is measured, the bar, and whether it is kept."""
    fastwarc, datatrove = seconds["fastwarc"], seconds["datatrove WarcReader"]
    slower, faster, rows = (
        seconds["Millpond, records"] / fastwarc,
        datatrove / seconds["Millpond, records"],
        datatrove / seconds["Millpond, page rows"],
    )
    least = f"at least {LEAST_DATATROVE}"
    return {
        f"{title}: records, × the time of fastwarc": (slower, f"at most {MOST_FASTWARC}", slower <= MOST_FASTWARC),
        f"{title}: records, × as fast as datatrove": (faster, least, faster >= LEAST_DATATROVE),
        f"{title}: page rows, × as fast as datatrove": (rows, least, rows >= LEAST_DATATROVE),
    }


def _texts(path: Path) -> Path:
    """A file of short plain texts, as Common Crawl's WET files are, of words of the real pages."""
    chance = random.Random(path.name)
    pages = (html.decode("utf-8", "replace") for _, html in gold_pages(gold_folder()))
    words = sorted({word for page in pages for word in re.findall(r"\w+", page)})
    with path.open("wb") as file:
        writer = WARCWriter(file, gzip=True)
        for number in range(TEXTS):
            text = " ".join(chance.choices(words, k=TEXT_WORDS)).encode()
            record = writer.create_warc_record(
                f"http://{path.stem}.test/{number}",
                "conversion",
                payload=io.BytesIO(text),
                length=len(text),
                warc_content_type="text/plain",
                warc_headers_dict={"WARC-Date": "2024-05-01T00:00:00Z"},
            )
            writer.write_record(record)
    return path


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
    """A file of at least a GiB, of the records of `sources` at addresses that all differ, and two with its halves."""
    halves = [WORK / "half-0.warc.gz", WORK / "half-1.warc.gz"]
    copy = 0
    for half in halves:
        with half.open("wb") as output:
            while output.tell() < _LARGE_BYTES // 2:
                copy += 1
                for source in sources:
                    for record in ArchiveIterator(str(source), parse_http=False, fsspec_args=False):
                        record.headers["WARC-Target-URI"] += f"?copy={copy}"
                        output.write(igzip.compress(_written(record), 2))
    one = WORK / "one.warc.gz"
    with one.open("wb") as output:
        for half in halves:
            with half.open("rb") as part:
                shutil.copyfileobj(part, output)
    return one, halves


def _written(record: WarcRecord) -> bytes:
    block = record.reader.read()
    head = "".join(f"{name}: {value}\r\n" for name, value in record.headers.items())
    return b"WARC/1.0\r\n" + head.encode() + b"\r\n" + block + b"\r\n\r\n"


def _jobs(*inputs: Sequence[Path], tasks: int | None = None) -> list[float]:
    """Median seconds of a whole job over each, in a session of their own, by so many tasks."""
    config = IngestConfig() if tasks is None else IngestConfig(split_bytes=_LARGE_BYTES * 2)
    spark = session("benchmark", {"spark.default.parallelism": str(tasks)} if tasks else {})
    taken: list[list[float]] = [[] for _ in inputs]
    for number in range(1 + JOB_ROUNDS):
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
