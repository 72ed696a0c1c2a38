"""How results and errors are shown: tables and lines for people, JSON for machines."""

from __future__ import annotations

import base64
import json
import math
import sys
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from rich.console import Console
from rich.table import Table
from rich.text import Text

from millpond import progress
from millpond.errors import MillpondError

if TYPE_CHECKING:
    from millpond.publish import Outcome

#: Characters of a cell, and of a value that has lines of its own; JSON has all of them.
CELL, VALUE = 240, 4000

#: Columns where there is no terminal: a pipe's reader wants a row on a line.
_UNWRAPPED = 1 << 16

#: A table at most so much wider than the terminal is folded into it, its text columns down to this many characters;
#: a wider one is shown value by value.
_FOLD, _NARROW = 1.25, 16


class Format(StrEnum):
    """Values of `--output`."""

    TEXT = "text"
    JSON = "json"


_format = Format.TEXT


def use(chosen: Format) -> None:
    """Show everything in this format from here on; JSON also silences progress."""
    global _format
    _format = chosen
    progress.silence(chosen is Format.JSON)


def is_json() -> bool:
    """Whether `--output json` was given."""
    return _format is Format.JSON


def value(found: Any) -> None:
    """Show a value as JSON on one line."""
    sys.stdout.write(json.dumps(_plain(found), allow_nan=False) + "\n")


def line(text: str) -> None:
    """One line for people; nothing with `--output json`."""
    if not is_json():
        _console().print(text, highlight=False, markup=False)


def file(what: str, path: Path) -> None:
    """Say which file was written."""
    value({what: str(path)}) if is_json() else line(str(path))


def note(text: str) -> None:
    """A remark that is no part of the result, on stderr; nothing with `--output json`."""
    if not is_json():
        progress.console.print(text, style="dim", highlight=False, markup=False, soft_wrap=True)


def table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """A table for people, a list of objects for machines."""
    if is_json():
        value([dict(zip(columns, row, strict=True)) for row in rows])
        return
    shown = Table(box=None, pad_edge=False, header_style="dim")
    for name, number in zip(columns, _numeric(columns, rows), strict=True):
        justify: Literal["left", "right"] = "right" if number else "left"
        shown.add_column(name, justify=justify, overflow="fold", no_wrap=number, min_width=len(name))
    for row in rows:
        shown.add_row(*(Text(_cell(cell)) for cell in row))
    _console().print(shown)


def answer(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """A query's answer: a table, or value by value where the terminal is too narrow for one."""
    if is_json() or not rows or _fits(columns, rows, _console().width):
        table(columns, rows)
        return
    widest = max(len(name) for name in columns)
    for number, row in enumerate(rows, 1):
        line(f"─ row {number}")
        shown = Table.grid(padding=(0, 2))
        shown.add_column(style="dim", no_wrap=True, width=widest)
        shown.add_column(overflow="fold")
        for name, cell in zip(columns, row, strict=True):
            shown.add_row(Text(name), Text(_cut(_text(cell), VALUE)))
        _console().print(shown)


def outcome(done: Outcome) -> None:
    """What a stage did, or that there was nothing to do."""
    if is_json():
        value(vars(done))
    elif done.unchanged:
        line(f"{done.stage}: nothing to do, release {done.release} already holds this input and configuration")
    else:
        counts = ", ".join(f"{name} {n:,}" for name, n in done.counts.items())
        line(f"{done.stage}: release {done.release} ({counts})")


def fail(error: MillpondError) -> None:
    """One line on stderr; with `--output json` also an object on stdout."""
    message = " ".join(str(error).split())
    if is_json():
        value({"error": type(error).__name__, "message": message})
    sys.stderr.write(f"error: {message}\n")


def _console() -> Console:
    return Console(soft_wrap=True, width=None if sys.stdout.isatty() else _UNWRAPPED)


def _fits(columns: Sequence[str], rows: Sequence[Sequence[Any]], width: int) -> bool:
    widths = [max(len(name), *(len(_cell(row[i])) for row in rows)) for i, name in enumerate(columns)]
    total = sum(widths) + 2 * (len(widths) - 1)
    text = [i for i, number in enumerate(_numeric(columns, rows)) if not number]
    foldable = sum(max(0, widths[i] - max(_NARROW, len(columns[i]))) for i in text)
    return total <= width or (total <= width * _FOLD and total - foldable <= width)


def _numeric(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> list[bool]:
    """Which columns hold numbers alone, and at least one."""
    kinds = [{type(row[i]) for row in rows} - {type(None)} for i in range(len(columns))]
    return [bool(found) and found <= {int, float, Decimal} for found in kinds]


def _cell(cell: Any) -> str:
    """One line of a value."""
    return _cut(" ".join(_text(cell)[: 2 * CELL].split()), CELL)


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[:limit] + "…"


def _text(cell: Any) -> str:
    if cell is None:
        return "·"
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if isinstance(cell, int):
        return f"{cell:,}"
    if isinstance(cell, float):
        return f"{cell:.4g}"
    if isinstance(cell, bytes):
        return f"{len(cell):,} bytes"
    if isinstance(cell, Mapping | list | tuple):
        return json.dumps(_plain(cell), ensure_ascii=False)
    return str(cell)


def _plain(found: Any) -> Any:
    """`found` in JSON's own types: no NaN, bytes in base 64, what is left as text."""
    if found is None or isinstance(found, bool | int | str):
        return found
    if isinstance(found, float | Decimal):
        return float(found) if math.isfinite(found) else None
    if isinstance(found, bytes):
        return base64.b64encode(found).decode()
    if isinstance(found, datetime | date):
        return found.isoformat()
    if isinstance(found, Mapping):
        return {str(key): _plain(item) for key, item in found.items()}
    if isinstance(found, list | tuple):
        return [_plain(item) for item in found]
    return str(found)
