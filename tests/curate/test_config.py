"""The settings' defaults, and what they refuse."""

from __future__ import annotations

from pathlib import Path

import pytest

from millpond.config import load
from millpond.curate.config import CurateConfig
from millpond.curate.presets import rules_for
from millpond.errors import ConfigError


def test_defaults() -> None:
    config = CurateConfig()
    assert config.extract.extractor == "millpond"
    assert config.rules.preset == "fineweb"
    assert config.removes_c4_lines
    assert config.dedup.banding.num_perm == 112
    assert {"email", "ip_address"} < set(config.pii.mask) and "phone" not in config.pii.mask


def test_from_toml(tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    path.write_text(
        '[curate.rules]\npreset = "api-docs"\n'
        "[curate.rules.thresholds]\nmin_word_count = 20\nmin_stop_word_count = false\n"
        '[curate.language]\nallowed = ["en"]\n'
    )
    config = load(CurateConfig, path, "curate", ["dedup.threshold=0.8"])
    assert config.rules.thresholds == {"min_word_count": 20, "min_stop_word_count": None}
    assert config.language.allowed == ("en",)
    assert config.dedup.threshold == 0.8
    assert CurateConfig.from_mapping(config.model_dump(mode="json"), "written") == config


_FILE = {"path": "file", "sha256": "0" * 64}


def test_presets_may_have_rules_that_wait_for_lists() -> None:
    config = CurateConfig.from_mapping(
        {"rules": {"preset": "c4", "thresholds": {"max_flagged_word_ratio": False}}}, ""
    )
    assert "max_c4_bad_word_count" in {rule.name for rule in rules_for(config)}
    words = {"flagged": {"words": {"any": ["x"], "en": ["x"]}}, "c4": {"bad_words": {"zh": ["x"]}}}
    thresholds = {"max_flagged_word_ratio": 0.1, "max_c4_bad_word_count": 0}
    CurateConfig.from_mapping(words | {"rules": {"thresholds": thresholds}}, "both are given")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"extract": {"extractor": "lynx"}}, "lynx"),
        ({"extract": {"extractor": "resiliparse", "tables": False}}, "tables: resiliparse has no such choice"),
        ({"extract": {"timeout_seconds": 0}}, "greater than 0"),
        ({"rules": {"preset": "c5"}}, "fineweb"),
        ({"dedup": {"threshold": 1.5}}, "less than or equal to 1"),
        ({"language": {"minimum": 1}}, "min_score"),
        ({"filters": {}}, "unknown key"),
        ({"dedup": {"quality": "toxicity_score"}}, "worse text"),
        ({"dedup": {"quality": "quality_score"}}, "classifiers.quality. is not given"),
        ({"rules": {"thresholds": {"min_word_count": float("nan")}}}, "finite number"),
        ({"dedup": {"priority": [""]}}, "at least 1 character"),
        ({"dedup": {"ngram": 10**9}}, "less than or equal to 1000"),
        ({"rules": {"thresholds": {"max_perplexity": 500}}}, "needs a model: .curate.perplexity. is not given"),
        (
            {"language": {"override": {"de": {"thresholds": {"min_quality_score": 0.5}}}}},
            "min_quality_score needs a model",
        ),
        ({"language": {"allowed": ["en", "eng"]}}, r"language.allowed: no text .* 'eng' .did you mean en\?"),
        ({"language": {"override": {"de-AT": {}}}}, r"language.override: .* 'de-AT' .did you mean de\?"),
        ({"c4": {"bad_words": {"any": ["x"]}}}, "c4.bad_words: .* 'any' .known: af, als"),
        ({"flagged": {"words": {"any": ["x"], "EN": ["x"]}}}, "flagged.words: .* 'EN' .did you mean en"),
        ({"unigrams": {"x": _FILE}}, "unigrams: no text .* 'x'"),
        ({"perplexity": {"spa": {"model": _FILE}}}, "perplexity: .* 'spa' .did you mean es"),
        ({"classifiers": {"adult": {"model": _FILE, "languages": ["xx"]}}}, "classifiers.adult.languages: .* 'xx'"),
        (
            {"rules": {"thresholds": {"max_flagged_word_ratio": 0.1}}},
            "ratio needs lists of words: .curate.flagged.words",
        ),
        (
            {"language": {"override": {"de": {"thresholds": {"max_c4_bad_word_count": 0}}}}},
            "max_c4_bad_word_count needs lists of words: .curate.c4.bad_words. is not given",
        ),
        ({"blocklists": {"a": "/no/such/list"}}, "blocklists.a.*not a readable file"),
        ({"blocklists": {"a b": _FILE}}, "string should match pattern"),
        ({"pii": {"mask": ["person"]}}, "email.*phone.*national_id"),
    ],
)
def test_impossible_settings_are_explained(values: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        CurateConfig.from_mapping(values, "run.toml")
