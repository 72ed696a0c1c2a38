"""What a page says, as one line: no controls, no lone surrogates, no entities that were escaped twice."""

from __future__ import annotations

import html
import re
from typing import Any

#: Characters of a line; names of one source.
LINE = 1000
NAMES = 20
_BODY = 1 << 20
_CONTROLS = {**dict.fromkeys([*range(32), *range(127, 160)], " "), 0xAD: ""}
_LONG_REFERENCE = re.compile(r"&#[0-9]{8,};?")
_BLOCK_TAG = re.compile(r"</?(?:p|div|br|li|ul|ol|h[1-6]|tr|table|blockquote|section|pre)\b[^<>]*>", re.IGNORECASE)
_TAG = re.compile(r"</?[a-z][^<>]*>|<!--[^<>]*-->", re.IGNORECASE)


def string(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def one_line(value: Any) -> str | None:
    """One line without controls, entities and lone surrogates; None for what is no text."""
    if not isinstance(value, str):
        return None
    if value.isprintable() and "&" not in value and "  " not in value:  # most are; printable has no other white space
        return value[:LINE].strip() or None
    text = unescaped(value[: 2 * LINE])
    return " ".join(text.translate(_CONTROLS).split())[:LINE].strip() or None


def unescaped(text: str) -> str:
    """Entities that were escaped twice, or in JSON, undone."""
    if "&" in text:
        text = html.unescape(_LONG_REFERENCE.sub("\ufffd", text))  # int() refuses what is too long
    return text.encode("utf-8", "replace").decode()


def without_markup(text: str) -> str | None:
    text = _TAG.sub("", _BLOCK_TAG.sub("\n", text[:_BODY]))
    return unescaped(text).replace("\0", "").strip() or None
