"""What the model sees of each block: its text, its place, its containers, their names, the page.

Numbers only, no word of any language but a few of English markup and headings, so that pages in other
scripts look like any other. Everything is computed for all blocks of a page at once.

Sources of the ideas: text and link density of blocks (Kohlschütter, Fankhauser and Nejdl 2010, "Boilerplate
detection using shallow text features"), neighbours and ancestors as context (Vogels, Ganea and Eickhoff 2018,
"Web2Text"). What containers are called is scored by `Names`, learned beside the model.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from urllib.parse import urlsplit

import numpy as np
import numpy.typing as npt

from millpond.curate.html.blocks import FLAGS, HEADING, Blocks
from millpond.curate.html.container_names import Names
from millpond.curate.html.metadata import Metadata

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_LEVELS = 5
#: Room for the columns; what is not used is cut off.
_MOST_FEATURES = 256
#: What short blocks say of themselves, in lower case; a block starts with a newline here.
_CUES = {
    "reply": ["comment", "reply", "replies", "quote", "posted", "report", "permalink", "joined", "member"],
    "cart": ("cart", "checkout", "buy now", "shipping", "in stock", "quantity", "add to"),
    "account": ("sign in", "log in", "login", "sign up", "subscribe", "newsletter", "register", "password"),
    "legal": ("©", "copyright", "all rights", "cookie", "privacy", "terms of", "consent"),
    "shared": ["share", "tweet", "facebook", "twitter", "instagram", "whatsapp", "pinterest", "linkedin"],
    "byline": (" by ", "\nby ", "author", "written", "updated", "published", "min read"),
}
_DATED = re.compile(r"\b(?:(?:19|20)\d\d|\d\d?[:/.-]\d\d|ago)\b")
_PRICED = re.compile(r"[$€£¥₹] ?\d|\d ?[$€£¥₹]")
_CUE_NAMES = ("dated", "priced", *_CUES)
#: Longer blocks have no cues: they speak of something else.
_CUE_CHARS = 120
_COMMENTS = re.compile(r"comment|repl(?:y|ies)|discussion", re.IGNORECASE)
_RELATED = re.compile(
    r"^more\b|related|recommend|you may|similar|trending|popular|read (?:more|next)|see also|latest|recent|also like",
    re.IGNORECASE,
)
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
_TAGS = {
    name: place
    for place, name in enumerate(
        (
            *("body", "div", "p", "li", "ul", "ol", "section", "article", "main", "header", "footer", "nav"),
            *("aside", "td", "tr", "table", "tbody", "th", "dl", "dt", "dd", "h1", "h2", "h3", "h4", "h5", "h6"),
            *("form", "figure", "figcaption", "blockquote", "pre", "details", "summary", "address", "fieldset"),
            *("noscript", "center"),
        )
    )
}
_FLAGS = [
    *("a", "article", "aside", "blockquote", "button", "dd", "dt", "figcaption", "footer", "form", "h1", "h2", "h3"),
    *("h4", "header", "hidden", "li", "main", "nav", "noscript", "p", "pre", "section", "table", "td"),
]
_FLAG_BITS = np.array([FLAGS[name] for name in _FLAGS], dtype=np.int64)

# Classes of characters, by code point below 65,536.
_SPACE, _DIGIT, _COMMA, _END, _DENSE = 1, 2, 4, 8, 16
_CLASS = np.zeros(1 << 16, dtype=np.uint8)
_CLASS[[0x20, 0x0A]] = _SPACE
_CLASS[0x30:0x3A] = _DIGIT
_CLASS[[ord(sign) for sign in ",，、،"]] = _COMMA
_CLASS[[ord(sign) for sign in '.?!。！？…।؟:"”»']] = _END
for _first, _last in ((0x0E00, 0x0EFF), (0x1000, 0x109F), (0x1780, 0x17FF), (0x3040, 0x30FF), (0x3400, 0x9FFF)):
    _CLASS[_first : _last + 1] = _DENSE

_MISSING = -9.0


@dataclass(frozen=True)
class Features:
    """`columns` of shape (features, blocks), their `names`, and the `words` of each block."""

    columns: npt.NDArray[np.float32]
    names: list[str]
    words: Floats


class _Columns:
    """A matrix under construction: columns by name, as rows of one array."""

    def __init__(self, rows: int) -> None:
        self.names: list[str] = []
        self.values = np.empty((_MOST_FEATURES, rows), dtype=np.float32)

    def add(self, name: str, value: npt.ArrayLike) -> None:
        """A column, or one value for all rows."""
        self.values[len(self.names)] = value
        self.names.append(name)

    def add_many(self, names: Sequence[str], values: npt.NDArray[np.generic]) -> None:
        """Columns of shape (names, rows)."""
        count = len(self.names)
        self.values[count : count + len(names)] = values
        self.names += names


def features(blocks: Blocks, metadata: Metadata, url: str | None, names: Names) -> Features:
    """What the model sees of a page that has at least one block."""
    count = len(blocks)
    out = _Columns(count)
    index = np.arange(count)
    container = np.array(blocks.container)
    parent, first, end, depth = (
        np.array(column) for column in (blocks.parent, blocks.first, blocks.end, blocks.depth)
    )
    tags = np.array([_TAGS.get(tag, len(_TAGS)) for tag in blocks.tag])
    flags = np.array(blocks.flags, dtype=np.int64)
    flagged = (flags & _FLAG_BITS[:, None]) != 0

    # Text.
    chars = np.array([len(text) for text in blocks.text])
    codes = np.frombuffer("\n".join(blocks.text).encode("utf-32-le", "surrogatepass"), dtype="<u4")
    kinds = _CLASS[np.minimum(codes, 0xFFFF)]
    starts = np.concatenate(([0], np.cumsum(chars + 1)[:-1]))

    def counted(kind: int) -> Floats:
        return np.add.reduceat((kinds & kind) != 0, starts, dtype=np.float64)

    dense = counted(_DENSE)
    words = counted(_SPACE) + (index == count - 1) + 0.6 * dense  # the separator behind a block is white space too
    links = np.minimum(np.array(blocks.link_chars, dtype=np.float64), chars)
    ended = (kinds[starts + chars - 1] & _END) != 0
    density = links / chars
    sentence = ended & (words > 8)
    total = words.sum()
    out.add("words", np.log1p(words))
    out.add("link_density", density)
    out.add("word_length", chars / words)
    out.add("ended", ended)
    out.add("commas", np.minimum(counted(_COMMA), 20))
    out.add("signs", np.minimum(counted(_END), 20))
    out.add("digits", counted(_DIGIT) / chars)
    copies = Counter(blocks.text)
    out.add("copies", [min(copies[text], 9) for text in blocks.text])
    out.add_many([f"in_{name}" for name in _FLAGS], flagged)

    lowered = [text.lower() for text in blocks.text]
    cued = _cued(lowered)
    out.add_many(_CUE_NAMES, cued)

    # Sums over any range of blocks.
    def sums(values: npt.NDArray[np.generic]) -> Floats:
        return np.concatenate(([0.0], np.cumsum(values, dtype=np.float64)))

    word_sums, char_sums, link_sums, sentence_sums = sums(words), sums(chars), sums(links), sums(sentence)
    good_sums = sums(words * sentence * (density < 0.3))

    # Position.
    heading = (flags & HEADING) != 0
    titles = np.flatnonzero(flags & FLAGS["h1"])
    since = index - np.maximum.accumulate(np.where(heading, index, -1))
    out.add("place", index / count)
    out.add("words_before", word_sums[:-1] / total)
    out.add("words_after", 1 - word_sums[1:] / total)
    out.add("blocks_before", np.log1p(index))
    out.add("blocks_after", np.log1p(count - index))
    out.add("depth", depth[container])
    out.add("since_heading", np.log1p(since))
    out.add("to_heading", np.log1p(np.minimum.accumulate(np.where(heading, index, count)[::-1])[::-1] - index))
    from_title = word_sums[:-1] - word_sums[titles[0]] if len(titles) else None
    out.add("from_h1", _MISSING if from_title is None else np.sign(from_title) * np.log1p(np.abs(from_title)))
    out.add("h1_before", np.cumsum((flags & FLAGS["h1"]) != 0))
    articles = np.bincount(first[(tags == _TAGS["article"]) & (end > first)], minlength=count + 1)
    out.add("articles_before", np.cumsum(articles)[:count])
    _headings(out, blocks.text, heading, flags)
    _described(out, lowered, metadata, index)

    # Containers.
    size = end - first
    held = word_sums[end] - word_sums[first]
    held_chars, held_links = char_sums[end] - char_sums[first], link_sums[end] - link_sums[first]
    groups: dict[tuple[str, str, int], int] = {}
    signatures = zip(blocks.tag, blocks.key, blocks.depth, strict=True)
    group = np.array([groups.setdefault(signature, len(groups)) for signature in signatures])
    members = np.bincount(group)
    group_words = np.bincount(group, weights=held)
    group_links = np.bincount(group, weights=held_links) / np.maximum(np.bincount(group, weights=held_chars), 1)
    spread = np.bincount(group, weights=held**2) / members - (group_words / members) ** 2
    _, pair, alike = np.unique(parent * len(groups) + group, return_inverse=True, return_counts=True)
    good = (good_sums[end] - good_sums[first]) / max(good_sums[-1], 1)
    named, along = _named(blocks, names)
    out.add_many(["name_lowest", "name_highest", "name_sum", "name_nearest", "name_distance"], along[:, container])
    table = np.stack(
        (
            np.log1p(held),
            held / total,
            held_links / np.maximum(held_chars, 1),
            np.log1p(held / np.maximum(size, 1)),
            (sentence_sums[end] - sentence_sums[first]) / np.maximum(size, 1),
            np.log1p(members[group]),
            np.log1p(group_words[group]),
            group_links[group],
            group_words[group] / total,
            np.log1p(np.maximum(spread[group], 0)),
            good,
            named,
            np.log1p(alike[pair]),
        )
    )
    columns = (
        *("words", "share", "link_density", "words_a_block", "sentences", "group", "group_words", "group_links"),
        *("group_share", "group_spread", "good", "name", "siblings"),
    )
    above = container
    for level in range(_LEVELS):
        out.add_many([f"{level}_{name}" for name in columns], table[:, above])
        if level < 3:
            out.add(f"{level}_tag", tags[above])
        above = parent[above]
    for percent in (50, 80):
        # The deepest container that holds this much of the page's good text.
        enough = np.flatnonzero(good >= percent / 100)
        lowest = int(enough[np.argmax(depth[enough])]) if len(enough) else 0
        out.add(f"in_{percent}", (index >= first[lowest]) & (index < end[lowest]))
        out.add(f"place_{percent}", (index - first[lowest]) / max(size[lowest], 1))
        out.add(f"share_{percent}", held[lowest] / total)
        out.add(f"depth_{percent}", depth[container] - depth[lowest])

    # Neighbours.
    nearest = along[3, container]
    for step in (1, 2, 3):
        for name, column in (("name", nearest), ("link_density", density), ("words", out.values[0])):
            out.add(f"{name}_{step}_before", _shifted(column, step))
            out.add(f"{name}_{step}_after", _shifted(column, -step))
    for width in (4, 12):
        low, high = np.maximum(index - width, 0), np.minimum(index + width + 1, count)
        out.add(f"words_around_{width}", np.log1p((word_sums[high] - word_sums[low]) / (high - low)))
        around = char_sums[high] - char_sums[low]
        out.add(f"links_around_{width}", (link_sums[high] - link_sums[low]) / around)
        out.add(f"sentences_around_{width}", (sentence_sums[high] - sentence_sums[low]) / (high - low))

    # The page.
    out.add("page_blocks", np.log1p(count))
    out.add("page_words", np.log1p(total))
    out.add("page_links", link_sums[-1] / char_sums[-1])
    out.add("page_ended", (words * ended).sum() / total)
    out.add("page_long", (words > 25).mean())
    for name in ("p", "li", "td", "pre", "hidden", "noscript"):
        out.add(f"page_{name}", (words * flagged[_FLAGS.index(name)]).sum() / total)
    out.add("page_articles", blocks.tag.count("article"))
    for name, value in zip(_CUE_NAMES[:4], np.log1p(cued[:4].sum(axis=1)), strict=True):
        out.add(f"page_{name}", value)
    out.add("page_og", _OG_TYPES.get((metadata.og_type or "").lower(), 5 if metadata.og_type else 0))
    for place, types in enumerate(_LD_TYPES):
        out.add(f"page_ld_{place}", bool(types & metadata.ld_types))
    address = (url or "").lower()
    for place, pattern in enumerate(_URL_WORDS):
        out.add(f"page_url_{place}", pattern.search(address) is not None)
    out.add("page_url_depth", _url_depth(address))
    return Features(out.values[: len(out.names)], out.names, words)


def _url_depth(address: str) -> int:
    """Parts of an address's path; -1 where there is none to read."""
    try:
        return len(urlsplit(address).path.strip("/").split("/")) if address else -1
    except ValueError:  # brackets that are no IPv6 address, letters that become slashes
        return -1


