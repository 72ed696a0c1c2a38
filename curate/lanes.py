"""Which parser gets a page: decided by counts on the page, never by the clock.

Parsers take quadratic time on some markup, and trafilatura's drops what lies too deep. Each extractor has `LIMITS`,
counted on the decoded page as UTF-8, the same on any machine and in any encoding; a page beyond them goes to the
slow lane, beyond `LAST_LIMITS` to none.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

# Elements that real pages close: what an unclosed <p> or <li> adds to the depth is put right by the parser.
_NESTING = re.compile(
    rb"<(/?)(?:a|article|aside|b|blockquote|center|div|em|fieldset|figure|font|form|i|main|nav|ol|section|small"
    rb"|span|strong|sub|sup|table|u|ul)[\s/>]",
    re.IGNORECASE,
)


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
    tags = html.count(b"<")
    if tags > limits.tags:
        return f"tags:{tags}"
    if len(html) > limits.tag_bytes:
        starts = np.flatnonzero(np.frombuffer(html, dtype=np.uint8) == ord("<"))
        ends = np.append(starts[1:], len(html))
        long = np.flatnonzero(ends - starts > limits.tag_bytes)
        longest = max((_tag_bytes(html[starts[n] + 1 : ends[n]]) for n in long.tolist()), default=0)
        if longest > limits.tag_bytes:
            return f"tag_bytes:{longest}"
    if tags > limits.depth:
        levels = np.cumsum([0, *(-1 if closing else 1 for closing in _NESTING.findall(html))])
        # What closes more than is open closes nothing.
        depth = int((levels - np.minimum.accumulate(levels)).max())
        if depth > limits.depth:
            return f"depth:{depth}"
    return None


def _tag_bytes(markup: bytes) -> int:
    """Bytes of the tag that this begins with, without its quoted values and angle brackets."""
    return len(_QUOTED.sub(b"", markup).partition(b">")[0])
