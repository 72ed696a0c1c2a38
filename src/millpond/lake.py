"""The lake: an Iceberg catalog, its tables, and the releases through which readers resolve them.

A release names one snapshot of every table; the newest release is the state of the lake. Between two
releases nothing a reader sees changes, whatever publishers are doing. The catalog comes from PyIceberg's own
configuration (`.pyiceberg.yaml`, `PYICEBERG_CATALOG__…`) when it is named `catalog:NAME`; a path is an embedded
SQLite catalog in that folder. A configured catalog's warehouse may be in object storage (`s3://bucket/folder`): data
files and Iceberg's own are then written and read there with the catalog's properties, see `millpond.storage`.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pyarrow as pa
from pyiceberg.catalog import Catalog, load_catalog
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.exceptions import (
    CommitFailedException,
    NamespaceAlreadyExistsError,
    NoSuchTableError,
    TableAlreadyExistsError,
)
from pyiceberg.io import FSSPEC_FILE_IO, PY_IO_IMPL
from pyiceberg.manifest import DataFile
from pyiceberg.table import Table
from pyiceberg.table.snapshots import Snapshot
from sqlalchemy.exc import SQLAlchemyError

from millpond import storage
from millpond.datafile import iceberg_order, iceberg_schema
from millpond.duck import connect
from millpond.errors import ConflictError, InputError, LakeError
from millpond.schemas import OPS_RELEASES, TABLES

DEFAULT_URI = "lake"

#: Publishers that keep losing a race against others give up after this many attempts.
ATTEMPTS = 50

#: The stage that writes other files of the same rows.
COMPACT = "compact"

#: The file that says that a folder in object storage is a lake.
_MARK = "millpond.json"

#: What Spark and DuckDB take for a pattern, a partition or an escape in a path.
_PATTERNS = frozenset("*?[]{}=%")

_PROPERTIES = {
    # PyIceberg would retry on refreshed metadata, under our checks; `Lake.commit` retries above them.
    "commit.retry.num-retries": "0",
}


@dataclass(frozen=True)
class Release:
    """One state of the lake: which snapshot of every table belongs together."""

    number: int
    released_at: datetime
    run_id: str
    stage: str
    digest: str
    tables: dict[str, int]

    def to_properties(self) -> dict[str, str]:
        """The release as snapshot properties of `ops.releases`."""
        return {
            "millpond.release": str(self.number),
            "millpond.released-at": self.released_at.isoformat(),
            "run-id": self.run_id,
            "stage": self.stage,
            "digest": self.digest,
            "millpond.tables": json.dumps(self.tables, sort_keys=True),
        }

    @classmethod
    def from_snapshot(cls, snapshot: Snapshot) -> Release | None:
        """Read a release back; None for the empty first snapshot."""
        properties = snapshot.summary.additional_properties if snapshot.summary else {}
        if "millpond.release" not in properties:
            return None
        return cls(
            number=int(properties["millpond.release"]),
            released_at=datetime.fromisoformat(properties["millpond.released-at"]),
            run_id=properties["run-id"],
            stage=properties["stage"],
            digest=properties["digest"],
            tables=json.loads(properties["millpond.tables"]),
        )


class Lake:
    """Tables and releases of one catalog. Cheap to open; holds no state but the catalog connection."""

    def __init__(self, catalog: Catalog, warehouse: str, uri: str) -> None:
        self.catalog = catalog
        #: Absolute path or URL of the folder that holds everything.
        self.warehouse = warehouse
        self.uri = uri

    @property
    def root(self) -> Path:
        """The folder of a lake on a local disk.

        Raises:
            LakeError: the lake is in object storage.
        """
        if storage.is_url(self.warehouse):
            raise LakeError(f"{self.uri}: is in object storage, and this works only in a lake on a local disk")
        return Path(self.warehouse)

    @classmethod
    def open(cls, uri: str | None = None, *, create: bool = True) -> Lake:
        """Open the lake at `uri`: a folder, or `catalog:NAME` from PyIceberg's configuration.

        Raises:
            LakeError: the folder is not a lake and `create` is false, or the catalog is not usable.
        """
        uri = uri or DEFAULT_URI
        if uri.startswith("catalog:"):
            catalog = _configured(uri.removeprefix("catalog:"))
            return cls(catalog, _warehouse(catalog, uri, create), uri)
        if storage.is_url(uri):
            raise LakeError(f"--lake {uri}: give a folder, or catalog:NAME for a configured PyIceberg catalog")
        root = Path(_readable(str(Path(uri).expanduser().resolve())))
        database = root / "catalog.db"
        if root.exists() and not root.is_dir():
            raise LakeError(f"{root}: the lake must be a folder, and this is a file")
        if not database.exists():
            if not create:
                raise LakeError(f"{root}: no lake here; `millpond ingest` or `millpond demo` makes one")
            if root.is_dir() and any(root.iterdir()):
                raise LakeError(f"{root}: this folder holds something else; give an empty or a new one")
        try:
            root.mkdir(parents=True, exist_ok=True)
            catalog = SqlCatalog("millpond", uri=f"sqlite:///{database}?timeout=60", warehouse=str(root))
        except OSError as error:
            raise LakeError(f"{root}: no folder can be made here: {error.strerror}") from error
        except SQLAlchemyError as error:
            raise LakeError(f"{database}: not a usable catalog: {getattr(error, 'orig', error)}") from error
        return cls(catalog, str(root), str(root))

    # Releases

    def releases(self) -> list[Release]:
        """All releases, oldest first."""
        table = self._find(OPS_RELEASES.name)
        found = [Release.from_snapshot(snapshot) for snapshot in table.snapshots()] if table else []
        return sorted((r for r in found if r), key=lambda r: r.number)

    def release(self) -> Release | None:
        """The newest release; None before the first."""
        table = self._find(OPS_RELEASES.name)
        head = table.current_snapshot() if table else None
        return Release.from_snapshot(head) if head else None

    def tables(self) -> dict[str, int]:
        """Table name → snapshot id, in the newest release."""
        release = self.release()
        return dict(release.tables) if release else {}

    def origin(self, table: str, snapshot: int) -> int:
        """The snapshot that first had the rows of this one: what compaction publishes has those it read."""
        origins: dict[int, int] = {}
        before: int | None = None
        for release in self.releases():
            now = release.tables.get(table)
            if now is not None and now != before:
                origins[now] = origins[before] if release.stage == COMPACT and before is not None else now
            before = now
        return origins.get(snapshot, snapshot)

    # Reading

    def data_files(self, table: str, snapshot: int | None = None) -> list[DataFile]:
        """The data files of a snapshot (the released one by default), by path."""
        if snapshot is None:
            snapshot = self._released_snapshot(table)
        if snapshot is None:
            return []
        tasks = self.table(table).scan(snapshot_id=snapshot).plan_files()
        return sorted((task.file for task in tasks), key=lambda file: file.file_path)

    def _released_snapshot(self, table: str) -> int | None:
        if table != OPS_RELEASES.name:
            return self.tables().get(table)
        releases = self._find(table)  # no release can name the snapshot its own row makes
        head = releases.current_snapshot() if releases else None
        return head.snapshot_id if head else None

    def files(self, table: str, snapshot: int | None = None) -> list[str]:
        """Paths of the data files of a snapshot (the released one by default)."""
        return [file.file_path for file in self.data_files(table, snapshot)]

    def rows(self, table: str, snapshot: int | None = None) -> int:
        """Row count of a snapshot, from its manifests."""
        return sum(file.record_count for file in self.data_files(table, snapshot))

    def read(self, table: str, columns: Sequence[str] | None = None, snapshot: int | None = None) -> pa.Table:
        """A small table, or a few narrow columns of a large one, in memory."""
        schema = TABLES[table].schema
        names = list(columns) if columns else schema.names
        files = self.files(table, snapshot)
        if not files:
            return pa.schema([schema.field(name).with_nullable(True) for name in names]).empty_table()
        return storage.dataset(files).to_table(columns=names)

    def digest(self, table: str, snapshot: int | None = None) -> str:
        """Canonical digest (sha256 hex) of a snapshot's rows: equal for equal rows in any order or files."""
        return files_digest(table, self.files(table, snapshot))

    # Tables

    def table(self, name: str) -> Table:
        """The Iceberg table.

        Raises:
            LakeError: no such table in this lake.
        """
        table = self._find(name)
        if table is None:
            raise LakeError(f"no table {name} in {self.uri}; `millpond tables` lists what is there")
        return table

    def ensure(self, name: str) -> Table:
        """The Iceberg table, created with an empty first snapshot where it is missing."""
        table = self._find(name) or self._create(name)
        if table.current_snapshot() is not None:
            return table

        def add_empty(fresh: Table) -> None:  # new, or its creator died before the first snapshot
            if fresh.current_snapshot() is None:
                with fresh.transaction() as transaction:
                    transaction.update_snapshot().fast_append().commit()

        return self.commit(name, add_empty)

    def commit(self, name: str, change: Callable[[Table], None]) -> Table:
        """Apply `change` to a fresh handle of a table, again while other writers win the metadata swap.

        `change` sees the newest metadata each time and may raise `ConflictError` to give up at once.

        Raises:
            ConflictError: other writers won every swap.
        """
        for _ in range(ATTEMPTS):
            try:
                change(self.table(name))
                return self.table(name)
            except LOST_RACE as error:
                if not lost_race(error):
                    raise
                time.sleep(random.uniform(0.005, 0.05))
        raise ConflictError(f"{name}: other publishers won {ATTEMPTS} metadata swaps in a row")

    def data_folder(self, table: str) -> str:
        """Where new data files of a table are written: a path or URL."""
        return f"{self._location(table)}/data"

    def run_folder(self, run_id: str) -> Path:
        """Where a run keeps its resolved configuration and its audit page.

        For a lake in object storage it is a temporary folder, from which `keep_run` puts them there.
        """
        if storage.is_url(self.warehouse):
            return Path(tempfile.gettempdir()) / f"millpond-runs-{os.getuid()}" / run_id
        return self.root / "runs" / run_id

    def keep_run(self, run_id: str, *, done: bool) -> None:
        """Put what a run keeps into the lake, where it is not there already; `done` removes the temporary folder."""
        if not storage.is_url(self.warehouse):
            return
        folder = self.run_folder(run_id)
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                storage.put(f"{self.warehouse}/runs/{run_id}/{path.relative_to(folder)}", path.read_bytes())
        if done:
            shutil.rmtree(folder, ignore_errors=True)

    def _location(self, table: str) -> str:
        return "/".join((self.warehouse, *table.split(".")))

    def _find(self, name: str) -> Table | None:
        try:
            return self.catalog.load_table(name)
        except NoSuchTableError:
            return None

    def _create(self, name: str) -> Table:
        namespace = name.split(".")[0]
        try:
            self.catalog.create_namespace(namespace)
        except (NamespaceAlreadyExistsError, SQLAlchemyError):
            if not self.catalog.namespace_exists(namespace):
                raise
        try:
            return self.catalog.create_table(
                name,
                iceberg_schema(TABLES[name]),
                location=self._location(name),
                sort_order=iceberg_order(TABLES[name]),
                properties=_PROPERTIES,
            )
        except TableAlreadyExistsError:  # another publisher was first
            return self.catalog.load_table(name)


