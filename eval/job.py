"""Evaluate: an exported model and held-out shards → `eval.results`, `eval.samples`.

    millpond eval --config run.toml

Measures loss, perplexity and bits per byte of the newest training run (or the one named) on a split, of the same
architecture with random weights as step 0, and of a byte trigram model fitted on the training documents. A sample
the model writes is kept beside the numbers.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from millpond import faults
from millpond.duck import connect
from millpond.errors import LakeError
from millpond.eval.config import TRIGRAM_METRIC, EvalConfig
from millpond.eval.exported import untrained_copy
from millpond.eval.generate import generate
from millpond.eval.perplexity import Perplexity, evaluate
from millpond.eval.trigram import ByteTrigram
from millpond.lake import Lake, Release
from millpond.progress import bar
from millpond.publish import Mode, Outcome, Run
from millpond.quality.gate import gate
from millpond.schemas import DOCUMENTS, EVAL_RESULTS, EVAL_SAMPLES, SHARDS, TOKEN_DOCUMENTS, TableSpec
from millpond.shard import index_path
from millpond.shard_set import ShardSet
from millpond.trained import TrainedRun, find_run

SAMPLE_TASK = "generation"
_BATCH_ROWS = 1000


def evaluate_on_lake(lake: Lake, config: EvalConfig, run_name: str | None = None) -> Outcome:
    """Evaluate a published training run on the shards it belongs to, and publish the numbers.

    `run_name` is as for `find_run`. Numbers of an earlier evaluation of the same run and split are superseded.

    Raises:
        LakeError: there is no such run, or its split has no shards.
    """
    trained = find_run(lake, run_name)
    export, steps = trained.row["export_path"], trained.row["steps"]
    tables = trained.tables(lake)
    read = {table.name: tables[table.name] for table in (SHARDS, DOCUMENTS, TOKEN_DOCUMENTS)}
    shards = _open_split(lake, read[SHARDS.name], config.split)
    run = Run(lake, "eval", config, {**read, "run": trained.name})
    if release := run.released(standing=False):
        return run.unchanged(release)
    faults.point("before-data")
    with bar("evaluate") as shown:
        before = _untrained(export, shards, config)
        shown.update(1, 4)
        after = evaluate(export, shards, max_rows=config.max_rows, batch_rows=config.batch_rows)
        shown.update(2, 4)
        scores = [(0, before.metrics(), before.tokens), (steps, after.metrics(), after.tokens)]
        if config.trigram:
            trigram = ByteTrigram(_texts(lake, read, "train")).score(_texts(lake, read, config.split))
            scores.append((steps, {TRIGRAM_METRIC: trigram.bits_per_byte}, trigram.texts))
        shown.update(3, 4)
        samples = _samples(trained, config)
        shown.update(4, 4)
    results = [
        {
            "run": trained.name,
            "step": step,
            "task": config.split,
            "metric": metric,
            "value": value,
            "samples": samples_behind,
            "corpus_snapshot": read[DOCUMENTS.name],
        }
        for step, metrics, samples_behind in scores
        for metric, value in metrics.items()
    ]
    run.ledger.add("records", "in", shards.total_rows)
    run.ledger.add("records", "out", after.rows)
    if after.rows < shards.total_rows:
        run.ledger.add("records", "rejected", shards.total_rows - after.rows, "limit")

    def stage(run: Run, base: Release | None) -> None:
        _stage(run, base, EVAL_RESULTS, results)
        _stage(run, base, EVAL_SAMPLES, samples)

    return run.done(run.publish(gate(lake), rebase=stage), "records")


def _stage(run: Run, base: Release | None, table: TableSpec, rows: list[dict[str, Any]]) -> None:
    """Stage `rows`, in place of released ones with the same keys."""
    snapshot = base.tables.get(table.name) if base else None
    released = run.lake.read(table.name, snapshot=snapshot).to_pylist() if snapshot is not None else []
    new = {tuple(row[name] for name in table.key) for row in rows}
    kept = [row for row in released if tuple(row[name] for name in table.key) not in new]
    if len(kept) < len(released):
        run.stage_rows(table.name, [*kept, *rows], Mode.REPLACE)
    elif rows:
        run.stage_rows(table.name, rows, Mode.APPEND)


def _open_split(lake: Lake, snapshot: int, split: str) -> ShardSet:
    rows = lake.read(SHARDS.name, ["path", "split"], snapshot).to_pylist()
    tars = sorted(Path(row["path"]) for row in rows if row["split"] == split)
    if not tars:
        raise LakeError(
            f"the {split} split has no shards: choose another split, or tokenize with larger fractions for it"
        )
    return ShardSet(index_path(tar.parent, tar.name) for tar in tars)


def _untrained(export: str, shards: ShardSet, config: EvalConfig) -> Perplexity:
    with tempfile.TemporaryDirectory(prefix="millpond-untrained-") as folder:
        untrained_copy(export, folder, config.seed)
        return evaluate(folder, shards, max_rows=config.max_rows, batch_rows=config.batch_rows)


def _texts(lake: Lake, snapshots: Mapping[str, int], split: str) -> Iterator[str]:
    """Texts of the documents of a split, in a fixed order, each as often as it was tokenized."""
    with connect() as connection:
        query = (
            "select text from read_parquet($documents) join "
            "(select doc_id, copy from read_parquet($tokens) where split = $split and part = 0) using (doc_id) "
            "order by doc_id, copy"
        )
        values = {
            "documents": lake.files(DOCUMENTS.name, snapshots[DOCUMENTS.name]),
            "tokens": lake.files(TOKEN_DOCUMENTS.name, snapshots[TOKEN_DOCUMENTS.name]),
            "split": split,
        }
        reader = connection.sql(query, params=values).to_arrow_reader(_BATCH_ROWS)
        for batch in reader:
            yield from batch["text"].to_pylist()


def _samples(trained: TrainedRun, config: EvalConfig) -> list[dict[str, Any]]:
    if not config.sample_tokens:
        return []
    text = generate(
        trained.row["export_path"],
        config.prompt,
        max_tokens=config.sample_tokens,
        temperature=config.temperature,
        seed=config.seed,
    )
    return [
        {
            "run": trained.name,
            "step": trained.row["steps"],
            "task": SAMPLE_TASK,
            "sample": config.prompt,
            "metric": "text",
            "value": None,
            "output": text,
        }
    ]
