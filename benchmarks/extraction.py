"""Scores and speed of the main text, beside trafilatura and resiliparse: `python -m benchmarks.extraction`.

Trains the model on the gold pages in an environment of its own (`benchmarks/extraction_fit.py`), writes it to
`curate/html/model.npz`, and writes `docs/extraction.md` from the cross-validated scores. With `--scores` the scores of
the last training are used again, and only the page is written.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import subprocess
import sys
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from itertools import starmap
from typing import Any

import numpy as np
import trafilatura
from benchmarks import peer
from benchmarks.gold import WCXB, GoldPage, f1, gold_pages, unwanted_found, words
from benchmarks.machine import describe
from benchmarks.measure import BenchmarkError
from benchmarks.page import table
from benchmarks.pages import ROOT, gold_folder
from resiliparse.extract.html2text import extract_plain_text
from resiliparse.parse.html import HTMLTree

from millpond.curate.config import CurateConfig
from millpond.curate.extract import extract
from millpond.curate.extract import page as extract_page
from millpond.curate.html.main_text import MODEL
from millpond.curate.isolate import Isolated, Item
from millpond.curate.signals.language import identify
from millpond.errors import MillpondError

_SCORES = ROOT / ".bench" / "extraction.json"
_SAMPLES = 2000
#: Pages of WCXB over which time is taken: every so many.
_TIMED = 3
_PASSES = 12
_CHUNK = 50
#: What handing pages to a child process may add to their time.
_ISOLATION_MOST = 0.05

_PAGE = """\
# Extraction

Written by `python -m benchmarks.extraction` on {date} at commit {commit}.

Machine: {processor}, {system}, Python {python}, selectolax {selectolax}, trafilatura {trafilatura}, resiliparse
{resiliparse}.

Scores are F1 of words, whatever their order (a character of a script without spaces counts as one), averaged over
pages. Millpond's are cross-validated: each page is judged by a model that has seen no page of its domain. "Ceiling"
is what a choice of Millpond's blocks by the gold text itself reaches, "whole page" what keeping all of them does.
"trafilatura" is this version with its defaults, which keep the comments below an article, and beside it tuned to
precision without comments; resiliparse runs with main content. In brackets: 95 % intervals over pages (bootstrap).

What is published of trafilatura on scrapinghub_aeb does not compare with its line here: that benchmark's own script
leaves comments out, and scores runs of four words, F1 taken of the mean precision and recall.

## By set

{sets}
{paired}

## WCXB by page type

{types}
The page type itself is given right for {kinds:.0%} of these pages.

## What must not be there

WCXB's pages come with snippets that people found to be no part of the main text: menus, consent banners, teasers. Of
the {snippets:,} that the gold text does not say itself, so many stand in what was extracted.

{unwanted}
## By language

Languages of at least three pages, by what the gold text is in.

{languages}
## Time

Processor time on one core, over {timed} pages of WCXB of {size:.0f} kB on average, from bytes to text;
Millpond reads title, author and date besides.

{speed}
## Isolation

Seconds on the clock for the same pages, extracted and normalised in one process, and in a child process that can be
killed, as a run does it. The two take turns over {chunk} pages at a time, in {passes} passes over all; given are
medians, and "more" is the median of the ratios of neighbours. Isolation may take {isolation_most:.0%}.

{isolation}
"""

Run = Callable[[Iterable[Item]], Iterable[object]]
Scores = dict[str, float]
_COLUMNS = ("Millpond", "trafilatura", "trafilatura, precision", "resiliparse", "whole page", "ceiling")


def main() -> None:
    """Train, measure, write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scores", action="store_true", help="use the scores of the last training again")
    options = parser.parse_args()
    try:
        folder = gold_folder()
        if not options.scores:
            train(str(folder))
        facts = describe(ROOT, peer.pins("datatrove"), 1)
        pages = list(gold_pages(folder))
        (ROOT / "docs" / "extraction.md").write_text(page(facts, pages, score(pages)))
    except MillpondError as error:
        sys.exit(f"error: {error}")


