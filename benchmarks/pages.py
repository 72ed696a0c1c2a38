"""Distinct pages for benchmarks: real pages, each copy with a text of its own, in WARC files.

Source are the gold pages under `MILLPOND_TEST_DATA` (those in UTF-8). A page is taken as often as the wished
number needs; each copy has its words changed by its own seed, so that deduplication finds nothing to remove: of
the words between tags every sixth or seventh becomes another word of the same page. Markup, scripts, lengths and
language stay. The pages come as a quarter and the rest, alike in their sizes, so that the time for all minus the
time for the quarter is the time of three quarters of the same kind.

Outputs: `FOLDER/quarter/*.warc.gz` (2 files) and `FOLDER/rest/*.warc.gz` (6 files), as many pages in each and alike in
size. The same number, seed and gold pages give the same pages; a set that is there already is used again.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import random
import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

from millpond.errors import InputError

ROOT = Path(__file__).resolve().parent.parent
SEED = 1
FILES = 8
#: Of each eight pages in order of size these make the quarter: as far from the small end as from the large one.
_QUARTER = (1, 6)
_CHANGED = 0.15

_MARKUP_OR_WORD = re.compile(
    r"<!--.*?-->|<(?P<raw>script|style)\b.*?</(?P=raw)\s*>|<[^>]*>|&#?\w{1,31};|(?P<word>\w+)",
    re.DOTALL | re.IGNORECASE,
)


@dataclass(frozen=True)
class GoldPage:
    """A real page as it lies on disk."""

    name: str
    html: str


@dataclass(frozen=True)
class PageSet:
    """Pages in WARC files."""

    folder: str
    pages: int
    files: int
    gold: int
    """Real pages they are made from."""
    html_bytes: int

    @property
    def quarter(self) -> Path:
        """The folder with a quarter of the pages."""
        return Path(self.folder) / "quarter"

    @property
    def all(self) -> Path:
        """The folder with all of them, in folders of its own."""
        return Path(self.folder)


def gold_folder() -> Path:
    """Where the gold pages lie.

    Raises:
        InputError: they are not there.
    """
    data = Path(os.environ.get("MILLPOND_TEST_DATA", ROOT.parent / "shared" / "data"))
    folder = data / "html_gold"
    if not folder.is_dir():
        raise InputError(f"no gold pages at {folder}: set MILLPOND_TEST_DATA to the folder that holds html_gold")
    return folder


def make_pages(count: int, cache: Path, seed: int = SEED) -> PageSet:
    """`count` distinct pages in WARC files under `cache`.

    Raises:
        InputError: the gold pages are not there, or `count` does not divide into the files.
    """
    if count <= 0 or count % FILES:
        raise InputError(f"{count} pages do not divide into {FILES} files: take a multiple of {FILES}")
    gold = list(_gold_pages(gold_folder()))
    digest = hashlib.sha256(Path(__file__).read_bytes())  # made otherwise, or from other pages: another set
    digest.update(json.dumps([(page.name, len(page.html)) for page in gold]).encode())
    folder = cache / f"{count}-{seed}-{digest.hexdigest()[:12]}"
    described = folder / "pages.json"
    if described.exists():
        return PageSet(**json.loads(described.read_text()))
    unfinished = folder.with_suffix(".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    chosen = _chosen(gold, count)
    size = 0
    for name, parts in (("quarter", FILES // 4), ("rest", FILES - FILES // 4)):
        (unfinished / name).mkdir(parents=True)
        copies = [copy for place, copy in enumerate(chosen) if (place % 8 in _QUARTER) == (name == "quarter")]
        for number in range(parts):
            part = copies[number::parts]
            random.Random(f"{seed}/{name}/{number}").shuffle(part)
            size += _write(unfinished / name / f"{number}.warc.gz", part, seed)
    made = PageSet(str(folder), count, FILES, len(gold), size)
    (unfinished / described.name).write_text(json.dumps(asdict(made)))
    unfinished.rename(folder)
    return made


def changed(html: str, seed: str, share: float = _CHANGED) -> str:
    """The page with that share of its words replaced by other words of it; markup, scripts and entities stay."""
    words = [match["word"] for match in _MARKUP_OR_WORD.finditer(html) if match["word"]]
    chance = random.Random(seed)

    def replace(match: re.Match[str]) -> str:
        if match["word"] is None or chance.random() >= share:
            return match[0]
        return chance.choice(words)

    return _MARKUP_OR_WORD.sub(replace, html)


def _gold_pages(folder: Path) -> Iterator[GoldPage]:
    for path in sorted(folder.rglob("*.html.gz")):
        body = gzip.decompress(path.read_bytes())
        try:
            html = body.decode()
        except UnicodeDecodeError:  # how other charsets are decided is not what is measured
            continue
        yield GoldPage(str(path.relative_to(folder)).removesuffix(".html.gz"), html)


def _chosen(gold: Sequence[GoldPage], count: int) -> list[tuple[GoldPage, int]]:
    """`count` (page, number of the copy) in order of size, evenly spread over all sizes."""
    by_size = sorted(gold, key=lambda page: (len(page.html), page.name))
    rounds = -(-count // len(gold))
    total = len(gold) * rounds
    places = (place * total // count for place in range(count))
    return [(by_size[place // rounds], place % rounds) for place in places]


def _write(path: Path, copies: Sequence[tuple[GoldPage, int]], seed: int) -> int:
    """Write pages as response records, with the payload type that Common Crawl gives; returns their bytes."""
    size = 0
    with path.open("wb") as file:
        writer = WARCWriter(file, gzip=True)
        for page, copy in copies:
            body = changed(page.html, f"{seed}/{copy}/{page.name}").encode()
            size += len(body)
            headers = [("Content-Type", "text/html; charset=utf-8"), ("Content-Length", str(len(body)))]
            record = writer.create_warc_record(
                f"http://copy{copy}.example/{page.name}",
                "response",
                payload=io.BytesIO(body),
                http_headers=StatusAndHeaders("200 OK", headers, protocol="HTTP/1.1"),
                warc_headers_dict={
                    "WARC-Date": "2024-05-01T00:00:00Z",
                    "WARC-Identified-Payload-Type": "text/html",
                },
            )
            writer.write_record(record)
    return size
