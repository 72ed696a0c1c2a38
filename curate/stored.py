"""Candidates that are there already, and the settings they were made with: what a run may decide over again.

Decisions over stored candidates are those `millpond curate` would make only where that would make the same
candidates. So every setting in `CurateConfig.measured` has to be as it was, and Millpond of the same version.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Self

from millpond import __version__
from millpond.config import apply_overrides, load
from millpond.curate.config import SIGNATURE_VALUES, CurateConfig
from millpond.errors import ConfigError, LakeError
from millpond.lake import Lake, Release
from millpond.schemas import CANDIDATES, OPS_RUNS

#: A setting's value is shown up to this length: a list of words may be long.
_SHOWN = 60
_AGAIN = "run `millpond curate` (not incremental), which extracts all pages again"


@dataclass(frozen=True)
class Stored:
    """The candidates of one release, and the run that made them."""

    snapshot: int
    run_id: str
    version: str
    settings: Mapping[str, Any]
    """The run's resolved configuration."""

    @classmethod
    def released(cls, lake: Lake, release: Release | None) -> Self | None:
        """The candidates of a release; None where it has none."""
        if release is None or CANDIDATES.name not in release.tables:
            return None
        until = [found for found in lake.releases() if found.number <= release.number]
        before = {later.number: earlier for earlier, later in pairwise(until)}
        runs = {row["run_id"]: row for row in lake.read(OPS_RUNS.name).to_pylist()}
        for each in reversed(until):  # a run that decides again leaves candidates as they are, and so may other stages
            held = before[each.number].tables.get(CANDIDATES.name) if each.number in before else None
            if each.stage == "curate" and each.tables[CANDIDATES.name] != held:
                run = runs[each.run_id]
                settings = json.loads(run["config"])
                return cls(release.tables[CANDIDATES.name], each.run_id, run["version"], settings)
        raise LakeError(f"{lake.uri}: no release says which run made its candidates; run `millpond curate`")

    @property
    def config(self) -> CurateConfig:
        """The configuration the candidates were made with.

        Raises:
            ConfigError: another version of Millpond made them.
        """
        if self.version != __version__:
            raise ConfigError(f"Millpond {self.version} made the candidates, and this is {__version__}: {_AGAIN}")
        return CurateConfig.from_mapping(self.settings, f"the settings of {self.run_id}")

    def check(self, config: CurateConfig, *, extend: bool = False) -> None:
        """Check that `config` may decide over these candidates or, with `extend`, add to them.

        Of a signature fewer values may be compared than are stored; their permutations are those of the longer
        signature, so what is added has to be as long.

        Raises:
            ConfigError: another version made the candidates, or with other settings; names each with both values.
        """
        made, asked = self.config.measured(), config.measured()
        if not extend and asked[SIGNATURE_VALUES] < made[SIGNATURE_VALUES]:
            asked[SIGNATURE_VALUES] = made[SIGNATURE_VALUES]
        different = [
            f"{name} was {_shown(made.get(name))} and is {_shown(asked.get(name))}"
            for name in sorted(made.keys() | asked.keys())
            if made.get(name) != asked.get(name)
        ]
        if different:
            raise ConfigError(
                f"the candidates were made with other settings, by {self.run_id}: {'; '.join(different)}; "
                f"leave them as they were, or {_AGAIN}"
            )


def candidates_to_recut(lake: Lake) -> Stored:
    """The released candidates.

    Raises:
        LakeError: there are none.
    """
    stored = Stored.released(lake, lake.release())
    if stored is None:
        raise LakeError(f"{lake.uri} has no candidates to decide over: run `millpond curate` first")
    return stored


def recut_config(lake: Lake, path: str | Path | None, overrides: Iterable[str] = ()) -> CurateConfig:
    """The configuration of a recut: a file's as for `millpond curate`, else that of the candidates; then overrides.

    Raises:
        ConfigError: the file, a key or a value is not usable.
        LakeError: there are no candidates.
    """
    if path is not None:
        return load(CurateConfig, path, "curate", overrides)
    stored = candidates_to_recut(lake)
    settings = apply_overrides(stored.config.model_dump(mode="json"), overrides)
    return CurateConfig.from_mapping(settings, f"the settings of {stored.run_id}")


def _shown(value: object) -> str:
    text = "not set" if value is None else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
