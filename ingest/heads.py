"""Heads of records: those of WARC 0.17 to 1.1, and the one line of ARC 1 and 2.

An ARC record is read as the WARC record it would be: a response, or for the file's own first record a warcinfo.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

_VERSION = re.compile(rb"WARC/\d+\.\d+[ \t]*\r?\n", re.I)
_ARC_LINE = re.compile(rb"([A-Za-z][A-Za-z0-9+.-]*:.*?) (\S+) (\d{8,18}) (?:(.*) )?(\S+)\r?\n?")


class BadHead(Exception):
    """A head that cannot be read; the message says why."""


class Head(NamedTuple):
    """What the head of a record says."""

    headers: dict[str, str]
    """Values by name in lower case; of a repeated name the first."""
    size: int
    """Bytes of the block."""


class Format(NamedTuple):
    """An archive format."""

    name: str
    begins: re.Pattern[bytes]
    """What a record begins with, told by its first line."""
    line: re.Pattern[bytes]
    """A whole first line, as it is looked for in bytes one knows nothing of."""
    end: re.Pattern[bytes]
    """Ends a head."""
    parse: Callable[[bytes], Head]
    """Read a head.

    Raises:
        BadHead: it is none.
    """
    newlines: int
    """Line feeds that end a record."""


def _parse_warc(head: bytes) -> Head:
    version = _VERSION.match(head)
    if not version:
        raise BadHead(f"no record begins here, but {head[:40]!r}")
    text = head[version.end() :].decode("utf-8", "replace")
    headers = _simple_fields(text) or _fields(text)
    if "content-length" not in headers:
        raise BadHead("Content-Length is missing")
    return Head(headers, _length(headers["content-length"], "Content-Length"))


def _simple_fields(text: str) -> dict[str, str] | None:
    """Fields of a head in the form that nearly all have: `Name: value`, CR LF, no name twice; None for others."""
    lines = text.split("\r\n")[:-2]
    try:
        fields = {name.lower(): value for name, value in [line.split(": ", 1) for line in lines]}
    except ValueError:
        return None
    plain = len(fields) == len(lines) == text.count("\n") - 1 and "\r\n " not in text and "\t" not in text
    return fields if plain and "  " not in text and " \r" not in text and " :" not in text else None


def _fields(text: str) -> dict[str, str]:
    headers: dict[str, str] = {}
    last: str | None = None
    for line in text.split("\n"):
        if line[:1] in (" ", "\t"):  # a folded line goes on with the value before it
            if last is not None:
                headers[last] = f"{headers[last]} {line.strip()}".strip()
            continue
        name, colon, value = line.partition(":")
        last = None
        if not colon:
            continue
        name, value = name.strip().lower(), value.strip()
        if name not in headers:
            headers[name] = value
            last = name
        elif name == "content-length" and headers[name] != value:
            raise BadHead("Content-Length has several values")
    return headers


def _parse_arc(head: bytes) -> Head:
    line = _ARC_LINE.fullmatch(head)
    if not line:
        raise BadHead(f"no record begins here, but {head[:40]!r}")
    url, address, date, rest, length = (part.decode("utf-8", "replace") for part in line.groups(b""))
    media_type = rest.partition(" ")[0]
    http = url[:5].lower() in ("http:", "https")
    headers = {
        "warc-type": "warcinfo" if url.startswith("filedesc:") else "response",
        "warc-target-uri": url,
        "warc-ip-address": address,
        "warc-date": f"{date[:4]}-{date[4:6]}-{date[6:8]}T{date[8:10]}:{date[10:12]}:{date[12:14]}Z",
        "content-type": "application/http; msgtype=response" if http else media_type,
        "content-length": length,
    }
    return Head(headers, _length(length, "archive-length"))


def _length(value: str, name: str) -> int:
    if len(value) <= 18 and value.isascii() and value.isdecimal():
        return int(value)
    raise BadHead(f"{name} {value[:40]!r} is not a length")


WARC = Format(
    "WARC",
    re.compile(rb"WARC/", re.I),
    re.compile(rb"^WARC/\d+\.\d+[ \t]*\r?\n", re.I | re.M),
    re.compile(rb"\n\r?\n"),
    _parse_warc,
    2,
)
_ARC_BEGINS = rb"[A-Za-z][A-Za-z0-9+.-]{0,15}:[^\r\n]* \S+ \d{8,18} [^\r\n]*"
ARC = Format(
    "ARC",
    re.compile(_ARC_BEGINS),
    re.compile(rb"^" + _ARC_BEGINS + rb"\d\r?\n", re.M),
    re.compile(rb"\n"),
    _parse_arc,
    1,
)
