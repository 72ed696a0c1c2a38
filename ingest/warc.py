"""WARC files → pages and counted rejects.

Inputs: paths or glob patterns of `.warc` files, plain or compressed with gzip, bzip2 or Zstandard.
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

from millpond.errors import InputError
from millpond.ingest import charset
from millpond.ingest.config import WarcConfig
from millpond.ingest.http_body import decode_body, parse_content_type
from millpond.ingest.members import MemberStream, StreamDamage
from millpond.ingest.page import Rejected, Row, address_of, page_row, parse_instant, reject_row
from millpond.ingest.warc_records import MAGIC, Damage, WarcRecord, read_records
from millpond.inputs import open_input
from millpond.reasons import Reason

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
    path: str,
    config: WarcConfig,
    *,
    crawl: str | None = None,
    opener: Callable[[str], BinaryIO] = open_input,
) -> Iterator[Row]:
    """Read one WARC file; the last row is the file's own, with the records (and damaged ranges) found in it.

    Raises:
        InputError: the file is missing, empty or no WARC file.
    """
    with opener(path) as file:
        stream = MemberStream(file, path, barrier=MAGIC)
        _refuse_foreign(stream, path)
        found = 0
        others: Counter[str] = Counter()
        for item in read_records(
            stream,
            max_header_bytes=config.max_header_bytes,
            max_block_bytes=config.max_record_bytes,
            wanted=config.record_types.__contains__,
        ):
            found += 1
            if isinstance(item, Damage):
                yield "reject", _reject(path, item, None, Reason.DAMAGED, item.detail, crawl)
            elif item.kind in config.record_types:
                yield _page_or_reject(path, item, config, crawl)
            else:
                others[item.kind[:40]] += 1
        for kind, records in sorted(others.items()):
            detail = f"{kind} record"
            yield (
                "reject",
                reject_row(file=path, reason=Reason.NOT_A_PAGE, detail=detail, crawl=crawl, records=records),
            )
        if not found:
            raise InputError(f"{path}: holds no records")
        yield "file", {"file": path, "records": found, "bytes": stream.size}


def _refuse_foreign(stream: MemberStream, path: str) -> None:
    if stream.size == 0:
        raise InputError(f"{path}: holds no records: the file is empty")
    try:
        if stream.cross():
            stream.skip_newlines()
    except StreamDamage:
        return  # read_records meets it again and reports the range
    head = stream.peek(len(MAGIC))
    if head and head.upper() != MAGIC:
        raise InputError(f"{path}: not a WARC file: it begins with {stream.peek(24)!r}")


def _page_or_reject(path: str, record: WarcRecord, config: WarcConfig, crawl: str | None) -> Row:
    target = record.headers.get("warc-target-uri", "").removeprefix("<").removesuffix(">").strip()
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
        return "reject", _reject(path, record, target or None, problem.reason, problem.detail, crawl)
    return "page", page_row(
        url=url,
        fetched_at=parse_instant(record.headers.get("warc-date", "")),
        crawl=crawl,
        source_file=path,
        source_offset=record.offset,
        source_length=record.length,
        **fields,
    )


def _page_fields(record: WarcRecord, block: bytes, url: str, config: WarcConfig) -> dict[str, Any]:
    """Status, media type, charset and body of the page a record holds."""
    scheme = url.partition(":")[0]
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
    path: str, place: WarcRecord | Damage, url: str | None, reason: Reason, detail: str, crawl: str | None
) -> dict[str, Any]:
    if not place.whole_member:  # several records share this offset
        detail = f"{detail} (at inflated byte {place.position})"
    return reject_row(
        file=path,
        reason=reason,
        detail=detail,
        crawl=crawl,
        offset=place.offset,
        length=place.length,
        url=url,
    )
