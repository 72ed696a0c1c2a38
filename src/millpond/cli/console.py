"""`millpond sql`: one query, a prompt, what is piped in, or a DuckDB file to take elsewhere."""

from __future__ import annotations

import contextlib
import signal
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import duckdb
import typer

from millpond.cli import looking, output
from millpond.errors import InputError, MillpondError
from millpond.eval import sql
from millpond.lake import Lake

PROMPT, MORE = "millpond> ", "     ...> "
HISTORY = Path("~/.millpond_history")
HELP = "End a query with ;   \\d lists the tables, \\d TABLE its columns, \\q or Ctrl-D ends."

#: Rows shown to people; JSON has all of them.
ROWS = 1000


def run(lake: Lake, query: str | None, save: Path | None) -> None:
    """Answer `query`, write the views to `save`, or answer queries until the input ends.

    Raises:
        InputError: there is a query and somewhere to save to, or the query is not usable.
        Exit: a query that was piped in failed; those after it were answered.
    """
    if save is not None and query is not None:
        raise InputError("--save writes a database and answers nothing: leave the query out")
    if save is not None:
        output.file("database", sql.write_database(lake, save))
        output.note("open it with duckdb, DBeaver or a notebook")
        return
    connection = sql.connect(lake)
    if query is not None:
        _answer(connection, query)
    elif sys.stdin.isatty():
        _prompt(lake, connection)
    else:
        answered = [_attempt(lake, connection, statement) for statement in _statements()]
        raise typer.Exit(0 if all(answered) else 1)


def _prompt(lake: Lake, connection: duckdb.DuckDBPyConnection) -> None:
    with _history():
        output.note(HELP)
        for statement in _statements():
            if statement == "\\q":
                return
            _attempt(lake, connection, statement)
        output.line("")


def _statements() -> Iterator[str]:
    """Statements typed or piped in, each ended by a semicolon or the end of input; a \\ command is a line."""
    typed = ""
    while True:
        try:
            typed += input(MORE if typed else PROMPT) if sys.stdin.isatty() else input()
        except KeyboardInterrupt:  # forget what was typed so far
            output.line("")
            typed = ""
            continue
        except EOFError:
            if _says_something(typed):
                yield typed
            return
        if typed.startswith("\\"):
            yield typed.strip()
            typed = ""
            continue
        whole, typed = _split(typed)
        yield from (statement for statement in whole if _says_something(statement[:-1]))
        typed = typed.strip() and typed + "\n"


def _split(text: str) -> tuple[list[str], str]:
    """The statements that a semicolon outside of quotes and comments ends, and what follows them."""
    data, start, whole = text.encode(), 0, []
    for place, kind in duckdb.tokenize(text):  # places are bytes
        if kind == duckdb.token_type.operator and data[place : place + 1] == b";":
            whole.append(data[start : place + 1].decode().strip())
            start = place + 1
    return whole, data[start:].decode()


def _says_something(text: str) -> bool:
    return any(kind != duckdb.token_type.comment for _, kind in duckdb.tokenize(text))


def _attempt(lake: Lake, connection: duckdb.DuckDBPyConnection, statement: str) -> bool:
    """Answer a statement or say what is wrong with it; whether it was answered."""
    try:
        command, _, table = statement.rstrip("; ").partition(" ")
        if command == "\\d" and table:
            _answer(connection, f"select column_name, column_type from (describe {table})")
        elif command == "\\d":
            looking.tables(lake)
        elif command.startswith("\\"):
            output.note(HELP)
        else:
            _answer(connection, statement)
    except MillpondError as error:
        output.fail(error)
        return False
    return True


def _answer(connection: duckdb.DuckDBPyConnection, query: str) -> None:
    with _interruptible():
        result = sql.run(connection, query, max_rows=None if output.is_json() else ROWS)
    twice = [name for name, count in Counter(result.columns).items() if count > 1]
    if twice and output.is_json():
        raise InputError(f"two columns are called {twice[0]}: name them apart with AS")
    output.answer(result.columns, result.rows)
    if not result.rows:
        output.note("no rows")
    if result.truncated:
        output.note(f"the first {ROWS:,} rows; --output json gives all")


@contextlib.contextmanager
def _interruptible() -> Iterator[None]:
    """Let Ctrl-C end the program: DuckDB looks for it between tasks only, and one can take minutes."""
    before = signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextlib.contextmanager
def _history() -> Iterator[None]:
    """Line editing at the prompt, with what was typed before."""
    try:
        import readline
    except ImportError:  # a Python built without it
        yield
        return
    with contextlib.suppress(OSError, RuntimeError):  # there is none yet, or no home to keep it in
        readline.read_history_file(HISTORY.expanduser())
    try:
        yield
    finally:
        with contextlib.suppress(OSError, RuntimeError):
            readline.write_history_file(HISTORY.expanduser())
