from __future__ import annotations

import math
import unicodedata
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from millpond.eval.figures import size
from millpond.eval.plots import Bar, Series, bars, histogram, lines, plain, strip
from millpond.eval.plots import _round_steps as round_steps

HOSTILE = "</title></svg><script>alert(1)</script>\"'&\0\ud800"


def widths(svg: str, kind: str) -> list[float]:
    rects = ElementTree.fromstring(svg).iter("rect")
    return [float(rect.attrib["width"].rstrip("%")) for rect in rects if rect.attrib["class"].startswith(kind)]


def test_bars_share_one_scale() -> None:
    rows = [
        Bar("a", ((30, "kept"), (10, "rejected")), "40"),
        Bar("b", ((20, "kept"),), "20", second=((0, "quiet"),)),
        Bar("c", ((0, "kept"),), "0"),
    ]
    svg = bars(rows, title="t", description="d")
    assert widths(svg, "kept") == [75, 50]
    assert widths(svg, "rejected") == [25]
    assert widths(bars(rows, title="t", description="d", scale=80), "kept") == [37.5, 25]
    assert widths(strip([(1, "kept"), (3, "duplicate")], title="t", description="d"), "duplicate") == [75]


@pytest.mark.parametrize(
    "svg",
    [
        bars([Bar(HOSTILE, ((1, "kept"),), HOSTILE)], title=HOSTILE, description=HOSTILE),
        bars([], title="nothing", description="at all"),
        lines([Series(HOSTILE, ((3, 2.5),), "kept", dots=True)], x_name="x", y_name="y", title="t", description="d"),
        lines([Series("flat", ((0, 1), (9, 1)), "quiet")], x_name="x", y_name="y", title="t", description="d"),
        histogram([(1, 2, 5)], ticks=[(1, HOSTILE)], marker=(2, HOSTILE), title="t", description="d"),
    ],
)
def test_a_drawing_is_well_formed_named_and_holds_no_foreign_element(svg: str) -> None:
    root = ElementTree.fromstring(svg)
    assert root.attrib["role"] == "img"
    assert root.findtext("title")
    assert root.findtext("desc")
    assert {element.tag for element in root.iter()} <= {
        "svg", "title", "desc", "g", "rect", "text", "line", "path", "circle"
    }  # fmt: skip
    assert "nan" not in svg


@given(st.text(alphabet=st.characters(codec=None, categories=None)))
def test_plain_text_can_always_be_written(text: str) -> None:
    cleaned = plain(text)
    assert len(cleaned) == len(text)
    assert plain(cleaned) == cleaned
    cleaned.encode()
    assert not any(unicodedata.category(c) in ("Cc", "Cs") for c in cleaned if c not in "\n\t")


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6))
def test_axis_steps_are_few_round_and_span_the_data(low: float, span: float) -> None:
    high = low + span
    steps = round_steps(low, high, 5)
    assert 2 <= len(steps) <= 8
    tolerance = 1e-6 * max(abs(low), abs(high), 1)
    assert steps[0] <= low + tolerance
    assert steps[-1] >= high - tolerance
    assert all(math.isfinite(step) for step in steps)


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (950, "950 B"),
        (1000, "1 kB"),
        (2700, "2.7 kB"),
        (31_400_000, "31 MB"),
        (999_600, "1.0 MB"),
        (5e15, "5000 TB"),
    ],
)
def test_sizes_read_well(count: float, text: str) -> None:
    assert size(count) == text
