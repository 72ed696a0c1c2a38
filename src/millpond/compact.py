"""Compaction: many small files of a table → few of the target size, in the table's order; the same rows.

    millpond compact
    millpond compact web.rejects corpus.documents

Tables grow by a file a task and a run, and each file costs a reader a footer and a request. Compaction sorts the rows
of a released snapshot by the table's `sort_by`, so files hold ranges of it that do not overlap, and their bounds in
the manifests say which of them a question can skip. That is what a partition by the same columns would give, without
deciding on their values beforehand; tables have no partition specs.

The result is published as a release like any other, and only if its canonical digest is that of the rows before; every
row is read and written once, sorting spills to temporary files. What was made of the snapshot before counts as made of
the new one (`Lake.origin`), so no stage has to run again. The tables of the runs themselves, `ops.*`, are left alone:
every publish writes to them, this one too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from millpond import faults
from millpond.config import StageConfig
from millpond.datafile import FILE_BYTES, DataFileEntry, TableWriter
from millpond.duck import connect, scan
from millpond.errors import ConflictError, LakeError
from millpond.lake import COMPACT, Lake, Release, files_digest
from millpond.publish import Audit, Mode, Outcome, Run
from millpond.schemas import TABLES

#: A file under this share of the target is small.
_SMALL = 0.5
_BATCH = 1024


class CompactConfig(StageConfig):
    """How tables are compacted."""

    tables: tuple[str, ...] = ()
    """Tables to compact. Empty takes all."""
    target_bytes: int = FILE_BYTES
    """On disk; a file is closed when it has as much."""


@dataclass(frozen=True)
class Compacted:
    """What became of one table."""

    table: str
    rows: int
    files_before: int
    files_after: int
    bytes_before: int
    bytes_after: int


def compact(lake: Lake, config: CompactConfig, audit: Audit) -> tuple[Outcome | None, list[Compacted]]:
    """Rewrite the tables that have more than one small file, and publish them together.

    Returns:
        The outcome and what became of each table; None and nothing where no table has small files.

    Raises:
        LakeError: a table is unknown or not released, or the rewritten rows differ from those before.
        ConflictError: a table was published to meanwhile; nothing was changed.
    """
    released = {name: snapshot for name, snapshot in lake.tables().items() if not name.startswith("ops.")}
    if unknown := sorted(set(config.tables) - released.keys()):
        raise LakeError(f"{unknown[0]} cannot be compacted; there are: {', '.join(sorted(released)) or 'no tables'}")
    chosen = {
        name: snapshot
        for name, snapshot in sorted(released.items())
        if name in (config.tables or released) and _has_small_files(lake, name, snapshot, config.target_bytes)
    }
    if not chosen:
        return None, []
    run = Run(lake, COMPACT, config, chosen)
    faults.point("before-data")
    done = [_compact(run, name, snapshot, config.target_bytes) for name, snapshot in chosen.items()]

    def unmoved(_: Run, base: Release | None) -> None:
        for name, snapshot in chosen.items():
            if base is None or base.tables.get(name) != snapshot:
                raise ConflictError(f"{name} was published to while it was compacted: run `millpond compact` again")

    return run.done(run.publish(audit, unmoved), "records"), done


def _has_small_files(lake: Lake, table: str, snapshot: int, target: int) -> bool:
    sizes = [file.file_size_in_bytes for file in lake.data_files(table, snapshot)]
    return sum(size < target * _SMALL for size in sizes) > 1


def _compact(run: Run, table: str, snapshot: int, target: int) -> Compacted:
    """Rewrite and stage one table."""
    before = run.lake.data_files(table, snapshot)
    paths = [file.file_path for file in before]
    entries = _rewritten(run.lake, table, paths, target)
    old, new = files_digest(table, paths), files_digest(table, [entry.path for entry in entries])
    if old != new:
        raise LakeError(f"{table}: compaction gives rows of digest {new}, and they had {old}; nothing was published")
    run.stage_files(table, entries, Mode.REPLACE)
    rows = sum(entry.rows for entry in entries)
    run.ledger.add("records", "in", sum(file.record_count for file in before))
    run.ledger.add("records", "out", rows)
    sizes = (sum(file.file_size_in_bytes for file in before), sum(entry.size for entry in entries))
    return Compacted(table, rows, len(before), len(entries), *sizes)


def _rewritten(lake: Lake, table: str, paths: Sequence[str], target: int) -> list[DataFileEntry]:
    """The rows of some files in the table's order, in files of the target size."""
    spec = TABLES[table]
    names = ", ".join(f'"{name}"' for name in spec.schema.names)
    # The key decides among rows that stand in the same place; a log without either keeps the order of its files.
    by = ", ".join(f'"{name}"' for name in dict.fromkeys((*spec.sort_by, *spec.key)))
    with connect() as connection, TableWriter(table, lake.data_folder(table), target) as writer:
        connection.execute("set TimeZone = 'UTC'")
        ordered = connection.sql(f"select {names} from {scan(paths)} {f'order by {by}' if by else ''}")
        for batch in ordered.to_arrow_reader(_BATCH):
            writer.write(batch)
    return writer.entries
