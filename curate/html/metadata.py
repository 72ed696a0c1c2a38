"""What a page says about itself: title, site, author, date, description, language and kinds.

One CSS selection gathers everything that may speak – meta elements, JSON-LD, headings, times, bylines – and the best
source answers for each field. The orders of precedence are those that gave the most right answers on annotated pages:
an `<h1>` that the page's own metadata repeats is the title more often than `og:title` is. What JSON-LD says is read of
the page's work alone (top level, `@graph`, `mainEntity`), not of what the work links to, lists or is commented with.

Guarantees: no exception for any tree; time linear in the page with a small constant, since every source is read up
to a count (elements, characters, depth); the same page gives the same answer. A value is one line without
controls or lone surrogates. Vocabulary: Open Graph, schema.org, Dublin Core, Highwire Press.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cache, partial
from itertools import accumulate, chain, islice
from typing import Any
from urllib.parse import urlsplit

from selectolax.lexbor import LexborHTMLParser, LexborNode

#: Characters of a line and of a body; elements of each kind; characters, depth and items of JSON-LD; names of one
#: source; how far from the heading texts are looked for, and how many.
_LINE = 1000
_BODY = 1 << 20
_MOST = {"meta": 500, "script": 30, "h1": 10, "time": 20, "title": 20, "marked": 60}
_ELEMENTS = 5000
_SCRIPT = 4 << 20
_DEPTH, _ITEMS, _NAMES = 100, 500, 20
_LEVELS, _SIBLINGS, _BESIDE = 6, 4, 30

_SELECTOR = (
    'meta, title, h1, time, script[type^="application/ld+json" i], [itemprop~="author" i], [rel~="author" i], '
    '[itemprop~="datePublished" i], [class*="author" i], [class*="byline" i], [class*="date" i]'
)

#: Kinds of works by how surely the page is about one of them; what is not here is never the page's work.
_WORKS = (
    re.compile(r"Article$|Posting$|^Report$|^Question$|^Recipe$|^Review$|^HowTo$|^Book$|^Podcast|^Course$"),
    re.compile(r"^Product|^Event$|^SoftwareApplication$|^Dataset$|^JobPosting$|^CreativeWork$|^Movie$|^Video"),
    re.compile(r"Page$"),
)


@dataclass(frozen=True)
class Metadata:
    """What a page says about itself; None where it does not say."""

    title: str | None = None
    """The work's title, without the site's name."""
    site: str | None = None
    author: str | None = None
    """Names joined with "; "."""
    published_at: date | None = None
    """The day of first publication as it is written, in whatever time zone."""
    description: str | None = None
    language: str | None = None
    """Primary subtag, lower case."""
    og_type: str | None = None
    ld_types: frozenset[str] = frozenset()
    """Types of the JSON-LD items that stand for the page or parts of it, without the prefix of schema.org."""
    article_body: str | None = None
    """The text that JSON-LD has of the work, without markup."""


@dataclass
class _Found:
    """Elements of one page by what they are."""

    meta: dict[str, list[str]] = field(default_factory=dict)
    titles: list[LexborNode] = field(default_factory=list)
    headings: list[LexborNode] = field(default_factory=list)
    times: list[LexborNode] = field(default_factory=list)
    published: list[LexborNode] = field(default_factory=list)
    authors: list[LexborNode] = field(default_factory=list)
    bylines: list[LexborNode] = field(default_factory=list)
    dates: list[LexborNode] = field(default_factory=list)
    scripts: list[LexborNode] = field(default_factory=list)

    def first(self, *names: str) -> str | None:
        """The first value of the first of these properties that has one."""
        return next((value for name in names for value in self.meta.get(name, ())), None)


def read_metadata(tree: LexborHTMLParser, url: str | None, latest: date | None = None) -> Metadata:
    """Read what a page says about itself.

    Args:
        tree: the parsed page; it is not changed.
        url: where the page was, for the date and the site's name in it.
        latest: no date of publication lies after this day.
    """
    found = _gather(tree)
    items, types = _linked_data(found.scripts)
    work = _work(items)
    site = found.first(_SITES[0]) or _name_of(items, "WebSite") or found.first(_SITES[1])
    names = _site(site, url)
    title, heading = _title(found, work, names)
    beside = cache(partial(_beside, heading))
    body = _string(work.get("articleBody")) or _string(work.get("text"))
    return Metadata(
        title=title,
        site=site,
        author=_author(found, work, items, names, beside),
        published_at=_published(found, work, url, latest, beside),
        description=found.first(*_DESCRIPTIONS) or _line(work.get("description")),
        language=_language(tree, found),
        og_type=(found.first("og:type") or "").casefold() or None,
        ld_types=types,
        article_body=_without_markup(body) if body else None,
    )


def _gather(tree: LexborHTMLParser) -> _Found:
    """Everything that may speak, in one selection; each kind up to its count."""
    found = _Found()
    left = dict(_MOST)
    for node in islice(tree.css(_SELECTOR), _ELEMENTS):
        tag = node.tag or ""
        kind = tag if tag in left else "marked"
        if left[kind] == 0:
            continue
        left[kind] -= 1
        attributes = node.attributes
        if kind == "meta":
            _read_meta(found, attributes)
        elif kind == "script":
            found.scripts.append(node)
        elif kind == "title":
            if node.parent is not None and node.parent.tag in ("head", "body"):  # not one in an SVG
                found.titles.append(node)
        elif kind == "h1":
            found.headings.append(node)
        else:
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
_AUTHORS = (
    "author",
    "parsely-author",
    "sailthru.author",
    "citation_author",
    "dc.creator",
    "dc:creator",
    "dcterms.creator",
    "article:author",
)
_DATES = (
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
_SITES = ("og:site_name", "application-name")
_TITLES = ("og:title", "twitter:title", "citation_title", "dc.title", "dc:title", "dcterms.title", "title")
_DESCRIPTIONS = ("description", "og:description", "twitter:description")
_LANGUAGES = ("content-language", "og:locale")
_OTHERS = ("og:type", "twitter:label1", "twitter:data1")
_PROPERTIES = frozenset((*_AUTHORS, *_DATES, *_SITES, *_TITLES, *_DESCRIPTIONS, *_LANGUAGES, *_OTHERS))


def _read_meta(found: _Found, attributes: Mapping[str, str | None]) -> None:
    for attribute in _NAMING:
        if names := attributes.get(attribute):
            for name in _PROPERTIES.intersection(names[:_LINE].casefold().split()):
                values = found.meta.setdefault(name, [])
                if len(values) < _NAMES and (value := _line(attributes.get("content"))):
                    values.append(value)


def _read_class(found: _Found, node: LexborNode, classes: str) -> None:
    """What its class names an element to be; comments and reviews have authors and dates of their own."""
    classes = classes[:_LINE].casefold()
    if "comment" in classes or "review" in classes:
        return
    if "author" in classes or "byline" in classes:
        found.bylines.append(node)
    else:
        found.dates.append(node)


# JSON-LD

_COMMA_TOO_MANY = re.compile(r",(\s*[}\]])")
_STRING = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)', re.DOTALL)
_BRACKET = re.compile(r"[\[\]{}]")
_WRAPPING = re.compile(r"\s*(?:<!--|//\s*<!\[CDATA\[|/\*\s*<!\[CDATA\[\s*\*/|<!\[CDATA\[)?\s*")
_PREFIX = re.compile(r"^(?:https?://(?:www\.)?schema\.org/|schema:)")
_PARTS = ("@graph", "mainEntity", "mainEntityOfPage")
_Item = Mapping[str, Any]


def _linked_data(scripts: Iterable[LexborNode]) -> tuple[list[_Item], frozenset[str]]:
    """The items that stand for the page, in order, and all their types."""
    items: list[_Item] = []
    for script in scripts:
        todo = [_parse(script.text())]
        seen = 0
        while todo and seen < _ITEMS and len(items) < _ITEMS:
            value = todo.pop()
            seen += 1
            if isinstance(value, list):
                todo.extend(reversed(value[:_ITEMS]))
            elif isinstance(value, dict):
                items.append(value)
                if "FAQPage" not in _types(value):  # its main entities are parts
                    todo.extend(value[part] for part in reversed(_PARTS) if isinstance(value.get(part), list | dict))
    return items, frozenset(chain.from_iterable(map(_types, items)))


def _parse(text: str) -> Any:
    """The value of a JSON text with the faults that pages have; None where it is none or beyond the bounds."""
    if len(text) > _SCRIPT:
        return None
    start = _WRAPPING.match(text)
    text = text[start.end() :] if start else text
    if _depth(text) > _DEPTH:  # the parser's own limit would depend on the caller's depth
        return None
    decoder = json.JSONDecoder(strict=False)
    for repaired in (False, True):
        try:
            return decoder.raw_decode(_COMMA_TOO_MANY.sub(r"\1", text) if repaired else text)[0]
        except ValueError:  # many pages' JSON is none; then they do not say
            continue
    return None


def _depth(text: str) -> int:
    """How deep a JSON text nests, exactly where it may be too deep."""
    if (brackets := text.count("[") + text.count("{")) <= _DEPTH:
        return brackets
    levels = accumulate(1 if bracket in "[{" else -1 for bracket in _BRACKET.findall(_STRING.sub("", text)))
    return max(levels, default=0)


def _types(item: _Item) -> list[str]:
    kinds = item.get("@type")
    kinds = kinds[:_NAMES] if isinstance(kinds, list) else [kinds]
    return [_PREFIX.sub("", _line(kind) or "") for kind in kinds if isinstance(kind, str) and kind]


def _work(items: Sequence[_Item]) -> _Item:
    """The item that the page is about: the first of the surest kind."""
    for kinds in _WORKS:
        for item in items:
            if any(kinds.search(kind) for kind in _types(item)):
                return item
    return {}


def _name_of(items: Iterable[_Item], kind: str) -> str | None:
    return next((name for item in items if kind in _types(item) and (name := _line(item.get("name")))), None)


# Title

_SEPARATOR = re.compile(r"\s+[|–—·•»«:/\\-]+\s+|\s*\|\s*|:\s+|\s+::\s+")
_ANCHOR = "¶§#"


def _title(found: _Found, work: _Item, site: _Site) -> tuple[str | None, LexborNode | None]:
    """A heading that the metadata repeat, else an only one that is like them, else what they say; and that heading."""
    claims = [_line(work.get("headline")), found.first("og:title"), found.first("twitter:title")]
    claims += [_text(node) for node in found.titles[:1]]
    said = [text for text in claims if text]
    known = [_key(text) for text in said]
    whole = [(text, node) for node in found.headings if (text := _heading(node)) and _key(text)]
    named = [(text, node) for text, node in whole if not site.has(text, said)]
    for text, node in named:
        if any(_key(text) in claim for claim in known):
            return site.without(text), node
    if len(whole) == 1 and named and (not said or _share_a_word(named[0][0], said)):
        return site.without(named[0][0]), named[0][1]
    said += filter(None, (_line(work.get("name")), found.first(*_TITLES[2:])))
    if said:
        return site.without(said[0]), None
    return whole[0] if whole else (None, None)


def _share_a_word(heading: str, titles: Iterable[str]) -> bool:
    words = set(heading.casefold().split())
    return any(not words.isdisjoint(title.casefold().split()) for title in titles)


def _heading(node: LexborNode) -> str | None:
    text = _text(node)
    return text.rstrip(_ANCHOR).strip() or None if text else None


@dataclass(frozen=True)
class _Site:
    """How the page's site may be called."""

    names: frozenset[str]
    label: str
    """The longest label of the host's name, which a site's name often starts with."""

    def is_named(self, text: str) -> bool:
        """Whether a text is the site's name."""
        key = _key(text)
        longer, shorter = (key, self.label) if len(key) > len(self.label) else (self.label, key)
        alike = 3 < len(shorter) <= len(longer) <= 2 * len(shorter)
        return key in self.names or (alike and longer.startswith(shorter))

    def has(self, heading: str, titles: Iterable[str]) -> bool:
        """Whether a heading is the site's and not the page's: a title ends with it after another name."""
        if _key(heading) in self.names:
            return True
        for title in titles:
            cuts = list(_SEPARATOR.finditer(title))
            if cuts and _key(title[cuts[-1].end() :]) == _key(heading):
                return not self.is_named(title[: cuts[0].start()])
        return False

    def without(self, title: str) -> str:
        """A title without a part at its end or start that is the site's name."""
        cuts = list(_SEPARATOR.finditer(title))
        if cuts and self.is_named(title[cuts[-1].end() :]):
            return title[: cuts[-1].start()].strip() or title
        if cuts and self.is_named(title[: cuts[0].start()]):
            return title[cuts[0].end() :].strip() or title
        return title


