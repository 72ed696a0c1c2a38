"""How a table was made, from the lake's own records: its release and run, its configuration and its ledger."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from millpond.errors import LakeError
from millpond.lake import Lake, Release
from millpond.schemas import DOCUMENTS, MIXTURE, OPS_LEDGER, OPS_RUNS


@dataclass(frozen=True)
class Made:
    """The run that made what a table holds."""

    release: Release
    version: str
    """Of Millpond."""
    inputs: Mapping[str, Any]
    """What was read: table → snapshot."""
    config: Mapping[str, Any]
    ledger: Mapping[tuple[str, str, str], int]
    """(unit, entry, reason) → amount."""


def made(lake: Lake, table: str, snapshot: int) -> Made:
    """The run whose rows a snapshot of a table holds.

    Raises:
        LakeError: the lake has no record of it.
    """
    origin = lake.origin(table, snapshot)
    release = next((each for each in lake.releases() if each.tables.get(table) == origin), None)
    if release is None:
        raise LakeError(f"{lake.uri}: no release says which run made {table}")
    runs = {
        row["run_id"]: row for row in lake.read(OPS_RUNS.name, ["run_id", "inputs", "config", "version"]).to_pylist()
    }
    if release.run_id not in runs:
        raise LakeError(f"{lake.uri}: ops.runs has no row for {release.run_id}, which made {table}")
    lines = [row for row in lake.read(OPS_LEDGER.name).to_pylist() if row["run_id"] == release.run_id]
    ledger = {(row["unit"], row["entry"], row["reason"] or ""): row["amount"] for row in lines}
    own = runs[release.run_id]
    return Made(release, own["version"], json.loads(own["inputs"]), json.loads(own["config"]), ledger)


def check_mixture(lake: Lake, tables: Mapping[str, int]) -> None:
    """Whether the mixture of a release (its tables and their snapshots) is of the corpus in it.

    Raises:
        LakeError: there is no mixture, or it is of another corpus.
    """
    if MIXTURE.name not in tables:
        raise LakeError(f"{lake.uri} has no mixture yet: run `millpond mix` first")
    mixture = made(lake, MIXTURE.name, tables[MIXTURE.name])
    if not same_rows(lake, DOCUMENTS.name, mixture.inputs[DOCUMENTS.name], tables[DOCUMENTS.name]):
        raise LakeError(
            f"{lake.uri}: the mixture is of another corpus than the released one: run `millpond mix` again"
        )


def same_rows(lake: Lake, table: str, one: int, other: int) -> bool:
    """Whether two snapshots of a table hold the same rows, as files before and after `millpond compact` do."""
    return lake.origin(table, one) == lake.origin(table, other)
