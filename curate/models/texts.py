"""Texts to train on, from JSON Lines and Parquet files or the released corpus.

What is wrong with a row is said with its place. A `.jsonl` file has one JSON object a line; a blank line is none.
Files are streamed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from millpond.errors import InputError, LakeError
from millpond.lake import Lake
from millpond.schemas import DOCUMENTS

_MOST_LINE = 64 << 20
_BATCH = 256


def read_texts(path: Path, text_field: str = "text") -> Iterator[str]:
    """The texts of a file.

    Raises:
        InputError: the file is missing, neither JSON Lines nor Parquet, or a row has no text.
    """
    return (text for (text,) in _fields(path, (text_field,)))


def released_texts(lake: Lake, language: str | None) -> Iterator[str]:
    """The texts of the released corpus, in one language or all.

    Raises:
        LakeError: there is no corpus yet.
    """
    files = lake.files(DOCUMENTS.name)
    if not files:
        raise LakeError(f"{lake.uri} has no corpus yet: run `millpond curate` first, or name files with --data")
    chosen = None if language is None else pc.field("language") == language
    for batch in ds.dataset(files, format="parquet").to_batches(columns=["text"], filter=chosen, batch_size=_BATCH):
        yield from batch["text"].to_pylist()


def read_labelled(path: Path, text_field: str = "text", label_field: str = "label") -> Iterator[tuple[str, str]]:
    """Texts and labels of a file; a label is a string, a whole number or true and false (`1` and `0`).

    Raises:
        InputError: the file is missing, neither JSON Lines nor Parquet, or a row lacks its text or label.
    """
    return ((text, label) for text, label in _fields(path, (text_field, label_field)))


def read_rows(path: Path, names: Sequence[str] = ()) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each row of a file with its place; of a Parquet file the named columns, or all of them.

    Raises:
        InputError: the file is missing, neither JSON Lines nor Parquet, or has no such column.
    """
    reader = _parquet if path.suffix == ".parquet" else _json_lines
    try:
        yield from reader(path, names)
    except (OSError, UnicodeDecodeError, pa.ArrowException) as error:
        raise InputError(f"{path}: cannot be read: {error}") from error


def _fields(path: Path, names: Sequence[str]) -> Iterator[tuple[str, ...]]:
    for place, row in read_rows(path, names):
        yield tuple(_value(path, place, row, name, text=number == 0) for number, name in enumerate(names))


def _json_lines(path: Path, names: Sequence[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    with path.open("rb") as file:
        number = 0
        while line := file.readline(_MOST_LINE):
            number += 1
            if len(line) == _MOST_LINE:
                raise InputError(f"{path}: line {number} is longer than {_MOST_LINE} bytes")
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise InputError(f"{path}: line {number} is no JSON: {error}") from error
            if not isinstance(row, dict):
                raise InputError(f"{path}: line {number} is no JSON object")
            yield f"line {number}", row


def _parquet(path: Path, names: Sequence[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    with pq.ParquetFile(path) as table:
        for name in names:
            if name not in table.schema_arrow.names:
                raise InputError(f"{path}: has no column {name!r}: there are {', '.join(table.schema_arrow.names)}")
        number = 0
        for batch in table.iter_batches(_BATCH, columns=list(names) or None):
            for row in batch.to_pylist():
                number += 1
                yield f"row {number}", row


def _value(path: Path, place: str, row: dict[str, Any], name: str, *, text: bool) -> str:
    found = row.get(name)
    if isinstance(found, bool):
        found = int(found)
    if isinstance(found, str) or (isinstance(found, int) and not text):
        return str(found)
    fields = ", ".join(list(row)[:20]) or "none"
    what = "no text" if text else "no label"
    raise InputError(f"{path}: {place} has {what} in the field {name!r} (its fields: {fields})")
