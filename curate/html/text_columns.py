"""What the model sees of texts: characters by class, cues of short ones, headings, what metadata say again.

Numbers only, no word of any language but a few of English markup and headings, so that pages in other scripts look
like any other.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from millpond.curate.html.blocks import HEADING
from millpond.curate.html.metadata import Metadata

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

# Classes of characters, by code point below 65,536.
_OTHER, _SPACE, _DIGIT, _COMMA, _END, _DENSE, _CLASSES = range(7)
_CLASS = np.zeros(1 << 16, dtype=np.uint8)
_CLASS[[0x20, 0x0A]] = _SPACE
_CLASS[0x30:0x3A] = _DIGIT
_CLASS[[ord(sign) for sign in ",，、،"]] = _COMMA
_CLASS[[ord(sign) for sign in '.?!。！？…।؟:"”»']] = _END
for _first, _last in ((0x0E00, 0x0EFF), (0x1000, 0x109F), (0x1780, 0x17FF), (0x3040, 0x30FF), (0x3400, 0x9FFF)):
    _CLASS[_first : _last + 1] = _DENSE

#: What short texts say, in lower case, where people answer, and where things are sold.
_CUES = {
    "reply": ("comment", "reply", "replies", "quote", "posted", "report", "permalink", "joined", "member"),
    "cart": ("cart", "checkout", "buy now", "shipping", "in stock", "quantity", "add to"),
    "priced": tuple("$€£¥₹"),
}
_DATED = re.compile(r"[0-9](?:[0-9]?[:/.-][0-9][0-9]|[0-9][0-9][0-9])\b")
CUES = ("dated", *_CUES)
#: Longer blocks have no cues: they speak of something else.
_CUE_CHARS = 120
#: What headings say, after a newline and in lower case, of other pages and of what readers wrote.
_RELATED = (
    *("related", "recommend", "you may", "similar", "trending", "popular", "read more", "read next", "see also"),
    *("latest", "recent", "also like", "\nmore "),
)
_COMMENTS = ("comment", "reply", "replies", "discussion")
_HEADING_CHARS = 200


@dataclass(frozen=True)
class Counts:
    """Of each block: characters, words (a character of a script without spaces is 0.6), marks, and whether it ends."""

    chars: Ints
    words: Floats
    digits: Ints
    commas: Ints
    signs: Ints
    ended: npt.NDArray[np.bool_]


def count_texts(texts: Sequence[str]) -> Counts:
    """Counts of each text; none of them is empty."""
    rows = len(texts)
    chars = np.fromiter(map(len, texts), np.int64, rows)
    codes = np.frombuffer(("\n".join(texts) + "\n").encode("utf-32-le", "surrogatepass"), dtype="<u4")
    classes = _CLASS.take(codes, mode="clip")
    found = np.flatnonzero(classes != _OTHER)  # of truth values, several times as fast
    row = np.repeat(np.arange(0, rows * _CLASSES, _CLASSES, dtype=np.int32), chars + 1)
    counts = np.bincount(row[found] + classes[found], minlength=rows * _CLASSES).reshape(rows, _CLASSES).T
    words = counts[_SPACE] + 0.6 * counts[_DENSE]  # the separator behind a block is white space too
    ended = classes[np.cumsum(chars + 1) - 2] == _END
    return Counts(chars, words, counts[_DIGIT], counts[_COMMA], counts[_END], ended)


def count_cues(texts: Sequence[str], counts: Counts) -> list[int]:
    """How often each of `CUES` comes in the short texts."""
    short = counts.chars < _CUE_CHARS
    joined = "\n".join([texts[place].lower() for place in np.flatnonzero(short).tolist()])
    numbered = "\n".join([texts[place] for place in np.flatnonzero(short & (counts.digits > 1)).tolist()])
    return [len(_DATED.findall(numbered)), *(sum(map(joined.count, signs)) for signs in _CUES.values())]


HEADINGS = ("heading_level", "heading_length", "related_before", "comments_before")


def headings(texts: Sequence[str], flags: Ints) -> Floats:
    """`HEADINGS` as rows: the last heading before a block; how many of related pages and of comments have come."""
    rows = np.zeros((len(HEADINGS), len(texts) + 1))
    places = np.flatnonzero(flags & HEADING)
    if not len(places):
        return rows[:, :-1]
    level = flags[places] & HEADING
    length = [len(texts[place]) for place in places.tolist()]
    lowered = ["\n" + texts[place][:_HEADING_CHARS].lower() for place in places.tolist()]
    rows[:2, places] = np.log2(level & -level) + 1, length
    rows[2:, places] = _having(lowered, _RELATED), _having(lowered, _COMMENTS)
    last = np.full(len(texts), -1)
    last[places] = places
    return np.concatenate((rows[:2, np.maximum.accumulate(last)], np.cumsum(rows[2:, :-1], axis=1)))


def _having(texts: Sequence[str], signs: Sequence[str]) -> list[bool]:
    """Which of the texts have one of the signs."""
    joined = "\n".join(texts)
    said = [sign for sign in signs if sign in joined]
    return [any(sign in text for sign in said) for text in texts]


DESCRIBED = ("title_cover", "from_title", "description_cover", "from_description", "in_body")
_MISSING = -9.0
#: A block this long stands in JSON-LD's text where its beginning does.
_BODY_CHARS = 40
_MANY_BLOCKS = 1000


def described(texts: Sequence[str], chars: Ints, metadata: Metadata) -> Floats:
    """`DESCRIBED` as rows: the share of the title's and the description's words in a block, how far the first is that
    has enough of them, and whether the block stands in what JSON-LD has of the text.

    Only blocks of a like length are compared with the title, only those not much shorter with the description.
    """
    index = np.arange(len(texts))
    rows = np.zeros((len(DESCRIBED), len(texts)))
    sources = ((metadata.title, 0.7, 0.7, 2.0), (metadata.description, 0.5, 0.5, np.inf))
    for row, (source, enough, least, most) in zip((0, 2), sources, strict=True):
        rows[row + 1] = _MISSING
        wanted = set((source or "").lower().split())
        if not wanted or source is None:
            rows[row] = -1
            continue
        places = np.flatnonzero((chars >= least * len(source)) & (chars <= most * len(source)))
        parts = [texts[place][: 2 * len(source)].lower().split() for place in places.tolist()]
        rows[row, places] = [len(wanted.intersection(part)) / len(wanted) for part in parts]
        found = np.flatnonzero(rows[row] >= enough)
        if len(found) and len(wanted) > 1:
            rows[row + 1] = np.arcsinh(index - found[0])
    body = " ".join((metadata.article_body or "").split())
    if len(body) > _HEADING_CHARS:
        beginnings = {text[:_BODY_CHARS] for text in texts if len(text) >= _BODY_CHARS}
        if len(beginnings) > _MANY_BLOCKS:  # each looking through the whole text is quadratic
            pieces = (body[place : place + _BODY_CHARS] for place in range(len(body) - _BODY_CHARS + 1))
            said = beginnings.intersection(pieces)
        else:
            said = {text for text in beginnings if text in body}
        rows[4] = [text[:_BODY_CHARS] in said for text in texts]
    else:
        rows[4] = -1
    return rows
