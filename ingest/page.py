"""Rows of `web.pages` and `web.rejects`, and the Arrow batches made of them.

Readers yield tagged rows: `("page", …)`, `("reject", …)`, `("kinds", …)` (a reject that counts records by type),
`("frontier", …)` and last one `("file", …)` with `file`, `records` and `bytes`. For every reader holds: `records`
of the file row, counted where records are found, equals the pages plus the sum of `records` over the rejects.
"""

from __future__ import annotations

import hashlib
import ipaddress
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache, lru_cache
from typing import Any
from urllib.parse import urlsplit

import pyarrow as pa
from publicsuffixlist import PublicSuffixList

from millpond.reasons import Reason

#: A tag and a row; see the module's docstring.
Row = tuple[str, dict[str, Any]]

_DETAIL_CHARS = 300
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")


class Rejected(Exception):
    """What was found gives no page: the reason and a detail for its reject."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


def page_row(
    *,
    url: str,
    fetched_at: datetime | None,
    status: int | None,
    content_type: str | None,
    body: bytes,
    charset: str | None,
    crawl: str | None,
    source_file: str,
    source_offset: int,
    source_length: int | None,
    stated_digest: str | None = None,
) -> dict[str, Any]:
    """One row of `web.pages`; its id is a digest of the address, the fetch time and the payload digest."""
    digest = hashlib.sha256(body).hexdigest()
    fetched = fetched_at.isoformat() if fetched_at else ""
    host = host_of(url)
    return {
        "page_id": hashlib.sha256(f"{url}\n{fetched}\n{digest}".encode()).hexdigest()[:32],
        "url": url,
        "host": host,
        "registered_domain": registered_domain(host) if host else None,
        "fetched_at": fetched_at,
        "status": status,
        "content_type": content_type,
        "charset": charset,
        "body": body,
        "payload_digest": digest,
        "crawl": crawl,
        "source_file": source_file,
        "source_offset": source_offset,
        "source_length": source_length,
        "stated_digest": stated_digest,
    }


def reject_row(
    *,
    file: str,
    reason: Reason,
    detail: str,
    crawl: str | None,
    offset: int | None = None,
    length: int | None = None,
    url: str | None = None,
    records: int = 1,
) -> dict[str, Any]:
    """One row of `web.rejects`, standing for `records` records; the detail is cut to 300 characters."""
    return {
        "file": file,
        "offset": offset,
        "length": length,
        "url": None if url is None else clean_text(url),
        "reason": str(reason),
        "detail": clean_text(detail[:_DETAIL_CHARS]),
        "records": records,
        "crawl": crawl,
    }


def address_of(text: str) -> str | None:
    """`text` without white space around it and its scheme in lower case; None where it has no scheme."""
    text = text.strip()
    scheme = _SCHEME.match(text)
    return scheme[0].lower() + text[scheme.end() :] if scheme else None


def parse_instant(value: str) -> datetime | None:
    """An ISO 8601 instant in UTC, its zone where it names none; None where it is none."""
    try:
        return to_utc(datetime.fromisoformat(value.strip()))
    except ValueError:
        return None


def to_utc(instant: datetime) -> datetime | None:
    """`instant` in UTC, its zone where it names none; None where that is before year 1 or after 9999."""
    try:
        return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
    except OverflowError:
        return None


def clean_text(text: str) -> str:
    """`text` with lone surrogates replaced, so that it can be stored as UTF-8."""
    return text.encode("utf-8", "replace").decode("utf-8")


def host_of(url: str) -> str | None:
    """Host name of an address in lower case, without port and user; None where it has none."""
    try:
        host = urlsplit(url).hostname
    except ValueError:  # an unclosed bracket, for one
        return None
    return host.rstrip(".") or None if host else None


@lru_cache(maxsize=4096)
def registered_domain(host: str) -> str:
    """The part of a host name its owner registered, by the public suffix list.

    An IP address, a name without a dot and a public suffix itself stand for themselves.
    """
    try:
        ipaddress.ip_address(host)
        return host
    except ValueError:
        return _suffixes().privatesuffix(host) or host


@cache
def _suffixes() -> PublicSuffixList:
    return PublicSuffixList()


class RowBatcher:
    """Gathers rows into Arrow batches of one fixed schema and about `target_bytes` bytes.

    The columns and their types are the schema's, never those of the rows seen first.
    """

    def __init__(self, schema: pa.Schema, target_bytes: int = 8 << 20) -> None:
        self.schema = schema
        self.target_bytes = target_bytes
        self._required = [field.name for field in schema if not field.nullable]
        self._names = set(schema.names)
        self._rows: list[Mapping[str, Any]] = []
        self._bytes = 0

    def add(self, row: Mapping[str, Any]) -> pa.RecordBatch | None:
        """Take a row; return a batch when it is full.

        Raises:
            ValueError: the row's columns are not the schema's, or a required one is null.
        """
        if row.keys() != self._names:
            raise ValueError(f"columns {sorted(row.keys() ^ self._names)} do not fit the schema")
        missing = [name for name in self._required if row[name] is None]
        if missing:
            raise ValueError(f"required columns {missing} are null")
        self._rows.append(row)
        self._bytes += sum(len(v) if isinstance(v, bytes | str) else 8 for v in row.values())
        return self.flush() if self._bytes >= self.target_bytes else None

    def flush(self) -> pa.RecordBatch | None:
        """The rows gathered so far as a batch; None where there are none."""
        if not self._rows:
            return None
        columns = [pa.array([row[f.name] for row in self._rows], type=f.type) for f in self.schema]
        self._rows, self._bytes = [], 0
        return pa.RecordBatch.from_arrays(columns, schema=self.schema)
