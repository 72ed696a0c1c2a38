"""Published training runs: by name, by the run of the stage that published them, or the newest."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from millpond.errors import LakeError
from millpond.lake import Lake, Release
from millpond.schemas import DOCUMENTS, OPS_RUNS, SHARDS, TRAIN_RUNS


@dataclass(frozen=True)
class TrainedRun:
    """A published row of `train.runs`, and where what belongs to it stands."""

    row: dict[str, Any]
    release: Release
    """Which published it."""
    shards: int
    """Snapshot of tokens.shards that was trained on."""

    @property
    def name(self) -> str:
        """The run's name."""
        return str(self.row["run"])

    def tables(self, lake: Lake) -> dict[str, int]:
        """Snapshots by table: of its release, but for the shards it trained on and the documents in them.

        Another tokenization, or another corpus, may have been published while it trained, or since.
        """
        made = next(release for release in lake.releases() if release.tables.get(SHARDS.name) == self.shards)
        tokens = {table: snapshot for table, snapshot in made.tables.items() if table.startswith("tokens.")}
        corpus = lake.read(SHARDS.name, ["corpus_snapshot"], self.shards)["corpus_snapshot"][0].as_py()
        return {**self.release.tables, **tokens, DOCUMENTS.name: corpus}


def trained_runs(lake: Lake) -> dict[str, TrainedRun]:
    """Published training runs by name, oldest first."""
    rows = {row["run"]: row for row in lake.read(TRAIN_RUNS.name).to_pylist()}
    stages = {row["run_id"]: row for row in lake.read(OPS_RUNS.name).to_pylist()} if rows else {}
    runs = {}
    for release in lake.releases():
        if release.stage == "train":
            stage = stages[release.run_id]
            name = json.loads(stage["config"])["run"]
            runs[name] = TrainedRun(rows[name], release, json.loads(stage["inputs"])[SHARDS.name])
    return runs


def find_run(lake: Lake, name: str | None = None) -> TrainedRun:
    """The training run called `name`, or published by the stage run with that id; the newest one without.

    Raises:
        LakeError: there is no such run.
    """
    runs = trained_runs(lake)
    if not runs:
        raise LakeError(f"{lake.uri} has no trained model yet: run `millpond train` first")
    for own, run in reversed(runs.items()):
        if name in (None, own, run.release.run_id):
            return run
    raise LakeError(f"no training run {name!r}; there are: {', '.join(runs)}")