def files_digest(table: str, files: Sequence[str]) -> str:
    """Canonical digest (sha256 hex) of the rows of `table` in Parquet `files`."""
    if not files:
        return ""
    # A body stands there by its own digest: as JSON it would be four times its size.
    columns = ", ".join(
        f'sha256("{field.name}")' if pa.types.is_binary(field.type) else f'"{field.name}"'
        for field in TABLES[table].schema
    )
    query = f"""
        select sha256(string_agg(digest, '' order by digest))
        from (select sha256(to_json(row({columns}))::varchar) as digest from read_parquet(?))
    """
    with connect() as connection:
        row = connection.execute(query, [list(files)]).fetchone()
    return str(row[0]) if row else ""


#: What PyIceberg raises when another writer's commit lands first: it names a moved ref, but lets a snapshot
#: whose sequence number has been taken through to a plain ValueError.
LOST_RACE = (CommitFailedException, ValueError)


def lost_race(error: Exception) -> bool:
    """Whether a commit failed because another writer's landed first."""
    return isinstance(error, CommitFailedException) or "older than last sequence number" in str(error)


def _warehouse(catalog: Catalog, uri: str, create: bool) -> str:
    """Absolute path or URL of a configured catalog's warehouse; what is needed to reach it is made known.

    To `create` a lake in object storage is to put a mark there: a bucket or a key that is wrong shows before any work.
    """
    given = catalog.properties.get("warehouse", "").rstrip("/")
    if storage.is_url(given) and not given.startswith("file://"):
        storage.adopt({given: catalog.properties})
        try:
            storage.filesystem(given)
            if create:
                storage.put(f"{given}/{_MARK}", b"{}\n")
        except InputError as error:
            raise LakeError(f"{uri}: its warehouse {error}") from error
        # One client for Iceberg's files and for Millpond's, and not Arrow's own beside it.
        catalog.properties.setdefault(PY_IO_IMPL, FSSPEC_FILE_IO)
        return _readable(given)
    root = Path(given.removeprefix("file://"))
    if not root.is_absolute():
        raise LakeError(
            f"{uri}: its warehouse {given!r} is no folder of this machine and no URL: give an absolute path or s3://…"
        )
    return _readable(str(root))


def _readable(root: str) -> str:
    """`root`, refused where the engines would not read the files below it by their names."""
    if bad := _PATTERNS & set(root):
        raise LakeError(
            f"{root}: Spark and DuckDB read such a path as a pattern or partition: choose one without {min(bad)}"
        )
    return root


def _configured(name: str) -> Catalog:
    try:
        return load_catalog(name)
    except Exception as error:  # PyIceberg raises whatever its driver raised
        raise LakeError(f"catalog {name!r} is not usable: {error}") from error
