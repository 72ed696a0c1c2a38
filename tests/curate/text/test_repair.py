"""Mojibake from the wild is repaired but for a list of cases, each with its reason; sound text is not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ftfy.badness import is_bad
from hypothesis import given, settings
from hypothesis import strategies as st

from millpond.curate.normalise import normalise
from millpond.curate.text.config import NormaliseConfig
from millpond.curate.text.repair import SUSPICIOUS

#: File and place of each case that comes out differently → why.
DIFFERS = json.loads(Path(__file__).with_name("mojibake_differs.json").read_text())


def test_all_mojibake_but_the_named_cases_comes_out_as_it_was_meant(test_data: Path) -> None:
    differs, total = [], 0
    for path in sorted((test_data / "mojibake" / "ftfy").glob("*.json")):
        for place, case in enumerate(json.loads(path.read_text())):
            total += 1
            meant = {case["fixed"], case.get("fixed-encoding", case["fixed"])}
            # Where only `fixed` is given, ftfy's option to straighten quotes may have been on.
            straight = normalise(case["original"], NormaliseConfig(fold_punctuation=True))
            if normalise(case["original"]) not in meant and straight not in meant:
                differs.append(f"{path.stem}:{place}")
    assert total == 161
    assert sorted(differs) == sorted(DIFFERS)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Los caf\x8es est\x87n aqu\x92", "Los cafés están aquí"),
        ("El caf\x8en est\x87n\ndon\x92t", "El cafén están\ndon’t"),
        ("hôtel Г Montréal", "hôtel Г Montréal"),
        ("perchГ© no", "perché no"),
        ("voilГ\xa0, dГ©jГ  vu", "voilà, déjà vu"),
    ],
)
def test_what_ftfy_leaves(text: str, expected: str) -> None:
    assert normalise(text) == expected


@pytest.mark.parametrize(
    "text",
    ["Группа «А» и abcГ", "testГ© и кириллица", "don’t stop", "x√π and i√2", "a ┬┐ box", "tableau n°Г"],
)
def test_what_no_rule_may_touch(text: str) -> None:
    assert normalise(text) is text


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet=st.characters(max_codepoint=0x2200)))
def test_no_mojibake_escapes_the_quick_test(text: str) -> None:
    for line in text.split("\n"):
        assert not is_bad(line) or SUSPICIOUS.search(line)


def test_nor_does_any_from_the_wild(test_data: Path) -> None:
    originals = [
        case["original"]
        for path in (test_data / "mojibake" / "ftfy").glob("*.json")
        for case in json.loads(path.read_text())
    ]
    assert sum(map(is_bad, originals)) > 90
    assert all(SUSPICIOUS.search(text) for text in originals if is_bad(text))
