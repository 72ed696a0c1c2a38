"""Kept blocks as text: a line each, lists with dashes, tables' rows with bars, code as it stands.

As Markdown, headings, quotations, tables and code are marked too, and a blank line stands between what does not belong
together. Code, tables and captions can be left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby

from millpond.curate.config import ExtractConfig
from millpond.curate.html.blocks import FLAGS, HEADING, Blocks

_CELL = FLAGS["td"] | FLAGS["th"]


@dataclass(frozen=True)
class _Line:
    """A block as a line: its kind, and the container that lines of its kind share (-1: none)."""

    kind: str
    text: str
    whole: int
    part: int
    """The row of a table or the item of a list."""
    cell: int = -1


def render(blocks: Blocks, kept: Iterable[int], config: ExtractConfig) -> str:
    """The text of the blocks with these numbers, in ascending order."""
    wanted = (("pre", config.code), ("table", config.tables), ("figcaption", config.captions))
    left_out = sum(FLAGS[name] for name, stays in wanted if not stays)
    lines = [_line(blocks, number) for number in kept if not blocks.flags[number] & left_out]
    groups = (list(group) for _, group in groupby(lines, key=lambda line: (line.kind, line.whole)))
    if config.markup == "markdown":
        return "\n\n".join("\n".join(_markdown(group)) for group in groups)
    return "\n".join(text for group in groups for text in _plain(group))


def _line(blocks: Blocks, number: int) -> _Line:
    flags, container, text = blocks.flags[number], blocks.container[number], blocks.text[number]
    if flags & FLAGS["pre"]:
        return _Line("code", text, -1, -1)
    if flags & _CELL and (row := _nearest(blocks, container, ("tr",))) >= 0:
        return _Line("table", text, _nearest(blocks, row, ("table",)), row, _nearest(blocks, container, ("td", "th")))
    if flags & FLAGS["li"] and (item := _nearest(blocks, container, ("li",))) >= 0:
        return _Line("list", text, _nearest(blocks, item, ("ul", "ol")), item)
    if flags & HEADING:
        level = ((flags & HEADING) & -(flags & HEADING)).bit_length()
        return _Line(f"h{level}", text, number, number)
    return _Line("quote" if flags & FLAGS["blockquote"] else "text", text, number, number)


def _nearest(blocks: Blocks, container: int, tags: tuple[str, ...]) -> int:
    """The number of the nearest container of these tags, this one included; -1 where there is none."""
    while container and blocks.tag[container] not in tags:
        container = blocks.parent[container]
    return container or -1


def _plain(group: list[_Line]) -> Iterator[str]:
    """The lines of one table, one list, or of something else."""
    kind = group[0].kind
    for _, part in groupby(group, key=lambda line: line.part):
        lines = list(part)
        texts = [line.text for line in lines]
        if kind == "table" and _is_row(lines):
            yield " | ".join(texts)
        elif kind == "list":
            yield f"- {texts[0]}"
            yield from texts[1:]
        else:
            yield from texts


def _is_row(lines: list[_Line]) -> bool:
    """Whether each cell is one block; cells of several are layout, with text of their own."""
    return len({line.cell for line in lines}) == len(lines)


def _markdown(group: list[_Line]) -> Iterator[str]:
    kind = group[0].kind
    plain = list(_plain(group))
    if kind == "code":
        yield from ("```", *plain, "```")
    elif kind == "table" and all(_is_row(list(row)) for _, row in groupby(group, key=lambda line: line.part)):
        columns = plain[0].count(" | ") + 1
        rows = [f"| {row} |" for row in plain]
        yield from (rows[0], "|" + " --- |" * columns, *rows[1:])
    elif kind == "list":
        yield from (line if line.startswith("- ") else f"  {line}" for line in plain)
    elif kind.startswith("h"):
        yield f"{'#' * int(kind[1])} {plain[0]}"
    else:
        yield from (f"> {line}" for line in plain) if kind == "quote" else plain
