"""From a page's bytes to its main text.

`extract` decodes by the charset decided at ingest and finds the main text of HTML with trafilatura (tuned
to precision and without comments, as FineWeb did) or resiliparse; plain text passes through. Parsers take
quadratic time on some markup, and trafilatura's drops what lies too deep. So limits, counted on the decoded
page as UTF-8, choose a page's lane, the same on any machine and in any encoding: beyond `LIMITS` it goes to
resiliparse, without options of forms and without the attributes of overlong tags; beyond `LAST_LIMITS` it is
`too_large`. `page` is the same with normalisation, in the form that `millpond.curate.isolate` runs in a child
process.

Guarantees: no exception for any bytes the parsers survive, no log line, and the same text for the same page
whatever was read before it (no de-duplication across pages, no clock: dates are searched up to the fetch).
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from importlib.metadata import version
from itertools import accumulate
from typing import Any

import trafilatura
from resiliparse.extract.html2text import extract_plain_text
from resiliparse.parse.html import HTMLTree
from trafilatura.settings import Document

from millpond.curate.config import NormaliseConfig
from millpond.curate.isolate import OK
from millpond.curate.normalise import normalise
from millpond.reasons import Reason

HTML_TYPES = frozenset(("text/html", "application/xhtml+xml"))
TEXT_TYPES = frozenset(("text/plain",))

# Every outcome is recorded; what the parsers log about it would only repeat it, page by page.
for _name in ("trafilatura", "htmldate", "courlan", "justext", "readability", "charset_normalizer"):
    logging.getLogger(_name).setLevel(logging.CRITICAL + 1)

#: Read once: looking a version up costs more than a small page.
_TRAFILATURA = f"trafilatura {version('trafilatura')}"
_RESILIPARSE = f"resiliparse {version('resiliparse')}"

_NO_DATE_AFTER = date(2100, 1, 1)
# Elements that real pages close: what an unclosed <p> or <li> adds to the depth is put right by the parser.
_NESTING = re.compile(
    rb"<(/?)(?:a|article|aside|b|blockquote|center|div|em|fieldset|figure|font|form|i|main|nav|ol|section|small"
    rb"|span|strong|sub|sup|table|u|ul)[\s/>]",
    re.IGNORECASE,
)


_OPTION = re.compile(r"</?(?:option|optgroup)\b[^<>]*>", re.IGNORECASE)
_OVERLONG_TAG = re.compile(r"<([A-Za-z][A-Za-z0-9]*)[^<>]{4096,}>")


@dataclass(frozen=True)
class Limits:
    """What a parser is given at most; all counted on the page as UTF-8."""

    bytes: int
    tags: int
    tag_bytes: int
    depth: int


#: For trafilatura: 20,000 `<br>` take it 1.3 s, one tag of 10,000 attributes 0.4 s; depth 256 loses text.
LIMITS = Limits(bytes=5 << 20, tags=20_000, tag_bytes=65_536, depth=240)
#: For resiliparse, whose time is quadratic in depth (0.3 s here).
LAST_LIMITS = Limits(bytes=1 << 31, tags=1_000_000, tag_bytes=1 << 31, depth=4_000)
_FLAT_LIMITS = replace(LIMITS, depth=LAST_LIMITS.depth)


@dataclass(frozen=True)
class Extraction:
    """The main text of a page, or why there is none; `outcome` is `ok` or a `Reason`."""

    text: str | None = None
    title: str | None = None
    author: str | None = None
    published_at: date | None = None
    outcome: str = OK
    detail: str | None = None
    extractor: str | None = None
    decoded_bytes: int = 0


def extract(
    body: bytes,
    charset: str | None,
    content_type: str | None,
    url: str | None,
    extractor: str,
    fetched: date | None = None,
) -> Extraction:
    """Find the main text of a page.

    Args:
        body: the payload, content encodings undone.
        charset: its encoding; UTF-8 where it is None or unknown to Python. Undecodable bytes become U+FFFD.
        content_type: media type alone, lower case; None is taken for HTML.
        url: helps to read metadata.
        extractor: `trafilatura` or `resiliparse`.
        fetched: day of the fetch; a date of publication lies no later.
    """
    if content_type is not None and content_type not in HTML_TYPES | TEXT_TYPES:
        return Extraction(outcome=Reason.UNSUPPORTED_TYPE, detail=content_type)
    decoded = _decode(body, charset)
    utf8 = decoded.encode("utf-8", "surrogatepass")
    if content_type in TEXT_TYPES:
        result = Extraction(decoded, extractor="plain")
    elif beyond := too_much(utf8, LAST_LIMITS):
        return Extraction(outcome=Reason.TOO_LARGE, detail=beyond, decoded_bytes=len(utf8))
    elif extractor == "trafilatura" and too_much(utf8, LIMITS) is None:
        result = _by_trafilatura(decoded, url, fetched or _NO_DATE_AFTER)
    else:
        result = _by_resiliparse(decoded, too_much(utf8, LIMITS if extractor == "trafilatura" else _FLAT_LIMITS))
    found = result.text is not None and not result.text.isspace() and result.text != ""
    return Extraction(
        result.text if found else None,
        result.title,
        result.author,
        result.published_at,
        OK if found else Reason.EMPTY,
        result.detail,
        result.extractor,
        len(utf8),
    )


def too_much(html: bytes, limits: Limits) -> str | None:
    """The first of the limits that a page (UTF-8) exceeds, as `name:count`, or None."""
    if len(html) > limits.bytes:
        return f"bytes:{len(html)}"
    tags = html.count(b"<")
    if tags > limits.tags:
        return f"tags:{tags}"
    if len(html) > limits.tag_bytes:
        parts = [part for part in html.split(b"<")[1:] if len(part) > limits.tag_bytes]
        longest = max((len(part.partition(b">")[0]) for part in parts), default=0)
        if longest > limits.tag_bytes:
            return f"tag_bytes:{longest}"
    if tags > limits.depth:
        depth = max(accumulate(-1 if closing else 1 for closing in _NESTING.findall(html)), default=0)
        if depth > limits.depth:
            return f"depth:{depth}"
    return None


def page(header: Mapping[str, Any], body: bytes) -> tuple[dict[str, Any], bytes]:
    """Extract and normalise, as a function for `Isolated`.

    The header holds `charset`, `content_type`, `url`, `extractor`, `fetched` (ISO date) and `bounds`
    (`NormaliseConfig`). The answer's payload is the text as UTF-8; its header has the other fields of
    `Extraction` and `extracted_bytes`, the size of the text before normalisation.
    """
    fetched = header["fetched"]
    found = extract(
        body,
        header["charset"],
        header["content_type"],
        header["url"],
        header["extractor"],
        date.fromisoformat(fetched) if fetched else None,
    )
    raw = found.text or ""
    bounds = NormaliseConfig(**header["bounds"])
    text = normalise(raw, bounds)
    outcome, detail = found.outcome, found.detail
    if outcome == OK and (not text or text.isspace()):
        outcome, text = Reason.EMPTY, ""
    answer = {
        "outcome": outcome,
        "detail": detail,
        "title": _one_line(found.title, bounds),
        "author": _one_line(found.author, bounds),
        "published_at": found.published_at.isoformat() if found.published_at else None,
        "extractor": found.extractor,
        "decoded_bytes": found.decoded_bytes,
        "extracted_bytes": len(raw.encode("utf-8", "surrogatepass")),
    }
    return answer, text.encode()


def _decode(body: bytes, charset: str | None) -> str:
    try:
        return body.decode(charset or "utf-8", errors="replace")
    except LookupError:
        return body.decode("utf-8", errors="replace")


def _one_line(text: str | None, bounds: NormaliseConfig) -> str | None:
    line = " ".join(normalise(text, bounds).split()) if text else ""
    return line[:1000] or None


def _by_trafilatura(html: str, url: str | None, latest: date) -> Extraction:
    document = trafilatura.bare_extraction(
        html,
        url=url,
        favor_precision=True,
        include_comments=False,
        deduplicate=False,
        with_metadata=True,
        date_extraction_params={
            "original_date": True,
            "extensive_search": False,
            "max_date": latest.isoformat(),
        },
    )
    if not isinstance(document, Document):
        return Extraction(extractor=_TRAFILATURA)
    published = date.fromisoformat(document.date) if document.date else None
    return Extraction(document.text, document.title, document.author, published, extractor=_TRAFILATURA)


def _by_resiliparse(html: str, beyond: str | None) -> Extraction:
    if beyond:
        html = _OVERLONG_TAG.sub(r"<\1>", _OPTION.sub(" ", html))
    tree = HTMLTree.parse(html)
    text = extract_plain_text(tree, main_content=True, comments=False, alt_texts=False)
    return Extraction(text, tree.title, detail=beyond, extractor=_RESILIPARSE)