def _site(name: str | None, url: str | None) -> _Site:
    try:
        host = urlsplit((url or "")[:_LINE]).hostname or ""
    except ValueError:  # brackets that are no IPv6 address
        host = ""
    host = host.removeprefix("www.").rpartition(".")[0]
    names = {_key(name or ""), _key(host), *map(_key, host.split("."))} - {""}
    return _Site(frozenset(names), max(map(_key, host.split(".")), key=len))


def _key(text: str) -> str:
    """Letters and digits alone, to compare names however they are spaced and pointed."""
    return "".join(filter(str.isalnum, text.casefold()))


# Author

_BY = re.compile(
    r"^(?:(?:[a-z]+ ){0,3}by|authors?|von|par|por|door|de|autor|auteur|autore|作者|文|글)(?:\s*[::]\s*|\s+|$)",
    re.IGNORECASE,
)
_BETWEEN = re.compile(r"\s*[;|、•·]\s*|\s+(?:and|&|und|et|y)\s+|\s+[–—-]\s+", re.IGNORECASE)
_NOT_A_NAME = re.compile(r"://|www\.|\.(?:com|org|net)\b|\S@\S|[{}<>=?!©]|^[\d\W]+$", re.IGNORECASE)
_PARTICLES = frozenset(("de", "da", "van", "von", "der", "den", "del", "della", "di", "la", "le", "bin", "al", "y"))
_NOT_IN_BYLINE = re.compile(
    r"\d{4}|\d:\d\d|^\w+ \d{1,2}$|\b(?:updated|published|posted|follow|share|sign|read|view|more)\b", re.IGNORECASE
)
_NOBODY = frozenset(
    (
        "admin",
        "administrator",
        "webmaster",
        "root",
        "user",
        "guest",
        "anonymous",
        "unknown",
        "none",
        "null",
        "default",
        "author",
        "authors",
        "topic author",
        "editor",
        "staff",
    )
)
_WRITTEN_BY = re.compile(r"\bby\b|author|\bvon\b|\bpar\b|\bpor\b|\bda\b|\bdoor\b|autor", re.IGNORECASE)


