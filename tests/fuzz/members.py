"""Fuzz target: the member reader and all above it, on any bytes.

python tests/fuzz/members.py corpus/ -max_total_time=60
"""

from __future__ import annotations

import io
import sys

import atheris

with atheris.instrument_imports(include=["millpond.ingest"]):
    from millpond.ingest.warc_records import Archive, Limits, WarcRecord
    from millpond.ingest.window import Window

SUFFIXES = ("", ".gz", ".bz2", ".zst", ".lz4")


def one_input(data: bytes) -> None:
    """Ranges cover the file, and reading on from any record gives what reading at one go gives."""
    if not data:
        return
    name, data = "x.warc" + SUFFIXES[data[0] % len(SUFFIXES)], data[1:]
    archive = Archive(Window(io.BytesIO(data)), name, Limits(4096, 1 << 20))
    items = list(archive.records())
    place, shared = 0, False
    for item in items:
        if item.offset != place and not (shared and item.offset > place):
            raise RuntimeError(f"a gap at {place}: {item}")
        place, shared = item.offset + (item.length or 0), item.length is None
    if place != len(data) and not shared:
        raise RuntimeError(f"{place} of {len(data)} bytes are covered")
    begins = [n for n, item in enumerate(items) if isinstance(item, WarcRecord) and not item.position]
    if begins:
        number = begins[len(begins) // 2]
        if list(archive.records(items[number].offset)) != items[number:]:
            raise RuntimeError(f"reading on from {items[number].offset} gives other records")


if __name__ == "__main__":
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
