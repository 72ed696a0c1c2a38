"""Ingest from Common Crawl by its index: `millpond ingest common-crawl INDEX...` → `web.pages`, `web.rejects`.

Tasks read parts of the index, fetch what it selects with range requests, and write the pages they find. Every selected
capture ends as a page or a reject.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import BinaryIO, NamedTuple

import pyarrow as pa

from millpond import faults
from millpond.errors import InputError
from millpond.ingest.common_crawl.index import Capture, captures
from millpond.ingest.common_crawl.records import Share, read_captures
from millpond.ingest.config import IngestConfig
from millpond.ingest.job import identities
from millpond.ingest.page import Row
from millpond.ingest.publish import TABLES_WRITTEN, publish_pages
from millpond.ingest.tasks import FilesRead, refuse_errors, tables_of
from millpond.inputs import each_of, open_input, refuse_changed, refuse_secrets
from millpond.lake import Lake
from millpond.progress import spark_bar
from millpond.publish import Outcome, Run
from millpond.spark import session, write_tables

#: A smaller part of an index costs more to start than to read.
_LEAST_PART = 1 << 20


class IndexPart(NamedTuple):
    """Row groups of an index file that begin in bytes `start` to `end`."""

    file: str
    version: str
    start: int
    end: int


def ingest_common_crawl(lake: Lake, index: Sequence[str], config: IngestConfig) -> Outcome:
    """Ingest the records that files of a columnar index, as `expand` names them, select: see `config.common_crawl`.

    Raises:
        InputError: a file is missing, unreadable or no such index, or no page is found; nothing is published.
    """
    refuse_secrets(config.common_crawl.data)
    files = identities(index)
    run = Run(lake, "ingest", config, {f"index:{file}": identity for file, identity in files.items()})
    if release := run.released(standing=False):
        return run.unchanged(release)
    faults.point("before-data")
    spark = session("millpond ingest")
    tasks = spark.sparkContext.defaultParallelism
    parts = [part for found in each_of(files.items(), lambda file: _parts(*file, tasks)) for part in found]
    share = Share(
        max(1, config.common_crawl.connections // tasks), max(1, config.common_crawl.max_bytes_in_flight // tasks)
    )

    def fetch(batches: Iterator[pa.RecordBatch]) -> Iterator[tuple[str, pa.RecordBatch]]:
        numbers = (number for batch in batches for number in batch["id"].to_pylist())
        return tables_of(
            (row for number in numbers for row in _rows(parts[number], config, share)), config.batch_bytes
        )

    with spark_bar("fetch", spark):
        one_each = spark.range(0, len(parts), 1, len(parts))
        written = write_tables(one_each, {table: lake.data_folder(table) for table in TABLES_WRITTEN}, fetch)
    refuse_errors(written)
    counts = {name: sum(note[name] for note in written.notes) for name in ("records", "bytes")}
    return publish_pages(run, FilesRead(written.entries, counts["records"], counts["bytes"], {}))


def _parts(file: str, version: str, tasks: int) -> list[IndexPart]:
    with open_input(file, version) as opened:
        size = opened.seek(0, 2)
    step = max(_LEAST_PART, -(-size // tasks))
    return [IndexPart(file, version, start, start + step) for start in range(0, max(size, 1), step)]


def _rows(part: IndexPart, config: IngestConfig, share: Share) -> Iterator[Row]:
    """Rows of one part of the index, and last how many captures it selects and of how many bytes."""
    records = size = 0

    def counted(file: BinaryIO) -> Iterator[Capture]:
        nonlocal records, size
        for capture in captures(file, part.file, config.common_crawl, part.start, part.end):
            records += 1
            size += capture.length or 0
            yield capture

    try:
        with open_input(part.file, part.version) as file:
            yield from read_captures(counted(file), config, share)
        refuse_changed(part.file, part.version)
    except InputError as error:
        yield "error", {"file": part.file, "detail": str(error)}
        return
    yield "file", {"file": part.file, "records": records, "bytes": size}
