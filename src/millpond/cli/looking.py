"""`millpond trace`, `millpond tables` and `millpond snapshots`."""

from __future__ import annotations

from datetime import UTC, datetime

from millpond.cli import output
from millpond.errors import LakeError
from millpond.eval.lineage import trace_step
from millpond.lake import Lake
from millpond.schemas import TABLES


def trace(lake: Lake, step: int, run: str | None) -> None:
    """Show what fed a training step, one line for each document in each row of the batch."""
    columns = ("position", "url", "offset", "length", "source_file", "source_offset", "doc_id")
    sources = trace_step(lake, step, run)
    output.table(columns, [tuple(getattr(source, column) for column in columns) for source in sources])


def tables(lake: Lake) -> None:
    """Show each released table: rows, files, bytes, snapshot."""
    rows = []
    for name, snapshot in sorted(lake.tables().items()):
        files = lake.data_files(name, snapshot)
        sizes = (sum(f.record_count for f in files), len(files), sum(f.file_size_in_bytes for f in files))
        rows.append((name, *sizes, str(snapshot)))
    output.table(("table", "rows", "files", "bytes", "snapshot"), rows)


def snapshots(lake: Lake, name: str) -> None:
    """Show each snapshot of a table that a release names, oldest first.

    Raises:
        LakeError: there is no such table.
    """
    if name not in TABLES:
        raise LakeError(f"no table {name!r}; there are: {', '.join(TABLES)}")
    table = lake.table(name)
    rows = []
    seen: set[int] = set()
    for release in lake.releases():
        snapshot_id = release.tables.get(name)
        snapshot = table.snapshot_by_id(snapshot_id) if snapshot_id is not None else None
        if snapshot is None or snapshot.snapshot_id in seen:
            continue
        seen.add(snapshot.snapshot_id)
        written = datetime.fromtimestamp(snapshot.timestamp_ms / 1000, UTC)
        count = lake.rows(name, snapshot.snapshot_id)
        rows.append(
            (release.number, str(snapshot.snapshot_id), f"{written:%Y-%m-%d %H:%M:%S}Z", release.run_id, count)
        )
    output.table(("release", "snapshot", "written", "run", "rows"), rows)
