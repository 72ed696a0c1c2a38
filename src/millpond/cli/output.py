"""How results and errors are shown: tables and lines for people, JSON for machines."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from enum import StrEnum
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from millpond import progress
from millpond.errors import MillpondError
from millpond.publish import Outcome


class Format(StrEnum):
    """Values of `--output`."""

    TEXT = "text"
    JSON = "json"


console = Console(soft_wrap=True)
_format = Format.TEXT


def use(chosen: Format) -> None:
    """Show everything in this format from here on; JSON also silences progress."""
    global _format
    _format = chosen
    if chosen is Format.JSON:
        progress.silence()


def is_json() -> bool:
    """Whether `--output json` was given."""
    return _format is Format.JSON


def value(found: Any) -> None:
    """Show a JSON-like value: as JSON, or as indented JSON for people."""
    sys.stdout.write(json.dumps(found, default=str, indent=None if is_json() else 2) + "\n")


def line(text: str) -> None:
    """One line for people; nothing with `--output json`."""
    if not is_json():
        console.print(text, highlight=False, markup=False)


def table(columns: Sequence[str], rows: Sequence[Sequence[Any]], title: str | None = None) -> None:
    """A table for people, a list of objects for machines."""
    if is_json():
        value([dict(zip(columns, row, strict=True)) for row in rows])
        return
    shown = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False, header_style="dim")
    numeric = [rows and all(isinstance(row[i], int | float | None) for row in rows) for i in range(len(columns))]
    for name, right in zip(columns, numeric, strict=True):
        shown.add_column(name, justify="right" if right else "left", overflow="fold")
    for row in rows:
        shown.add_row(*(Text(_cell(cell)) for cell in row))
    console.print(shown)


def outcome(done: Outcome) -> None:
    """What a stage did, or that there was nothing to do."""
    if is_json():
        value(asdict(done))
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


def _cell(cell: Any) -> str:
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
    if isinstance(cell, Mapping | list):
        return json.dumps(cell, default=str)
    return str(cell)
