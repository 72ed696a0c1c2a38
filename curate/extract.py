"""From a page's bytes to its main text.

`extract` decodes a page and finds its main text: by the model of `millpond.curate.html.main_text`, or, by choice,
with trafilatura (tuned to precision and without comments, as FineWeb did) or resiliparse; plain text passes through.
What is too much for an extractor (`millpond.curate.lanes`) goes to resiliparse, without options of forms and
without the attributes of overlong tags; its `detail` names the limit, and choices that have no effect there. `page`
is the same with normalisation, in the form that `millpond.curate.isolate` runs in a child process.

Guarantees: no exception for any bytes the parsers survive, no log line, and the same text for the same page
whatever was read before it (no de-duplication across pages, no clock: dates are searched up to the fetch).
"""

from __future__ import annotations

import codecs
import datetime
import hashlib
import logging
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib.metadata import version
from typing import Any

from resiliparse.extract.html2text import extract_plain_text
from resiliparse.parse.encoding import detect_encoding
from resiliparse.parse.html import HTMLTree

from millpond import __version__
from millpond.curate.html.config import ExtractConfig
from millpond.curate.html.main_text import MODEL, REVISION, main_text
from millpond.curate.isolate import OK
from millpond.curate.lanes import LAST_LIMITS, LIMITS, many_options, too_much
from millpond.curate.normalise import normalise
from millpond.curate.text.config import NormaliseConfig
from millpond.reasons import Reason

HTML_TYPES = frozenset(("text/html", "application/xhtml+xml"))
TEXT_TYPES = frozenset(("text/plain",))

_DEFAULT = ExtractConfig()
#: Codecs that are no encoding of pages, whatever one says: they give lone surrogates, and some take quadratic time.
_ESCAPES = frozenset(("unicode-escape", "raw-unicode-escape", "punycode", "utf-7"))
_NO_DATE_AFTER = datetime.date(2100, 1, 1)
_OPTION = re.compile(r"</?(?:option|optgroup)\b[^<>]*>", re.IGNORECASE)
#: Over options in a form, which hold no text, the parser takes quadratic time: 100,000 take it 80 s, these 5 ms.
_MANY_OPTIONS = 1000
_OVERLONG_TAG = re.compile(r"<([A-Za-z][A-Za-z0-9]*+)[^<>]{4096,}+>")


@dataclass(frozen=True)
class Extraction:
    """The main text of a page, or why there is none; `outcome` is `ok` or a `Reason`."""

    text: str | None = None
    title: str | None = None
    author: str | None = None
    date: datetime.date | None = None
    """Day of first publication."""
    page_type: str | None = None
    """One of `millpond.curate.html.main_text.PAGE_TYPES`; null where another extractor ran."""
    language: str | None = None
    """The language the page says it is in; a hint."""
    outcome: str = OK
    detail: str | None = None
    extractor: str | None = None
    decoded_bytes: int = 0


def extract(
    html: bytes,
    url: str | None = None,
    *,
    charset: str | None = None,
    content_type: str | None = None,
    fetched: datetime.date | None = None,
    config: ExtractConfig = _DEFAULT,
) -> Extraction:
    """Find the main text of a page.

    Args:
        html: the payload, content encodings undone.
        url: where it was; helps to judge the page and to read its metadata.
        charset: its encoding. Found in the bytes where it is None; UTF-8 where Python cannot decode by it. Undecodable
            bytes become U+FFFD.
        content_type: media type alone, lower case; None is taken for HTML.
        fetched: day of the fetch; a date of publication lies no later.
        config: the extractor and what it keeps.
    """
    if content_type is not None and content_type not in HTML_TYPES | TEXT_TYPES:
        return Extraction(outcome=Reason.UNSUPPORTED_TYPE, detail=content_type)
    decoded, utf8 = _decode(html, charset)
    size = len(utf8)
    latest = fetched or _NO_DATE_AFTER
    if content_type in TEXT_TYPES:
        found = Extraction(decoded, extractor="plain")
    elif beyond := too_much(utf8, LIMITS[config.extractor]):
        if last := too_much(utf8, LAST_LIMITS):
            return Extraction(outcome=Reason.TOO_LARGE, detail=last, decoded_bytes=size)
        found = _by_resiliparse(decoded, "; ".join((beyond, *_not_applied(config))))
    elif config.extractor == "resiliparse":
        found = _by_resiliparse(decoded, None)
    elif config.extractor == "trafilatura":
        found = _by_trafilatura(decoded, url, latest)
    else:
        if many_options(utf8, _MANY_OPTIONS):
            utf8 = _OPTION.sub(" ", decoded).encode()
        found = _by_millpond(utf8, url, latest, config)
    if found.text and not found.text.isspace():
        return replace(found, decoded_bytes=size)
    return replace(found, text=None, outcome=Reason.EMPTY, decoded_bytes=size)


