"""Texts from JSON Lines, CSV and Parquet files → pages and counted rejects.

Inputs: `.jsonl`, `.csv` (with a header) and `.tsv`, plain or compressed with gzip, bzip2 or Zstandard, and `.parquet`;
one text a row. Output: tagged rows, see `millpond.ingest.page`. A text becomes a page of media type text/plain (or
text/html, as the configuration says) whose body is its UTF-8. A row that is no text is rejected with its number: lines
and rows count from 0, blank lines are none, nor is a header. Files are streamed; which columns are read is the
configuration's choice, never the first rows': a column that a whole file lacks is an error, and one that only some
lines of JSON have is missing in the others.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from datetime import date, datetime, time
from itertools import islice
from typing import Any
from urllib.parse import quote

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from millpond.errors import InputError
from millpond.ingest.config import TextConfig
from millpond.ingest.csv_rows import csv_rows
from millpond.ingest.members import MemberStream, StreamDamage, read_whole
from millpond.ingest.page import Rejected, Row, address_of, page_row, parse_instant, reject_row, to_utc
from millpond.inputs import address, open_input
from millpond.reasons import Reason

_PACKED = ("", ".gz", ".bz2", ".zst")
_LINES = tuple(f"{kind}{packed}" for kind in (".jsonl", ".ndjson") for packed in _PACKED)
_CSV = tuple(f"{kind}{packed}" for kind in (".csv", ".tsv") for packed in _PACKED)
#: How the name of a table of texts ends.
TEXT_SUFFIXES = (*_LINES, *_CSV, ".parquet")
#: So many names of columns are remembered for a message while one is missing.
_NAMES, _NAME_CHARS = 50, 100
#: So many bytes of a Parquet file's rows are meant to be in memory at once.
_BATCH_BYTES = 16 << 20
_BUFFER_BYTES = 1 << 20


def read_text(path: str, config: TextConfig, *, crawl: str | None = None, version: str | None = None) -> Iterator[Row]:
    """Read one file of texts; the last row is the file's own, with the rows found in it.

    Raises:
        InputError: the file is missing, empty, not what its name says, another than `version`, or has no such column.
    """
    reader = _Reader(path, config, crawl, version)
    if path.endswith(".parquet"):
        return reader.parquet()
    if path.endswith(_CSV):
        return reader.csv()
    return reader.json_lines()


class _Reader:
    """Reads one file; `rows` and `bytes` count what was found in it, `padding` bytes that are no row's.

    A row's bytes are those of its lines, once decompressed, or in a Parquet file those of its text. What damage keeps
    from being read has no bytes that could be counted.
    """

    def __init__(self, path: str, config: TextConfig, crawl: str | None, version: str | None) -> None:
        self.path = path
        self.version = version
        self.config = config
        self.crawl = crawl
        self.address = address(path)
        self.rows = self.bytes = self.padding = 0

    def json_lines(self) -> Iterator[Row]:
        missing, seen = self._columns(), set[str]()
        with open_input(self.path, self.version) as file:
            stream = read_whole(file, self.path)
            for number, line, size in self._lines(stream):
                self.bytes += size
                if not line:
                    self.padding += size
                    continue
                self.rows += 1
                if isinstance(line, Rejected):
                    yield self._reject(line, number, size)
                    continue
                try:
                    record = _parse(line)
                    if missing:
                        missing = [column for column in missing if column not in record]
                        seen.update(name[:_NAME_CHARS] for name in islice(record, _NAMES - len(seen)))
                    row = self._page(record, number, size)
                except Rejected as problem:
                    row = self._reject(problem, number, size)
                yield row
            if missing and seen:
                raise self._wrong_column(missing[0], seen)
            yield self._file()

    def csv(self) -> Iterator[Row]:
        tab = ".tsv" in self.path.rpartition("/")[2]
        delimiter = self.config.delimiter or ("\t" if tab else ",")
        with open_input(self.path, self.version) as file:
            stream = read_whole(file, self.path)
            rows = csv_rows(stream, delimiter, self.config.max_row_bytes)
            header: list[str] | Rejected = []
            for header, size in rows:
                self.padding += size
                if header:
                    break
            self.bytes = self.padding
            if isinstance(header, Rejected):
                raise InputError(f"{self.path}: no header can be read: {header.detail}")
            for column in self._columns():
                if header.count(column) != 1:
                    raise self._wrong_column(column, header)
            for fields, size in rows:
                self.bytes += size
                if fields == []:
                    self.padding += size
                    continue
                number = self.rows
                self.rows += 1
                try:
                    yield self._page(self._record(header, fields), number, size)
                except Rejected as problem:
                    yield self._reject(problem, number, size)
            yield self._file()

    def _record(self, header: list[str], fields: list[str] | Rejected) -> dict[str, Any]:
        """A row by the names of its columns; an empty field is no value, but for the text's."""
        if isinstance(fields, Rejected):
            raise fields
        if len(fields) != len(header):
            raise Rejected(Reason.BAD_ROW, f"{len(fields)} fields, and the header has {len(header)}")
        text = self.config.text_column
        return {name: value if value or name == text else None for name, value in zip(header, fields, strict=True)}

    def parquet(self) -> Iterator[Row]:
        with open_input(self.path, self.version) as file:
            try:
                table = pq.ParquetFile(file, buffer_size=_BUFFER_BYTES)
            except (pa.ArrowException, OSError) as error:
                raise InputError(f"{self.path}: not a readable Parquet file: {error}") from error
            columns = self._columns()
            for column in columns:
                if column not in table.schema_arrow.names:
                    raise self._wrong_column(column, table.schema_arrow.names)
            for group in range(table.num_row_groups):
                yield from self._row_group(table, group, columns)
            yield self._file()

    def _row_group(self, table: pq.ParquetFile, group: int, columns: list[str]) -> Iterator[Row]:
        """One row group; what of it cannot be read is one reject that counts the rows."""
        end = self.rows + table.metadata.row_group(group).num_rows
        batches = table.iter_batches(
            self._batch_rows(table.metadata.row_group(group), columns), row_groups=[group], columns=columns
        )
        while self.rows < end:
            try:
                batch = next(batches)
            except (pa.ArrowException, OSError, StopIteration) as error:
                number, self.rows = self.rows, end
                damage = Rejected(Reason.DAMAGED, f"rows {number} to {end - 1} cannot be read: {error}")
                yield self._reject(damage, number, 0, records=end - number)
                return
            for row, size in enumerate(_sizes(batch[self.config.text_column])):
                number = self.rows
                self.rows += 1
                self.bytes += size
                try:
                    cells = zip(batch.schema.names, batch.columns, strict=True)
                    record = {name: self._value(column[row], name) for name, column in cells}
                    yield self._page(record, number, size)
                except Rejected as problem:
                    yield self._reject(problem, number, size)

    def _batch_rows(self, group: pq.RowGroupMetaData, columns: list[str]) -> int:
        chunks = (group.column(number) for number in range(group.num_columns))
        size: int = sum(c.total_uncompressed_size for c in chunks if c.path_in_schema.split(".")[0] in columns)
        fitting: int = _BATCH_BYTES * group.num_rows // max(1, size)
        return max(1, min(self.config.batch_rows, fitting))

    def _value(self, cell: pa.Scalar, column: str) -> Any:
        """A cell as a Python value, measured before it is made one."""
        if isinstance(cell, pa.BinaryScalar) and cell.is_valid:
            self._check_size(cell.as_buffer().size, column)
        try:
            return cell.as_py()
        except (ValueError, OverflowError, KeyError, pa.ArrowException) as error:
            # not UTF-8, a year Python does not know, an unknown time zone
            raise Rejected(Reason.BAD_ROW, f"{column}: {error}") from error

    def _columns(self) -> list[str]:
        config = self.config
        names = (config.text_column, config.url_column, config.id_column, config.date_column)
        return list(dict.fromkeys(name for name in names if name is not None))

    def _lines(self, stream: MemberStream) -> Iterator[tuple[int, bytes | Rejected, int]]:
        """Lines with their numbers and bytes; a blank one comes as nothing."""
        limit = self.config.max_row_bytes
        number = 0
        while True:
            try:
                line = stream.readline(limit + 1)
                if len(line) > limit:
                    size = len(line)
                    while not line.endswith(b"\n") and (line := stream.readline(limit)):
                        size += len(line)
                    yield number, Rejected(Reason.TOO_LARGE, f"line of {size} bytes, limit {limit}"), size
                elif line:
                    yield number, line if line.strip() else b"", len(line)
                else:
                    return
            except StreamDamage as damage:
                detail = f"{damage.detail}, in the member at byte {damage.offset}; nothing after it was read"
                yield number, Rejected(Reason.DAMAGED, detail), 0
                return
            number += 1

    def _page(self, record: dict[str, Any], number: int, size: int) -> Row:
        body = _utf8(record.get(self.config.text_column), self.config.text_column)
        self._check_size(len(body), self.config.text_column)
        page = page_row(
            url=self._url(record, number),
            fetched_at=self._fetched_at(record),
            status=None,
            content_type=self.config.media_type,
            body=body,
            charset="utf-8",
            crawl=self.crawl,
            source_file=self.path,
            source_offset=number,
            source_length=size,
        )
        return "page", page

    def _check_size(self, size: int, column: str) -> None:
        limit = self.config.max_body_bytes
        if size > limit:
            raise Rejected(Reason.TOO_LARGE, f"{column} of {size} bytes, limit {limit}")

    def _url(self, record: dict[str, Any], number: int) -> str:
        column = self.config.url_column
        if column is not None and record.get(column) is not None:
            text = _utf8(record[column], column).decode("utf-8")
            url = address_of(text)
            if url is None:
                raise Rejected(Reason.BAD_ROW, f"{column} is no address with a scheme: {text[:40]!r}")
            return url
        fragment: object = number
        if self.config.id_column is not None:
            fragment = record.get(self.config.id_column)
            if isinstance(fragment, bool) or not isinstance(fragment, str | int):
                raise Rejected(
                    Reason.BAD_ROW, f"{self.config.id_column} is {_kind(fragment)}, not a text or whole number"
                )
            if isinstance(fragment, str):
                fragment = quote(_utf8(fragment, self.config.id_column))
        return f"{self.address}#{fragment}"

    def _fetched_at(self, record: dict[str, Any]) -> datetime | None:
        column = self.config.date_column
        value = record.get(column) if column is not None else None
        if value is None:
            return None
        if isinstance(value, date) and not isinstance(value, datetime):
            value = datetime.combine(value, time())
        if isinstance(value, datetime):
            instant = to_utc(value)
        else:
            instant = parse_instant(value) if isinstance(value, str) else None
        if instant is None:
            raise Rejected(Reason.BAD_ROW, f"{column} is no ISO 8601 date: {str(value)[:40]!r}")
        return instant

    def _reject(self, problem: Rejected, number: int, size: int, records: int = 1) -> Row:
        row = reject_row(
            file=self.path,
            reason=problem.reason,
            detail=problem.detail,
            crawl=self.crawl,
            offset=number,
            length=size,
            records=records,
        )
        return "reject", row

    def _file(self) -> Row:
        if not self.rows:
            raise InputError(f"{self.path}: holds no rows")
        found = {"records": self.rows, "bytes": self.bytes, "padding": self.padding, "shared": 0}
        return "file", {"file": self.path, **found}

    def _wrong_column(self, column: str, known: Collection[str]) -> InputError:
        often = "has no" if column not in known else "has more than one"
        names = ", ".join(sorted(known))
        return InputError(f"{self.path}: {often} column {column!r}; its columns are: {names}"[:1000])


