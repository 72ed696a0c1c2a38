"""A Spark data source over WARC and text files, for Spark programs of your own.

    spark.dataSource.register(RecordSource)
    spark.read.format("millpond").option("config", IngestConfig().model_dump_json()).load("crawl-*.warc.gz")

One partition per file, or per part of a large archive. A row is a page, a reject, the count of a part or an error
that concerns a whole file, told apart by `kind`; the columns of the other kinds are null. For every file the
counts equal its pages plus the records its rejects stand for. Here no driver can read a part again: where the
parts of an archive do not chain, the read fails.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from pyspark.sql.datasource import DataSource, DataSourceReader, InputPartition
from pyspark.sql.pandas.types import from_arrow_schema
from pyspark.sql.types import StructType

from millpond.errors import InputError
from millpond.ingest.config import IngestConfig
from millpond.ingest.page import RowBatcher
from millpond.ingest.parts import Part
from millpond.ingest.read import plan, read_rows
from millpond.inputs import expand, identify
from millpond.schemas import LONG, PAGES, STRING, WEB_REJECTS
from millpond.storage import is_url

#: The count of a file: how many records, fetches or rows were found in it.
FILE_COLUMNS = (pa.field("file", STRING), pa.field("records", LONG), pa.field("bytes", LONG))


def _row_schema() -> pa.Schema:
    fields = {"kind": pa.field("kind", STRING)}
    for field in (*PAGES.schema, *WEB_REJECTS.schema, *FILE_COLUMNS):
        fields.setdefault(field.name, field.with_nullable(True))
    return pa.schema(list(fields.values()))


ROW_SCHEMA = _row_schema()


@dataclass
class FilePartition(InputPartition):
    """A part of a file."""

    part: Part


class RecordSource(DataSource):
    """The data source `millpond`; see the module's docstring."""

    @classmethod
    def name(cls) -> str:
        """Name for `spark.read.format`."""
        return "millpond"

    def schema(self) -> StructType:
        """Columns of all kinds of row."""
        return from_arrow_schema(ROW_SCHEMA)

    def reader(self, schema: StructType) -> DataSourceReader:
        """Plan the partitions."""
        config = IngestConfig.model_validate_json(self.options.get("config", "{}"))
        return RecordReader(expand([self.options["path"]]), config)


class RecordReader(DataSourceReader):
    """Reads the files of a `RecordSource` in Arrow batches."""

    def __init__(self, paths: Sequence[str], config: IngestConfig) -> None:
        self.paths = list(paths)
        self.config = config

    def partitions(self) -> Sequence[InputPartition]:
        """One per part."""
        remote = dict(identify(filter(is_url, self.paths)))
        versions = {path: remote.get(path) for path in self.paths}
        return [FilePartition(part) for part in plan(versions, self.config.split_bytes)]

    def read(self, partition: InputPartition) -> Iterator[pa.RecordBatch]:
        """Batches of one part's rows."""
        if not isinstance(partition, FilePartition):
            raise TypeError(f"not a part of a file: {partition!r}")
        batcher = RowBatcher(ROW_SCHEMA, self.config.batch_bytes)
        empty: dict[str, Any] = dict.fromkeys(ROW_SCHEMA.names)
        for kind, row in read_rows(partition.part, self.config):
            if kind == "file":
                began, ended, until = (row.get(name) for name in ("began", "ended", "until"))
                if began is not None and ended != until:
                    raise InputError(
                        f"{row['file']}: its parts do not chain at byte {until}: set split_bytes to the file's size"
                    )
                row = {field.name: row[field.name] for field in FILE_COLUMNS}
            if batch := batcher.add({**empty, **row, "kind": "reject" if kind == "kinds" else kind}):
                yield batch
        if batch := batcher.flush():
            yield batch
