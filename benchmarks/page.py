"""Writes `docs/benchmarks.md` from the results of a run; `python -m benchmarks.page` does it again.

Only a run over at least `LEAST_PAGES` pages with every side in it is published; any other goes to
`.bench/benchmarks.md`, since its rates are mostly start-up and noise.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import claims
from benchmarks.pages import ROOT

from millpond.errors import InputError, MillpondError

#: The largest share of a curation run that its audits may take.
AUDIT_BUDGET = 0.15
#: Side → how many times as fast as datatrove as shipped it has to be.
SPEED_BUDGETS = {"millpond": 10, "millpond-resiliparse": 20}
#: Fewer pages than this give no rate that may be published.
LEAST_PAGES = 8000
SHIPPED, CHEAP = "datatrove", "datatrove-regex"
SIDES = (SHIPPED, CHEAP, "millpond", "millpond-resiliparse")
Results = Mapping[str, Any]

_INTRODUCTION = """\
# Benchmarks

Written by `{command}` on {date} at commit {commit}; `make bench` writes it anew.
The same numbers as JSON: `.bench/results.json`.

Machine: {processor}, {cores_used} of {cores} cores used, {memory_gib} GiB, {system}, Python {python}, Java {java}.
Millpond: {millpond}. datatrove's side: {datatrove}.

## WARC files to filtered, deduplicated documents

Both sides read the same WARC files, extract the main text, identify the language, apply the rules of Gopher
(repetition and quality), C4 (without terminal punctuation) and FineWeb, remove near duplicates (MinHash, 14 × 8
values over 5-grams of words) and write what is left. Millpond's time includes what it does besides: every page and
every candidate with all its signals and its reason becomes a row, every count goes into the ledger, both releases
are audited and published.

A rate is a slope: the seconds for {pages:,} pages minus the seconds for {quarter:,} of them, over the {rest:,} pages
between, so that starting up drops out. Each run is one fresh process with {cores_used} workers, pinned to the same
{cores_used} cores. "At least" is the bar for × datatrove as shipped.
"""

_METHOD = """\
**Pages.** {pages:,} copies of {gold:,} real pages ({megabytes:,.0f} MB of HTML in {files} WARC files), each copy with
about 15 % of its words replaced by other words of the same page, so that deduplication has next to nothing
to remove. The quarter has the same spread of page sizes as the rest.

**datatrove** {version} runs FineWeb's pipeline, steps and settings as in its `examples/fineweb.py`, on its local
executor with two workers, in an environment of its own (`benchmarks/peers/datatrove.txt`). That has trafilatura
{trafilatura}, the newest it accepts. What differs from the example:

- The language model is lid.176.ftz, the one Millpond uses, in place of lid.176.bin, which its filter would download.
  The filter is datatrove's own.
- No URL filter and no writers for excluded documents, which the example has: less work for datatrove. Millpond
  runs without blocklists here, and does keep what it excludes.
- xxHash, its default, where the example chooses SHA-1: less work for datatrove.
- It gives a page one second to be extracted, as shipped, and drops it then.{lost}
- "With a cheap word splitter": spaCy's English splitter replaced in every step, through the parameter datatrove has
  for it, by one regular expression.

Documents kept are shown as a check that both did the same work, not as a result; they differ because
extractor versions, word splitters and the treatment of broken pages differ.

**Memory** is the largest sum of proportional set sizes over a side's processes, sampled each second.
"""


_STEPS = """\
## Steps of extraction

