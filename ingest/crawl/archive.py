"""Answers as WARC records (ISO 28500, version 1.1), each a gzip member of its own, and back.

A record holds the status line, the headers as they came and the body as it came, its content encoding undisturbed.
Only the transfer encoding is undone by the HTTP client: its header is kept as `X-Crawler-Transfer-Encoding`, the name
other crawlers use, and Content-Length is made to fit the body.
"""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from urllib.parse import urlsplit

from warcio.archiveiterator import ArchiveIterator
from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

from millpond import durable, storage
from millpond.ingest.crawl.fetch import Answer, Headers

_UNDONE = ("transfer-encoding", "content-length")
_KEPT_AS = "X-Crawler-"
_VERSION = "1.1"


def info_record(name: str, about: dict[str, str]) -> bytes:
    """The `warcinfo` record of a file."""
    out = BytesIO()
    writer = WARCWriter(out, gzip=True, warc_version=_VERSION)
    writer.write_record(writer.create_warcinfo_record(name, about))
    return out.getvalue()


def answer_records(answer: Answer, sent: Headers) -> tuple[memoryview, int]:
    """The `response` record of an answer, its `request` record behind it, and how long the first one is."""
    out = BytesIO()
    writer = WARCWriter(out, gzip=True, warc_version=_VERSION)
    extra = {"WARC-Date": _instant(answer.fetched_at)}
    if answer.ip:
        extra["WARC-IP-Address"] = answer.ip
    if answer.truncated:
        extra["WARC-Truncated"] = answer.truncated
    status = f"{answer.status} {answer.phrase}".rstrip()
    head = StatusAndHeaders(status, _consistent(answer), protocol="HTTP/1.1")
    response = writer.create_warc_record(
        answer.url,
        "response",
        payload=BytesIO(answer.body),
        length=len(answer.body),
        http_headers=head,
        warc_headers_dict=extra,
    )
    writer.write_record(response)
    length = out.tell()
    parts = urlsplit(answer.url)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    request = writer.create_warc_record(
        answer.url,
        "request",
        http_headers=StatusAndHeaders(f"GET {target} HTTP/1.1", [("Host", parts.netloc), *sent], is_http_request=True),
        warc_headers_dict={
            "WARC-Date": extra["WARC-Date"],
            "WARC-Concurrent-To": response.rec_headers.get_header("WARC-Record-ID"),
        },
    )
    writer.write_record(request)
    return out.getbuffer(), length


def _consistent(answer: Answer) -> list[tuple[str, str]]:
    kept = [(_KEPT_AS + name if name.lower() in _UNDONE else name, value) for name, value in answer.headers]
    return [*kept, ("Content-Length", str(len(answer.body)))]


def _as_it_came(name: str) -> str:
    bare = name.removeprefix(_KEPT_AS)
    return bare if bare.lower() in _UNDONE else name


def read_answer(data: bytes | memoryview) -> Answer:
    """The answer that a `response` record holds."""
    for record in ArchiveIterator(BytesIO(data)):
        head = record.http_headers
        status, _, phrase = head.statusline.partition(" ")
        headers = [(name, value) for name, value in head.headers if name.lower() != "content-length"]
        return Answer(
            url=record.rec_headers.get_header("WARC-Target-URI"),
            status=int(status),
            phrase=phrase,
            headers=tuple((_as_it_came(name), value) for name, value in headers),
            body=record.raw_stream.read(),
            fetched_at=datetime.fromisoformat(record.rec_headers.get_header("WARC-Date")),
            ip=record.rec_headers.get_header("WARC-IP-Address"),
            truncated=record.rec_headers.get_header("WARC-Truncated"),
        )
    raise ValueError("no record")


def _instant(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def absolute(place: str) -> str:
    """A folder or URL as every process and every later day knows it: a local one without links or relative parts."""
    if storage.is_url(place) and not place.startswith("file://"):
        return place.rstrip("/")
    return str(Path(place.removeprefix("file://")).resolve())


def has_copy(local: Path, place: str) -> bool:
    """Whether a finished file lies at a place, a path or a URL, as whole as here; the file itself is no copy."""
    if _is_same(local, place):
        return False
    try:
        return storage.size(place) == local.stat().st_size
    except FileNotFoundError:
        return False


def put(local: Path, place: str) -> None:
    """Put a finished file to its place, a path or a URL, as a whole; where it lies there already, nothing is done."""
    if _is_same(local, place) or has_copy(local, place):
        return
    if storage.is_url(place):
        _copy(local, place)
        return
    partial = durable.temporary(Path(place))
    try:
        _copy(local, str(partial))
        durable.commit(partial, Path(place))
    finally:
        partial.unlink(missing_ok=True)


def _is_same(local: Path, place: str) -> bool:
    return not storage.is_url(place) and Path(place).exists() and local.samefile(place)


def _copy(local: Path, place: str) -> None:
    with local.open("rb") as source, storage.create(place) as target:
        shutil.copyfileobj(source, target, 1 << 20)
        storage.settle(target)
