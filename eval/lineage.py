"""From a training step back to the pages behind it.

Input: a lake. Output: one `TokenSource` per piece of a document that the step saw, in the order of the tokens. The
shards and documents are those the run was trained on, so the answer is the same after the corpus was made anew. A row
whose document or page is missing still comes back, with nulls where the chain ends: the answer never silently lacks
tokens.
"""

from __future__ import annotations

from dataclasses import dataclass

from millpond.errors import InputError
from millpond.eval.queries import TRACE_STEP
from millpond.eval.sql import connect
from millpond.eval.sql import run as run_sql
from millpond.lake import Lake
from millpond.trained import find_run


@dataclass(frozen=True)
class TokenSource:
    """One document's tokens in one row of a global batch, and the bytes of the web they came from."""

    position: int
    """Of the row in the batch."""
    shard: str
    sample: int
    row: int
    doc_id: str | None
    url: str | None
    offset: int | None
    """First token within the row."""
    length: int | None
    """Tokens, the end-of-text token included."""
    source_file: str | None
    source_offset: int | None
    """Byte offset of the record in `source_file`, or row number of a table."""


def trace_step(lake: Lake, step: int, run: str | None = None) -> list[TokenSource]:
    """Documents that fed one training step, by position in the global batch and token offset.

    `run` is as for `find_run`.

    Raises:
        LakeError: there is no such run.
        InputError: the run has no such step.
    """
    trained = find_run(lake, run)
    with connect(lake, trained.tables(lake)) as connection:
        answer = run_sql(connection, TRACE_STEP.sql, {"run": trained.name, "step": step})
    if not answer.rows:
        raise InputError(f"run {trained.name} has no step {step}: its steps go from 1 to {trained.row['steps']}")
    return [TokenSource(*values) for values in answer.rows]