def _author(
    found: _Found, work: _Item, items: Iterable[_Item], site: _Site, beside: Callable[[], Sequence[str]]
) -> str | None:
    """Names from the first source that has some."""
    by_id = {item["@id"]: item for item in items if isinstance(item.get("@id"), str) and "name" in item}
    label = found.first("twitter:label1")
    declared: list[Iterable[str]] = [
        _people(work.get("author"), by_id),
        *(found.meta.get(name, ()) for name in _AUTHORS),
        found.meta.get("twitter:data1", ())[:1] if label and _WRITTEN_BY.search(label) else (),
        _people(work.get("creator"), by_id),
    ]
    person = _is_person(work.get("author"), by_id)
    for place, source in enumerate(declared):
        names = {_key(name): name for text in islice(source, _NAMES) for name in _names(text)}
        if kept := [name for key, name in names.items() if key not in site.names or (person and not place)]:
            return "; ".join(kept[:_NAMES])[:_LINE]
    if any("Product" in kind for kind in _types(work)):  # what else names authors there are reviews
        return None
    shown = chain((_pieces(node, True) for node in found.authors[:3]), (_pieces(node) for node in found.bylines))
    for pieces in chain(shown, [_marked(beside(), False)]):
        names = {_key(name): name for name in islice(pieces, _NAMES)}
        if kept := [name for key, name in names.items() if key not in site.names]:
            return kept[0][:_LINE]
    return None


