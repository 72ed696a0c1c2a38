"""From tokens back to pages: which URLs stand behind a row of a shard, or behind a training step.

Input: a connection of `millpond.eval.sql`. Output: one `TokenSource` per piece of a document, in the order of
the tokens. A row that is there but whose document or page has left the lake still comes back, with nulls
where the chain ends: the answer never silently lacks tokens.
"""

from __future__ import annotations

from dataclasses import dataclass

import duckdb

from millpond.errors import InputError
from millpond.eval.queries import TRACE, TRACE_STEP
from millpond.eval.sql import run as run_sql


@dataclass(frozen=True)
class TokenSource:
    """One document's tokens in one row, and the bytes of the web they came from."""

    doc_id: str
    url: str | None
    offset: int
    """First token within the row."""
    length: int
    """Tokens, the end-of-text token included."""
    source_file: str | None
    source_offset: int | None
    """Byte offset of the record in `source_file`, or row number of a table."""


@dataclass(frozen=True)
class StepSource:
    """A `TokenSource` and where in the global batch its row stood."""

    position: int
    shard: str
    sample: int
    row: int
    source: TokenSource


def trace(connection: duckdb.DuckDBPyConnection, shard: str, sample: int, row: int) -> list[TokenSource]:
    """Documents in one row of a shard, by token offset.

    Raises:
        InputError: the lake has no tokens there.
    """
    answer = run_sql(connection, TRACE.sql, {"shard": shard, "sample": sample, "row": row})
    if not answer.rows:
        known = run_sql(connection, "SELECT samples FROM tokens.shards WHERE shard = $shard", {"shard": shard})
        hint = f"the shard has {known.rows[0][0]} samples" if known.rows else "see `SELECT shard FROM tokens.shards`"
        raise InputError(f"shard {shard!r}, sample {sample}, row {row}: no tokens of a document there; {hint}")
    return [TokenSource(*values) for values in answer.rows]


def trace_step(connection: duckdb.DuckDBPyConnection, run: str, step: int) -> list[StepSource]:
    """Documents that fed one training step, by position in the global batch and token offset.

    Raises:
        InputError: the lake has no batch of that run and step.
    """
    answer = run_sql(connection, TRACE_STEP.sql, {"run": run, "step": step})
    if not answer.rows:
        bounds = "SELECT min(step), max(step) FROM train.batches WHERE run = $run"
        first, last = run_sql(connection, bounds, {"run": run}).rows[0]
        hint = f"its steps go from {first} to {last}" if first is not None else "see `SELECT run FROM train.runs`"
        raise InputError(f"run {run!r}, step {step}: no batch in the lake; {hint}")
    return [
        StepSource(position, shard, sample, row, TokenSource(*rest))
        for position, shard, sample, row, *rest in answer.rows
    ]
