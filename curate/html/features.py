"""What the model sees of each block: its text, its place, its containers, the blocks around it, the page.

Everything is computed for all blocks of a page at once. Trees ask only which of two values is greater, so columns
are not scaled.

Sources of the ideas: text and link density of blocks (Kohlschütter, Fankhauser and Nejdl 2010, "Boilerplate
detection using shallow text features"), neighbours and ancestors as context (Vogels, Ganea and Eickhoff 2018,
"Web2Text"). What containers are called is scored by `Names`, learned beside the model.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

import numpy as np
import numpy.typing as npt

from millpond.curate.html import container_columns, text_columns
from millpond.curate.html.blocks import FLAGS, HEADING, Blocks
from millpond.curate.html.container_names import Names
from millpond.curate.html.metadata import Metadata

Floats = npt.NDArray[np.float64]

_URL_WORDS = (
    re.compile(r"forum|thread|topic|/t/|community|question|discuss"),
    re.compile(r"product|/p/|/dp/|/item|shop|store"),
    re.compile(r"collection|categor|/c/|/tag|/list"),
    re.compile(r"docs?[./]|documentation|/api|reference|manual|tutorial|wiki"),
    re.compile(r"blog|news|article|/20\d\d/|post|story"),
)
_LD_TYPES = (
    frozenset(("Article", "NewsArticle", "BlogPosting", "TechArticle", "ScholarlyArticle", "Report")),
    frozenset(("Product", "ProductGroup")),
    frozenset(("DiscussionForumPosting", "QAPage", "Question")),
    frozenset(("CollectionPage", "ItemList", "SearchResultsPage", "OfferCatalog")),
    frozenset(("LocalBusiness", "Organization", "Service", "Corporation")),
    frozenset(("Recipe", "HowTo", "FAQPage", "Course", "Event")),
)
_OG_TYPES = {"article": 1, "website": 2, "product": 3, "og:product": 3, "product.item": 3, "product.group": 4}
#: Elements that a block may lie in; of the others only the page's share of words is seen.
_INSIDE = (
    *("a", "article", "aside", "blockquote", "figcaption", "footer", "h2", "header", "hidden", "li", "main", "p"),
    *("section", "table"),
)
_ON_PAGE = ("p", "li", "td", "pre", "hidden", "noscript")
_INSIDE_BITS = np.array([FLAGS[name] for name in _INSIDE])[:, None]
_ON_PAGE_BITS = np.array([FLAGS[name] for name in _ON_PAGE])[:, None]

_TEXT = ("words", "link_density", "word_length", "ended", "commas", "signs", "digits", "copies")
_PLACE = (
    *("place", "words_before", "words_after", "blocks_before", "blocks_after", "since_heading", "to_heading"),
    *("from_h1", "h1_before"),
)
_AROUND = ("words_around", "links_around", "sentences_around", "name_before", "name_after")
_PAGE = (
    *("page_blocks", "page_words", "page_links", "page_ended", "page_long"),
    *(f"page_{name}" for name in _ON_PAGE),
    *("page_articles", *(f"page_{name}" for name in text_columns.CUES), "page_og"),
    *(f"page_ld_{place}" for place in range(len(_LD_TYPES))),
    *(f"page_url_{place}" for place in range(len(_URL_WORDS))),
    "page_url_depth",
)
#: The names of all columns, in order.
FEATURES = (
    *_TEXT,
    *(f"in_{name}" for name in _INSIDE),
    *_PLACE,
    *text_columns.HEADINGS,
    *text_columns.DESCRIBED,
    *container_columns.COLUMNS,
    *_AROUND,
    *_PAGE,
)
_NEAREST_NAME = FEATURES.index("name_nearest")
#: Blocks on either side that are around one.
_WIDTH = 4
_MISSING = -9.0


@dataclass(frozen=True)
class Features:
    """`columns` of shape (features, blocks), named by `FEATURES`, and the `words` of each block."""

    columns: npt.NDArray[np.float32]
    words: Floats


def features(blocks: Blocks, metadata: Metadata, url: str | None, names: Names) -> Features:
    """What the model sees of a page that has at least one block."""
    count = len(blocks)
    index = np.arange(count)
    flags = np.fromiter(blocks.flags, np.int64, count)
    text = text_columns.count_texts(blocks.text)
    chars, words = text.chars, text.words
    links = np.minimum(np.fromiter(blocks.link_chars, np.int64, count), chars)
    density = links / chars
    sentence = text.ended & (words > 8)
    sums = container_columns.Sums.of(np.array((words, chars, links, sentence, words * sentence * (density < 0.3))))
    total = sums.values[sums.WORDS, -1]
    copies = Counter(blocks.text)

    heading = (flags & HEADING) != 0
    title = (flags & FLAGS["h1"]) != 0
    before = sums.values[sums.WORDS, :-1]
    out = np.empty((len(FEATURES), count), dtype=np.float32)
    start = 0
    for part in (
        (words, density, chars / words, text.ended, text.commas, text.signs, text.digits / chars),
        (list(map(copies.__getitem__, blocks.text)),),
        (flags & _INSIDE_BITS) != 0,
        (index / count, before / total, 1 - sums.values[sums.WORDS, 1:] / total, index, count - index),
        (index - np.maximum.accumulate(np.where(heading, index, -1)),),
        (np.minimum.accumulate(np.where(heading, index, count)[::-1])[::-1] - index,),
        (np.arcsinh(before - before[title.argmax()]) if title.any() else _MISSING, np.cumsum(title)),
        text_columns.headings(blocks.text, flags),
        text_columns.described(blocks.text, chars, metadata),
        container_columns.container_columns(blocks, sums, names),
    ):
        start = _put(out, start, part)
    low, high = np.maximum(index - _WIDTH, 0), np.minimum(index + _WIDTH + 1, count)
    around = sums.between(low, high)
    name = out[_NEAREST_NAME]
    start = _put(
        out,
        start,
        (
            around[sums.WORDS] / (high - low),
            around[sums.LINKS] / around[sums.CHARS],
            around[sums.SENTENCES] / (high - low),
            np.concatenate(([0], name[:-1])),
            np.concatenate((name[1:], [0])),
        ),
    )
    shares = ((flags & _ON_PAGE_BITS) != 0) @ words / total
    page = (
        *(count, total, sums.values[sums.LINKS, -1] / sums.values[sums.CHARS, -1], words @ text.ended / total),
        *((words > 25).mean(), *shares.tolist(), blocks.tag.count("article")),
        *(*text_columns.count_cues(blocks.text, text), *_said(metadata, (url or "").lower())),
    )
    out[start:] = np.array(page, dtype=np.float32)[:, None]
    return Features(out, words)


def page_features(found: Features) -> npt.NDArray[np.float32]:
    """What the model sees of the page: each feature's mean over blocks, weighed by their words."""
    return np.asarray(found.columns @ (found.words / found.words.sum()), dtype=np.float32)


def _put(out: npt.NDArray[np.float32], start: int, rows: Sequence[npt.ArrayLike] | npt.NDArray[np.generic]) -> int:
    """Write rows from `start` on; returns where the next ones stand."""
    if isinstance(rows, np.ndarray):
        out[start : start + len(rows)] = rows
    else:
        for place, row in enumerate(rows, start):
            out[place] = row
    return start + len(rows)


def _said(metadata: Metadata, address: str) -> list[float]:
    """What the page's metadata and address say of its kind."""
    kind = metadata.og_type or ""
    return [
        _OG_TYPES.get(kind.lower(), 5 if kind else 0),
        *(not types.isdisjoint(metadata.ld_types) for types in _LD_TYPES),
        *(pattern.search(address) is not None for pattern in _URL_WORDS),
        _url_depth(address),
    ]


def _url_depth(address: str) -> int:
    """Parts of an address's path; -1 where there is none to read."""
    try:
        return len(urlsplit(address).path.strip("/").split("/")) if address else -1
    except ValueError:  # brackets that are no IPv6 address, letters that become slashes
        return -1
