"""Write – audit – publish: the only way rows become visible.

A `Run` collects the files a stage wrote and its ledger, then `publish`

1. adds the files to a branch `audit-<run-id>` of each table,
2. lets the audit judge the branches (it raises to refuse),
3. moves each `main` forward to its branch, and
4. commits one row of `ops.releases`, which is the moment readers see all of it.

What a table holds afterwards is derived from the newest *release*, its ancestry from `main`'s head: files of a
run that died between 3 and 4 are dropped by the next run, whatever it is. `main` only moves to a descendant
of the head that was seen, and a release only commits on the release it was derived from; a publisher that
loses either race derives its branches again from the new release, has them audited again, and tries again.
So a kill at any instant leaves readers on the old release, and running again ends in the same tables.
"""

from __future__ import annotations

import json
import logging
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from pyiceberg.table import Table
from pyiceberg.table.update.snapshot import ManageSnapshots

from millpond import __version__, faults
from millpond.config import StageConfig, digest_of
from millpond.datafile import DataFileEntry, write_rows
from millpond.errors import AuditError, ConflictError
from millpond.lake import ATTEMPTS, LOST_RACE, Lake, Release, lost_race
from millpond.ledger import Ledger, Unit
from millpond.schemas import OPS_AUDITS, OPS_LEDGER, OPS_RELEASES, OPS_RUNS, TABLES

log = logging.getLogger(__name__)


class Mode(StrEnum):
    """How a run's files meet what the released table holds."""

    APPEND = "append"
    REPLACE = "replace"


@dataclass(frozen=True)
class Staged:
    """Files of one table, ready to be published."""

    table: str
    mode: Mode
    entries: tuple[DataFileEntry, ...]


@dataclass(frozen=True)
class Batch:
    """What an audit judges: the files a run adds, and what each table would hold with them."""

    run_id: str
    stage: str
    new: Mapping[str, list[str]]
    """Table → files this run wrote."""
    whole: Mapping[str, list[str]]
    """Table → files of the branch: what readers would see."""
    inputs: Mapping[str, list[str]]
    """Table → files the run read, at the snapshots it read them from."""

    def held(self, table: str) -> list[str]:
        """Files of all that a table holds with this batch; where the run adds none, those it read."""
        return self.whole[table] if table in self.whole else self.inputs.get(table, [])


Audit = Callable[[Batch], Sequence[dict[str, Any]]]
"""Judges a batch: returns rows of `ops.audits` (without run_id) or raises `AuditError`."""

#: Called before each attempt with the newest release; may change what is staged (global deduplication).
Rebase = Callable[["Run", Release | None], None]


@dataclass(frozen=True)
class Outcome:
    """What a stage did, for people and for `--output json`."""

    stage: str
    run_id: str
    release: int
    unchanged: bool
    """The same inputs and configuration were already published: nothing was done."""
    counts: Mapping[str, int]
    """What came in and what became of it, from the ledger, in the stage's main unit."""


