"""Ingest for spark-submit, with faults inside its tasks: `spark-submit faulty_ingest.py --lake LAKE WARC…`.

A task that has handed over all its rows, and not yet its manifest, passes two points: `task`, and in a first attempt
`first-attempt`. Armed in one worker's environment `task:pause` makes that host the slow one; armed everywhere
`first-attempt:kill-self` fails every task once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pyarrow as pa
from pyspark import TaskContext

from millpond import faults
from millpond.ingest import job
from millpond.ingest.config import IngestConfig
from millpond.ingest.job import read_tables


def read_then_fail(
    batches: Iterator[pa.RecordBatch], files: Sequence[str], config: IngestConfig
) -> Iterator[tuple[str, pa.RecordBatch]]:
    """The job's own reading, then the points."""
    yield from read_tables(batches, files, config)
    faults.point("task")
    context = TaskContext.get()
    if context is not None and context.attemptNumber() == 0:
        faults.point("first-attempt")


if __name__ == "__main__":
    job.read_tables = read_then_fail
    job.main()