def _is_person(value: Any, by_id: Mapping[str, _Item]) -> bool:
    if isinstance(value, list):
        value = value[0] if len(value) == 1 else None
    if isinstance(value, dict) and "@type" not in value:
        value = by_id.get(str(value.get("@id")), {})
    return isinstance(value, dict) and "Person" in _types(value)


def _people(value: Any, by_id: Mapping[str, _Item]) -> Iterator[str]:
    for person in value[:_NAMES] if isinstance(value, list) else [value]:
        if isinstance(person, dict):
            named = person if "name" in person else by_id.get(str(person.get("@id")), {})
            name = named.get("name")
            yield from filter(None, map(_line, name[:_NAMES] if isinstance(name, list) else [name]))
        elif line := _line(person):
            yield line


def _pieces(node: LexborNode, sure: bool = False) -> Iterator[str]:
    return _marked([line for piece in _texts(node) if (line := _line(piece))], True, sure)


def _marked(pieces: Sequence[str], byline: bool, sure: bool = False) -> Iterator[str]:
    """Names in texts that stand together: after "by", or in a byline what looks like a name."""
    after_by = sure
    for piece in pieces:
        by = _BY.match(piece)
        if by and by.end() == len(piece):
            after_by = True
            continue
        for name in _names(piece) if len(piece) <= 100 else ():
            if not _NOT_IN_BYLINE.search(name) and (after_by or ((byline or by) and _is_like_a_name(name))):
                yield name
        after_by = sure


