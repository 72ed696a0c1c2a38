"""Hostile pages among clean ones: `python -m benchmarks.hostile` shows this section of the evidence alone.

Every page and text of `tests/hostile.py`, each text as a page of plain text, goes in one archive with real pages
through both jobs. Each must end in one recorded outcome, and the real pages as in a run without the hostile ones.
"""

from __future__ import annotations

import random
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import benchmarks.from_tests  # noqa: F401
import cluster
import hostile
from archives import Page, gold_pages, write_warc
from benchmarks.kills import Injection
from benchmarks.measure import BenchmarkError, Measured, measure
from benchmarks.pages import gold_folder

from millpond.curate.times import Times
from millpond.lake import Lake
from millpond.progress import console
from millpond.schemas import CANDIDATES, DOCUMENTS, DUPLICATES, REJECTS, SOURCE, WEB_REJECTS

SECTION = "Hostile pages"
#: Run → its settings: the default ones; and an extractor one of whose limits most of the pages exceed, with no rule
#: but that of the language, so that hostile pages with ordinary prose are documents and copies of each other.
RUNS = {
    "as by default": (),
    "resiliparse, any English": ("extract.extractor=resiliparse", "rules.preset=none", "language.min_score=0.65"),
}
SITE = "http://hostile.example/"
#: By how much hostile pages may raise the most memory that all processes of a run hold: as much as one child may have.
MORE_BYTES = 2 << 30
#: Where rows of a clean page may differ: it lies elsewhere in another archive.
_PLACE = frozenset(name for name, _ in SOURCE)
_CORPUS = (CANDIDATES.name, DOCUMENTS.name, REJECTS.name, DUPLICATES.name)

Row = dict[str, Any]
#: Table → address → its rows there.
Tables = Mapping[str, Mapping[str, list[Row]]]


def hostile_pages(folder: Path, data: Path) -> Iterator[Injection]:
    """Curate clean pages without and with hostile ones: a line for each run, in the first for each page."""
    clean = list(gold_pages(data / "html_gold" / "scrapinghub_aeb"))
    bodies = hostile.PAGES | {name: text.encode(errors="surrogatepass") for name, text in hostile.TEXTS.items()}
    names = {f"{SITE}{number}": name for number, name in enumerate(bodies)}
    mixed = [*clean, *((url, bodies[name]) for url, name in names.items())]
    random.Random(1).shuffle(mixed)
    plain = {url: "text/plain" for url, name in names.items() if name in hostile.TEXTS}
    sides = _Side(folder / "clean", clean, {}), _Side(folder / "mixed", mixed, plain)
    for run, settings in RUNS.items():
        shown = Injection(SECTION, f"all {len(names)} beside {len(clean)}, {run}", columns=_columns())
        try:
            alone, beside = (side.curate(settings) for side in sides)
        except BenchmarkError as error:
            shown.problems.append(str(error))
            yield shown
            continue
        without, found = (side.tables() for side in sides)
        _compare(shown, without, found)
        if beside.peak_bytes > alone.peak_bytes + MORE_BYTES:
            shown.problems.append(f"over {MORE_BYTES / 2**30:g} GiB more memory than without them")
        outcomes = {url: _outcomes(url, found) for url in names}
        shown.fired = all(outcomes.values())
        if wrong := [names[url] for url, these in outcomes.items() if len(these) != 1]:
            shown.problems.append(f"not one outcome: {', '.join(wrong)}")
        counted = Counter(outcome for these in outcomes.values() for outcome in these)
        shown.columns = _columns(
            f"{sum(map(len, bodies.values())):,}",
            ", ".join(f"{count} {outcome}" for outcome, count in counted.most_common()),
            f"{beside.peak_bytes / 2**30:.1f} GiB of memory, without them {alone.peak_bytes / 2**30:.1f}",
            f"{beside.seconds:.0f}, without them {alone.seconds:.0f}",
        )
        yield shown
        if not settings:
            slowest = sides[1].slowest()
            for url, name in names.items():
                page = Injection(SECTION, name, fired=bool(outcomes[url]), equal=shown.equal)
                page.lost, page.doubled = int(not outcomes[url]), max(len(outcomes[url]) - 1, 0)
                took = f"{slowest[url]:.2f}" if url in slowest else f"< {min(slowest.values()):.2f}"
                page.columns = _columns(
                    f"{len(bodies[name]):,}", ", ".join(outcomes[url]) or "NONE", _detail(url, found), took
                )
                yield page


