"""What a step saw is kept for every row of a long run, so a row may cost little more than the choice it records."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from millpond.train.batches import Batch
from millpond.train.order import Order
from millpond.train.records import Records, read_records


def test_a_row_of_a_batch_costs_some_bits_more_than_there_are_to_know(tmp_path: Path) -> None:
    rows, window, batch_rows, steps, per_sample = [32_768] * 16, 8, 2048, 100, 16
    order = Order([rows], seed=1, window=window)
    names = [f"tokenization-0123456789abcdef/train-{n:05d}-000.tar" for n in range(len(rows))]
    records = Records(tmp_path, "run-01234567", 0, names, 0)
    nothing = np.empty((0, 0), np.uint16)
    for step in range(steps):
        block = order.block(step * batch_rows, (step + 1) * batch_rows)
        sample, row = np.divmod(block.row, per_sample)
        records.batch(step + 1, Batch(step, 0, nothing, block.shard, block.shard, sample, row))
    records.flush(steps)
    (segment,) = tmp_path.glob("batches-*.parquet")
    to_know = np.log2(window * rows[0]) / 8
    assert segment.stat().st_size / (steps * batch_rows) < 1.15 * to_know < 2.6
    kept = read_records(tmp_path, "batches")
    assert kept.num_rows == steps * batch_rows
    assert kept["sample"].to_pylist()[:8] == (order.block(0, 8).row // per_sample).tolist()
