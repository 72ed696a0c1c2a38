"""What a run leaves behind for SQL: its steps, the rows each step saw, and its validation losses.

Rows gather in memory and are written as Parquet segments, `records/<kind>-<first>-<last>-r<rank>.parquet`,
right before a checkpoint commits. A run resumed from step s first drops the segments that end after s, so
however often a run is killed, its segments together hold each step once. Kinds: `steps` (columns of
`train.steps`), `batches` (of `train.batches`, one segment per process) and `validation` (run, step, loss in
nats per token, tokens). A row of `batches` takes some 2.4 bytes, where 2.25 are needed to tell which of a window's
2**18 rows it is: all other columns cost nothing in the encodings that Parquet chooses by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from millpond import durable
from millpond.errors import CheckpointError
from millpond.schemas import FLOAT, LONG, STRING, TRAIN_BATCHES, TRAIN_STEPS
from millpond.train.batches import Batch
from millpond.train.metrics import StepNumbers

SCHEMAS = {
    "steps": TRAIN_STEPS.schema,
    "batches": TRAIN_BATCHES.schema,
    "validation": pa.schema([("run", STRING), ("step", LONG), ("loss", FLOAT), ("tokens", LONG)]),
}


class Records:
    """The records of one process of a run."""

    def __init__(self, folder: Path, run: str, rank: int, shard_names: Sequence[str], start: int) -> None:
        """Records of the steps after `start`."""
        self._folder, self._run, self._rank, self._start = folder, run, rank, start
        self._names = pa.array(shard_names, STRING)
        self._rows: dict[str, list[dict[str, Any]]] = {"steps": [], "validation": []}
        self._batches: list[pa.Table] = []

    def batch(self, step: int, batch: Batch) -> None:
        """Note which rows this process took in `step`."""
        rows = len(batch.row)
        columns = {
            "run": pa.repeat(self._run, rows),
            "step": pa.repeat(pa.scalar(step, LONG), rows),
            "position": _ints(np.arange(batch.position, batch.position + rows)),
            "rank": pa.repeat(pa.scalar(self._rank, pa.int32()), rows),
            "shard": self._names.take(_ints(batch.shard)),
            "sample": _ints(batch.sample),
            "row": _ints(batch.row),
        }
        schema = SCHEMAS["batches"]
        self._batches.append(pa.table([columns[n].cast(schema.field(n).type) for n in schema.names], schema))

    def step(self, numbers: StepNumbers) -> None:
        """Note a step's measurements, on the main process."""
        if self._rank == 0:
            self._rows["steps"].append({"run": self._run, **asdict(numbers)})

    def validation(self, step: int, loss: float, tokens: int) -> None:
        """Note a validation loss, on the main process."""
        if self._rank == 0:
            row = {"run": self._run, "step": step, "loss": loss, "tokens": tokens}
            self._rows["validation"].append(row)

    def flush(self, step: int) -> None:
        """Write everything up to `step` as segments, durably.

        Raises:
            OSError: a segment cannot be written.
        """
        tables = {kind: pa.Table.from_pylist(rows, SCHEMAS[kind]) for kind, rows in self._rows.items()}
        tables["batches"] = pa.concat_tables([SCHEMAS["batches"].empty_table(), *self._batches])
        self._folder.mkdir(parents=True, exist_ok=True)
        for kind, table in tables.items():
            if table.num_rows:
                name = f"{kind}-{self._start + 1:08d}-{step:08d}-r{self._rank:05d}.parquet"
                _write(table, self._folder / name)
        self._start = step
        self._batches.clear()
        for rows in self._rows.values():
            rows.clear()


def drop_after(folder: Path, step: int) -> None:
    """Remove unfinished segments and those that end after `step`."""
    for path in folder.glob("*.parquet*"):
        if path.suffix != ".parquet" or int(path.stem.split("-")[2]) > step:
            path.unlink()


def read_records(folder: Path, kind: str) -> pa.Table:
    """All records of a kind, in order of step and position.

    Raises:
        CheckpointError: a step is missing or there twice (checked for `steps`).
    """
    paths = sorted(folder.glob(f"{kind}-*.parquet"))
    parts = [pq.ParquetFile(path).read() for path in paths]
    table = pa.concat_tables([SCHEMAS[kind].empty_table(), *parts])
    order = [(name, "ascending") for name in ("step", "position") if name in table.schema.names]
    table = table.take(pc.sort_indices(table, sort_keys=order))
    if kind == "steps" and table["step"].to_pylist() != list(range(1, table.num_rows + 1)):
        raise CheckpointError(f"{folder}: its segments do not hold each step once; train again from the start")
    return table


def _ints(values: npt.NDArray[np.integer[Any]]) -> pa.Array:
    return pa.array(np.asarray(values, np.int64))


def _write(table: pa.Table, path: Path) -> None:
    partial = durable.temporary(path)
    pq.write_table(table, partial, compression="zstd")
    durable.commit(partial, path)
