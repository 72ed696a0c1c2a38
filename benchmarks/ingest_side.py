"""One side of the readers' comparison: `python benchmarks/ingest_side.py SIDE FILE...` prints what it took as JSON.

The peers' sides import nothing of Millpond, so that they run in an environment of their own. Every side reads the
body of every record, which is what a reader is for; the first file is read once before the clock starts, so that
imports, tables and caches drop out.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

#: (records, bytes of their bodies) of files.
Reader = Callable[[Sequence[str]], tuple[int, int]]


def fastwarc(paths: Sequence[str], http: bool = False) -> tuple[int, int]:
    """fastwarc's iterator, with and without the HTTP header parsed."""
    from fastwarc.warc import ArchiveIterator

    records = size = 0
    for path in paths:
        for record in ArchiveIterator(path, parse_http=http, fsspec_args=False):
            records += 1
            size += len(record.reader.read())
    return records, size


def fastwarc_http(paths: Sequence[str]) -> tuple[int, int]:
    """fastwarc, with the HTTP header parsed."""
    return fastwarc(paths, http=True)


def warcio(paths: Sequence[str]) -> tuple[int, int]:
    """warcio's iterator, with contents decoded."""
    from warcio.archiveiterator import ArchiveIterator

    records = size = 0
    for path in paths:
        with Path(path).open("rb") as file:
            for record in ArchiveIterator(file):
                records += 1
                size += len(record.content_stream().read())
    return records, size


def datatrove(paths: Sequence[str]) -> tuple[int, int]:
    """datatrove's WarcReader, from a file to documents."""
    from datatrove.pipeline.readers import WarcReader

    records = size = 0
    for path in paths:
        folder, name = os.path.split(path)
        for document in WarcReader(folder, glob_pattern=name, default_metadata={}).run():
            records += 1
            size += len(document.text)
    return records, size


def millpond(paths: Sequence[str]) -> tuple[int, int]:
    """Millpond's records."""
    from millpond.ingest.warc_records import WarcRecord, read_records

    records = size = 0
    for path in paths:
        with Path(path).open("rb") as file:
            for record in read_records(file, path):
                if isinstance(record, WarcRecord):
                    records += 1
                    size += record.size
    return records, size


def millpond_pages(paths: Sequence[str]) -> tuple[int, int]:
    """Millpond's rows of `web.pages`: HTTP decoded, charset decided, digests checked and made."""
    from millpond.ingest.config import IngestConfig
    from millpond.ingest.read import plan, read_rows

    records = size = 0
    for path in paths:
        for part in plan({path: None}, 1 << 62):
            for kind, row in read_rows(part, IngestConfig()):
                if kind == "page":
                    records += 1
                    size += len(row["body"])
    return records, size


#: Name → (the peer's environment, or none for Millpond's own; the reader).
SIDES: dict[str, tuple[str | None, Reader]] = {
    "Millpond, records": (None, millpond),
    "Millpond, page rows": (None, millpond_pages),
    "fastwarc": (None, fastwarc),
    "fastwarc, HTTP parsed": (None, fastwarc_http),
    "warcio": (None, warcio),
    "datatrove WarcReader": ("datatrove", datatrove),
}


def main() -> None:
    """Read the files and print records, bytes, and seconds of the processor and on the clock."""
    _, read = SIDES[sys.argv[1]]
    paths = sys.argv[2:]
    read(paths[:1])
    start, clock = time.process_time(), time.perf_counter()
    records, size = read(paths)
    result = {
        "records": records,
        "bytes": size,
        "processor": time.process_time() - start,
        "clock": time.perf_counter() - clock,
    }
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