Seconds of tasks, as `millpond curate explain` shows them. `isolation` is the handing over of pages to a process that
can be killed, that one's start, all the time of a page whose process died, and waiting where both cores are busy;
[extraction.md](extraction.md) has what it costs alone.
"""


def main() -> None:
    """Write the page again from the last results."""
    try:
        results = read(ROOT / ".bench" / "results.json")
        write(results, place(results))
    except MillpondError as error:
        sys.stderr.write(f"page: {error}\n")
        sys.exit(error.exit_code)


def read(path: Path) -> dict[str, Any]:
    """The results of the last run.

    Raises:
        InputError: there are none.
    """
    try:
        results: dict[str, Any] = json.loads(path.read_text())
    except FileNotFoundError:
        raise InputError(f"{path}: no results yet; run `make bench`") from None
    return results


def unfit(results: Results) -> str | None:
    """Why these results may not be published; None where they may."""
    if results["pages"]["pages"] < LEAST_PAGES:
        return f"{results['pages']['pages']:,} pages are too few for a rate: {LEAST_PAGES:,} at least"
    if missing := [name for name in SIDES if rate(results, name) is None]:
        return f"no rate of {', '.join(missing)}"
    return None


def place(results: Results) -> Path:
    """Where the page of these results belongs."""
    return ROOT / (".bench" if unfit(results) else "docs") / "benchmarks.md"


def write(results: Results, path: Path) -> None:
    """Write the page."""
    pages, versions = results["pages"], results["versions"]
    introduction = _INTRODUCTION.format(
        command=results["command"],
        date=results["date"],
        commit=results["commit"],
        python=versions["python"],
        java=versions["java"],
        millpond=_listed(versions["millpond"]),
        datatrove=_listed(versions["datatrove"]),
        pages=pages["pages"],
        quarter=pages["quarter"],
        rest=pages["pages"] - pages["quarter"],
        **results["machine"],
    )
    method = _METHOD.format(
        gold=pages["gold"],
        pages=pages["pages"],
        megabytes=pages["html_bytes"] / 1e6,
        version=versions["datatrove"]["datatrove"],
        trafilatura=versions["datatrove"]["trafilatura"],
        files=pages["files"],
        lost=_lost(results),
    )
    parts = [
        *(introduction, comparison(results), _missed(results), method),
        *(_profile(results), _steps(results), _audits(results), _index()),
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(part for part in parts if part))


def comparison(results: Results) -> str:
    """The table of all sides."""
    pages = results["pages"]
    columns = (
        "",
        f"{pages['quarter']:,} pages, s",
        f"{pages['pages']:,} pages, s",
        "pages/s",
        "× datatrove as shipped",
        "at least",
        "× with cheap words",
        "kept",
        "peak memory, GiB",
    )
    rows = [
        (
            side["label"],
            f"{side['quarter']['seconds']:.1f}",
            f"{side['all']['seconds']:.1f}",
            shown(rate(results, side["name"])),
            shown(ratio(results, side["name"], SHIPPED)),
            str(SPEED_BUDGETS.get(side["name"], "")),
            shown(ratio(results, side["name"], CHEAP)),
            f"{side['quarter']['kept']:,} / {side['all']['kept']:,}",
            f"{side['all']['peak_bytes'] / 2**30:.1f}",
        )
        for side in results["sides"]
    ]
    return table(columns, rows)


def _missed(results: Results) -> str:
    """Every bar of this page that is missed."""
    lines = []
    for side in results["sides"]:
        label, speed = side["label"], ratio(results, side["name"], SHIPPED)
        least = SPEED_BUDGETS.get(side["name"], 0)
        if speed is not None and speed < least:
            lines.append(f"- {label}: {speed:.1f} × datatrove as shipped, and it should be {least} × at least.")
        audits = _audit_share(side["all"])
        if audits is not None and audits > AUDIT_BUDGET:
            lines.append(f"- {label}: audits take {audits:.1%} of a curation run, and may take {AUDIT_BUDGET:.0%}.")
    return "**Missed:**\n\n" + "\n".join(lines) + "\n" if lines else "No bar of this page is missed.\n"


def rate(results: Results, name: str) -> float | None:
    """Pages a second of one side, as a slope; None where it was not measured or noise outweighs it."""
    side = next((side for side in results["sides"] if side["name"] == name), None)
    if side is None:
        return None
    seconds: float = side["all"]["seconds"] - side["quarter"]["seconds"]
    pages: int = results["pages"]["pages"] - results["pages"]["quarter"]
    return pages / seconds if seconds > 0 else None


def ratio(results: Results, name: str, to: str) -> float | None:
    """How many times as fast one side is as another."""
    own, other = rate(results, name), rate(results, to)
    return own / other if own and other else None


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table, its first column to the left and the others to the right."""
    lines = [columns, ["---", *("---:" for _ in columns[1:])], *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _profile(results: Results) -> str:
    """Seconds of each part of each side."""
    between = results["pages"]["pages"] - results["pages"]["quarter"]
    text = ["## Where the time goes\n\nParts named `stage: part` lie inside their stage, and `gate` inside `audit`.\n"]
    for side in results["sides"]:
        rows = []
        for part, seconds in side["all"]["parts"].items():
            quarter = side["quarter"]["parts"].get(part, 0.0)
            each = (seconds - quarter) / between * 1000
            rows.append((part, f"{quarter:.1f}", f"{seconds:.1f}", f"{each:.2f}"))
        columns = (side["label"], "quarter, s", "all, s", "ms a page, as a slope")
        text.append(table(columns, rows))
    return "\n".join(text)


def _spent(results: Results, side: Results) -> dict[str, float]:
    """Seconds of tasks between the quarter and all pages, by step of extraction; empty where none were told."""
    before = side["quarter"].get("steps") or {}
    steps = side["all"].get("steps") or {}
    return {name: seconds - before.get(name, 0.0) for name, seconds in steps.items()}


def _steps(results: Results) -> str:
    """What the tasks of `curate: extract` spend their time on, and what is shuffled after them."""
    between = results["pages"]["pages"] - results["pages"]["quarter"]
    text = []
    for side in results["sides"]:
        if not (spent := _spent(results, side)):
            continue
        rows = [
            (name, f"{seconds / between * 1000:.2f}", f"{seconds / sum(spent.values()):.1%}")
            for name, seconds in spent.items()
        ]
        text.append(table((side["label"], "ms a page, as a slope", "share"), rows))
        each = side["all"]["shuffled_bytes"] / max(side["all"]["kept"], 1)
        text.append(f"Shuffled in the whole run, over all pages: {each:,.0f} bytes a document kept.\n")
    return "\n".join([_STEPS, *text]) if text else ""


def _audits(results: Results) -> str:
    """The share of its audits in each curation run."""
    rows = [
        (
            f"{side['label']}, {results['pages'][key]:,} pages",
            f"{side[part]['parts']['curate: gate']:.1f}",
            f"{side[part]['parts']['curate']:.1f}",
            f"{share:.1%}",
        )
        for side in results["sides"]
        for part, key in (("quarter", "quarter"), ("all", "pages"))
        if (share := _audit_share(side[part])) is not None
    ]
    if not rows:
        return ""
    text = (
        "## Audits\n\nHow much of a curation run its audits take: expectations, unique keys and\n"
        f"the ledger counted again, over all four tables. The budget is {AUDIT_BUDGET * 100:.0f} % of the long run.\n"
    )
    return "\n".join((text, table(("", "audits, s", "curation, s", "share"), rows)))


def _audit_share(run: Results) -> float | None:
    """The share of its audits in one curation run; None where it is none."""
    parts: dict[str, float] = run["parts"]
    return parts["curate: gate"] / parts["curate"] if "curate: gate" in parts else None


def _index() -> str:
    columns = ("what is shown", "command", "page")
    measured = ("## What is shown where\n", table(columns, claims.rows()))
    return "\n".join(
        (*measured, "\nBy tests alone, among all others:\n", table(("what is shown", "by"), claims.tested()))
    )


def _lost(results: Results) -> str:
    side = next((side for side in results["sides"] if side["name"] == SHIPPED), None)
    if side is None:
        return ""
    return f" Of all pages it lost {side['all']['lost_in_extraction']:,} that way or by an error."


def _listed(versions: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {release}" for name, release in versions.items())


def shown(value: float | None) -> str:
    """A rate or ratio for people."""
    return "–" if value is None else f"{value:.1f}"


if __name__ == "__main__":
    main()