def page_features(found: Features) -> npt.NDArray[np.float32]:
    """What the model sees of the page: each feature's mean over blocks, weighed by their words."""
    return np.asarray(found.columns @ (found.words / found.words.sum()), dtype=np.float32)


def _cued(lowered: list[str]) -> Floats:
    """Which cues (rows) each block (columns) holds."""
    short = [place for place, text in enumerate(lowered) if len(text) < _CUE_CHARS]
    joined = "\n" + "\n".join([lowered[place] for place in short])
    ends = np.cumsum([len(lowered[place]) + 1 for place in short])  # each block with the newline before it
    found = np.zeros((len(_CUE_NAMES), len(short)))
    dated = [match.start() for match in _DATED.finditer(joined)]
    found[0, np.searchsorted(ends, dated, side="right")] = 1
    if any(sign in joined for sign in "$€£¥₹"):
        priced = [match.start() for match in _PRICED.finditer(joined)]
        found[1, np.searchsorted(ends, priced, side="right")] = 1
    for number, signs in enumerate(_CUES.values(), start=2):
        places = []
        for sign in signs:
            place = joined.find(sign)
            while place >= 0:
                places.append(place)
                place = joined.find(sign, place + len(sign))
        found[number, np.searchsorted(ends, places, side="right")] = 1
    cued = np.zeros((len(_CUE_NAMES), len(lowered)))
    cued[:, short] = found
    return cued


