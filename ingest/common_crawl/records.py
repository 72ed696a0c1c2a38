"""Single records of Common Crawl's WARC files, fetched by their places: many at a time, and never more than so many.

What does not come, or is not what the index says, is one reject with its place; the rest goes on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from io import BytesIO
from itertools import tee
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from millpond.errors import InputError
from millpond.ingest.common_crawl.index import Capture
from millpond.ingest.config import IngestConfig
from millpond.ingest.page import Rejected, Row, reject_row
from millpond.ingest.warc import record_row, target_of
from millpond.ingest.warc_records import Limits, Padding, WarcRecord, read_records
from millpond.patience import PATIENCE, Patience
from millpond.reasons import Reason
from millpond.remote import Range, read_ranges
from millpond.storage import is_url


class Share(NamedTuple):
    """What one task has of the limits of all of them."""

    connections: int
    """Records fetched at a time."""
    max_bytes: int
    """Bytes of records fetched, or being fetched, and not yet read; a larger record is alone in memory."""


def read_captures(
    captures: Iterable[Capture], config: IngestConfig, share: Share, patience: Patience = PATIENCE
) -> Iterator[Row]:
    """One row, a page or a reject, for each capture, in their order.

    Args:
        captures: what to fetch.
        config: where from, and what becomes a page.
        share: how many are fetched at a time; no more than twice as many are in memory.
        patience: how long a failing fetch is repeated.
    """
    ahead, captures = tee(captures)
    wanted = (
        Range(_address(_file(capture, config)), capture.offset, capture.length)
        for capture in ahead
        if _unfit(capture, config) is None
    )
    fetched = read_ranges(wanted, share.connections, patience, share.max_bytes)
    for capture in captures:
        file = _file(capture, config)
        try:
            if unfit := _unfit(capture, config):
                raise unfit
            _, data = next(fetched)
            record = _record(capture, file, data, config)
        except Rejected as problem:
            yield (
                "reject",
                reject_row(
                    file=file,
                    reason=problem.reason,
                    detail=problem.detail,
                    crawl=config.crawl,
                    offset=capture.offset,
                    length=capture.length,
                    url=capture.url,
                ),
            )
        else:
            yield record_row(file, record, config.warc, config.crawl)


def _file(capture: Capture, config: IngestConfig) -> str:
    folder = config.common_crawl.data.rstrip("/")
    return f"{folder if is_url(folder) else Path(folder).absolute()}/{capture.file}"


def _address(file: str) -> str:
    return file if is_url(file) else f"file://{file}"


def _unfit(capture: Capture, config: IngestConfig) -> Rejected | None:
    """Why a capture is not asked for; an index is input as other files are."""
    place = PurePosixPath(capture.file or "/")
    if place.is_absolute() or ".." in place.parts or "://" in capture.file:
        return Rejected(Reason.BAD_ROW, "the index names a file outside of the snapshot")
    if capture.offset is None or capture.length is None or capture.offset < 0 or capture.length <= 0:
        return Rejected(Reason.BAD_ROW, "the index names no place in the file")
    if capture.length > config.warc.max_record_bytes:
        return Rejected(Reason.TOO_LARGE, f"limit {config.warc.max_record_bytes} bytes")
    return None


def _record(capture: Capture, file: str, data: bytes | InputError, config: IngestConfig) -> WarcRecord:
    """The one record that was fetched, with its place in its file."""
    if isinstance(data, InputError):
        raise Rejected(Reason.FETCH_FAILED, str(data)) from data
    limits = Limits(config.warc.max_header_bytes, config.warc.max_record_bytes)
    found = [item for item in read_records(BytesIO(data), file, limits) if not isinstance(item, Padding)]
    if len(found) != 1 or not isinstance(found[0], WarcRecord):
        said = next((item.detail for item in found if not isinstance(item, WarcRecord)), f"{len(found)} records")
        raise Rejected(Reason.DAMAGED, f"not one record: {said}")
    if (target := target_of(found[0])) != capture.url:
        raise Rejected(Reason.DAMAGED, f"the record here is of {target}")
    return found[0]._replace(offset=capture.offset, length=capture.length)