class Run:
    """One run of a stage, from its digest to its release.

    Args:
        lake: where to publish.
        stage: name of the stage.
        config: resolved configuration; part of the digest and written to the run's folder.
        inputs: what is read: table → snapshot id, or file → sha256; part of the digest.

    Attributes:
        follows: what is also read, of the release that the run builds on: table → snapshot id. A `Rebase` sets it
            anew; it is recorded and handed to the audit like `inputs`, and is no part of the digest.
    """

    def __init__(self, lake: Lake, stage: str, config: StageConfig, inputs: Mapping[str, Any]) -> None:
        self.lake = lake
        self.stage = stage
        self.config = config
        self.inputs = dict(inputs)
        self.follows: dict[str, int] = {}
        self.started_at = datetime.now(UTC)
        self.run_id = f"{stage}-{self.started_at:%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:8]}"
        self.digest = digest_of(
            {"stage": stage, "config": config.digest(), "inputs": self._origins(), "version": __version__}
        )
        self.ledger = Ledger(stage)
        self._staged: dict[str, Staged] = {}
        self._branched: set[str] = set()
        releases, read = lake.releases(), _snapshots(self.inputs)
        holding = [release for release in releases if read.items() <= release.tables.items()] or releases
        self._began_at = holding[-1].number if holding else 0  # what is read was read before the run came to be

    def _origins(self) -> dict[str, Any]:
        """The inputs, with the snapshots that first had their rows: compaction makes no other input."""
        read = _snapshots(self.inputs)
        return {**self.inputs, **{table: self.lake.origin(table, snapshot) for table, snapshot in read.items()}}

    def released(self, *, standing: bool) -> Release | None:
        """The release that already holds this digest, if there is one.

        With `standing` it must be the stage's newest release: a stage that replaces its output has to run
        again when another configuration has replaced it since.
        """
        own = [release for release in self.lake.releases() if release.stage == self.stage]
        candidates = own[-1:] if standing else own
        return next((release for release in reversed(candidates) if release.digest == self.digest), None)

    def unchanged(self, release: Release) -> Outcome:
        """The outcome where `release` already holds this run's digest."""
        return Outcome(self.stage, release.run_id, release.number, unchanged=True, counts={})

    def done(self, release: Release, unit: Unit) -> Outcome:
        """The outcome of a publish, with the ledger's amounts in `unit`."""
        if release.run_id != self.run_id:
            return self.unchanged(release)
        return Outcome(self.stage, self.run_id, release.number, unchanged=False, counts=self.ledger.amounts(unit))

    def write_config(self) -> None:
        """Write the resolved configuration to the run's folder."""
        self.config.write(self.lake.run_folder(self.run_id) / "config.json")

    def stage_files(self, table: str, entries: Sequence[DataFileEntry], mode: Mode) -> None:
        """Hold files of a table for publishing, in place of any held before; to append none is to hold none."""
        if entries or mode is Mode.REPLACE:
            self._staged[table] = Staged(table, mode, tuple(entries))
        else:
            self._staged.pop(table, None)

    def stage_rows(self, table: str, rows: Sequence[dict[str, Any]], mode: Mode) -> None:
        """Write a few rows as a data file and hold it for publishing."""
        self.stage_files(table, write_rows(table, self.lake.data_folder(table), rows), mode)

    def publish(self, audit: Audit, rebase: Rebase | None = None) -> Release:
        """Audit and publish everything staged; returns the release readers now see.

        That is another run's release where one with the same digest came first. What `rebase` alone replaces, it makes
        of the release it is given, and that is never stale.

        Raises:
            AuditError: the audit or the ledger refused, or what the run would replace was made of newer inputs than
                its own; `main` and the releases are as they were.
            ConflictError: other publishers won every race.
        """
        faults.point("after-data")
        self.write_config()
        done = False
        try:
            release = self._publish(audit, rebase)
            done = True
        finally:
            self._keep(done=done)
        return release

    def _keep(self, *, done: bool) -> None:
        """Put what the run keeps into the lake; what became of the run stands already, and is what is said of it."""
        try:
            self.lake.keep_run(self.run_id, done=done)
        except Exception as error:  # each filesystem has its own
            folder = self.lake.run_folder(self.run_id)
            log.warning("%s: could not be put into the lake, and stays in %s: %s", self.run_id, folder, error)

    def _publish(self, audit: Audit, rebase: Rebase | None) -> Release:
        replaces = any(item.mode is Mode.REPLACE for item in self._staged.values())
        for attempt in range(ATTEMPTS):
            base = self.lake.release()
            if same := self._released_meanwhile():
                return same
            if replaces:
                self._refuse_if_stale()
            if rebase is not None:
                rebase(self, base)
            self.ledger.check()
            staged = [*self._staged.values(), *self._ops_files()]
            try:
                branches = {item.table: self._branch(item, base) for item in staged}
                faults.point("after-branch")
                rows = audit(self._batch(base, staged, branches))
                audits = self._ops_rows(OPS_AUDITS.name, [{**row, "run_id": self.run_id} for row in rows])
                branches[audits.table] = self._branch(audits, base)
                faults.point("before-main")
                for position, (table, snapshot) in enumerate(sorted(branches.items())):
                    self._forward(table, snapshot)
                    if position == 0:
                        faults.point("after-main")
                faults.point("before-release")
                return self._release(base, branches)
            except ConflictError as error:
                log.info("%s: attempt %d lost a race (%s); rebasing", self.run_id, attempt + 1, error)
            finally:
                self._drop_branches()
        raise ConflictError(f"{self.run_id}: lost {ATTEMPTS} races against other publishers; run it again")

    # Parts of publish

    def _released_meanwhile(self) -> Release | None:
        """A release with this run's digest that was made since this run began."""
        newer = (release for release in self.lake.releases() if release.number > self._began_at)
        return next((release for release in newer if release.digest == self.digest), None)

    def _refuse_if_stale(self) -> None:
        """A run that replaces tables must not undo what its stage made of newer inputs since this run began."""
        newer = [run for run in self.lake.releases() if run.number > self._began_at and run.stage == self.stage]
        rows = self.lake.read(OPS_RUNS.name, ["run_id", "inputs"]).to_pylist() if newer else []
        inputs = {row["run_id"]: json.loads(row["inputs"]) for row in rows}
        for release in newer:
            for table, seen in _snapshots(inputs[release.run_id]).items():
                if table in self.inputs and self._is_older(table, self.inputs[table], seen):
                    raise AuditError(
                        f"{self.run_id} is stale: it read snapshot {self.inputs[table]} of {table}, and release "
                        f"{release.number} was made of the newer {seen} since; nothing was published; run it again"
                    )

    def _is_older(self, table: str, snapshot: int, other: int) -> bool:
        """Whether a snapshot has older rows than another, and not only other files."""
        first, later = (self.lake.origin(table, each) for each in (snapshot, other))
        return first != later and first in _ancestors(self.lake.table(table), later)

    @property
    def _branch_name(self) -> str:
        return f"audit-{self.run_id}"

    def _ops_files(self) -> list[Staged]:
        run = {
            "run_id": self.run_id,
            "stage": self.stage,
            "digest": self.digest,
            "started_at": self.started_at,
            "finished_at": datetime.now(UTC),
            "inputs": json.dumps({**self.follows, **self.inputs}, sort_keys=True),
            "config": json.dumps(self.config.model_dump(mode="json"), sort_keys=True),
            "version": __version__,
        }
        return [
            self._ops_rows(OPS_RUNS.name, [run]),
            self._ops_rows(OPS_LEDGER.name, self.ledger.rows(self.run_id)),
        ]

    def _ops_rows(self, table: str, rows: Sequence[dict[str, Any]]) -> Staged:
        return Staged(table, Mode.APPEND, tuple(write_rows(table, self.lake.data_folder(table), rows)))

    def _branch(self, staged: Staged, base: Release | None) -> int:
        """Give the table a branch on `main`'s head that holds the released files plus or instead the staged."""
        head = self.lake.ensure(staged.table).current_snapshot()
        if head is None:
            raise ConflictError(f"{staged.table} has no snapshot")
        parent = head.snapshot_id
        held = {file.file_path: file for file in self.lake.data_files(staged.table, parent)}
        kept: dict[str, Any] = {}
        if staged.mode is Mode.APPEND and base is not None and staged.table in base.tables:
            released = self.lake.data_files(staged.table, base.tables[staged.table])
            kept = {file.file_path: file for file in released}
        wanted = kept | {entry.path: entry.to_iceberg() for entry in staged.entries}
        stale = held.keys() - wanted.keys()
        properties = {"run-id": self.run_id, "stage": self.stage, "digest": self.digest}

        def fill(table: Table) -> None:
            with table.transaction() as transaction:
                update = transaction.update_snapshot(branch=self._branch_name, snapshot_properties=properties)
                with update.overwrite() if stale else update.fast_append() as change:
                    for path in sorted(stale):
                        change.delete_data_file(held[path])
                    for path in sorted(wanted.keys() - held.keys()):
                        change.append_data_file(wanted[path])

        self._branched.add(staged.table)
        self._manage(staged.table, lambda refs: refs.create_branch(parent, self._branch_name))
        return self.lake.commit(staged.table, fill).refs()[self._branch_name].snapshot_id

    def _batch(self, base: Release | None, staged: list[Staged], branches: Mapping[str, int]) -> Batch:
        snapshots = {**self.follows, **_snapshots(self.inputs)}
        return Batch(
            run_id=self.run_id,
            stage=self.stage,
            new={item.table: [entry.path for entry in item.entries] for item in staged},
            whole={table: self.lake.files(table, snapshot) for table, snapshot in branches.items()},
            inputs={table: self.lake.files(table, snapshot) for table, snapshot in snapshots.items()},
        )

    def _forward(self, name: str, snapshot: int) -> None:
        """Move `main` to `snapshot`, which must descend from the head the very same handle saw."""

        def move(table: Table) -> None:
            head = table.current_snapshot()
            if head is None or head.snapshot_id not in _ancestors(table, snapshot):
                raise ConflictError(f"main of {name} has moved")
            table.manage_snapshots().set_current_snapshot(snapshot_id=snapshot).commit()

        self.lake.commit(name, move)

    def _manage(self, name: str, change: Callable[[ManageSnapshots], ManageSnapshots]) -> None:
        self.lake.commit(name, lambda table: change(table.manage_snapshots()).commit())

    def _release(self, base: Release | None, branches: Mapping[str, int]) -> Release:
        """Commit the release that follows `base`; readers see it from then on."""
        release = Release(
            number=base.number + 1 if base else 1,
            released_at=datetime.now(UTC),
            run_id=self.run_id,
            stage=self.stage,
            digest=self.digest,
            tables={**(base.tables if base else {}), **branches},
        )
        row = {
            "release": release.number,
            "released_at": release.released_at,
            "run_id": release.run_id,
            "stage": release.stage,
            "digest": release.digest,
            "tables": json.dumps(release.tables, sort_keys=True),
        }
        table = self.lake.ensure(OPS_RELEASES.name)
        newest = self.lake.release()
        if (newest.number if newest else 0) != (base.number if base else 0):
            raise ConflictError("another run released first")
        entries = write_rows(OPS_RELEASES.name, self.lake.data_folder(OPS_RELEASES.name), [row])
        try:
            with table.transaction() as transaction:
                update = transaction.update_snapshot(snapshot_properties=release.to_properties())
                with update.fast_append() as append:
                    append.append_data_file(entries[0].to_iceberg())
        except LOST_RACE as error:
            if not lost_race(error):
                raise
            raise ConflictError(f"another run released first: {error}") from error
        return release

    def _drop_branches(self) -> None:
        """Remove this run's branches. One that stays does no harm, so failing here is no failure to publish."""
        for name in sorted(self._branched):
            try:
                if self._branch_name in self.lake.table(name).refs():
                    self._manage(name, lambda refs: refs.remove_branch(self._branch_name))
            except Exception as error:  # whatever the catalog raises
                log.warning("%s: branch %s of %s is left behind: %s", self.run_id, self._branch_name, name, error)


def _snapshots(inputs: Mapping[str, Any]) -> dict[str, int]:
    """The inputs that are tables."""
    return {name: seen for name, seen in inputs.items() if name in TABLES and isinstance(seen, int)}


def _ancestors(table: Table, snapshot_id: int) -> set[int]:
    """The snapshot and all it descends from."""
    found: set[int] = set()
    current: int | None = snapshot_id
    while current is not None and current not in found:
        found.add(current)
        snapshot = table.snapshot_by_id(current)
        current = snapshot.parent_snapshot_id if snapshot else None
    return found
