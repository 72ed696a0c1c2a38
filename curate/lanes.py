"""Which parser gets a page: decided by counts on the page, never by the clock.

Parsers take quadratic time on some markup, and trafilatura's drops what lies too deep. Each extractor has `LIMITS`,
counted on the decoded page as UTF-8, the same on any machine and in any encoding; a page beyond them goes to the
slow lane, beyond `LAST_LIMITS` to none.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

# Elements that real pages close, by the first three letters of their names: what an unclosed <p> or <li> adds to the
# depth is put right by the parser.
_NESTING = (
    *("a", "b", "i", "u", "em", "ol", "ul", "art", "asi", "blo", "cen", "div", "fie", "fig", "fon", "for", "mai"),
    *("nav", "sec", "sma", "spa", "str", "sub", "sup", "tab"),
)
#: Bytes of a name: letters in lower case, and what ends a name as zero.
_FOLDED = np.arange(256, dtype=np.int32)
_FOLDED[ord("A") : ord("Z") + 1] += 32
_FOLDED[[*b"\t\n\v\f\r />"]] = 0
_KEYS = np.array([int.from_bytes(name.encode().ljust(3, b"\0"), "big") for name in _NESTING])
_QUOTED = re.compile(rb"\"[^\"]*\"|'[^']*'")


@dataclass(frozen=True)
class Limits:
    """What a parser is given at most; all counted on the page as UTF-8."""

    bytes: int
    tags: int
    tag_bytes: int
    """Of one tag without its quoted values: what is costly is many attributes, not a long one."""
    depth: int


#: For the slow lane (resiliparse), whose time is quadratic in depth (0.3 s here).
LAST_LIMITS = Limits(bytes=1 << 31, tags=1_000_000, tag_bytes=1 << 31, depth=4_000)
#: By extractor. Millpond's own takes a second for 150,000 elements; 20,000 `<br>` take trafilatura 1.3 s, one tag of
#: 10,000 attributes 0.4 s, and depth 256 loses text. An overlong tag is costly for any of them.
LIMITS = {
    "millpond": Limits(bytes=20 << 20, tags=300_000, tag_bytes=65_536, depth=LAST_LIMITS.depth),
    "trafilatura": Limits(bytes=5 << 20, tags=20_000, tag_bytes=65_536, depth=240),
    "resiliparse": Limits(bytes=5 << 20, tags=20_000, tag_bytes=65_536, depth=LAST_LIMITS.depth),
}


def too_much(html: bytes, limits: Limits) -> str | None:
    """The first of the limits that a page (UTF-8) exceeds, as `name:count`, or None."""
    if len(html) > limits.bytes:
        return f"bytes:{len(html)}"
    page = np.frombuffer(html, dtype=np.uint8)
    begins = page == ord("<")
    tags = int(np.count_nonzero(begins))
    if tags > limits.tags:
        return f"tags:{tags}"
    if _has_gap(html, limits.tag_bytes):
        starts = np.flatnonzero(begins)
        ends = np.append(starts[1:], len(html))
        long = np.flatnonzero(ends - starts > limits.tag_bytes)
        longest = max((_tag_bytes(html[starts[n] + 1 : ends[n]]) for n in long.tolist()), default=0)
        if longest > limits.tag_bytes:
            return f"tag_bytes:{longest}"
    if tags > limits.depth and tags - np.count_nonzero(begins[:-1] & (page[1:] == ord("/"))) > limits.depth:
        depth = _depth(html)
        if depth > limits.depth:
            return f"depth:{depth}"
    return None


def _depth(html: bytes) -> int:
    """How deep elements nest; what closes more of its name than is open closes nothing."""
    page = np.frombuffer(html + b"    ", dtype=np.uint8)
    starts = np.flatnonzero(page == ord("<"))
    closing = page[starts + 1] == ord("/")
    first, second, third = _FOLDED[page[starts + closing + np.array([[1], [2], [3]])]]
    key = np.where(second == 0, first << 16, first << 16 | second << 8 | third)
    known = np.isin(key, _KEYS)
    key, steps = key[known], np.where(closing, -1, 1)[known]
    depth = np.zeros(len(steps) + 1, dtype=np.int64)
    for name in np.unique(key):
        levels = np.cumsum(np.append(0, np.where(key == name, steps, 0)))
        depth += levels - np.minimum.accumulate(levels)
    return int(depth.max())


def many_options(html: bytes, limit: int) -> bool:
    """Whether a page may have more options of forms than this: counted are all tags that begin with their letter."""
    page = np.frombuffer(html, dtype=np.uint8)
    return int(np.count_nonzero((page[:-1] == ord("<")) & (page[1:] | 0x20 == ord("o")))) > limit


def _has_gap(html: bytes, size: int) -> bool:
    """Whether more than `size` bytes may stand without a new tag: then half as many do from a multiple of that on."""
    half = max(size // 2, 1)
    return any(html.find(b"<", start, start + half) < 0 for start in range(0, len(html) - half + 1, half))


def _tag_bytes(markup: bytes) -> int:
    """Bytes of the tag that this begins with, without its quoted values and angle brackets."""
    head, _, _ = markup.partition(b">")
    bare = _QUOTED.sub(b"", head)
    # With a quote left open the angle bracket stands in a value; else what lies behind the tag need not be read.
    return len(_QUOTED.sub(b"", markup).partition(b">")[0] if b'"' in bare or b"'" in bare else bare)
