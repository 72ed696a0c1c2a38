"""Parquet data files: written by tasks, described by manifests the driver publishes.

A `TableWriter` streams Arrow batches of one table into uniquely named, immutable Parquet files and returns
a `DataFileEntry` for each: path, size, counts and column bounds. Entries travel as JSON, so the driver
registers files in Iceberg without opening a footer or listing a folder. Files of a lost task attempt are
never named in a manifest and so never become visible.
"""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq
from pyiceberg.io.pyarrow import (
    compute_statistics_plan,
    data_file_statistics_from_parquet_metadata,
    parquet_path_to_id_mapping,
)
from pyiceberg.manifest import DataFile, DataFileContent, FileFormat
from pyiceberg.schema import Schema
from pyiceberg.table.sorting import UNSORTED_SORT_ORDER, SortField, SortOrder
from pyiceberg.transforms import IdentityTransform
from pyiceberg.typedef import Record
from pyiceberg.types import (
    BinaryType,
    BooleanType,
    DateType,
    DoubleType,
    IcebergType,
    IntegerType,
    LongType,
    NestedField,
    StringType,
    TimestamptzType,
)

from millpond import storage
from millpond.errors import LakeError
from millpond.schemas import TABLES, TableSpec

ROW_GROUP_BYTES = 16 << 20  # in memory; a reader skips or splits at this grain
FILE_BYTES = 256 << 20  # on disk; a larger file is closed and the next begun

#: Columns too large for bounds to help anyone.
_UNBOUNDED = ("body", "text", "minhash", "config", "tables", "inputs", "output")

_TYPES: dict[pa.DataType, IcebergType] = {
    pa.string(): StringType(),
    pa.int32(): IntegerType(),
    pa.int64(): LongType(),
    pa.float64(): DoubleType(),
    pa.binary(): BinaryType(),
    pa.bool_(): BooleanType(),
    pa.date32(): DateType(),
    pa.timestamp("us", tz="UTC"): TimestamptzType(),
}
_BOUNDS = ("lower_bounds", "upper_bounds")


def iceberg_schema(spec: TableSpec) -> Schema:
    """The Iceberg schema of a table; field ids follow column order."""
    return Schema(
        *(
            NestedField(position, field.name, _TYPES[field.type], required=not field.nullable)
            for position, field in enumerate(spec.schema, start=1)
        )
    )


def iceberg_order(spec: TableSpec) -> SortOrder:
    """The order that writers give rows within a file, as Iceberg knows it."""
    if not spec.sort_by:
        return UNSORTED_SORT_ORDER
    schema = iceberg_schema(spec)
    by = (SortField(schema.find_field(name).field_id, transform=IdentityTransform()) for name in spec.sort_by)
    return SortOrder(*by, order_id=1)


def file_schema(spec: TableSpec) -> pa.Schema:
    """The Arrow schema a data file is written with: the table's, with Iceberg field ids."""
    return pa.schema(
        [
            field.with_metadata({"PARQUET:field_id": str(position)})
            for position, field in enumerate(spec.schema, start=1)
        ]
    )