def _headings(out: _Columns, text: list[str], heading: npt.NDArray[np.bool_], flags: Ints) -> None:
    """The last heading before a block, and whether one of related pages or of comments has come."""
    count = len(text)
    level, length = np.zeros(count + 1), np.zeros(count + 1)
    related, comments = np.zeros(count), np.zeros(count)
    for place in np.flatnonzero(heading).tolist():
        bits = int(flags[place] & HEADING)
        level[place] = (bits & -bits).bit_length()
        length[place] = len(text[place])
        if len(text[place]) < 200:
            related[place] = _RELATED.search(text[place]) is not None
            comments[place] = _COMMENTS.search(text[place]) is not None
    last = np.maximum.accumulate(np.where(heading, np.arange(count), -1))
    out.add("heading_level", level[last])
    out.add("heading_length", np.log1p(length[last]))
    out.add("related_before", np.cumsum(related))
    out.add("comments_before", np.cumsum(comments))
    out.add("under_related", np.append(related, 0)[last])


def _described(out: _Columns, text: list[str], metadata: Metadata, index: Ints) -> None:
    """How much of the page's title and description a block holds, and how far the first that does is."""
    pieces = [set(piece[:2000].split()) for piece in text]
    for name, source, enough in (("title", metadata.title, 0.7), ("description", metadata.description, 0.5)):
        wanted = set((source or "").lower().split())
        if not wanted:
            covers, place = np.full(len(text), -1.0), None
        else:
            covers = np.array([len(wanted & piece) for piece in pieces]) / len(wanted)
            found = np.flatnonzero(covers >= enough)
            place = int(found[0]) if len(found) and len(wanted) > 1 else None
        distance = _MISSING if place is None else np.sign(index - place) * np.log1p(np.abs(index - place))
        out.add(f"{name}_cover", covers)
        out.add(f"from_{name}", distance)
    body = set((metadata.article_body or "").lower().split())
    held = [len(body & piece) / max(len(piece), 1) for piece in pieces] if len(body) > 30 else -1.0
    out.add("body_cover", held)


