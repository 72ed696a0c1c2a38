"""What sites say to robots beside robots.txt's rules: indexing directives, and reservations against training.

A reservation is a signal in one of the spellings in use: `noai` and `noimageai` among the robots directives, the TDM
Reservation Protocol's `tdm-reservation: 1`, and the usage preferences `Content-Usage: train-ai=n` and
`Content-Signal: ai-train=no`, in a header or, for a robot's group and a path, in robots.txt.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import urlsplit

#: Directives that have a value of their own behind a colon, where a robot's name stands otherwise.
_VALUED = frozenset(("unavailable_after", "max-snippet", "max-image-preview", "max-video-preview"))
_DIRECTIVES = _VALUED.union(
    ("all", "index", "follow", "noindex", "nofollow", "none", "noarchive", "nocache", "nosnippet", "noodp", "noydir"),
    ("notranslate", "noimageindex", "indexifembedded", "noai", "noimageai"),
)
_ROBOT = re.compile(r"\*|[a-z0-9_-]+")
_RESERVING = ("noai", "noimageai")
#: Names of the lines of a robots.txt that speak of use, as `robots` has them.
USE_LINES = ("contentusage", "contentsignal")
#: Speaks of images alone: recorded, and no reason to leave a text out.
IMAGES_ONLY = "noimageai"
_PREFERENCE = re.compile(r"(?:^|[\s,;])(train-ai|ai-train)\s*=\s*\"?(n|no)\b", re.I)


def robots_directives(value: str, robot: str) -> set[str]:
    """Directives of a robots meta tag or one X-Robots-Tag, those named for other robots left out.

    A robot's name holds for what follows it in the same header; what is behind the colons of a date is no directive.
    """
    directives: set[str] = set()
    ours = True
    for part in value.lower().split(","):
        name, colon, rest = (each.strip() for each in part.partition(":"))
        if colon and name not in _DIRECTIVES and _ROBOT.fullmatch(name):
            ours, name = name in ("*", robot), rest
        if ours:
            directives.add(name)
    return directives


def reserved_by_directives(directives: Iterable[str]) -> list[str]:
    """The reservations among robots directives."""
    found = set(directives)
    return [name for name in _RESERVING if name in found]


def reserved_by_header(name: str, value: str | None) -> list[str]:
    """The reservation that a header makes, or a `<meta>` of its name."""
    if value is None:
        return []
    if name == "tdm-reservation":
        return ["tdm-reservation=1"] if value.strip() == "1" else []
    return [f"{found[1].lower()}={found[2].lower()}" for found in _PREFERENCE.finditer(value)][:1]


class Reservations:
    """The usage preferences among the lines of a robots.txt that hold for a robot."""

    def __init__(self, records: Iterable[tuple[str, str]]) -> None:
        self._said: list[tuple[str, str]] = []
        for name, value in records:
            if name in USE_LINES:
                first, _, rest = value.partition(" ")
                self._said.append((first, rest) if first.startswith("/") else ("/", value))

    def of(self, url: str) -> list[str]:
        """The reservation that holds for an address, by the longest path that fits."""
        parts = urlsplit(url)
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        fitting = sorted((len(prefix), said) for prefix, said in self._said if path.startswith(prefix))
        said = reserved_by_header("content-usage", fitting[-1][1]) if fitting else []
        return [f"robots.txt {each}" for each in said]