@dataclass(frozen=True)
class DataFileEntry:
    """One written data file with the statistics Iceberg keeps of it."""

    table: str
    path: str
    rows: int
    size: int
    statistics: dict[str, Any]

    def to_json(self) -> str:
        """One line of JSON; bounds are base64."""
        fields = asdict(self)
        for name in _BOUNDS:
            bounds = self.statistics.get(name) or {}
            fields["statistics"][name] = {k: base64.b64encode(v).decode() for k, v in bounds.items()}
        return json.dumps(fields, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> DataFileEntry:
        """Invert `to_json`."""
        fields = json.loads(text)
        statistics = {
            name: {int(k): v for k, v in value.items()} if isinstance(value, dict) else value
            for name, value in fields["statistics"].items()
        }
        for name in _BOUNDS:
            statistics[name] = {k: base64.b64decode(v) for k, v in statistics[name].items()}
        return cls(**{**fields, "statistics": statistics})

    def to_iceberg(self) -> DataFile:
        """The record an Iceberg manifest holds."""
        return DataFile.from_args(
            content=DataFileContent.DATA,
            file_path=self.path,
            file_format=FileFormat.PARQUET,
            partition=Record(),
            file_size_in_bytes=self.size,
            sort_order_id=None,
            spec_id=0,
            equality_ids=None,
            key_metadata=None,
            **self.statistics,
        )


@dataclass
class _File:
    """A data file that is being written."""

    path: str
    stream: IO[bytes]
    writer: pq.ParquetWriter


class TableWriter:
    """Streams batches of one table into Parquet files under `folder`, a path or URL.

    Use as a context manager; `entries` holds one entry per file after `close`. An exception removes what was
    written: nothing of it can be published.

    Raises:
        LakeError: a batch does not fit the table's columns, or a required column holds a null.
    """

    def __init__(self, table: str, folder: str | Path, file_bytes: int | None = None) -> None:
        self.table = table
        self.file_bytes = file_bytes or FILE_BYTES
        self.spec = TABLES[table]
        self.folder = str(folder)
        self.entries: list[DataFileEntry] = []
        self._schema = file_schema(self.spec)
        self._pending: list[pa.RecordBatch] = []
        self._pending_bytes = 0
        self._file: _File | None = None

    def __enter__(self) -> TableWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            self._discard()
            return
        try:
            self.close()
        except BaseException:
            self._discard()
            raise

    def write(self, batch: pa.RecordBatch) -> None:
        """Add rows; columns are matched by name and must all be there."""
        if batch.num_rows == 0:
            return
        self._pending.append(self._fit(batch))
        self._pending_bytes += batch.nbytes
        if self._pending_bytes >= ROW_GROUP_BYTES:
            self._flush()

    def close(self) -> list[DataFileEntry]:
        """Finish the last file and return all entries."""
        self._flush()
        self._finish()
        return self.entries

    def _fit(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        try:
            return batch.select(self.spec.schema.names).cast(self._schema)
        except (KeyError, pa.ArrowInvalid, ValueError) as error:
            raise LakeError(f"{self.table}: batch does not fit the table: {error}") from error

    def _flush(self) -> None:
        if not self._pending:
            return
        file = self._file = self._file or self._open()
        file.writer.write_table(pa.Table.from_batches(self._pending, schema=self._schema), row_group_size=1 << 20)
        self._pending, self._pending_bytes = [], 0
        if file.stream.tell() >= self.file_bytes:
            self._finish()

    def _open(self) -> _File:
        path = f"{self.folder}/{uuid.uuid4().hex}.parquet"
        stream = storage.create(path)
        bounded = [name for name in self._schema.names if name not in _UNBOUNDED]
        writer = pq.ParquetWriter(
            stream,
            self._schema,
            compression="zstd",
            compression_level=1,
            write_statistics=bounded,
            use_dictionary=bounded,
        )
        return _File(path, stream, writer)

    def _finish(self) -> None:
        if (file := self._file) is None:
            return
        file.writer.close()
        size = storage.settle(file.stream)
        metadata = file.writer.writer.metadata
        plan, mapping = _statistics_plan(self.table)
        statistics = data_file_statistics_from_parquet_metadata(metadata, plan, mapping)
        self.entries.append(
            DataFileEntry(
                table=self.table,
                path=file.path,
                rows=metadata.num_rows,
                size=size,
                statistics=statistics.to_serialized_dict(),
            )
        )
        self._file = None

    def _discard(self) -> None:
        if self._file is not None:
            for close in (self._file.writer.close, self._file.stream.close):
                with suppress(OSError, pa.ArrowException):  # it may be what has just failed
                    close()
            storage.remove(self._file.path)
        for entry in self.entries:
            storage.remove(entry.path)
        self._file, self.entries = None, []


def write_rows(table: str, folder: str | Path, rows: Iterable[dict[str, Any]]) -> list[DataFileEntry]:
    """Write a few rows, given as dicts, as one data file; missing columns are null."""
    spec = TABLES[table]
    with TableWriter(table, folder) as writer:
        writer.write(pa.RecordBatch.from_pylist(list(rows), schema=pa.schema(_nullable(spec.schema))))
    return writer.entries


def _nullable(schema: pa.Schema) -> list[pa.Field]:
    return [field.with_nullable(True) for field in schema]


@cache
def _statistics_plan(table: str) -> tuple[Any, dict[str, int]]:
    schema = iceberg_schema(TABLES[table])
    properties = {f"write.metadata.metrics.column.{name}": "none" for name in _UNBOUNDED}
    return compute_statistics_plan(schema, properties), parquet_path_to_id_mapping(schema)
