"""WARC files → pages and counted rejects.

Inputs: WARC (0.17 to 1.1) and ARC files, plain or compressed with gzip, bzip2, Zstandard or LZ4, and WACZ files.
Output: tagged rows, see `millpond.ingest.page`. An HTTP response with status 200 and an accepted media type
becomes a page, as does a `resource` or `conversion` record. Everything else is counted: records of other
types once per file and type, damage as a range of bytes, the rest record by record.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

from resiliparse.parse.encoding import detect_mime

from millpond.ingest import charset
from millpond.ingest.config import WarcConfig
from millpond.ingest.http_body import decode_body, parse_content_type
from millpond.ingest.page import Rejected, Row, address_of, page_row, parse_instant, reject_row
from millpond.ingest.parts import Part, archives
from millpond.ingest.revisits import describe, stated_digest
from millpond.ingest.warc_records import Archive, Damage, Limits, Padding, WarcRecord
from millpond.ingest.window import Window
from millpond.inputs import open_input
from millpond.reasons import Reason
from millpond.remote import read_until

_PAGE_SCHEMES = ("http", "https", "ftp", "file")
_BLANK_LINE = re.compile(rb"\r?\n\r?\n")
_STATUS_LINE = re.compile(rb"HTTP/\d(?:\.\d)?[ \t]+(\d{3})(?!\d)")
_DIGESTS = {
    "sha1": "sha1",
    "sha-1": "sha1",
    "sha256": "sha256",
    "sha-256": "sha256",
    "sha512": "sha512",
    "md5": "md5",
}
_SNIFF_BYTES = 4096


def read_warc(
    path: str, config: WarcConfig, *, crawl: str | None = None, opener: Callable[[str], BinaryIO] = open_input
) -> Iterator[Row]:
    """Rows of a whole WARC or ARC file, or of all those in a WACZ file.

    Raises:
        InputError: the file is missing or may not be read.
    """
    with opener(path) as file:
        for part in archives(file, path):
            yield from read_part(file, part, config, crawl=crawl)


def read_part(file: BinaryIO, part: Part, config: WarcConfig, *, crawl: str | None = None) -> Iterator[Row]:
    """Rows of one part of a file.

    The rows `kinds` count what is no page by type; the last row, `file`, is the part's own, with the records
    (and damaged ranges) found in it, its bytes, where its records `began` and `ended` in the file and `until` where
    they were expected to go. Nothing begins in a part (`began` is None) that lies inside a member. Its bytes are the
    lengths of all rows, those of `padding` between records, and those of members `shared` by several records, none
    of which has a length of its own.
    """
    if part.refused:
        nothing = Damage(part.begin, part.end - part.begin, 0, part.refused)
        yield "reject", _reject(part.name, nothing, None, Reason.DAMAGED, nothing.detail, crawl)
        yield "file", {**_file(part, 1, part.begin, part.end, part.end), "padding": 0, "shared": 0}
        return
    if not part.exact:
        read_until(file, 0)  # where it lies is told by a few bytes at several places
    archive = Archive(
        Window(file, part.begin, part.end),
        part.name,
        Limits(config.max_header_bytes, config.max_record_bytes),
        config.record_types.__contains__,
    )
    found = 0
    others: Counter[str] = Counter()
    lengths: Counter[str] = Counter()
    padding = shared = 0
    member: int | None = None
    began, until = part.bounds(archive)
    read_until(file, until)
    ended = began
    if began is not None:
        items = archive.records(began, until)
        while True:
            try:
                item = next(items)
            except StopIteration as stop:
                ended = stop.value
                break
            if member is not None and item.offset != member:
                shared, member = shared + item.offset - member, None
            if isinstance(item, Padding):
                padding += item.length
                continue
            found += 1
            if item.length is None:
                member = item.offset
            if isinstance(item, Damage):
                member = None  # of the member that it damages it has all bytes
                yield "reject", _reject(part.name, item, None, Reason.DAMAGED, item.detail, crawl)
            elif item.kind == "revisit":
                uri, detail = target_of(item), describe(item.headers)
                yield "reject", _reject(part.name, item, uri, Reason.REVISIT_UNRESOLVED, detail, crawl)
            elif item.kind in config.record_types:
                yield record_row(part.name, item, config, crawl)
            else:
                others[item.kind[:40]] += 1
                lengths[item.kind[:40]] += item.length or 0
        if not found and (began, ended) == (part.begin, part.end):
            found, padding = 1, 0
            nothing = Damage(part.begin, part.end - part.begin, 0, "holds no records")
            yield "reject", _reject(part.name, nothing, None, Reason.DAMAGED, nothing.detail, crawl)
    for kind, records in sorted(others.items()):
        detail = f"{kind} record"
        row = reject_row(
            file=part.name,
            reason=Reason.NOT_A_PAGE,
            detail=detail,
            crawl=crawl,
            length=lengths[kind],
            records=records,
        )
        yield "kinds", row
    if member is not None and ended is not None:
        shared += ended - member
    yield "file", {**_file(part, found, began, ended, until), "padding": padding, "shared": shared}


def _file(part: Part, records: int, began: int | None, ended: int | None, until: int) -> dict[str, Any]:
    size = 0 if began is None or ended is None else ended - began
    return {"file": part.name, "records": records, "bytes": size, "began": began, "ended": ended, "until": until}


def record_row(name: str, record: WarcRecord, config: WarcConfig, crawl: str | None) -> Row:
    """The page that a record of the file `name` holds, or the reject that says why it holds none."""
    target = target_of(record)
    try:
        url = address_of(target)
        if url is None:
            lack = f"a scheme in WARC-Target-URI {target[:40]!r}" if target else "WARC-Target-URI"
            raise Rejected(Reason.NOT_A_PAGE, f"{record.kind} record without {lack}")
        if record.block is None:
            detail = f"record of {record.size} bytes, limit {config.max_record_bytes}"
            raise Rejected(Reason.TOO_LARGE, detail)
        fields = _page_fields(record, record.block, url, config)
    except Rejected as problem:
        return "reject", _reject(name, record, target, problem.reason, problem.detail, crawl)
    return "page", page_row(
        url=url,
        fetched_at=parse_instant(record.headers.get("warc-date", "")),
        crawl=crawl,
        source_file=name,
        source_offset=record.offset,
        source_length=record.length,
        stated_digest=stated_digest(record.headers),
        **fields,
    )


def target_of(record: WarcRecord) -> str:
    """What a record is of, as it says."""
    return record.headers.get("warc-target-uri", "").removeprefix("<").removesuffix(">").strip()


def _page_fields(record: WarcRecord, block: bytes, url: str, config: WarcConfig) -> dict[str, Any]:
    """Status, media type, charset and body of the page a record holds."""
    scheme, _, rest = url.partition(":")
    if scheme not in _PAGE_SCHEMES:
        raise Rejected(Reason.NOT_A_PAGE, f"{scheme[:40]}: address")
    if "warc-segment-number" in record.headers:
        raise Rejected(Reason.NOT_A_PAGE, "one segment of a record in several")
    if config.verify_digests:
        _check_digest(record.headers.get("warc-block-digest", ""), block)
    status, body, headers = None, block, {"content-type": [record.headers.get("content-type", "")]}
    if record.kind == "response":
        status, headers, body = _parse_http(block, config.max_header_bytes)
        if status != 200:
            raise Rejected(Reason.HTTP_STATUS, str(status))
    if rest.removeprefix("//").partition("/")[2] == "robots.txt":  # archives of crawls keep them
        raise Rejected(Reason.NOT_A_PAGE, "robots.txt")
    media_type, label = parse_content_type(next(iter(headers.get("content-type", ())), None))
    if media_type and media_type not in config.media_types:
        raise Rejected(Reason.NOT_A_PAGE, media_type)
    body = decode_body(
        body,
        transfer_encoding=",".join(headers.get("transfer-encoding", ())),
        content_encoding=",".join(headers.get("content-encoding", ())),
        limit=config.max_body_bytes,
    )
    if not media_type:
        media_type = detect_mime(body[:_SNIFF_BYTES])
        if media_type not in config.media_types:
            raise Rejected(Reason.NOT_A_PAGE, f"no Content-Type; looks like {media_type}")
    return {
        "status": status,
        "content_type": media_type,
        "charset": charset.decide(body, label),
        "body": body,
    }


def _parse_http(block: bytes, limit: int) -> tuple[int, dict[str, list[str]], bytes]:
    """Status, headers (lists of values by name in lower case) and payload of an HTTP response."""
    status = _STATUS_LINE.match(block)
    if not status:
        raise Rejected(Reason.NOT_A_PAGE, "response record without an HTTP status line")
    blank = _BLANK_LINE.search(block, 0, limit)
    if not blank and len(block) > limit:
        raise Rejected(Reason.TOO_LARGE, f"HTTP header of more than {limit} bytes")
    head, payload = (block[: blank.start()], block[blank.end() :]) if blank else (block, b"")
    headers: dict[str, list[str]] = {}
    for line in head.split(b"\n")[1:]:
        name, colon, value = line.decode("latin-1").partition(":")
        if colon:
            headers.setdefault(name.strip().lower(), []).append(value.strip())
    return int(status[1]), headers, payload


def _check_digest(header: str, block: bytes) -> None:
    """Compare a block with its `algorithm:value` digest, hexadecimal or base 32; others are not judged."""
    algorithm, _, value = header.partition(":")
    name = _DIGESTS.get(algorithm.strip().lower())
    if name is None:
        return
    digest = hashlib.new(name, block, usedforsecurity=False).digest()
    value = value.strip()
    try:
        stated = bytes.fromhex(value) if len(value) == 2 * len(digest) else base64.b32decode(value.upper())
    except (ValueError, binascii.Error):
        return
    if len(stated) == len(digest) and stated != digest:
        raise Rejected(Reason.DAMAGED, f"WARC-Block-Digest {algorithm} does not fit the block")


def _reject(
    name: str, place: WarcRecord | Damage, url: str | None, reason: Reason, detail: str, crawl: str | None
) -> dict[str, Any]:
    if place.position:  # several records share this offset
        detail = f"{detail} (at byte {place.position} of its member)"
    return reject_row(
        file=name,
        reason=reason,
        detail=detail,
        crawl=crawl,
        offset=place.offset,
        length=place.length,
        url=url or None,
    )
