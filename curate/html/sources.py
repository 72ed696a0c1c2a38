"""What on a page may speak for it: meta elements, JSON-LD and headings, and elements marked as dates or authors.

CSS selections gather them; each kind is read up to a count, so that time is linear in the page with a small constant.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice

from selectolax.lexbor import LexborHTMLParser, LexborNode

from millpond.curate.html.lines import LINE, NAMES, one_line

#: Elements of each kind, and of all.
_MOST = {"meta": 500, "script": 30, "h1": 10, "title": 20}
_MOST_MARKED = {"time": 20, "marked": 60}
_ELEMENTS = 5000

_SELECTOR = 'meta, title, h1, script[type^="application/ld+json" i]'
_MARKED_SELECTOR = (
    'time, [itemprop~="author" i], [rel~="author" i], [itemprop~="datePublished" i], '
    '[class*="author" i], [class*="byline" i], [class*="date" i]'
)


@dataclass
class Marked:
    """Elements whose names say that they hold an author or a date, by what they are."""

    times: list[LexborNode] = field(default_factory=list)
    published: list[LexborNode] = field(default_factory=list)
    authors: list[LexborNode] = field(default_factory=list)
    bylines: list[LexborNode] = field(default_factory=list)
    dates: list[LexborNode] = field(default_factory=list)


@dataclass
class Found:
    """What a page has to say, by what it is."""

    tree: LexborHTMLParser
    meta: dict[str, list[str]] = field(default_factory=dict)
    titles: list[LexborNode] = field(default_factory=list)
    headings: list[LexborNode] = field(default_factory=list)
    scripts: list[LexborNode] = field(default_factory=list)

    def first(self, *names: str) -> str | None:
        """The first value of the first of these properties that has one."""
        return next((value for name in names for value in self.meta.get(name, ())), None)

    @cached_property
    def marked(self) -> Marked:
        """Looked for only where nothing surer speaks: this selection takes longer than all else here."""
        return _gather_marked(self.tree)


def gather(tree: LexborHTMLParser) -> Found:
    """What speaks for the whole page; each kind up to its count."""
    found = Found(tree)
    left = dict(_MOST)
    for node in islice(tree.css(_SELECTOR), _ELEMENTS):
        kind = node.tag or ""
        if left[kind] == 0:
            continue
        left[kind] -= 1
        if kind == "meta":
            _read_meta(found, node.attributes)
        elif kind == "script":
            found.scripts.append(node)
        elif kind == "h1":
            found.headings.append(node)
        elif node.parent is not None and node.parent.tag in ("head", "body"):  # no title in an SVG
            found.titles.append(node)
    return found


def _gather_marked(tree: LexborHTMLParser) -> Marked:
    """Elements that say of themselves that they are a date or an author; up to a count."""
    found = Marked()
    left = dict(_MOST_MARKED)
    for node in islice(tree.css(_MARKED_SELECTOR), _ELEMENTS):
        tag = node.tag or ""
        kind = tag if tag == "time" else "marked"
        if tag in _MOST or left[kind] == 0:
            continue
        left[kind] -= 1
        attributes = node.attributes
        role = f"{attributes.get('itemprop') or ''} {attributes.get('rel') or ''}".casefold().split()
        if "datepublished" in role:
            found.published.append(node)
        elif kind == "time":
            found.times.append(node)
        elif "author" in role:
            found.authors.append(node)
        else:
            _read_class(found, node, attributes.get("class") or "")
    return found


_NAMING = ("property", "name", "itemprop", "http-equiv")
AUTHORS = (
    "author",
    "parsely-author",
    "sailthru.author",
    "citation_author",
    "dc.creator",
    "dc:creator",
    "dcterms.creator",
    "article:author",
)
DATES = (
    "article:published_time",
    "datepublished",
    "og:published_time",
    "citation_publication_date",
    "parsely-pub-date",
    "sailthru.date",
    "dc.date.issued",
    "dcterms.created",
    "dc.date.created",
    "dc.date",
    "pubdate",
    "publishdate",
    "publish_date",
    "publish-date",
    "date",
)
SITES = ("og:site_name", "application-name")
TITLES = ("og:title", "twitter:title", "citation_title", "dc.title", "dc:title", "dcterms.title", "title")
DESCRIPTIONS = ("description", "og:description", "twitter:description")
LANGUAGES = ("content-language", "og:locale")
_OTHERS = ("og:type", "twitter:label1", "twitter:data1")
_PROPERTIES = frozenset((*AUTHORS, *DATES, *SITES, *TITLES, *DESCRIPTIONS, *LANGUAGES, *_OTHERS))


def _read_meta(found: Found, attributes: Mapping[str, str | None]) -> None:
    for attribute in _NAMING:
        if names := attributes.get(attribute):
            for name in _PROPERTIES.intersection(names[:LINE].casefold().split()):
                values = found.meta.setdefault(name, [])
                if len(values) < NAMES and (value := one_line(attributes.get("content"))):
                    values.append(value)


def _read_class(found: Marked, node: LexborNode, classes: str) -> None:
    """What its class names an element to be; comments and reviews have authors and dates of their own."""
    classes = classes[:LINE].casefold()
    if "comment" in classes or "review" in classes:
        return
    if "author" in classes or "byline" in classes:
        found.bylines.append(node)
    else:
        found.dates.append(node)
