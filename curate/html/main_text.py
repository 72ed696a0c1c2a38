"""The main text of a page: which of its blocks a person would copy out, and what kind of page it is.

A forest gives each block the chance that it belongs; the blocks are kept whose expected F1 is the highest, so a page
on which nothing is certain keeps its likeliest part instead of nothing (Lewis 1995, "Evaluating and optimizing
autonomous text classification systems": the best cut lies at half the F1 that is reached). Of those that say the same
at length the first stays. The model was trained on annotated pages by `benchmarks/extraction_fit.py`;
`docs/extraction.md` has its cross-validated scores.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
from selectolax.lexbor import LexborHTMLParser

from millpond.curate.html.blocks import FLAGS, Blocks, read_blocks
from millpond.curate.html.config import ExtractConfig
from millpond.curate.html.container_names import Names
from millpond.curate.html.features import features, page_features
from millpond.curate.html.forest import Forest
from millpond.curate.html.metadata import Metadata, read_metadata
from millpond.curate.html.render import render, wanted

PAGE_TYPES = ("article", "collection", "documentation", "forum", "listing", "product", "service")
MODEL = Path(__file__).with_name("model.npz")
#: A JSON-LD body stands in for a page without text where it has this many characters.
_BODY_CHARS = 200
#: Raised where the same model gives other texts: extractions of different revisions do not go together.
REVISION = 2
#: Blocks of so many words are not said twice. Pages repeat them in a summary above its details, behind tabs, for
#: small screens and for readers without scripts; shorter ones, such as labels, come again in their own right.
_REPEATED_WORDS = 10
#: What code and tables hold may well be equal.
_REPEATING = FLAGS["pre"] | FLAGS["td"] | FLAGS["th"]


@dataclass(frozen=True)
class Model:
    """What was learned: of blocks, of pages, and of what containers are called."""

    blocks: Forest
    pages: Forest
    names: Names

    @classmethod
    def load(cls, path: Path) -> Model:
        """Read a model's arrays; nothing in the file is executed."""
        with np.load(path, allow_pickle=False) as arrays:
            words, scores = arrays["names_word"].tolist(), arrays["names_score"].tolist()
            return cls(
                Forest.from_arrays(arrays, "blocks_"),
                Forest.from_arrays(arrays, "pages_"),
                Names(dict(zip(words, scores, strict=True))),
            )


@dataclass(frozen=True)
class MainText:
    """The main text of a page, empty where there is none, with what the page says about itself."""

    text: str
    page_type: str | None
    metadata: Metadata


@cache
def _model() -> Model:
    return Model.load(MODEL)


def main_text(html: bytes, url: str | None, latest: date | None, config: ExtractConfig) -> MainText:
    """Find the main text of a page, in UTF-8. Time is linear in the page."""
    tree = LexborHTMLParser(html)
    metadata = read_metadata(tree, url, latest)
    blocks = read_blocks(tree)
    if not len(blocks):
        body = metadata.article_body or ""
        return MainText(body if len(body) >= _BODY_CHARS else "", None, metadata)
    model = _model()
    found = features(blocks, metadata, url, model.names)
    chances = 1 / (1 + np.exp(-model.blocks.judge(found.columns)[:, 0]))
    kept = without_copies(blocks, wanted(blocks, best_choice(chances, found.words).tolist(), config), found.words)
    kind = int(model.pages.judge(page_features(found)[:, None])[0].argmax())
    return MainText(render(blocks, kept, config), PAGE_TYPES[kind], metadata)


def best_choice(chances: npt.NDArray[np.float64], words: npt.NDArray[np.float64]) -> npt.NDArray[np.intp]:
    """The blocks, ascending, whose choice has the highest expected F1 over words."""
    order = np.argsort(-chances, kind="stable")
    expected = np.cumsum((chances * words)[order])
    scores = 2 * expected / (np.cumsum(words[order]) + expected[-1])
    return np.sort(order[: int(np.argmax(scores)) + 1])


def without_copies(blocks: Blocks, chosen: Iterable[int], words: npt.NDArray[np.float64]) -> list[int]:
    """The chosen blocks but those of ten words or more whose text a chosen block before them has; code and tables
    stay whole."""
    seen: set[str] = set()
    result = []
    for number in chosen:
        text = blocks.text[number]
        if words[number] < _REPEATED_WORDS or blocks.flags[number] & _REPEATING:
            result.append(number)
        elif text not in seen:
            result.append(number)
            seen.add(text)
    return result