def _sizes(column: pa.Array) -> list[int]:
    """Bytes of each text; of what is none, 0."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if not isinstance(column, pa.StringArray | pa.LargeStringArray | pa.BinaryArray | pa.LargeBinaryArray):
        return [0] * len(column)
    return [size or 0 for size in pc.binary_length(column).to_pylist()]


def _parse(line: bytes) -> dict[str, Any]:
    try:
        record = json.loads(line.decode("utf-8-sig"), parse_constant=_no_constant, object_pairs_hook=_no_repeats)
    except RecursionError as error:
        raise Rejected(Reason.BAD_ROW, "not JSON: nested too deeply") from error
    except ValueError as error:
        raise Rejected(Reason.BAD_ROW, f"not JSON: {error}") from error
    if not isinstance(record, dict):
        raise Rejected(Reason.BAD_ROW, f"not an object but {_kind(record)}")
    return record


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _no_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    record = dict(pairs)
    if len(record) != len(pairs):
        raise ValueError("an object names a key twice")
    return record


def _utf8(value: object, column: str) -> bytes:
    if not isinstance(value, str):
        raise Rejected(Reason.BAD_ROW, f"{column} is {_kind(value)}, not a text")
    try:
        return value.encode("utf-8")
    except UnicodeEncodeError as error:
        raise Rejected(Reason.BAD_ROW, f"{column} has a lone surrogate at character {error.start}") from error


def _kind(value: object) -> str:
    return "missing or null" if value is None else type(value).__name__
