"""Deciding how the bytes of a page become characters.

The order is the WHATWG's: byte order mark, HTTP header, a declaration in the first 1024 bytes; then what a
browser leaves to its user is decided from the bytes: the escapes of ISO-2022, valid UTF-8, a late declaration
(browsers heed one too), a detector, both on the first 64 KiB, windows-1252. Always a decision, never an
exception.

A browser believes the header whatever the bytes say. Here it is passed over where they refute it, since many servers
give all pages one label: UTF-8 that is none, another label on valid UTF-8, and `iso-8859-1`, the oldest default,
on a page that declares something else or is no Western text.

The name returned is one of Python's codecs, the widest that WHATWG's label stands for (`gb2312` is read as
gb18030, `shift_jis` as cp932, `latin1` as windows-1252): `body.decode(name, "replace")` gives the text. Where
the body begins with a byte order mark the codec is one that removes it (`utf-8-sig`, `utf-16`).
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator

from resiliparse.parse.encoding import detect_encoding, map_encoding_to_html5

_PRESCAN_BYTES = 1024
_DETECT_BYTES = 1 << 16
_FALLBACK = "windows-1252"
#: More letters of a Western text are without accents than one in so many.
_ACCENTED_MOST = 4
#: Signs that a Western text does not have inside words; letters of Central Europe are read as them.
_INSIDE_WORDS = re.compile("[^\\W\\d_][¡¢£¥¦§¨©¬®¯±²³¶¸¹¼½¾¿][^\\W\\d_]")
#: Code pages of DOS, which the detector takes some Western texts for.
_NOT_OF_THE_WEB = ("cp437", "cp850", "cp852", "cp865")

#: Python codec (normalised) → the codec that reads what browsers read under that name.
_WIDER = {
    "cp1252": "windows-1252",
    "cp1254": "windows-1254",
    "ascii": "windows-1252",
    "iso8859-1": "windows-1252",
    "iso8859-9": "windows-1254",
    "iso8859-11": "cp874",
    "tis-620": "cp874",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "big5": "big5hkscs",
    "shift_jis": "cp932",
    "euc_kr": "cp949",
}
#: Labels of the WHATWG table that resiliparse does not know.
_LABELS = {
    "x-mac-cyrillic": "mac-cyrillic",
    "x-mac-ukrainian": "mac-cyrillic",
    "x-user-defined": "windows-1252",
}

_SPACE = b"\t\n\x0c\r "
_XML_DECLARATION = re.compile(rb"<\?xml[^>]*?encoding[\x00-\x20]*=[\x00-\x20]*(['\"])([^'\">]*)\1[^>]*>")
_CHARSET = re.compile(
    r"charset[\t\n\f\r ]*=[\t\n\f\r ]*(\"([^\"]*)\"|'([^']*)'|([^\"'\t\n\f\r ;][^\t\n\f\r ;]*))", re.I
)


def decide(body: bytes, http_charset: str | None) -> str:
    """Name of the Python codec to decode `body` with; `http_charset` is the label of its Content-Type."""
    marked = byte_order_mark(body)
    if marked:
        return marked
    stated = _codec(http_charset)
    if stated and not _refuted(stated, body):
        return stated
    return next((codec for codec in _evidence(body) if codec and codec != stated), stated or _FALLBACK)


def _evidence(body: bytes) -> Iterator[str | None]:
    """What the body itself says, the strongest first."""
    yield _declared(body[:_PRESCAN_BYTES])
    yield _escaped(body[:_DETECT_BYTES])
    yield _valid_utf8(body)
    yield _declared(body[:_DETECT_BYTES])
    yield _detected(body[:_DETECT_BYTES])


def _refuted(stated: str, body: bytes) -> bool:
    """Whether the bytes speak against the header's label."""
    if body.isascii():
        return False  # ISO-2022 is, too
    head = body[:_DETECT_BYTES]
    if stated == "utf-8":
        return not _valid_utf8(body) and _mostly_wrong(stated, head)
    if _valid_utf8(body):
        return True
    if stated != _FALLBACK:
        return _mostly_wrong(stated, head)
    declared = _declared(body[:_PRESCAN_BYTES])
    if declared and declared != stated and not _mostly_wrong(declared, head):
        return True
    text = head.decode(stated, "replace")
    letters = [char for char in text if char.isalpha()]
    accented = sum(not char.isascii() for char in letters)
    return accented * _ACCENTED_MOST > len(letters) or len(_INSIDE_WORDS.findall(text)) > 1


def _mostly_wrong(codec: str, head: bytes) -> bool:
    """Whether more of what is not ASCII is an error under a codec than is a character."""
    text = head.decode(codec, "replace")
    return 2 * text.count("\ufffd") > sum(not char.isascii() for char in text)


