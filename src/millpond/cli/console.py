"""`millpond sql`: one query, a prompt, or a DuckDB file to take elsewhere."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

from millpond.cli import output
from millpond.errors import MillpondError
from millpond.eval import sql
from millpond.eval.sql import Result, connect, write_database
from millpond.lake import Lake

PROMPT, MORE = "millpond> ", "     ...> "


def run(lake: Lake, query: str | None, save: Path | None) -> None:
    """Answer `query`, write the views to `save`, or ask for queries until the input ends."""
    if save is not None:
        write_database(lake, save)
        output.line(f"{save}: open it with duckdb, DBeaver or harlequin")
        return
    connection = connect(lake)
    if query is not None:
        _show(sql.run(connection, query))
        return
    with contextlib.suppress(ImportError):
        import readline  # noqa: F401  line editing and history at the prompt
    output.line("End a query with ; and the prompt with Ctrl-D. `show all tables;` lists the tables.")
    for statement in _statements():
        try:
            _show(sql.run(connection, statement))
        except MillpondError as error:
            output.fail(error)


def _statements() -> Iterator[str]:
    """Statements typed at the prompt or piped in, each ended by a semicolon or the end of input."""
    lines: list[str] = []
    while True:
        try:
            lines.append(input(MORE if lines else PROMPT) if sys.stdin.isatty() else input())
        except EOFError:
            if any(line.strip() for line in lines):
                yield "\n".join(lines)
            return
        if lines[-1].rstrip().endswith(";"):
            yield "\n".join(lines)
            lines = []


def _show(result: Result) -> None:
    output.table(result.columns, result.rows)
