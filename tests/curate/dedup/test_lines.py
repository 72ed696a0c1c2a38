"""Lines and paragraphs that many documents hold."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from millpond.curate.dedup.config import LinesConfig
from millpond.curate.dedup.lines import Unit, shortened, unit_digests, without_units
from millpond.curate.dedup.scratch import Scratch
from millpond.curate.normalise import WIDE_GAP

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def test_equal_units_differ_in_case_and_spacing_alone() -> None:
    same = unit_digests("Accept  all cookies\n accept ALL\tcookies \n\naccept no cookies", "lines")
    assert same[0] == same[1] and same[2] is None and same[3] not in (None, same[0])
    first, second = unit_digests("One\ntwo\n\none two", "paragraphs")
    assert first == second


def test_what_is_left_keeps_its_own_breaks() -> None:
    text = "Menu\n\nFirst line.\n  indented\nMenu\n\nLast."
    [menu] = unit_digests("menu", "lines")
    assert menu is not None
    assert without_units(text, "lines", {menu}) == "First line.\n  indented\n\nLast."
    assert without_units("MENU\n\n \nmenu", "lines", {menu}) == ""


@given(st.text(alphabet="ab \n", max_size=40).filter(lambda text: not WIDE_GAP.search(text)))
def test_nothing_goes_where_nothing_is_repeated(text: str) -> None:
    left = without_units(text, "lines", set())
    assert left == (text.strip("\n") if text.strip() else "")


def cut(
    spark: SparkSession, folder: Path, rows: Sequence[tuple[str, str, str]], partitions: int, config: LinesConfig
) -> dict[str, str]:
    frame = spark.createDataFrame(list(rows), "rank string, scope string, text string").repartition(partitions)
    with Scratch(folder / "scratch") as scratch:
        return {row.rank: row.text for row in shortened(frame, config, scratch).collect()}


@pytest.mark.parametrize(("unit", "between"), [("lines", "\n"), ("paragraphs", "\n\n")])
def test_all_but_the_first_lose_what_too_many_hold(
    spark: SparkSession, tmp_path: Path, unit: Unit, between: str
) -> None:
    """`menu` stands in four documents of one scope, twice in the first; `twice` in two."""
    rows = [
        ("1", "", between.join(("menu", "one", "menu"))),
        ("2", "", between.join(("MENU", "two", "twice"))),
        ("3", "", between.join(("menu", "three", "twice"))),
        ("4", "", "menu"),
        ("5", "other", "menu"),
    ]
    expected = {"2": between.join(("two", "twice")), "3": between.join(("three", "twice")), "4": ""}
    for partitions in (1, 3):
        random.Random(partitions).shuffle(rows)
        assert cut(spark, tmp_path, rows, partitions, LinesConfig(unit=unit, max_documents=3)) == expected
    assert cut(spark, tmp_path, rows, 2, LinesConfig(unit=unit, max_documents=4)) == {}


def test_a_paragraph_goes_as_a_whole_and_its_lines_do_not(spark: SparkSession, tmp_path: Path) -> None:
    rows = [
        ("1", "", "Address:\n1 Mill Lane\n\nfirst"),
        ("2", "", "address: 1 mill  lane\n\nsecond\n1 Mill Lane"),
        ("3", "", "Address:\n\nthird\n1 Mill Lane"),
    ]
    expected = {"2": "second\n1 Mill Lane"}
    assert cut(spark, tmp_path, rows, 2, LinesConfig(unit="paragraphs", max_documents=1)) == expected


def test_what_is_left_has_no_wide_gap() -> None:
    [_, gone, *_] = unit_digests("x a\nmenu\ny b", "lines")
    assert gone is not None
    assert without_units("x a\n\nmenu\n\nmenu\n\ny b", "lines", [gone]) == "x a\n\ny b"
