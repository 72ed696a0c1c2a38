"""WARC records as they lie in a file, and the ranges where there are none.

Records are framed here and not by a library, because libraries stop at damage without a word, return short
bodies and let a record with a false length swallow those behind it. Every byte of the file belongs to a
record or to a `Damage`. Behind a record that is broken while its compressed members are whole, reading goes
on at the next member that begins with a record; behind a member that cannot be inflated, and behind a broken
record of a plain file, the rest of the file is damage.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from millpond.ingest.members import MemberStream, StreamDamage

#: What every record begins with; a compressed member that does so begins a record.
MAGIC = b"WARC/"

_VERSION = re.compile(rb"WARC/\d+\.\d+[ \t]*\r?\n", re.I)
_LENGTH = re.compile(r"\d{1,18}")


@dataclass(frozen=True, slots=True)
class WarcRecord:
    """One record: its place in the file, its headers and its block."""

    offset: int
    """First byte in the file; of the member it begins in, where compressed."""
    length: int | None
    """Bytes in the file up to the next record; None where it shares a compressed member."""
    position: int
    """First byte in the inflated file."""
    whole_member: bool
    """Whether the record begins its member, so that `offset` is its alone."""
    headers: dict[str, str]
    """Values by name in lower case; of a repeated name the first."""
    size: int
    """Bytes of the block."""
    block: bytes | None
    """The block; None where it was not wanted or larger than the limit."""

    @property
    def kind(self) -> str:
        """The record's WARC-Type in lower case; `unknown` without one."""
        return self.headers.get("warc-type", "").lower() or "unknown"


@dataclass(frozen=True, slots=True)
class Damage:
    """A range of the file that gave no record."""

    offset: int
    length: int
    position: int
    whole_member: bool
    detail: str


class _Broken(Exception):
    """A record whose frame does not hold; the message says why."""


def read_records(
    stream: MemberStream, *, max_header_bytes: int, max_block_bytes: int, wanted: Callable[[str], bool]
) -> Iterator[WarcRecord | Damage]:
    """Every record and every damaged range of a file, in the file's order.

    Args:
        stream: the file, with `MAGIC` as its barrier.
        max_header_bytes: a longer header block is damage.
        max_block_bytes: a longer block is passed over and None.
        wanted: tells by record type whether to keep the block.
    """
    limits = _Limits(max_header_bytes, max_block_bytes, wanted)
    while True:
        try:
            if not _to_next_record(stream):
                return
        except StreamDamage as damage:
            yield _Place(damage.offset, stream.position, True).damage(stream.size, damage.detail)
            return
        place = _Place.of(stream)
        try:
            record = _read_record(stream, place, limits)
        except _Broken as broken:
            yield place.damage(_skip_damage(stream), str(broken))
        except StreamDamage as damage:
            yield place.damage(stream.size, damage.detail)
            return
        else:
            yield record


class _Limits(NamedTuple):
    header: int
    block: int
    wanted: Callable[[str], bool]


class _Place(NamedTuple):
    offset: int
    position: int
    whole_member: bool

    @classmethod
    def of(cls, stream: MemberStream) -> _Place:
        whole = not stream.compressed or stream.position == stream.member_position
        return cls(stream.offset, stream.position, whole)

    def damage(self, end: int, detail: str) -> Damage:
        return Damage(self.offset, end - self.offset, self.position, self.whole_member, detail)


def _to_next_record(stream: MemberStream) -> bool:
    while stream.cross():
        stream.skip_newlines()
        if stream.peek(1):
            return True
    return False


def _skip_damage(stream: MemberStream) -> int:
    """Go to the next member that begins with a record, or the end; return where that is in the file."""
    try:
        while not stream.at_barrier:
            stream.drop_member()
            if not stream.at_barrier and not stream.peek(1):
                return stream.size
    except StreamDamage as damage:
        return damage.offset  # where the next range of damage begins
    return stream.member_start


def _read_record(stream: MemberStream, place: _Place, limits: _Limits) -> WarcRecord:
    headers = _read_headers(stream, limits.header)
    size = _content_length(headers)
    if not stream.compressed and stream.position + size > stream.size:
        raise _Broken(f"Content-Length {size}, but the file ends {stream.size - stream.position} bytes on")
    first = {name: values[0] for name, values in headers.items()}
    keep = size <= limits.block and limits.wanted(first.get("warc-type", "").lower())
    block, got = stream.read_fully(size, keep)
    if got < size:
        raise _Broken(f"Content-Length {size}, but only {got} bytes until the next record or the end")
    lines = stream.skip_newlines()
    if not MAGIC.startswith(stream.peek(len(MAGIC)).upper()) and lines < 2:
        raise _Broken(f"Content-Length {size}, but data goes on behind it")
    end = stream.member_end() if stream.compressed else stream.position
    return WarcRecord(
        offset=place.offset,
        length=end - place.offset if end is not None and place.whole_member else None,
        position=place.position,
        whole_member=place.whole_member,
        headers=first,
        size=size,
        block=block if keep else None,
    )


def _read_headers(stream: MemberStream, limit: int) -> dict[str, list[str]]:
    version = stream.readline(limit)
    if not _VERSION.fullmatch(version):
        raise _Broken(f"no record begins here, but {version[:40]!r}")
    headers: dict[str, list[str]] = {}
    values: list[str] = []
    left = limit - len(version)
    while True:
        line = stream.readline(left)
        left -= len(line)
        if not line.endswith(b"\n"):
            raise _Broken(f"header of more than {limit} bytes" if left <= 0 else "the header is cut short")
        text = line.rstrip(b"\r\n").decode("utf-8", "replace")
        if not text:
            return headers
        if text[0] in " \t" and values:  # a folded line goes on with the value before it
            values[-1] = f"{values[-1]} {text.strip()}".strip()
            continue
        name, colon, value = text.partition(":")
        if colon:
            values = headers.setdefault(name.strip().lower(), [])
            values.append(value.strip())


def _content_length(headers: dict[str, list[str]]) -> int:
    values = set(headers.get("content-length", ()))
    if len(values) != 1:
        raise _Broken("Content-Length is missing" if not values else "Content-Length has several values")
    value = values.pop()
    if not _LENGTH.fullmatch(value):
        raise _Broken(f"Content-Length {value[:40]!r} is not a length")
    return int(value)
