"""A stage's job for spark-submit, with faults inside its tasks: `spark-submit faulty_job.py STAGE --lake LAKE …`.

Every task that runs Python, of whatever Spark stage, passes two points when it has handed over its rows and has not
ended: `task`, and in a first attempt `first-attempt`. Armed in one worker's environment `task:pause` makes that host
the slow one; armed everywhere `first-attempt:kill-self` fails every such task once.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa
from pyspark import TaskContext
from pyspark.sql.classic.dataframe import DataFrame

from millpond import faults

Function = Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]


def then_fail(function: Function) -> Function:
    """A task's own work, then the points."""

    def work(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        yield from function(batches)
        faults.point("task")
        context = TaskContext.get()
        if context is not None and context.attemptNumber() == 0:
            faults.point("first-attempt")

    return work


def main() -> None:
    """Run the job of the stage that is named first."""
    stage = sys.argv.pop(1)
    original = DataFrame.mapInArrow

    def failing(rows: DataFrame, function: Function, *arguments: Any, **options: Any) -> Any:
        return original(rows, then_fail(function), *arguments, **options)

    DataFrame.mapInArrow = failing  # type: ignore[method-assign,assignment]
    importlib.import_module(f"millpond.{stage}.job").main()


if __name__ == "__main__":
    main()
