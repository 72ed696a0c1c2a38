"""Intermediate results of a run, in files that outlive the executor that wrote them.

A `localCheckpoint` is lost with its executor, and the job with it; a reliable `checkpoint` computes its rows twice.
Here rows are written as Parquet under the run's folder and read again, and the files go when the block ends.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


class Scratch:
    """A folder of intermediate results; a context manager that removes it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._count = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    def keep(self, rows: DataFrame) -> DataFrame:
        """Compute the rows once; what is read of the result comes from its files."""
        path = str(self.folder / f"{self._count}.parquet")
        self._count += 1
        rows.write.parquet(path)
        return rows.sparkSession.read.schema(rows.schema).parquet(path)
