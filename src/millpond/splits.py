"""Splits of data files: what tasks read with Arrow alone, where every row has to reach Python anyway.

A row that Spark's own reader hands to Python is inflated in the JVM, made into rows, then into Arrow again, and sent
through a socket. A task that reads its row groups itself saves all of that. `plan` divides files between tasks by
their sizes alone, so the driver opens no footer; a row group belongs to the split that it begins in.

Guarantee: the splits of a plan hold each row of the files once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from millpond import storage

#: Rows of a batch; a row group bounds it in bytes.
_BATCH_ROWS = 2000


class Range(NamedTuple):
    """Bytes `start` to `end` of a data file."""

    path: str
    start: int
    end: int


#: What one task reads.
Split = tuple[Range, ...]


def plan(files: Iterable[str], tasks: int, split_bytes: int) -> list[Split]:
    """Divide files into splits of like size: none larger than `split_bytes`, and at least about `tasks` of them.

    Raises:
        OSError: a file is missing.
    """
    sizes = [(path, storage.size(path)) for path in sorted(files)]
    most = max(1, min(split_bytes, -(-sum(size for _, size in sizes) // max(tasks, 1))))
    splits: list[Split] = []
    gathered: list[Range] = []
    room = most
    for path, size in sizes:
        for start in range(0, size, most):
            part = Range(path, start, min(start + most, size))
            if part.end - part.start > room:
                splits.append(tuple(gathered))
                gathered, room = [], most
            gathered.append(part)
            room -= part.end - part.start
    return [split for split in (*splits, tuple(gathered)) if split]


def read(split: Split, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """The rows of a split, a row group at a time."""
    for path, start, end in split:
        with pq.ParquetFile(storage.open_file(path), pre_buffer=False) as file:
            for group in row_groups(file.metadata, start, end):
                yield from file.iter_batches(_BATCH_ROWS, [group], columns, use_threads=False)


def row_groups(metadata: pq.FileMetaData, start: int, end: int) -> list[int]:
    """Numbers of the row groups that begin in bytes `start` to `end` of their file."""
    return [
        number for number in range(metadata.num_row_groups) if start <= _first_byte(metadata.row_group(number)) < end
    ]


def _first_byte(group: pq.RowGroupMetaData) -> int:
    column = group.column(0)
    places = (column.dictionary_page_offset, column.data_page_offset)
    return min(int(place) for place in places if place is not None)