def train(folder: str) -> None:
    """Run the training in its environment.

    Raises:
        BenchmarkError: it failed.
    """
    _SCORES.parent.mkdir(exist_ok=True)
    command = [str(peer.ensure("extraction")), "-m", "benchmarks.extraction_fit", folder, str(_SCORES), str(MODEL)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT / "src"), str(ROOT)))}
    if subprocess.run(command, cwd=ROOT, env=environment).returncode:
        raise BenchmarkError("the training failed; what it said stands above")


def score(pages: Sequence[GoldPage]) -> list[dict[str, Any]]:
    """The cross-validated scores of the last training, with those of the other extractors."""
    if not _SCORES.exists():
        raise BenchmarkError(f"{_SCORES} is not there: train first, without --scores")
    ours = {(result["set"], result["id"]): result for result in json.loads(_SCORES.read_bytes())}
    logging.getLogger("trafilatura").setLevel(logging.CRITICAL + 1)
    results = []
    for gold in pages:
        result = ours[gold.set, gold.id]
        wanted = words(gold.text)
        read_words = {name: words(read(gold) or "") for name, read in READERS.items() if name != "Millpond"}
        others = {name: f1(found, wanted) for name, found in read_words.items()}
        unwanted = {name: unwanted_found(gold, found) for name, found in read_words.items()}
        own = {"Millpond": result["f1"], "whole page": result["whole_page"], "ceiling": result["ceiling"]}
        results.append(
            {
                **result,
                "language": identify(gold.text)[0],
                "scores": {**own, **others},
                "unwanted": result["unwanted"] | unwanted,
            }
        )
    return results


def _trafilatura(gold: GoldPage, precise: bool = False) -> str | None:
    text: str | None = trafilatura.extract(
        gold.html.decode(errors="replace"),
        url=gold.url or None,
        favor_precision=precise,
        include_comments=not precise,
    )
    return text


def _resiliparse(gold: GoldPage) -> str:
    return extract_plain_text(HTMLTree.parse(gold.html.decode(errors="replace")), main_content=True)


READERS: Mapping[str, Callable[[GoldPage], str | None]] = {
    "Millpond": lambda gold: extract(gold.html, gold.url).text,
    "trafilatura": _trafilatura,
    "trafilatura, precision": lambda gold: _trafilatura(gold, precise=True),
    "resiliparse": _resiliparse,
}


def page(facts: Mapping[str, Any], pages: Sequence[GoldPage], results: Sequence[Mapping[str, Any]]) -> str:
    """The page as Markdown."""
    wcxb = [result for result in results if result["set"] == WCXB]
    timed = [gold for gold in pages if gold.set == WCXB][::_TIMED]
    millpond = facts["versions"]["millpond"]
    return _PAGE.format(
        **{key: facts[key] for key in ("date", "commit")},
        processor=facts["machine"]["processor"],
        system=facts["machine"]["system"],
        python=facts["versions"]["python"],
        **{name: millpond[name] for name in ("selectolax", "trafilatura", "resiliparse")},
        sets=_by(results, "set", 1, intervals=True),
        paired=_paired(results),
        types=_by(wcxb, "page_type", 1),
        kinds=np.mean([result["page_type"] == result["given_type"] for result in wcxb]),
        snippets=sum(result["unwanted"]["whole page"][1] for result in results),
        unwanted=_unwanted(results),
        languages=_by(results, "language", 3),
        timed=len(timed),
        size=np.mean([len(gold.html) for gold in timed]) / 1000,
        speed=_speed(timed),
        passes=_PASSES,
        chunk=_CHUNK,
        isolation_most=_ISOLATION_MOST,
        isolation=_isolation(timed),
    )


def _by(results: Sequence[Mapping[str, Any]], key: str, least: int, intervals: bool = False) -> str:
    groups: dict[str, list[Scores]] = defaultdict(list)
    for result in results:
        groups[result[key]].append(result["scores"])
    rows = []
    for name, scores in sorted(groups.items(), key=lambda item: (-len(item[1]), item[0])):
        if len(scores) >= least:
            cells = [_cell([line[column] for line in scores], intervals) for column in _COLUMNS]
            rows.append((name, str(len(scores)), *cells))
    return table((key.replace("_", " "), "pages", *_COLUMNS), rows)


