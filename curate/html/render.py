"""Kept blocks as text: a line each, lists with dashes, tables' rows with bars, code as it stands.

As Markdown, headings, quotations and code blocks are marked too. Code, tables and captions can be left out.
"""

from __future__ import annotations

from collections.abc import Iterable

from millpond.curate.config import ExtractConfig
from millpond.curate.html.blocks import FLAGS, HEADING, Blocks

_CELL = FLAGS["td"] | FLAGS["th"]
_BULLET = "- "


def render(blocks: Blocks, kept: Iterable[int], config: ExtractConfig) -> str:
    """The text of the blocks with these numbers, in ascending order; lines end in `\\n` but for the last."""
    left_out = _left_out(config)
    markdown = config.markup == "markdown"
    lines: list[str] = []
    row = item = -1  # the row or list item that the last line belongs to
    fenced = False
    for number in kept:
        flags, text, container = blocks.flags[number], blocks.text[number], blocks.container[number]
        if flags & left_out:
            continue
        code = bool(flags & FLAGS["pre"])
        if markdown and fenced and not code:
            lines.append("```")
        if flags & _CELL and not code:
            here = _nearest(blocks, container, "tr")
            if here == row and here >= 0:
                lines[-1] += " | " + text
            else:
                lines.append(text)
            row, item, fenced = here, -1, False
            continue
        here = _nearest(blocks, container, "li") if flags & FLAGS["li"] else -1
        if markdown and code and not fenced:
            lines.append("```")
        if here >= 0 and here != item and not code:
            text = _BULLET + text
        elif markdown and flags & HEADING:
            bits = flags & HEADING
            text = "#" * (bits & -bits).bit_length() + " " + text
        elif markdown and flags & FLAGS["blockquote"] and not code:
            text = "> " + text
        lines.append(text)
        row, item, fenced = -1, here, code
    if markdown and fenced:
        lines.append("```")
    return ("\n\n" if markdown else "\n").join(lines)


def _left_out(config: ExtractConfig) -> int:
    wanted = (("pre", config.code), ("table", config.tables), ("figcaption", config.captions))
    return sum(FLAGS[name] for name, kept in wanted if not kept)


def _nearest(blocks: Blocks, container: int, tag: str) -> int:
    """The number of the nearest container of a tag, this one included; -1 where there is none."""
    while container and blocks.tag[container] != tag:
        container = blocks.parent[container]
    return container or -1
