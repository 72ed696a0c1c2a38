"""JSON-LD: the items that stand for a page, and what they say of its work and of people.

Scripts are read with the faults that pages have, and up to counts: characters, depth, items.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate, chain
from typing import Any

from selectolax.lexbor import LexborNode

from millpond.curate.html.lines import NAMES, one_line

#: Characters of a script, and how deep and how many its items are.
_SCRIPT = 4 << 20
_DEPTH, _ITEMS = 100, 500

#: Kinds of works by how surely the page is about one of them; what is not here is never the page's work.
_WORKS = (
    re.compile(r"Article$|Posting$|^Report$|^Question$|^Recipe$|^Review$|^HowTo$|^Book$|^Podcast|^Course$"),
    re.compile(r"^Product|^Event$|^SoftwareApplication$|^Dataset$|^JobPosting$|^CreativeWork$|^Movie$|^Video"),
    re.compile(r"Page$"),
)
_COMMA_TOO_MANY = re.compile(r",(\s*[}\]])")
_STRING = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)', re.DOTALL)
_BRACKET = re.compile(r"[\[\]{}]")
_WRAPPING = re.compile(r"\s*(?:<!--|//\s*<!\[CDATA\[|/\*\s*<!\[CDATA\[\s*\*/|<!\[CDATA\[)?\s*")
_PREFIX = re.compile(r"^(?:https?://(?:www\.)?schema\.org/|schema:)")
_PARTS = ("@graph", "mainEntity", "mainEntityOfPage")
Item = Mapping[str, Any]


def linked_data(scripts: Iterable[LexborNode]) -> tuple[list[Item], frozenset[str]]:
    """The items that stand for the page, in order, and all their types."""
    items: list[Item] = []
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
                if "FAQPage" not in types_of(value):  # its main entities are parts
                    todo.extend(value[part] for part in reversed(_PARTS) if isinstance(value.get(part), list | dict))
    return items, frozenset(chain.from_iterable(map(types_of, items)))


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


def types_of(item: Item) -> list[str]:
    kinds = item.get("@type")
    kinds = kinds[:NAMES] if isinstance(kinds, list) else [kinds]
    return [_PREFIX.sub("", one_line(kind) or "") for kind in kinds if isinstance(kind, str) and kind]


def work_of(items: Sequence[Item]) -> Item:
    """The item that the page is about: the first of the surest kind."""
    for kinds in _WORKS:
        for item in items:
            if any(kinds.search(kind) for kind in types_of(item)):
                return item
    return {}


def name_of(items: Iterable[Item], kind: str) -> str | None:
    return next((name for item in items if kind in types_of(item) and (name := one_line(item.get("name")))), None)


def is_person(value: Any, by_id: Mapping[str, Item]) -> bool:
    if isinstance(value, list):
        value = value[0] if len(value) == 1 else None
    if isinstance(value, dict) and "@type" not in value:
        value = by_id.get(str(value.get("@id")), {})
    return isinstance(value, dict) and "Person" in types_of(value)


def people_of(value: Any, by_id: Mapping[str, Item]) -> Iterator[str]:
    for person in value[:NAMES] if isinstance(value, list) else [value]:
        if isinstance(person, dict):
            named = person if "name" in person else by_id.get(str(person.get("@id")), {})
            name = named.get("name")
            yield from filter(None, map(one_line, name[:NAMES] if isinstance(name, list) else [name]))
        elif line := one_line(person):
            yield line
