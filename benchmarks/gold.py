"""Pages whose main text people have written down: the sets of `html_gold`, read the same way.

Scores are of words, whatever their order: F1 between two bags of words, a character of a script without spaces being
a word. A page of the scale of these sets takes milliseconds to read; nothing is cached.
"""

from __future__ import annotations

import gzip
import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from publicsuffixlist import PublicSuffixList

_WORD = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]"
    "|[^\\W\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]+"
)

_SUFFIXES = PublicSuffixList()
#: The sets with full texts: folder → its gold file and the texts' key (WCXB has a file a page instead).
_TEXTS = {
    "scrapinghub_aeb": ("ground-truth.json", "articleBody"),
    "magic_html_article": ("gold.json", "content"),
    "magic_html_forum": ("gold.json", "content"),
}
WCXB = "wcxb"
SETS = (WCXB, *_TEXTS)


@dataclass(frozen=True)
class GoldPage:
    """One page of a set: its bytes and the main text a person found in it."""

    set: str
    id: str
    url: str
    domain: str
    page_type: str
    html: bytes
    text: str
    unwanted: tuple[str, ...] = ()
    """Snippets of the page that are no part of its main text: menus, banners, teasers. Only WCXB has them."""


def gold_pages(folder: Path) -> Iterator[GoldPage]:
    """The pages under `html_gold` whose text is known, set by set, in order of their names."""
    kinds = json.loads((folder / WCXB / "page_types.json").read_bytes())
    for path in sorted((folder / WCXB / "ground-truth").glob("*.json")):
        page = json.loads(path.read_bytes())
        kind: dict[str, Any] = kinds[path.stem]
        if text := page["ground_truth"].get("main_content"):
            html = _html(folder / WCXB, path.stem)
            domain = registered_domain(kind["domain"])
            unwanted = tuple(page["ground_truth"].get("without") or ())
            yield GoldPage(WCXB, path.stem, page.get("url") or "", domain, kind["page_type"], html, text, unwanted)
    for name, (file, key) in _TEXTS.items():
        kind_of_set = "forum" if "forum" in name else "article"
        for identity, page in sorted(json.loads((folder / name / file).read_bytes()).items()):
            domain = registered_domain(urlsplit(page["url"]).hostname or "")
            yield GoldPage(name, identity, page["url"], domain, kind_of_set, _html(folder / name, identity), page[key])


def registered_domain(host: str) -> str:
    """What a host's owner registered: pages of one owner look alike, whatever the host."""
    return _SUFFIXES.privatesuffix(host.lower()) or host


def _html(folder: Path, name: str) -> bytes:
    return gzip.decompress((folder / "html" / f"{name}.html.gz").read_bytes())


def words(text: str) -> list[str]:
    """The words of a text, lower case."""
    return _WORD.findall(text.lower())


def unwanted_found(page: GoldPage, found: Sequence[str]) -> tuple[int, int]:
    """How many of a page's unwanted snippets stand in the words of an extracted text, and how many count.

    What the gold text itself says somewhere does not count.
    """
    text, wanted = (f" {' '.join(each)} " for each in (found, words(page.text)))
    snippets = [f" {' '.join(words(snippet))} " for snippet in page.unwanted]
    snippets = [snippet for snippet in snippets if snippet.strip() and snippet not in wanted]
    return sum(snippet in text for snippet in snippets), len(snippets)


def f1(found: Sequence[str], wanted: Sequence[str]) -> float:
    """F1 between two bags of words."""
    common = (Counter(found) & Counter(wanted)).total()
    return 2 * common / (len(found) + len(wanted)) if common else 0.0