def _columns(size: str = "–", outcome: str = "–", detail: str = "–", seconds: str = "–") -> dict[str, str]:
    return {"bytes": size, "outcome": outcome, "extractor, limit, rule": detail, "seconds": seconds}


class _Side:
    """A lake with some pages, curated as often as wanted."""

    def __init__(self, folder: Path, pages: Sequence[Page], types: Mapping[str, str]) -> None:
        folder.mkdir(parents=True)
        self.folder, self.root = folder, folder / "lake"
        self._run("ingest", "warc", str(write_warc(folder / "pages.warc.gz", pages, types=types)))

    def curate(self, settings: Sequence[str]) -> Measured:
        """Curate all pages in place of what was curated before."""
        return self._run("curate", *(part for setting in settings for part in ("--set", setting)))

    def tables(self) -> Tables:
        """The rows of the corpus, and what was rejected before."""
        lake = self._lake()
        found: dict[str, dict[str, list[Row]]] = {}
        for table in (WEB_REJECTS.name, *_CORPUS):
            found[table] = {}
            for row in lake.read(table).to_pylist():
                found[table].setdefault(row["url"], []).append(row)
        return found

    def slowest(self) -> dict[str, float]:
        """The pages whose extraction and normalisation took longest, and the seconds."""
        lake = self._lake()
        times = Times.read(lake.run_folder(lake.releases()[-1].run_id))
        return {url: seconds for seconds, url in times.slowest} if times else {}

    def _lake(self) -> Lake:
        return Lake.open(str(self.root), create=False)

    def _run(self, *command: str) -> Measured:
        whole = [sys.executable, "-m", "millpond", *command, "--lake", str(self.root)]
        return measure(whole, self.folder / "log", self.folder, cluster.environment())


def _compare(shown: Injection, without: Tables, found: Tables) -> None:
    """Compare the rows of clean pages in each table of the corpus, by address."""
    for table in _CORPUS:
        wanted, got = (
            {
                url: [{name: value for name, value in row.items() if name not in _PLACE} for row in rows]
                for url, rows in side[table].items()
                if not url.startswith(SITE)
            }
            for side in (without, found)
        )
        shown.lost += len(wanted.keys() - got.keys())
        shown.doubled += sum(max(len(rows) - len(wanted.get(url, [])), 0) for url, rows in got.items())
        if different := sorted(url for url in wanted.keys() | got.keys() if wanted.get(url) != got.get(url)):
            shown.problems.append(f"{table} differs for {len(different)} clean pages, such as {different[0]}")
    shown.equal = not shown.problems


def _outcomes(url: str, found: Tables) -> list[str]:
    """All that became of a page, and how often."""
    at = {table: rows.get(url, []) for table, rows in found.items()}
    return [
        *(f"ingest: {row['reason']}" for row in at[WEB_REJECTS.name]),
        *("document" for _ in at[DOCUMENTS.name]),
        *(str(row["reason"]) for row in at[REJECTS.name]),
        *(f"{row['kind']} copy" for row in at[DUPLICATES.name]),
    ]


def _detail(url: str, found: Tables) -> str:
    """Who extracted a page and which limit it exceeds; and the rule that dropped it, with the value."""
    said: list[str] = []
    for row in found[WEB_REJECTS.name].get(url, []):
        said.append(str(row["detail"]))
    for row in found[CANDIDATES.name].get(url, []):
        said += [(row["extractor"] or "none").split()[0], *filter(None, [row["outcome_detail"]])]
    for row in found[REJECTS.name].get(url, []):
        said += [] if row["value"] is None else [f"{row['rule']} {row['value']:.2f}"]
    return ", ".join(said)


def main() -> int:
    """Show what came of each page; 1 where a line does not show what it should."""
    good = True
    with tempfile.TemporaryDirectory(prefix="millpond hostile ") as folder:
        for shown in hostile_pages(Path(folder), gold_folder().parent):
            line = [shown.fault, *shown.columns.values(), *shown.problems, "ok" if shown.ok else "FAILED"]
            console.print(" | ".join(line), markup=False, highlight=False, soft_wrap=True)
            good = good and shown.ok
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
