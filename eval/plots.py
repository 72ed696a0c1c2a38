"""Drawing: numbers in, inline SVG out.

Each function returns one `<svg>` as wide as its place in the page, with text at its own size on any screen:
horizontal positions are percentages, vertical ones pixels, so nothing is scaled. Colours are the classes of
the report's style sheet, which knows light and dark. Every drawing has a title and a description for readers
who do not see it, and every mark tells its value. Labels may come from anywhere: all text is made plain and escaped.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from markupsafe import Markup

Tone = Literal["kept", "rejected", "duplicate", "quiet"]

_ROW = 42  # pixels of one labelled bar
_LONGEST_LABEL = 34


@dataclass(frozen=True)
class Bar:
    """A labelled bar of parts laid end to end, `note` at its right end; `second` is a thinner one under it."""

    label: str
    parts: tuple[tuple[float, Tone], ...]
    note: str
    second: tuple[tuple[float, Tone], ...] = ()


@dataclass(frozen=True)
class Series:
    """A curve of (x, y) points, ordered by x; `dots` marks each of them."""

    name: str
    points: tuple[tuple[float, float], ...]
    tone: Tone
    dots: bool = False


def plain(text: object) -> str:
    """Text without what a page cannot hold: control characters and lone surrogates become U+FFFD."""
    return "".join(
        "\ufffd" if (ord(c) < 32 and c not in "\n\t") or 0x7F <= ord(c) < 0xA0 or 0xD800 <= ord(c) < 0xE000 else c
        for c in str(text)
    )


def bars(rows: Sequence[Bar], *, title: str, description: str, scale: float = 0) -> Markup:
    """Horizontal bars, each under its label; the longest fills the width unless `scale` does."""
    widths = (sum(value for value, _ in parts) for row in rows for parts in (row.parts, row.second))
    scale = scale or max(widths, default=0) or 1
    height = _ROW + (8 if any(row.second for row in rows) else 0)
    marks = []
    for number, row in enumerate(rows):
        top = number * height
        label = row.label if len(row.label) <= _LONGEST_LABEL else row.label[: _LONGEST_LABEL - 1] + "…"
        marks.append(_text(label, x="0", y=top + 14, kind="label"))
        marks.append(_text(row.note, x="100%", y=top + 14, kind="note", anchor="end"))
        marks.append(Markup('<rect class="track" x="0" y="{}" width="100%" height="8" rx="4"/>').format(top + 22))
        marks.append(_strip(row.parts, scale, top + 22, 8, f"{row.label}: {row.note}"))
        marks.append(_strip(row.second, scale, top + 33, 5, f"{row.label}: {row.note}"))
    return _svg(len(rows) * height - _ROW + 34, marks, title, description)


def strip(parts: Sequence[tuple[float, Tone]], *, title: str, description: str) -> Markup:
    """One thick bar that fills the width: how a whole divides."""
    total = sum(value for value, _ in parts) or 1
    return _svg(30, [_strip(parts, total, 0, 30, description)], title, description)


def histogram(
    bins: Sequence[tuple[float, float, int]],
    *,
    ticks: Sequence[tuple[float, str]],
    marker: tuple[float, str],
    title: str,
    description: str,
) -> Markup:
    """Counts over a line: `bins` are (from, to, count) on a linear axis; `marker` is one labelled place on it."""
    low, high = min(b[0] for b in bins), max(b[1] for b in bins)
    top, base = 30, 270
    highest = max(count for _, _, count in bins)

    def place(value: float) -> str:
        return _percent((value - low) / (high - low))

    marks = [Markup('<line class="axis" x1="0" x2="100%" y1="{0}" y2="{0}"/>').format(base)]
    for start, end, count in bins:
        height = (base - top) * count / highest
        width = _percent((end - start) / (high - low) * 0.92)
        marks.append(
            Markup(
                '<rect class="kept" x="{}" y="{:.1f}" width="{}" height="{:.1f}" rx="2"><title>{}</title></rect>'
            ).format(place(start), base - height, width, height, f"{count:,}")
        )
    named = (((tick - low) / (high - low), name) for tick, name in ticks if low <= tick <= high)
    marks.extend(_ticks(named, y=base + 20))
    where = (marker[0] - low) / (high - low)
    marks.append(Markup('<line class="marker" x1="{0}" x2="{0}" y1="20" y2="{1}"/>').format(_percent(where), base))
    anchor = "start" if where < 0.15 else "end" if where > 0.85 else "middle"
    marks.append(_text(marker[1], x=_percent(where), y=13, kind="label", anchor=anchor))
    return _svg(base + 26, marks, title, description)


def lines(series: Sequence[Series], *, x_name: str, y_name: str, title: str, description: str) -> Markup:
    """Curves over one pair of linear axes; the values of the grid lines stand at their right ends."""
    points = [point for curve in series for point in curve.points]
    left, right = min(x for x, _ in points), max(x for x, _ in points)
    low, high = min(y for _, y in points), max(y for _, y in points)
    y_ticks = [tick for tick in _round_steps(low, high, 5) if tick <= high]
    low = min(low, y_ticks[0])
    top, base = 30, 300

    def across(x: float) -> float:
        return (x - left) / (right - left) if right > left else 0.5

    def down(y: float) -> float:
        return base - (base - top) * ((y - low) / (high - low) if high > low else 0.5)

    marks = []
    for tick in y_ticks:
        marks.append(Markup('<line class="grid" x1="0" x2="100%" y1="{0:.1f}" y2="{0:.1f}"/>').format(down(tick)))
        marks.append(_text(f"{tick:g}", x="100%", y=down(tick) - 5, kind="tick", anchor="end"))
    marks.append(_text(y_name, x="0", y=12, kind="tick"))
    steps = [tick for tick in _round_steps(left, right, 5) if left <= tick <= right]
    marks.extend(_ticks(((across(tick), f"{tick:,g}") for tick in steps), y=base + 20, skip_last=x_name))
    for curve in series:
        path = "M" + " L".join(f"{1000 * across(x):.1f} {down(y):.1f}" for x, y in curve.points)
        marks.append(
            Markup(
                '<svg width="100%" height="{0}" viewBox="0 0 1000 {0}" preserveAspectRatio="none" overflow="visible">'
                '<path class="line {1}{2}" d="{3}" vector-effect="non-scaling-stroke"/></svg>'
            ).format(base, curve.tone, " dotted" if curve.dots else "", path)
        )
    for curve in series:
        for x, y in curve.points if curve.dots else ():
            marks.append(
                Markup('<circle class="{}" cx="{}" cy="{:.1f}" r="4"><title>{}</title></circle>').format(
                    curve.tone, _percent(across(x)), down(y), plain(f"{curve.name}, {x_name} {x:,g}: {y:.3f}")
                )
            )
    return _svg(base + 28, marks, title, description)


def _svg(height: int, marks: Iterable[Markup], title: str, description: str) -> Markup:
    body = Markup("").join(marks)
    return Markup(
        '<svg role="img" width="100%" height="{}" overflow="visible"><title>{}</title><desc>{}</desc>{}</svg>'
    ).format(height, plain(title), plain(description), body)


def _text(text: str, *, x: str, y: float, kind: str, anchor: str = "start") -> Markup:
    return Markup('<text class="{}" x="{}" y="{:.1f}" text-anchor="{}">{}</text>').format(
        kind, x, y, anchor, plain(text)
    )


def _strip(parts: Iterable[tuple[float, Tone]], scale: float, y: int, height: int, says: str) -> Markup:
    """Parts end to end, with a hair of room between them."""
    pieces, place = [], 0.0
    for value, tone in parts:
        if value > 0:
            pieces.append(
                Markup('<rect class="{} part" x="{}" y="{}" width="{}" height="{}" rx="{}"/>').format(
                    tone, _percent(place / scale), y, _percent(value / scale), height, min(4, height // 2)
                )
            )
        place += value
    return Markup("<g><title>{}</title>{}</g>").format(plain(says), Markup("").join(pieces))


def _ticks(places: Iterable[tuple[float, str]], y: int, skip_last: str = "") -> list[Markup]:
    """Labels under an axis; the outer ones turn inwards. `skip_last` names the axis at its right end."""
    marks = []
    for where, name in places:
        if skip_last and where > 0.88:
            continue
        anchor = "start" if where < 0.04 else "end" if where > 0.96 else "middle"
        marks.append(_text(name, x=_percent(where), y=y, kind="tick", anchor=anchor))
    if skip_last:
        marks.append(_text(skip_last, x="100%", y=y, kind="tick", anchor="end"))
    return marks


def _round_steps(low: float, high: float, wanted: int) -> list[float]:
    """About `wanted` round numbers (1, 2, 2.5 or 5 times a power of ten) that span low..high."""
    span = (high - low) or abs(high) or 1.0
    magnitude = 10.0 ** math.floor(math.log10(span / wanted))
    step = next(m * magnitude for m in (1, 2, 2.5, 5, 10) if m * magnitude * wanted >= span * 0.999)
    first, last = math.floor(low / step), math.ceil(high / step)
    return [round(number * step, 10) for number in range(first, last + 1)]


def _percent(share: float) -> str:
    return f"{100 * share:.3f}%"
