"""People's names in bylines: after "by", or what looks like a name."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

_BY = re.compile(
    r"^(?:(?:[a-z]+ ){0,3}by|authors?|von|par|por|door|de|autor|auteur|autore|作者|文|글)(?:\s*[::]\s*|\s+|$)",
    re.IGNORECASE,
)
_BETWEEN = re.compile(r"\s*[;|、•·]\s*|\s+(?:and|&|und|et|y)\s+|\s+[–—-]\s+", re.IGNORECASE)
_NOT_A_NAME = re.compile(r"://|www\.|\.(?:com|org|net)\b|\S@\S|[{}<>=?!©]|^[\d\W]+$", re.IGNORECASE)
_PARTICLES = frozenset(("de", "da", "van", "von", "der", "den", "del", "della", "di", "la", "le", "bin", "al", "y"))
_NOT_IN_BYLINE = re.compile(
    r"\d{4}|\d:\d\d|^\w+ \d{1,2}$|\b(?:updated|published|posted|follow|share|sign|read|view|more)\b", re.IGNORECASE
)
_NOBODY = frozenset(
    (
        "admin",
        "administrator",
        "webmaster",
        "root",
        "user",
        "guest",
        "anonymous",
        "unknown",
        "none",
        "null",
        "default",
        "author",
        "authors",
        "topic author",
        "editor",
        "staff",
    )
)


def marked_names(pieces: Sequence[str], byline: bool, sure: bool = False) -> Iterator[str]:
    """Names in texts that stand together: after "by", or in a byline what looks like a name."""
    after_by = sure
    for piece in pieces:
        by = _BY.match(piece)
        if by and by.end() == len(piece):
            after_by = True
            continue
        for name in names_in(piece) if len(piece) <= 100 else ():
            if not _NOT_IN_BYLINE.search(name) and (after_by or ((byline or by) and _is_like_a_name(name))):
                yield name
        after_by = sure


def _is_like_a_name(text: str) -> bool:
    """Several words, none of them beginning with a small letter but for particles."""
    words = text.split()
    alike = (word in _PARTICLES or (word[0].isalpha() and not word[0].islower()) for word in words)
    return len(words) > 1 and all(alike)


def names_in(text: str) -> Iterator[str]:
    """The names in a line of them."""
    for part in _BETWEEN.split(text):
        commas = [piece.strip() for piece in part.split(",")]
        for piece in commas if all(" " in piece for piece in commas) else [part]:
            name = _BY.sub("", piece.strip(" ,:-")).strip(" ,:-")
            name = name[1:-1] if name.startswith("(") and name.endswith(")") else name
            sized = 1 < len(name) <= 80 and len(name.split()) <= 6
            if sized and name.casefold() not in _NOBODY and not _NOT_A_NAME.search(name):
                yield name