def page(header: Mapping[str, Any], body: bytes) -> tuple[dict[str, Any], bytes]:
    """Extract and normalise, as a function for `Isolated`.

    The header holds `charset`, `content_type`, `url`, `fetched` (ISO date), and as JSON `extract` (`ExtractConfig`)
    and `bounds` (`NormaliseConfig`). The answer's payload is the text as UTF-8; its header has the other fields of
    `Extraction`, `extracted_bytes`, the size of the text before normalisation, and the `seconds` of both steps.
    """
    fetched, start = header["fetched"], time.perf_counter()
    found = extract(
        body,
        header["url"],
        charset=header["charset"],
        content_type=header["content_type"],
        fetched=datetime.date.fromisoformat(fetched) if fetched else None,
        config=_extraction(header["extract"]),
    )
    raw, extracted = found.text or "", time.perf_counter()
    bounds = _normalisation(header["bounds"])
    text = normalise(raw, bounds)
    outcome, detail = found.outcome, found.detail
    if outcome == OK and (not text or text.isspace()):
        outcome, text = Reason.EMPTY, ""
    answer = {
        "outcome": outcome,
        "detail": detail,
        "title": _one_line(found.title, bounds),
        "author": _one_line(found.author, bounds),
        "published_at": found.date.isoformat() if found.date else None,
        "page_type": found.page_type,
        "declared_language": found.language,
        "extractor": found.extractor,
        "decoded_bytes": found.decoded_bytes,
        "extracted_bytes": len(raw.encode("utf-8", "replace")),
        "seconds": {"extract": extracted - start, "normalise": time.perf_counter() - extracted},
    }
    return answer, text.encode()


# Settings are the same for all pages of a run, and reading them costs more than a small page.
_extraction = cache(ExtractConfig.model_validate_json)
_normalisation = cache(NormaliseConfig.model_validate_json)


def _decode(body: bytes, charset: str | None) -> tuple[str, bytes]:
    """A page's text, and the same as UTF-8: most pages are that already and are not encoded again."""
    try:
        # Where nothing is said of the encoding, what is UTF-8 throughout is that: other encodings whose bytes are all
        # ASCII's have zeros or escapes.
        named = codecs.lookup(charset).name == "utf-8" if charset else b"\0" not in body and b"\x1b" not in body
        if named:
            return body.decode(), body
    except (LookupError, ValueError):  # no such codec, or not UTF-8
        pass
    text = _replaced(body, charset or detect_encoding(body) or "utf-8")
    return text, text.encode("utf-8", "replace")


def _replaced(body: bytes, charset: str) -> str:
    try:
        name = codecs.lookup(charset).name
        return body.decode("utf-8" if name in _ESCAPES else name, errors="replace")
    except (LookupError, ValueError):  # no codec of text, or one that cannot replace
        return body.decode("utf-8", errors="replace")


def _one_line(text: str | None, bounds: NormaliseConfig) -> str | None:
    line = " ".join(normalise(text, bounds).split()) if text else ""
    return line[:1000] or None


@cache
def _version(package: str) -> str:
    # Read once: looking a version up costs more than a small page.
    return f"{package} {version(package)}"


@cache
def _own_version() -> str:
    return f"millpond {__version__}+{REVISION}.{hashlib.sha256(MODEL.read_bytes()).hexdigest()[:8]}"


def _by_millpond(html: bytes, url: str | None, latest: datetime.date, config: ExtractConfig) -> Extraction:
    found = main_text(html, url, latest, config)
    about = found.metadata
    return Extraction(
        found.text,
        about.title,
        about.author,
        about.published_at,
        found.page_type,
        about.language,
        extractor=_own_version(),
    )


@cache
def _trafilatura() -> Any:
    """The library, imported where it is the extractor: it takes longer than a hundred pages."""
    import trafilatura

    # Every outcome is recorded; what the library and its parts log about it would only repeat it, page by page.
    for name in ("trafilatura", "htmldate", "courlan", "justext", "readability", "charset_normalizer"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    return trafilatura


def _by_trafilatura(html: str, url: str | None, latest: datetime.date) -> Extraction:
    document = _trafilatura().bare_extraction(
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
    if document is None:
        return Extraction(extractor=_version("trafilatura"))
    published = datetime.date.fromisoformat(document.date) if document.date else None
    return Extraction(document.text, document.title, document.author, published, extractor=_version("trafilatura"))


def _not_applied(config: ExtractConfig) -> tuple[str, ...]:
    """What is said of a page in the slow lane, where choices of what is kept, and how, have no effect."""
    choices = ("markup", "code", "tables", "captions")
    made = [name for name in choices if getattr(config, name) != getattr(_DEFAULT, name)]
    return (f"not applied: {', '.join(made)}",) if made else ()


def _by_resiliparse(html: str, beyond: str | None) -> Extraction:
    if beyond:
        html = _OVERLONG_TAG.sub(r"<\1>", _OPTION.sub(" ", html))
    tree = HTMLTree.parse(html)
    text = extract_plain_text(tree, main_content=True, comments=False, alt_texts=False)
    return Extraction(text, tree.title, detail=beyond, extractor=_version("resiliparse"))
