"""Files read by Spark tasks, a part each, and put together again by the driver.

Tasks write the data files of what they read. Parts of an archive that do not chain (`millpond.ingest.parts`) are
thrown away with their data files, and what is missing is read again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from millpond import storage
from millpond.datafile import DataFileEntry, write_rows
from millpond.errors import InputError
from millpond.ingest.config import IngestConfig
from millpond.ingest.page import Row, RowBatcher
from millpond.ingest.parts import Part, PartRead, settle
from millpond.ingest.read import plan, read_rows
from millpond.schemas import FRONTIER, PAGES, TABLES, WEB_REJECTS
from millpond.spark import Written, write_by_task

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

#: The table of each kind of row; rows of other kinds are notes for the driver.
TABLE_OF = {"page": PAGES.name, "reject": WEB_REJECTS.name, "frontier": FRONTIER.name}


@dataclass(frozen=True)
class FilesRead:
    """What was read: its data files, how many records it was, and the bytes of the archives among the input."""

    entries: dict[str, list[DataFileEntry]]
    records: int
    bytes: int
    unclaimed: dict[str, int]
    """Bytes of the files that are no row's, by what they are."""


def read_files(
    spark: SparkSession, files: Mapping[str, str], config: IngestConfig, folders: Mapping[str, str]
) -> FilesRead:
    """Read WARC files and text tables, given with what their content is known by, into data files.

    Raises:
        InputError: a file cannot be read or is no table of texts; no data file is left.
    """
    parts = plan(files, config.split_bytes, spark.sparkContext.defaultParallelism)
    read: dict[tuple[str | int, ...], list[tuple[PartRead, Written]]] = defaultdict(list)
    while parts:
        touched = {part.whole for part in parts}
        for done in _read_parts(spark, parts, config, folders):
            read[done[0].part.whole].append(done)
        whole = Written.together((tables for archive in sorted(read) for _, tables in read[archive]), folders)
        refuse_errors(whole)
        parts = []
        for archive in sorted(touched):
            written = {id(one): tables for one, tables in read[archive]}
            kept, dropped, again = settle([one for one, _ in read[archive]])
            discard(entry for one in dropped for entry in _entries(written[id(one)]))
            read[archive] = [(one, written[id(one)]) for one in kept]
            parts += again
    whole = Written.together((tables for archive in sorted(read) for _, tables in read[archive]), folders)
    whole.entries[WEB_REJECTS.name] += _count_kinds(whole.notes, folders[WEB_REJECTS.name])
    found = [note for note in whole.notes if note["note"] == "file"]
    return FilesRead(
        whole.entries,
        sum(note["records"] for note in found),
        sum(note["bytes"] for note in found),
        {name: sum(note[name] for note in found) for name in ("padding", "shared")},
    )


def refuse_errors(written: Written) -> None:
    """Refuse the input where a task could not read a file at all; what was written is removed.

    Raises:
        InputError: the first such file's error.
    """
    errors = sorted(note["detail"] for note in written.notes if note["note"] == "error")
    if errors:
        discard(_entries(written))
        raise InputError(errors[0])


def discard(entries: Iterator[DataFileEntry]) -> None:
    """Remove data files that will not be published."""
    for entry in entries:
        storage.remove(entry.path)


def _entries(written: Written) -> Iterator[DataFileEntry]:
    return (entry for entries in written.entries.values() for entry in entries)


def _read_parts(
    spark: SparkSession, parts: Sequence[Part], config: IngestConfig, folders: Mapping[str, str]
) -> Iterator[tuple[PartRead, Written]]:
    one_each = spark.range(0, len(parts), 1, len(parts))
    written = write_by_task(one_each, folders, lambda batches: _read_tables(batches, parts, config))
    for number, part in enumerate(parts):
        [note] = [note for note in written[number].notes if note["note"] in ("file", "error")]
        began, ended = note.get("began", part.begin), note.get("ended", part.end)
        yield PartRead(part, began, ended), written[number]


def _read_tables(
    batches: Iterator[pa.RecordBatch], parts: Sequence[Part], config: IngestConfig
) -> Iterator[tuple[str, pa.RecordBatch]]:
    """Inside a task: batches of each table from the parts whose numbers come in, and notes on them."""
    numbers = (number for batch in batches for number in batch["id"].to_pylist())
    return tables_of((row for number in numbers for row in read_rows(parts[number], config)), config.batch_bytes)


def tables_of(rows: Iterable[Row], batch_bytes: int) -> Iterator[tuple[str, pa.RecordBatch]]:
    """Tagged rows as batches of their tables; a row of no table is a note, and comes at once."""
    batchers = {table: RowBatcher(TABLES[table].schema, batch_bytes) for table in TABLE_OF.values()}
    for kind, row in rows:
        if kind not in TABLE_OF:
            yield kind, pa.RecordBatch.from_pylist([row])
        elif batch := batchers[TABLE_OF[kind]].add(row):
            yield TABLE_OF[kind], batch
    yield from ((table, batch) for table, batcher in batchers.items() if (batch := batcher.flush()))


def _count_kinds(notes: Sequence[dict[str, Any]], folder: str) -> list[DataFileEntry]:
    """One reject for each file and type of record that is no page, however many parts counted it."""
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for note in notes:
        if note["note"] == "kinds":
            row = {name: note[name] for name in WEB_REJECTS.schema.names}
            known = rows.setdefault((note["file"], note["detail"]), {**row, "records": 0, "length": 0})
            for name in ("records", "length"):
                known[name] += note[name]
    return write_rows(WEB_REJECTS.name, folder, rows.values()) if rows else []
