"""Evaluate: an exported model and held-out shards → `eval.results`, `eval.samples`.

    millpond eval --config run.toml

Measures loss, perplexity and bits per byte of the newest training run (or the one named) on a split, of the same
architecture with random weights as step 0, and of a byte trigram model fitted on the training documents. A sample
the model writes is kept beside the numbers.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb

from millpond import faults
from millpond.errors import LakeError
from millpond.eval.config import TRIGRAM_TASK, EvalConfig
from millpond.eval.exported import untrained_copy
from millpond.eval.generate import generate
from millpond.eval.perplexity import Perplexity, evaluate
from millpond.eval.trigram import ByteTrigram
from millpond.lake import Lake
from millpond.progress import bar
from millpond.publish import Mode, Outcome, Run
from millpond.quality.gate import gate
from millpond.schemas import (
    DOCUMENTS,
    EVAL_RESULTS,
    EVAL_SAMPLES,
    OPS_RUNS,
    SHARDS,
    TOKEN_DOCUMENTS,
    TRAIN_RUNS,
)
from millpond.shard import ShardSet, index_path

SAMPLE_TASK = "generation"
_BATCH_ROWS = 1000


def evaluate_on_lake(lake: Lake, config: EvalConfig, run_name: str | None = None) -> Outcome:
    """Evaluate a published training run and publish the numbers.

    Raises:
        LakeError: there is no such run, or its split has no shards.
    """
    tables = lake.tables()
    if TRAIN_RUNS.name not in tables:
        raise LakeError(f"{lake.uri} has no trained model yet: run `millpond train` first")
    trained = _find_run(lake, run_name)
    inputs = {SHARDS.name: tables[SHARDS.name], DOCUMENTS.name: tables[DOCUMENTS.name], "run": trained["run"]}
    run = Run(lake, "eval", config, inputs)
    if release := run.released(standing=False):
        return run.unchanged(release)
    faults.point("before-data")
    shards = _open_split(lake, config.split)
    corpus = _corpus_snapshot(lake)
    scores: list[tuple[int, str, dict[str, float], int]] = []
    with bar("evaluate") as shown:
        before = _untrained(trained["export_path"], shards, config)
        shown.update(1, 4)
        after = evaluate(trained["export_path"], shards, max_rows=config.max_rows, batch_rows=config.batch_rows)
        shown.update(2, 4)
        scores += [(0, config.split, before.metrics(), before.tokens)]
        scores += [(trained["steps"], config.split, after.metrics(), after.tokens)]
        if config.trigram:
            trigram = ByteTrigram(_texts(lake, "train")).score(_texts(lake, config.split))
            scores += [(trained["steps"], TRIGRAM_TASK, {"bits_per_byte": trigram.bits_per_byte}, trigram.texts)]
        shown.update(3, 4)
        samples = _samples(trained, config)
        shown.update(4, 4)
    rows = [
        {
            "run": trained["run"],
            "step": step,
            "task": task,
            "metric": metric,
            "value": value,
            "samples": samples_behind,
            "corpus_snapshot": corpus,
        }
        for step, task, metrics, samples_behind in scores
        for metric, value in metrics.items()
    ]
    run.stage_rows(EVAL_RESULTS.name, rows, Mode.APPEND)
    if samples:
        run.stage_rows(EVAL_SAMPLES.name, samples, Mode.APPEND)
    run.ledger.add("records", "in", shards.total_rows)
    run.ledger.add("records", "out", after.rows)
    if after.rows < shards.total_rows:
        run.ledger.add("records", "rejected", shards.total_rows - after.rows, "limit")
    return run.done(run.publish(gate(lake)), "records")


def _find_run(lake: Lake, name: str | None) -> dict[str, Any]:
    """The row of a training run, the newest one without a name."""
    runs = {run["run"]: run for run in lake.read(TRAIN_RUNS.name).to_pylist()}
    if name is None:
        newest = max((r for r in lake.releases() if r.stage == "train"), key=lambda r: r.number)
        settings = {row["run_id"]: row["config"] for row in lake.read(OPS_RUNS.name).to_pylist()}
        name = json.loads(settings[newest.run_id])["run"]
    if name not in runs:
        raise LakeError(f"no training run {name!r}; there are: {', '.join(sorted(runs))}")
    return dict(runs[name])


def _open_split(lake: Lake, split: str) -> ShardSet:
    rows = lake.read(SHARDS.name, ["path", "split"]).to_pylist()
    tars = sorted(Path(row["path"]) for row in rows if row["split"] == split)
    if not tars:
        raise LakeError(
            f"the {split} split has no shards: choose another split, or tokenize with larger fractions for it"
        )
    return ShardSet(index_path(tar.parent, tar.name) for tar in tars)


def _corpus_snapshot(lake: Lake) -> int | None:
    snapshots = lake.read(SHARDS.name, ["corpus_snapshot"])["corpus_snapshot"].to_pylist()
    return max((s for s in snapshots if s is not None), default=None)


def _untrained(export: str, shards: ShardSet, config: EvalConfig) -> Perplexity:
    with tempfile.TemporaryDirectory(prefix="millpond-untrained-") as folder:
        untrained_copy(export, folder, config.seed)
        return evaluate(folder, shards, max_rows=config.max_rows, batch_rows=config.batch_rows)


def _texts(lake: Lake, split: str) -> Iterator[str]:
    """Texts of the documents of a split, in a fixed order."""
    with duckdb.connect() as connection:
        query = (
            "select text from read_parquet($documents) where doc_id in "
            "(select doc_id from read_parquet($tokens) where split = $split) order by doc_id"
        )
        values = {
            "documents": lake.files(DOCUMENTS.name),
            "tokens": lake.files(TOKEN_DOCUMENTS.name),
            "split": split,
        }
        reader = connection.sql(query, params=values).to_arrow_reader(_BATCH_ROWS)
        for batch in reader:
            yield from batch["text"].to_pylist()


def _samples(trained: dict[str, Any], config: EvalConfig) -> list[dict[str, Any]]:
    if not config.sample_tokens:
        return []
    text = generate(
        trained["export_path"],
        config.prompt,
        max_tokens=config.sample_tokens,
        temperature=config.temperature,
        seed=config.seed,
    )
    return [
        {
            "run": trained["run"],
            "step": trained["steps"],
            "task": SAMPLE_TASK,
            "sample": config.prompt,
            "metric": "text",
            "value": None,
            "output": text,
        }
    ]
