"""Kept blocks as text: a line each, lists with dashes, tables' rows with bars, code as it stands.

As Markdown, headings, quotations, tables and code are marked too, and a blank line stands between what does not belong
together. Code, tables and captions can be left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import NamedTuple

from millpond.curate.html.blocks import FLAGS, HEADING, Blocks
from millpond.curate.html.config import ExtractConfig

_CELL = FLAGS["td"] | FLAGS["th"]
_FENCE = "```"


class _Line(NamedTuple):
    """A block as a line: its kind, and the container that lines of its kind share (-1: none)."""

    kind: str
    text: str
    whole: int
    part: int
    """The row of a table or the item of a list."""
    cell: int = -1
    begins: bool = False
    """It is the first line of a list's item."""


def wanted(blocks: Blocks, numbers: Iterable[int], config: ExtractConfig) -> list[int]:
    """Those of the blocks that no setting leaves out."""
    parts = (("pre", config.code), ("table", config.tables), ("figcaption", config.captions))
    left_out = sum(FLAGS[name] for name, stays in parts if not stays)
    return [number for number in numbers if not blocks.flags[number] & left_out]


def render(blocks: Blocks, kept: Iterable[int], config: ExtractConfig) -> str:
    """The text of the blocks with these numbers, in ascending order. Time is linear in blocks and containers."""
    lines = _Lines(blocks)
    found = [lines.of(number) for number in kept]
    groups = (list(group) for _, group in groupby(found, key=lambda line: (line.kind, line.whole)))
    if config.markup == "markdown":
        return "\n\n".join("\n".join(_markdown(group)) for group in groups)
    return "\n".join(text for group in groups for text in _plain(group))


class _Lines:
    """Makes lines of a page's blocks, asked for in ascending order."""

    def __init__(self, blocks: Blocks) -> None:
        self._blocks = blocks
        self._nearest: dict[tuple[str, ...], dict[int, int]] = {}
        self._begun: set[int] = set()

    def of(self, number: int) -> _Line:
        """The line that a block becomes."""
        blocks = self._blocks
        flags, container, text = blocks.flags[number], blocks.container[number], blocks.text[number]
        if flags & FLAGS["pre"]:
            return _Line("code", text, -1, -1)
        if flags & _CELL and (row := self._above(container, "tr")) >= 0:
            return _Line("table", text, self._above(row, "table"), row, self._above(container, "td", "th"))
        if flags & FLAGS["li"] and (item := self._above(container, "li")) >= 0:
            begins = item not in self._begun
            self._begun.add(item)
            return _Line("list", text, self._above(item, "ul", "ol"), item, begins=begins)
        if flags & HEADING:
            level = ((flags & HEADING) & -(flags & HEADING)).bit_length()
            return _Line(f"h{level}", text, container, container)
        return _Line("quote" if flags & FLAGS["blockquote"] else "text", text, number, number)

    def _above(self, container: int, *tags: str) -> int:
        """The number of the nearest container of these tags, this one included; -1 where there is none."""
        nearest = self._nearest.setdefault(tags, {})
        passed: list[int] = []
        while container not in nearest:  # each is passed once, so all ways up together are linear
            if self._blocks.tag[container] in tags:
                nearest[container] = container
            elif container == 0:
                nearest[container] = -1
            else:
                passed.append(container)
                container = self._blocks.parent[container]
        found = nearest[container]
        nearest.update(dict.fromkeys(passed, found))
        return found


def _plain(group: list[_Line]) -> Iterator[str]:
    """The lines of one table, one list, or of something else."""
    if group[0].kind != "table":
        yield from (f"- {line.text}" if line.begins else line.text for line in group)
        return
    for _, part in groupby(group, key=lambda line: line.part):
        row = list(part)
        texts = [line.text for line in row]
        yield from [" | ".join(texts)] if _is_row(row) else texts


def _is_row(lines: list[_Line]) -> bool:
    """Whether each cell is one block; cells of several are layout, with text of their own."""
    return len({line.cell for line in lines}) == len(lines)


def _markdown(group: list[_Line]) -> Iterator[str]:
    kind, texts = group[0].kind, [line.text for line in group]
    rows = [list(row) for _, row in groupby(group, key=lambda line: line.part)] if kind == "table" else []
    if kind == "code":
        fence = _FENCE
        while any(fence in text for text in texts):
            fence += "`"
        yield from (fence, *texts, fence)
    elif kind == "table" and all(map(_is_row, rows)):
        width = max(map(len, rows))
        for number, row in enumerate(rows):
            cells = [line.text.replace("|", "\\|") for line in row] + [""] * (width - len(row))
            yield f"| {' | '.join(cells)} |"
            if not number:
                yield "|" + " --- |" * width
    elif kind == "list":
        yield from (f"- {line.text}" if line.begins else f"  {line.text}" for line in group)
    elif kind.startswith("h"):
        yield f"{'#' * int(kind[1])} {' '.join(texts)}"
    else:
        yield from (f"> {text}" for text in texts) if kind == "quote" else texts
