"""Evaluation sets: JSON Lines or Parquet files, one example a row → the texts of each example.

An example is known by its set and its number there, from 1, over the set's files in their order; a field `id` is kept
beside it. Each string of a row is a text of its own, so how a benchmark's pages put question and answers together does
not matter.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from millpond.curate.config import EvalSet
from millpond.curate.fields import InputFile
from millpond.curate.models.texts import read_rows
from millpond.errors import InputError


@dataclass(frozen=True)
class Example:
    """One row of an evaluation set."""

    benchmark: str
    number: int
    id: str | None
    texts: tuple[str, ...]


def read_examples(sets: Mapping[str, EvalSet]) -> Iterator[Example]:
    """The examples of all sets.

    Raises:
        InputError: a file is missing, is no longer what the settings were read with, or is neither JSON Lines nor
            Parquet; a row lacks a field, or a set has no rows.
    """
    for name, chosen in sets.items():
        number = 0
        for file in chosen.files:
            for place, row in read_rows(_unchanged(file)):
                number += 1
                if missing := [field for field in chosen.fields if field not in row]:
                    there = ", ".join(list(row)[:20]) or "none"
                    raise InputError(f"{file.path}: {place} has no field {missing[0]!r} (its fields: {there})")
                own = row.get("id")
                known = str(own).encode("utf-8", "replace").decode() if isinstance(own, str | int) else None
                texts = tuple(_strings([row[field] for field in chosen.fields or row]))
                yield Example(name, number, known, texts)
        if not number:
            raise InputError(f"decontaminate.sets.{name}: no examples in {', '.join(f.path for f in chosen.files)}")


def _unchanged(file: InputFile) -> Path:
    """A file's path, if its content is what the settings say: it is part of the run's digest."""
    try:
        with Path(file.path).open("rb") as opened:
            found = hashlib.file_digest(opened, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"{file.path}: cannot be read: {error}") from error
    if found != file.sha256:
        raise InputError(f"{file.path}: has sha256 {found}, the settings say {file.sha256}")
    return Path(file.path)


def _strings(value: Any) -> Iterator[str]:
    """The strings of a nested value, in order; however deep, without recursion."""
    waiting = [value]
    while waiting:
        value = waiting.pop()
        if isinstance(value, str):
            yield value
        elif isinstance(value, Mapping):
            waiting.extend(reversed(list(value.values())))
        elif isinstance(value, tuple):  # of a Parquet map: key and value
            waiting.append(value[1])
        elif isinstance(value, list):
            waiting.extend(reversed(value))