def _named(blocks: Blocks, names: Names) -> tuple[Floats, Floats]:
    """Mean score of each container's own name; and along its ancestors: lowest, highest, sum, nearest, distance."""
    numbers: dict[str, int] = {}
    number = [numbers.setdefault(key, len(numbers)) for key in blocks.key]
    scores = np.array([names.score(key) or (0.0, 0.0, 0.0) for key in numbers])[number].T
    known = (scores[0] != 0) | (scores[1] != 0)
    lowest, highest, total = scores.copy()
    nearest, distance = scores[2].copy(), np.where(known, 0.0, 1.0)
    parent, depth = np.array(blocks.parent), np.array(blocks.depth)
    order = np.argsort(depth, kind="stable")  # level by level: a container stands one below its parent
    ends = np.cumsum(np.bincount(depth))
    for start, end in pairwise(ends.tolist()):
        here = order[start:end]
        above = parent[here]
        lowest[here] = np.minimum(lowest[here], lowest[above])
        highest[here] = np.maximum(highest[here], highest[above])
        total[here] += total[above]
        unknown = here[~known[here]]
        nearest[unknown] = nearest[parent[unknown]]
        distance[unknown] += distance[parent[unknown]]
    return scores[2], np.stack((lowest, highest, total, nearest, distance))


def _shifted(column: npt.NDArray[np.floating], step: int) -> Floats:
    """Each block's value is that of the block `step` before it; zero beyond the ends."""
    result = np.zeros(len(column))
    if step > 0:
        result[step:] = column[:-step]
    else:
        result[:step] = column[-step:]
    return result
