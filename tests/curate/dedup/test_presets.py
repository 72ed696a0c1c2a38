"""The presets, against what their sources say of themselves."""

from __future__ import annotations

import pytest
from datasketch.lsh import _optimal_param

from millpond.curate.dedup.config import DedupConfig
from millpond.curate.dedup.presets import PRESETS, Banding, Preset


@pytest.mark.parametrize(
    ("name", "permutations", "caught"),
    [
        ("fineweb", 112, (0.57, 0.92, 1.0)),
        ("refinedweb", 9000, (0.30, 0.995, 1.0)),
        ("nemo-curator", 260, (0.18, 0.68, 1.0)),
    ],
)
def test_chances_are_those_published(name: Preset, permutations: int, caught: tuple[float, ...]) -> None:
    banding = PRESETS[name]
    assert banding.num_perm == permutations
    assert [chance for _, chance in banding.curve((0.7, 0.8, 0.9))] == pytest.approx(caught, abs=0.006)


def test_text_dedup_has_the_bands_datasketch_chooses() -> None:
    banding = PRESETS["text-dedup"]
    assert (banding.bands, banding.rows) == _optimal_param(0.7, 240, 0.5, 0.5)


def test_the_chance_is_that_of_at_least_one_band() -> None:
    two = Banding("words", 5, bands=2, rows=3)
    assert two.probability(0.5) == pytest.approx(0.125 + 0.125 - 0.125**2)
    assert (two.probability(0), two.probability(1)) == (0, 1)


def test_the_curve_is_shown() -> None:
    lines = PRESETS["fineweb"].describe().splitlines()
    assert lines[0] == "MinHash: 14 bands of 8 values over runs of 5 words"
    assert lines[1].split()[1:4] == ["0.50", "0.60", "0.70"] and lines[2].split()[1:4] == ["0.053", "0.211", "0.565"]


def test_settings_differ_from_the_preset_one_by_one() -> None:
    config = DedupConfig.model_validate({"preset": "nemo-curator", "rows": 10})
    assert config.banding == Banding("characters", 24, 20, 10)
    assert DedupConfig().banding == PRESETS["fineweb"]