def _unwanted(results: Sequence[Mapping[str, Any]]) -> str:
    """The share of unwanted snippets that each extractor lets through."""
    columns = _COLUMNS[:-1]
    sums = {name: np.sum([result["unwanted"][name] for result in results], axis=0) for name in columns}
    return table(columns, [[f"{found / snippets:.1%}" for found, snippets in sums.values()]])


def _cell(values: Sequence[float], interval: bool) -> str:
    text = f"{np.mean(values):.3f}"
    if interval:
        low, high = _interval(np.array(values))
        text += f" ({low:.3f} – {high:.3f})"
    return text


def _interval(values: np.ndarray[Any, Any]) -> tuple[float, float]:
    generator = np.random.default_rng(0)
    means = values[generator.integers(0, len(values), (_SAMPLES, len(values)))].mean(axis=1)
    low, high = np.quantile(means, (0.025, 0.975))
    return float(low), float(high)


def _paired(results: Sequence[Mapping[str, Any]]) -> str:
    """How much Millpond is above trafilatura, page by page."""
    lines = []
    for name in dict.fromkeys(result["set"] for result in results):
        scores = [result["scores"] for result in results if result["set"] == name]
        for other in ("trafilatura", "trafilatura, precision"):
            gain = np.array([line["Millpond"] - line[other] for line in scores])
            low, high = _interval(gain)
            lines.append(f"- {name}, over {other}: {gain.mean():+.3f} ({low:+.3f} – {high:+.3f})")
    return "\n".join(lines)


def _speed(pages: Sequence[GoldPage]) -> str:
    rows = []
    base = 0.0
    for name in ("trafilatura", "trafilatura, precision", "resiliparse", "Millpond"):
        read = READERS[name]
        read(pages[0])  # imports and models
        start = time.process_time()
        for gold in pages:
            read(gold)
        each = (time.process_time() - start) / len(pages)
        base = base or each
        rows.append((name, f"{each * 1000:.1f}", f"{1 / each:.0f}", f"{base / each:.1f}"))
    return table(("", "ms a page", "pages/s", "× trafilatura"), rows)


def _isolation(pages: Sequence[GoldPage]) -> str:
    rows = []
    for extractor in ("millpond", "resiliparse"):
        config = CurateConfig.from_mapping({"extract": {"extractor": extractor}}, "benchmark")
        settings = {
            **dict.fromkeys(("charset", "content_type", "fetched")),
            "extract": config.extract.model_dump_json(),
            "bounds": config.normalise.model_dump_json(),
        }
        with Isolated(
            "millpond.curate.extract:page", config.extract.timeout_seconds, config.extract.memory_mb
        ) as child:
            places: dict[str, Run] = {"here": partial(starmap, extract_page), "child": child.map}
            taken: dict[str, list[float]] = {place: [] for place in places}
            for number in range(1 + _PASSES):  # in the first one both import and read their models
                for first in range(0, len(pages) - _CHUNK + 1, _CHUNK):
                    for place, run in places.items():
                        start = time.perf_counter()
                        items = ((settings | {"url": gold.url}, gold.html) for gold in pages[first : first + _CHUNK])
                        deque(run(items), maxlen=0)
                        if number:
                            taken[place].append((time.perf_counter() - start) / _CHUNK)
        here, there = (float(np.median(seconds)) for seconds in taken.values())
        more = float(np.median(np.divide(taken["child"], taken["here"]))) - 1
        verdict = "yes" if more <= _ISOLATION_MOST else "NO"
        rows.append((extractor, f"{here * 1000:.2f}", f"{there * 1000:.2f}", f"{more:+.1%}", verdict))
    return table(("extractor", "one process, ms a page", "with a child", "more", "within the bound"), rows)


if __name__ == "__main__":
    main()
