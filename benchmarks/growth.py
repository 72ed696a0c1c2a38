"""How the cost of curation grows with the corpus: `python -m benchmarks.growth`, which writes `docs/growth.md`.

Millpond's side of `benchmarks.run` over 1,000, 4,000 and 16,000 pages, with resiliparse as extractor, the fastest:
what is not linear shows most. Each run is a fresh process with two workers.
"""

from __future__ import annotations

import os
import sys
from itertools import pairwise
from typing import Any

from benchmarks import peer
from benchmarks.machine import describe
from benchmarks.page import table
from benchmarks.pages import ROOT, make_pages
from benchmarks.run import BENCH, SIDES, WORKERS, once, say

from millpond.errors import MillpondError

PAGES = 16_000
#: The cost of a page may rise so much from four times the pages to sixteen times.
MOST = 0.10

_PAGE = """\
# Growth

Written by `python -m benchmarks.growth` on {date} at commit {commit}.

Machine: {processor}, {cores_used} of {cores} cores used, {memory_gib} GiB, {system}, Python {python}, Java {java}.

WARC files to published documents with `extract.extractor=resiliparse`, as in [benchmarks.md](benchmarks.md). The cost
of a page is a slope: the seconds between two sizes over the pages between them. From the smaller pair of sizes to the
larger it rises by {rise:+.1%}; the budget is {most:.0%}.

{costs}
Shuffled is what Spark's tasks wrote for other tasks, from its event log, over the documents that reached
deduplication. The driver is the Python process that plans and publishes; its memory is the most it ever held.

{sizes}
"""


def main() -> int:
    """Measure and write the page; 1 where the cost rises by more than it may."""
    try:
        small = make_pages(PAGES // 4, BENCH / "pages")
        large = make_pages(PAGES, BENCH / "pages")
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:WORKERS])
        facts = describe(ROOT, peer.pins("datatrove"), WORKERS)
        [side] = [side for side in SIDES if side.name == "millpond-resiliparse"]
        sizes = (PAGES // 16, PAGES // 4, PAGES)
        runs = []
        for count, warcs in zip(sizes, (small.quarter, small.all, large.all), strict=True):
            runs.append(once(side, f"growth-{count}", warcs))
            say(f"{count:,} pages: {runs[-1]['seconds']:.1f} s")
    except MillpondError as error:
        sys.stderr.write(f"growth: {error}\n")
        return error.exit_code
    costs = [
        (run["seconds"] - before["seconds"]) / (count - less) * 1000
        for (less, before), (count, run) in pairwise(zip(sizes, runs, strict=True))
    ]
    rise = costs[1] / costs[0] - 1
    text = _PAGE.format(
        **{name: facts[name] for name in ("date", "commit")},
        **facts["machine"],
        python=facts["versions"]["python"],
        java=facts["versions"]["java"],
        rise=rise,
        most=MOST,
        costs=table(
            ("between", "ms a page"),
            [(f"{a:,} and {b:,} pages", f"{cost:.2f}") for (a, b), cost in zip(pairwise(sizes), costs, strict=True)],
        ),
        sizes=table(
            ("pages", "seconds", "documents kept", "shuffled, bytes a document", "driver, MiB"),
            [_row(count, run) for count, run in zip(sizes, runs, strict=True)],
        ),
    )
    (ROOT / "docs" / "growth.md").write_text(text)
    return int(rise > MOST)


def _row(count: int, run: dict[str, Any]) -> tuple[str, ...]:
    counts = run["documents"]["documents"]
    reached = counts["out"] + sum(counts.get(kind, 0) for kind in ("exact", "near", "url"))
    return (
        f"{count:,}",
        f"{run['seconds']:.1f}",
        f"{counts['out']:,}",
        f"{run['shuffled_bytes'] / max(reached, 1):,.0f}",
        f"{run['driver_bytes'] / (1 << 20):,.0f}",
    )


if __name__ == "__main__":
    sys.exit(main())
