"""Measures what Millpond and trafilatura read about real pages: `python -m benchmarks.metadata`.

The gold pages are those of `html_gold/wcxb` under `MILLPOND_TEST_DATA`, whose titles, authors and dates people wrote
down. An answer is right when it equals theirs after normalisation: Unicode compatibility forms, case, white space,
dashes, quotation marks and how several names are joined. Writes `docs/metadata.md`.
"""

from __future__ import annotations

import gzip
import json
import logging
import re
import sys
import time
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from importlib.metadata import version
from pathlib import Path

import trafilatura
from benchmarks.machine import describe
from benchmarks.page import table
from benchmarks.pages import ROOT, gold_folder
from selectolax.lexbor import LexborHTMLParser
from trafilatura.metadata import extract_metadata
from trafilatura.settings import Document

from millpond.curate.html.metadata import read_metadata
from millpond.errors import MillpondError

FIELDS = ("title", "author", "date")

_PAGE = """\
# Metadata

Written by `python -m benchmarks.metadata` on {date} at commit {commit}.

Machine: {processor}, {system}, Python {python}, selectolax {selectolax}, trafilatura {trafilatura}.

{pages:,} real pages of {size:,.0f} kB on average; people wrote down {counts}.
"Right" is the share of those that a reader gives exactly, "given and right" the share of all it gives, pages
without gold included; both after normalisation of case, white space, dashes, quotation marks and what joins names.

{table}
Millpond's time is that of reading a tree already parsed for the extraction of the text; parsing takes {parse:.2f} ms
a page more. `bare_extraction` finds the text besides; `extract_metadata` parses and reads metadata alone, here asked
for the date of first publication, the question that Millpond answers.

Many of the dates that people wrote down are those of the last change, which a page shows more often than the first.
"""

Answer = Mapping[str, str | None]


@dataclass(frozen=True)
class Gold:
    """A page and what is right."""

    html: str
    url: str
    fetched: date | None
    right: Answer


@dataclass
class Side:
    """One reader, its answers and its seconds."""

    label: str
    read: Callable[[Gold], tuple[Answer, float]]
    answers: Sequence[Answer] = ()
    seconds: float = 0.0

    def run(self, pages: Sequence[Gold]) -> None:
        """Read all pages."""
        results = [self.read(page) for page in pages]
        self.answers = [answer for answer, _ in results]
        self.seconds = sum(seconds for _, seconds in results)


def main() -> None:
    """Measure, print the table and write the page."""
    logging.disable(logging.CRITICAL)
    try:
        pages = load(gold_folder() / "wcxb")
    except MillpondError as error:
        sys.stderr.write(f"metadata: {error}\n")
        sys.exit(error.exit_code)
    sides = [
        Side("Millpond", by_millpond),
        Side("trafilatura, `bare_extraction`", by_bare_extraction),
        Side("trafilatura, `extract_metadata`", by_extract_metadata),
    ]
    for side in sides:
        side.run(pages)
    shown = comparison(sides, pages)
    sys.stdout.write(shown)
    write(ROOT / "docs" / "metadata.md", shown, pages)


def load(folder: Path) -> list[Gold]:
    """The pages with gold, in order of their names."""
    pages = []
    for path in sorted((folder / "ground-truth").glob("*.json")):
        gold = json.loads(path.read_text())
        right = gold["ground_truth"]
        body = gzip.decompress((folder / "html" / f"{gold['file_id']}.html.gz").read_bytes())
        fetched = gold.get("downloaded_at")
        pages.append(
            Gold(
                body.decode("utf-8", "replace"),
                gold["url"],
                date.fromisoformat(fetched[:10]) if fetched else None,
                {"title": right.get("title"), "author": right.get("author"), "date": right.get("publish_date")},
            )
        )
    return pages


def by_millpond(page: Gold) -> tuple[Answer, float]:
    """What Millpond reads in the parsed page."""
    tree = LexborHTMLParser(page.html)
    start = time.process_time()
    found = read_metadata(tree, page.url, page.fetched)
    seconds = time.process_time() - start
    day = found.published_at.isoformat() if found.published_at else None
    return {"title": found.title, "author": found.author, "date": day}, seconds


def by_bare_extraction(page: Gold) -> tuple[Answer, float]:
    """What trafilatura reads as it is usually called."""
    start = time.process_time()
    found = trafilatura.bare_extraction(page.html, url=page.url, with_metadata=True)
    return _answer(found), time.process_time() - start


def by_extract_metadata(page: Gold) -> tuple[Answer, float]:
    """What trafilatura reads when asked for metadata alone and the first date."""
    dates: dict[str, object] = {"original_date": True, "extensive_search": True}
    dates["max_date"] = (page.fetched or date.today()).isoformat()
    start = time.process_time()
    found = extract_metadata(page.html, default_url=page.url, date_config=dates)
    return _answer(found), time.process_time() - start


def _answer(found: object) -> Answer:
    if not isinstance(found, Document):
        return dict.fromkeys(FIELDS)
    return {"title": found.title, "author": found.author, "date": found.date}


def normalised(field: str, value: str | None) -> str:
    """A value as it is compared."""
    text = unicodedata.normalize("NFKC", value or "").casefold()
    text = re.sub("[\u2010-\u2015\u2212]", "-", text)
    text = re.sub("[‘’`]", "'", re.sub("[“”]", '"', text))
    if field == "author":
        text = re.sub(r"\s*(?:;|,| and | & )\s*", ", ", text)
    return " ".join(text.split())


def comparison(sides: Sequence[Side], pages: Sequence[Gold]) -> str:
    """The table of all sides."""
    columns = ("", *(f"{field}, {what}" for field in FIELDS for what in ("right", "given and right")), "ms a page")
    rows = []
    for side in sides:
        cells = [side.label]
        for field in FIELDS:
            right = [normalised(field, page.right[field]) for page in pages]
            given = [normalised(field, answer[field]) for answer in side.answers]
            hits = sum(bool(a) and a == b for a, b in zip(right, given, strict=True))
            cells += [f"{hits / sum(map(bool, right)):.1%}", f"{hits / max(1, sum(map(bool, given))):.1%}"]
        rows.append((*cells, f"{side.seconds / len(pages) * 1000:.2f}"))
    return table(columns, rows)


def write(path: Path, shown: str, pages: Sequence[Gold]) -> None:
    """Write the page."""
    described = describe(ROOT, ROOT / "benchmarks" / "peers" / "datatrove.txt", 1)
    start = time.process_time()
    for page in pages:
        LexborHTMLParser(page.html)
    parse = time.process_time() - start
    text = _PAGE.format(
        date=described["date"],
        commit=described["commit"],
        processor=described["machine"]["processor"],
        system=described["machine"]["system"],
        python=described["versions"]["python"],
        selectolax=version("selectolax"),
        trafilatura=version("trafilatura"),
        pages=len(pages),
        size=sum(len(page.html.encode()) for page in pages) / len(pages) / 1000,
        counts=", ".join(f"{sum(bool(page.right[field]) for page in pages)} {field}s" for field in FIELDS),
        table=shown,
        parse=parse / len(pages) * 1000,
    )
    path.write_text(text)


if __name__ == "__main__":
    main()