def _is_like_a_name(text: str) -> bool:
    """Several words, none of them beginning with a small letter but for particles."""
    words = text.split()
    alike = (word in _PARTICLES or (word[0].isalpha() and not word[0].islower()) for word in words)
    return len(words) > 1 and all(alike)


def _names(text: str) -> Iterator[str]:
    """The names in a line of them."""
    for part in _BETWEEN.split(text):
        commas = [piece.strip() for piece in part.split(",")]
        for piece in commas if all(" " in piece for piece in commas) else [part]:
            name = _BY.sub("", piece.strip(" ,:-")).strip(" ,:-")
            name = name[1:-1] if name.startswith("(") and name.endswith(")") else name
            sized = 1 < len(name) <= 80 and len(name.split()) <= 6
            if sized and name.casefold() not in _NOBODY and not _NOT_A_NAME.search(name):
                yield name


# Date

_YMD = re.compile(r"(?<!\d)(\d{4})(?:-(\d{1,2})-(\d{1,2})|/(\d{1,2})/(\d{1,2}))(?!\d)")
_COMPACT = re.compile(r"^(\d{4})(\d\d)(\d\d)(?:T|$)")
_DMY = re.compile(r"(?<!\d)(\d{1,2})\.\s?(\d{1,2})\.\s?(\d{4})(?!\d)")
_UNSURE = re.compile(r"(?<![\d/-])(\d{1,2})([/-])(\d{1,2})\2(\d{4})(?![\d/-])")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH = rf"({'|'.join(_MONTHS)})[a-z]{{0,6}}\.?"
_MDY_WORDS = re.compile(rf"\b{_MONTH}\s(\d{{1,2}})(?:st|nd|rd|th)?,?\s(\d{{4}})\b", re.IGNORECASE)
_DMY_WORDS = re.compile(rf"\b(\d{{1,2}})(?:st|nd|rd|th)?\s{_MONTH},?\s(\d{{4}})\b", re.IGNORECASE)
_IN_URL = re.compile(r"/(\d{4})/(\d{1,2})/(\d{1,2})(?=/|$)|[/-](\d{4})-(\d\d)-(\d\d)(?!\d)")
_FIRST_YEAR = 1990


def _published(
    found: _Found, work: _Item, url: str | None, latest: date | None, beside: Callable[[], Sequence[str]]
) -> date | None:
    """The first date of publication in order of how surely a source means it."""
    in_url = _in_url(url, latest)
    values = chain(
        (_string(work.get("datePublished")),),
        (found.first(name) for name in _DATES),
        map(_time, found.published),
    )
    for value in values:
        if value and (day := _day(value, latest)):
            return in_url if in_url and abs((in_url - day).days) == 1 else day  # the publisher's own time zone
    if in_url:
        return in_url
    shown = chain(map(_time, found.times), (_string(work.get(name)) for name in ("dateCreated", "uploadDate")))
    near = (piece for piece in beside() if len(piece) <= 80)
    marked = chain.from_iterable(map(_texts, chain(found.dates, found.bylines)))
    for value in chain(near, shown, marked):
        if value and (day := _day(value, latest)):
            return day
    return None


def _in_url(url: str | None, latest: date | None) -> date | None:
    if match := _IN_URL.search((url or "")[: 2 * _LINE]):
        year, month, day = (int(part) for part in match.groups() if part)
        return _valid(year, month, day, latest)
    return None


def _time(node: LexborNode) -> str:
    attributes = node.attributes
    return attributes.get("datetime") or attributes.get("content") or _text(node) or ""


