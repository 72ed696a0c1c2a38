"""Which records of a Common Crawl snapshot are wanted, by its columnar index.

The index is Parquet, one row a capture, sorted by `url_surtkey` (the host's labels backwards, then the path), as
Common Crawl publishes it under `cc-index/table/cc-main/warc/`. Only the row groups that may hold a wanted host are
read, and of these only the columns that decide and point.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Sequence
from typing import BinaryIO, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from millpond.errors import InputError
from millpond.ingest.config import CommonCrawlConfig
from millpond.ingest.page import registered_domain
from millpond.splits import row_groups

_KEY, _HOST, _DOMAIN = "url_surtkey", "url_host_name", "url_host_registered_domain"
_STATUS, _LANGUAGES = "fetch_status", "content_languages"
_STATED, _DETECTED = "content_mime_type", "content_mime_detected"
_PLACE = ("url", "warc_filename", "warc_record_offset", "warc_record_length")
_WWW = re.compile(r"^www\d*\.")
_BATCH_ROWS = 1 << 16


class Capture(NamedTuple):
    """One record: what it is of and where it lies."""

    url: str
    file: str
    offset: int
    length: int


def captures(file: BinaryIO, name: str, config: CommonCrawlConfig, start: int, end: int) -> Iterator[Capture]:
    """The wanted captures of those row groups of an index file that begin in bytes `start` to `end`, in its order.

    Raises:
        InputError: the file is no Parquet or damaged, or lacks a column that is selected by.
    """
    try:
        table = pq.ParquetFile(file, pre_buffer=False)
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{name}: not a readable Parquet file: {error}") from error
    columns = [*_PLACE, *_deciding(config)]
    missing = [column for column in columns if column not in table.schema_arrow.names]
    if missing:
        raise InputError(f"{name}: no index of Common Crawl: it has no column {', '.join(missing)}")
    ranges = _key_ranges(config)
    try:
        for number in row_groups(table.metadata, start, end):
            if _may_hold(table.metadata.row_group(number), ranges):
                for batch in table.iter_batches(_BATCH_ROWS, [number], columns, use_threads=False):
                    chosen = batch.filter(_wanted(batch, config)).select(_PLACE)
                    yield from map(Capture, *(column.to_pylist() for column in chosen.columns))
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise InputError(f"{name}: damaged, or no index of Common Crawl: {error}") from error


def _deciding(config: CommonCrawlConfig) -> list[str]:
    """The columns that the configuration selects by."""
    needed = {
        _HOST: config.hosts,
        _DOMAIN: config.domains,
        _LANGUAGES: config.languages,
        _STATED: config.media_types,
        _DETECTED: config.media_types,
        _STATUS: config.statuses,
    }
    return [column for column, wanted in needed.items() if wanted]


def _wanted(batch: pa.RecordBatch, config: CommonCrawlConfig) -> pa.Array:
    """True for the wanted rows; a value that is not there is not wanted."""
    places: pa.Array = pa.scalar(not (config.hosts or config.domains))
    for column, names in ((_HOST, config.hosts), (_DOMAIN, config.domains)):
        if names:
            places = pc.or_(places, _in(batch.column(column), names))
    tests = [places]
    if config.languages:
        # Up to three, the most likely one first.
        first = pc.list_element(pc.split_pattern(pc.fill_null(batch.column(_LANGUAGES), ""), ",", max_splits=1), 0)
        tests.append(_in(first, config.languages))
    if config.media_types:
        tests.append(_in(pc.coalesce(batch.column(_DETECTED), batch.column(_STATED)), config.media_types))
    if config.statuses:
        tests.append(_in(batch.column(_STATUS), config.statuses))
    rows: pa.Array = pa.array([True] * len(batch))
    for test in tests:
        rows = pc.and_(rows, test)
    return rows


def _in(column: pa.Array, values: Sequence[str | int]) -> pa.Array:
    return pc.is_in(column, pa.array(values, column.type))


def _key_ranges(config: CommonCrawlConfig) -> list[tuple[str, str]] | None:
    """Ranges of `url_surtkey` outside of which nothing is wanted; None where it may be anywhere."""
    # The key leaves a leading www out.
    domains = {*config.domains, *(registered_domain(_WWW.sub("", host)) for host in config.hosts)}
    if not domains or any(map(_is_address, domains)):
        return None
    keys = [",".join(reversed(domain.split("."))) for domain in domains]
    return [(key, key[:-1] + chr(ord(key[-1]) + 1)) for key in keys]


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _may_hold(group: pq.RowGroupMetaData, ranges: Sequence[tuple[str, str]] | None) -> bool:
    if ranges is None:
        return True
    for number in range(group.num_columns):
        column = group.column(number)
        if column.path_in_schema == _KEY and column.statistics is not None and column.statistics.has_min_max:
            least, most = column.statistics.min, column.statistics.max
            return any(first <= most and least < end for first, end in ranges)
    return True
