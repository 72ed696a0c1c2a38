"""What a page says about itself: title, site, author, date, description, language and kinds.

Everything that may speak is gathered by `millpond.curate.html.sources`, and the best source answers for each field.
The orders of precedence are those that gave the most right answers on annotated pages: an `<h1>` that the page's own
metadata repeats is the title more often than `og:title` is. What JSON-LD says is read of the page's work alone (top
level, `@graph`, `mainEntity`), not of what the work links to, lists or is commented with.

Guarantees: no exception for any tree; time linear in the page with a small constant, since every source is read up
to a count (elements, characters, depth); the same page gives the same answer. A value is one line without
controls or lone surrogates. Vocabulary: Open Graph, schema.org, Dublin Core, Highwire Press.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache, partial
from itertools import chain, islice
from urllib.parse import urlsplit

from selectolax.lexbor import LexborHTMLParser, LexborNode

from millpond.curate.html.days import day_in, day_in_url
from millpond.curate.html.lines import LINE, NAMES, one_line, string, without_markup
from millpond.curate.html.linked_data import Item, is_person, linked_data, name_of, people_of, types_of, work_of
from millpond.curate.html.names import marked_names, names_in
from millpond.curate.html.sources import AUTHORS, DATES, DESCRIPTIONS, LANGUAGES, SITES, TITLES, Found, gather

#: How far from the heading texts are looked for, and how many.
_LEVELS, _SIBLINGS, _BESIDE = 6, 4, 30


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


def read_metadata(tree: LexborHTMLParser, url: str | None, latest: date | None = None) -> Metadata:
    """Read what a page says about itself.

    Args:
        tree: the parsed page; it is not changed.
        url: where the page was, for the date and the site's name in it.
        latest: no date of publication lies after this day.
    """
    found = gather(tree)
    items, types = linked_data(found.scripts)
    work = work_of(items)
    site = found.first(SITES[0]) or name_of(items, "WebSite") or found.first(SITES[1])
    names = _site(site, url)
    title, heading = _title(found, work, names)
    beside = cache(partial(_beside, heading))
    body = string(work.get("articleBody")) or string(work.get("text"))
    return Metadata(
        title=title,
        site=site,
        author=_author(found, work, items, names, beside),
        published_at=_published(found, work, url, latest, beside),
        description=found.first(*DESCRIPTIONS) or one_line(work.get("description")),
        language=_language(tree, found),
        og_type=(found.first("og:type") or "").casefold() or None,
        ld_types=types,
        article_body=without_markup(body) if body else None,
    )


# Title

_SEPARATOR = re.compile(r"\s+[|–—·•»«:/\\-]+\s+|\s*\|\s*|:\s+|\s+::\s+")
_ANCHOR = "¶§#"


def _title(found: Found, work: Item, site: _Site) -> tuple[str | None, LexborNode | None]:
    """A heading that the metadata repeat, else an only one that is like them, else what they say; and that heading."""
    claims = [one_line(work.get("headline")), found.first("og:title"), found.first("twitter:title")]
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
    said += filter(None, (one_line(work.get("name")), found.first(*TITLES[2:])))
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
        host = urlsplit((url or "")[:LINE]).hostname or ""
    except ValueError:  # brackets that are no IPv6 address
        host = ""
    host = host.removeprefix("www.").rpartition(".")[0]
    labels = [_key(label) for label in host.split(".")]
    return _Site(frozenset((_key(name or ""), _key(host), *labels)) - {""}, max(labels, key=len))


def _key(text: str) -> str:
    """Letters and digits alone, to compare names however they are spaced and pointed."""
    return "".join(filter(str.isalnum, text.casefold()))


# Author

_WRITTEN_BY = re.compile(r"\bby\b|author|\bvon\b|\bpar\b|\bpor\b|\bda\b|\bdoor\b|autor", re.IGNORECASE)


def _author(
    found: Found, work: Item, items: Iterable[Item], site: _Site, beside: Callable[[], Sequence[str]]
) -> str | None:
    """Names from the first source that has some."""
    by_id = {item["@id"]: item for item in items if isinstance(item.get("@id"), str) and "name" in item}
    label = found.first("twitter:label1")
    declared: list[Iterable[str]] = [
        people_of(work.get("author"), by_id),
        *(found.meta.get(name, ()) for name in AUTHORS),
        found.meta.get("twitter:data1", ())[:1] if label and _WRITTEN_BY.search(label) else (),
        people_of(work.get("creator"), by_id),
    ]
    person = is_person(work.get("author"), by_id)
    for place, source in enumerate(declared):
        names = {_key(name): name for text in islice(source, NAMES) for name in names_in(text)}
        if kept := [name for key, name in names.items() if key not in site.names or (person and not place)]:
            return "; ".join(kept[:NAMES])[:LINE]
    if any("Product" in kind for kind in types_of(work)):  # what else names authors there are reviews
        return None
    marked = found.marked
    shown = chain((_pieces(node, True) for node in marked.authors[:3]), (_pieces(node) for node in marked.bylines))
    for pieces in chain(shown, [marked_names(beside(), False)]):
        names = {_key(name): name for name in islice(pieces, NAMES)}
        if kept := [name for key, name in names.items() if key not in site.names]:
            return kept[0][:LINE]
    return None


def _pieces(node: LexborNode, sure: bool = False) -> Iterator[str]:
    return marked_names([line for piece in _texts(node) if (line := one_line(piece))], True, sure)


# Date


def _published(
    found: Found, work: Item, url: str | None, latest: date | None, beside: Callable[[], Sequence[str]]
) -> date | None:
    """The first date of publication in order of how surely a source means it."""
    in_url = day_in_url(url, latest)
    for value in _said_dates(found, work):
        if value and (day := day_in(value, latest)):
            return in_url if in_url and abs((in_url - day).days) == 1 else day  # the publisher's own time zone
    if in_url:
        return in_url
    marked = found.marked
    shown = chain(map(_time, marked.times), (string(work.get(name)) for name in ("dateCreated", "uploadDate")))
    near = (piece for piece in beside() if len(piece) <= 80)
    named = chain.from_iterable(map(_texts, chain(marked.dates, marked.bylines)))
    for value in chain(near, shown, named):
        if value and (day := day_in(value, latest)):
            return day
    return None


def _said_dates(found: Found, work: Item) -> Iterator[str | None]:
    """What is called the date of publication."""
    yield string(work.get("datePublished"))
    yield from map(found.first, DATES)
    yield from map(_time, found.marked.published)


def _time(node: LexborNode) -> str:
    attributes = node.attributes
    return attributes.get("datetime") or attributes.get("content") or _text(node) or ""


# Language and text

_PRIMARY = re.compile(r"\s*([A-Za-z]{2,3})(?![A-Za-z0-9])")


def _language(tree: LexborHTMLParser, found: Found) -> str | None:
    root = tree.root
    attributes = root.attributes if root is not None else {}
    declared = (attributes.get("lang"), attributes.get("xml:lang"), found.first(*LANGUAGES))
    return next((match[1].lower() for value in declared if value and (match := _PRIMARY.match(value))), None)


#: Elements whose text is not read, unless they are what is asked for; `title` is then one in an SVG.
_SILENT = frozenset(("script", "style", "title", "noscript"))


def _texts(node: LexborNode) -> Iterator[str]:
    """The first texts in an element; few, since elements inside each other would be read again and again."""
    for child in islice(node.traverse(include_text=True), 40):
        if not child.is_text_node:
            if child.tag in ("br", "div", "p"):
                yield " "
        elif (parent := child.parent) is None or parent.tag not in _SILENT or parent == node:
            yield (child.text_content or "")[: 2 * LINE]


def _text(node: LexborNode) -> str | None:
    return one_line("".join(_texts(node)))


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
                pieces.extend(line for text in _texts(node) if (line := one_line(text)))
                if len(pieces) >= _BESIDE:
                    return pieces[:_BESIDE]
                node = getattr(node, way)
        heading = heading.parent
    return pieces