def byte_order_mark(body: bytes) -> str | None:
    """The codec that a byte order mark at the beginning names, and that removes it; None where there is none."""
    if body.startswith(codecs.BOM_UTF8):
        return "utf-8-sig"
    if body.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    return None


def _codec(label: str | None) -> str | None:
    """Python codec of a WHATWG label; None where the label is unknown."""
    if not label:
        return None
    label = label.strip().lower()
    return _widest(_LABELS.get(label) or map_encoding_to_html5(label, fallback_utf8=False))


def _widest(name: str | None) -> str | None:
    if not name:
        return None
    try:
        name = codecs.lookup(name).name
    except LookupError:
        return None
    return _WIDER.get(name, name)


def _valid_utf8(body: bytes) -> str | None:
    try:
        body.decode("utf-8")
    except UnicodeDecodeError as error:
        # A body cut inside its last character is still UTF-8.
        if error.reason != "unexpected end of data" or error.start == 0:
            return None
    return "utf-8"


def _escaped(head: bytes) -> str | None:
    """ISO-2022 is written in ASCII, so it would pass for UTF-8."""
    found = _detected(head) if b"\x1b$" in head else None
    return found if found and found.startswith("iso2022") else None


def _detected(head: bytes) -> str | None:
    found = _widest(detect_encoding(head, max_len=_DETECT_BYTES, html5_compatible=False))
    return None if found in _NOT_OF_THE_WEB else found


def _declared(head: bytes) -> str | None:
    """The encoding a page declares: the WHATWG's prescan of its first bytes, then the XML declaration."""
    declared = _codec(_meta_label(head))
    if declared is None:
        xml = _XML_DECLARATION.match(head)
        declared = _codec(xml[2].decode("latin-1")) if xml else None
    # A page whose declaration could be read byte by byte is not UTF-16.
    return "utf-8" if declared and declared.startswith("utf-16") else declared


def _meta_label(head: bytes) -> str | None:
    position = 0
    while (position := head.find(b"<", position)) >= 0:
        if head.startswith(b"<!--", position):
            end = head.find(b"-->", position + 2)
            if end < 0:
                return None
            position = end + 3
        elif head[position + 1 : position + 5].lower() == b"meta" and head[position + 5 : position + 6] in _AFTER_NAME:
            attributes, position = _attributes(head, position + 5)
            label = _label_of_meta(attributes)
            if label and _codec(label):
                return label
        elif re.match(rb"</?[A-Za-z]", head[position : position + 3]):
            name_end = re.compile(rb"[\t\n\x0c\r >]").search(head, position)
            if name_end is None:
                return None
            _, position = _attributes(head, name_end.start())
        elif head[position + 1 : position + 2] in (b"!", b"/", b"?"):
            end = head.find(b">", position)
            if end < 0:
                return None
            position = end + 1
        else:
            position += 1
    return None


_AFTER_NAME = tuple(bytes([b]) for b in _SPACE + b"/")


def _label_of_meta(attributes: dict[str, str]) -> str | None:
    if "charset" in attributes:
        return attributes["charset"]
    if attributes.get("http-equiv") == "content-type":
        match = _CHARSET.search(attributes.get("content", ""))
        if match:
            return match[2] or match[3] or match[4]
    return None


def _attributes(head: bytes, position: int) -> tuple[dict[str, str], int]:
    """Attributes of a tag from `position` on, in lower case, first of a name wins; where the tag ends."""
    found: dict[str, str] = {}
    while True:
        name, value, position = _attribute(head, position)
        if name is None:
            return found, position
        found.setdefault(name, value)


def _attribute(head: bytes, position: int) -> tuple[str | None, str, int]:
    end = len(head)
    while position < end and head[position] in _SPACE + b"/":
        position += 1
    if position >= end or head[position] == ord(">"):
        return None, "", position
    start = position
    while position < end and not (
        head[position] in _SPACE + b"/>" or (head[position] == ord("=") and position > start)
    ):
        position += 1
    name = head[start:position].decode("latin-1").lower()
    while position < end and head[position] in _SPACE:
        position += 1
    if position >= end:
        return None, "", end  # a tag that the prescan does not see the end of does not count
    if head[position] != ord("="):
        return name, "", position
    position += 1
    while position < end and head[position] in _SPACE:
        position += 1
    if position >= end:
        return None, "", end
    quote = head[position : position + 1]
    if quote in (b'"', b"'"):
        close = head.find(quote, position + 1)
        if close < 0:
            return None, "", end
        return name, head[position + 1 : close].decode("latin-1").lower(), close + 1
    start = position
    while position < end and head[position] not in _SPACE + b">":
        position += 1
    if position >= end:
        return None, "", end
    return name, head[start:position].decode("latin-1").lower(), position