def _day(text: str, latest: date | None) -> date | None:
    """The first date in a text, as ISO 8601, with dots or with an English month; never by guessing an order."""
    text = " ".join(text[:200].split())
    if match := _YMD.search(text) or _COMPACT.search(text):
        year, month, day = (int(part) for part in match.groups() if part)
    elif match := _DMY.search(text):
        day, month, year = (int(part) for part in match.groups())
    elif match := _MDY_WORDS.search(text):
        month, day, year = _MONTHS.index(match[1].casefold()) + 1, int(match[2]), int(match[3])
    elif match := _DMY_WORDS.search(text):
        day, month, year = int(match[1]), _MONTHS.index(match[2].casefold()) + 1, int(match[3])
    elif match := _UNSURE.search(text):
        first, second, year = int(match[1]), int(match[3]), int(match[4])
        if first <= 12 and second <= 12 and first != second:
            return None
        month, day = min(first, second), max(first, second)
    else:
        return None
    return _valid(year, month, day, latest)


def _valid(year: int, month: int, day: int, latest: date | None) -> date | None:
    try:
        found = date(year, month, day)
    except ValueError:  # no such day
        return None
    return found if year >= _FIRST_YEAR and (latest is None or found <= latest) else None


# Language and text

_PRIMARY = re.compile(r"\s*([A-Za-z]{2,3})(?![A-Za-z0-9])")


def _language(tree: LexborHTMLParser, found: _Found) -> str | None:
    root = tree.root
    attributes = root.attributes if root is not None else {}
    declared = (attributes.get("lang"), attributes.get("xml:lang"), found.first(*_LANGUAGES))
    return next((match[1].lower() for value in declared if value and (match := _PRIMARY.match(value))), None)


_CONTROLS = {**dict.fromkeys([*range(32), *range(127, 160)], " "), 0xAD: ""}
_LONG_REFERENCE = re.compile(r"&#[0-9]{8,};?")
_BLOCK_TAG = re.compile(r"</?(?:p|div|br|li|ul|ol|h[1-6]|tr|table|blockquote|section|pre)\b[^<>]*>", re.IGNORECASE)
_TAG = re.compile(r"</?[a-z][^<>]*>|<!--[^<>]*-->", re.IGNORECASE)

#: Elements whose text is not read, unless they are what is asked for; `title` is then one in an SVG.
_SILENT = frozenset(("script", "style", "title", "noscript"))


def _texts(node: LexborNode) -> Iterator[str]:
    """The first texts in an element; few, since elements inside each other would be read again and again."""
    for child in islice(node.traverse(include_text=True), 40):
        if not child.is_text_node:
            if child.tag in ("br", "div", "p"):
                yield " "
        elif (parent := child.parent) is None or parent.tag not in _SILENT or parent == node:
            yield (child.text_content or "")[: 2 * _LINE]


def _text(node: LexborNode) -> str | None:
    return _line("".join(_texts(node)))


def _beside(heading: LexborNode | None) -> list[str]:
    """Texts around a heading, the nearest elements first."""
    pieces: list[str] = []
    for _ in range(_LEVELS):
        if heading is None or heading.tag in ("body", "html"):
            break
        for way in ("next", "prev"):
            node = getattr(heading, way)
            for _ in range(_SIBLINGS):
                if node is None:
                    break
                pieces.extend(line for text in _texts(node) if (line := _line(text)))
                if len(pieces) >= _BESIDE:
                    return pieces[:_BESIDE]
                node = getattr(node, way)
        heading = heading.parent
    return pieces


def _string(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _line(value: Any) -> str | None:
    """One line without controls, entities and lone surrogates; None for what is no text."""
    if not isinstance(value, str):
        return None
    if value.isprintable() and "&" not in value and "  " not in value:  # most are; printable has no other white space
        return value[:_LINE].strip() or None
    text = _unescaped(value[: 2 * _LINE])
    return " ".join(text.translate(_CONTROLS).split())[:_LINE].strip() or None


def _unescaped(text: str) -> str:
    """Entities that were escaped twice, or in JSON, undone."""
    if "&" in text:
        text = html.unescape(_LONG_REFERENCE.sub("\ufffd", text))  # int() refuses what is too long
    return text.encode("utf-8", "replace").decode()


def _without_markup(text: str) -> str | None:
    text = _TAG.sub("", _BLOCK_TAG.sub("\n", text[:_BODY]))
    return _unescaped(text).replace("\0", "").strip() or None
