"""Rules keep and drop alike in Python and in SQL, and presets mean what they say."""

from __future__ import annotations

import contextlib
import importlib
import io
import pydoc
from math import inf
from pathlib import Path
from typing import Literal

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from millpond.curate.config import CurateConfig, RulesConfig
from millpond.curate.extract import extract
from millpond.curate.normalise import normalise
from millpond.curate.presets import CATALOGUE, PRESETS, rules_for
from millpond.curate.rules import BLOCKLISTS, HAS_TEXT, Rule, Value, rules_digest, sql_case, verdict
from millpond.curate.signals.config import LanguageConfig
from millpond.curate.signals.language import identify
from millpond.curate.signals.measure import Measure
from millpond.errors import ConfigError
from millpond.reasons import Reason
from millpond.schemas import SIGNALS


def config(**values: object) -> CurateConfig:
    return CurateConfig.from_mapping(values, "test")


def named(rules: tuple[Rule, ...]) -> dict[str, Rule]:
    return {rule.name: rule for rule in rules}


def test_fineweb_is_in_the_published_order() -> None:
    reasons = [rule.reason for rule in rules_for(config())]
    order = [Reason.LANGUAGE, Reason.GOPHER_REPETITION, Reason.GOPHER_QUALITY, Reason.C4, Reason.FINEWEB, Reason.EMPTY]
    assert list(dict.fromkeys(reasons)) == order
    assert reasons == sorted(reasons, key=order.index)


#: The published bounds of rules that datatrove's filters do not check (its own are compared with its filters).
PUBLISHED = {
    "min_language_score": 0.65,  # FineWeb
    "min_c4_long_line_count": 3,  # mC4
    "max_c4_bad_word_count": 0,  # C4
    "max_refinedweb_removed_word_ratio": 0.05,  # RefinedWeb, by DCLM
    "max_curator_non_alphanumeric_ratio": 0.25,  # NeMo Curator, from here on
    "max_curator_number_ratio": 0.15,
    "max_curator_url_ratio": 0.2,
    "max_curator_whitespace_ratio": 0.25,
    "max_curator_parenthesis_ratio": 0.1,
    "max_curator_boilerplate_ratio": 0.4,
    "max_curator_unended_line_ratio": 0.85,
    "max_curator_longest_word": 1000,
    "min_curator_alpha_word_ratio": 0.8,
    "max_pii_count": 5,  # Dolma
    "max_flagged_word_ratio": 0.045,  # Data-Juicer
    "min_unigram_log_probability": -10,  # peS2o, as datatrove has it
    "max_perplexity": inf,  # depends on the model
    **dict.fromkeys(("min_quality_score", "min_education_score"), 0.5),
    **dict.fromkeys(("max_toxicity_score", "max_adult_score"), 0.5),
}
#: Gopher's table A1, C4 and FineWeb, by datatrove.
OF_DATATROVE = {
    **dict.fromkeys(("max_duplicate_paragraph_ratio", "max_duplicate_line_ratio"), 0.3),
    **dict.fromkeys(("max_duplicate_paragraph_char_ratio", "max_duplicate_line_char_ratio"), 0.2),
    **{f"max_top_{n}gram_char_ratio": bound for n, bound in zip((2, 3, 4), (0.2, 0.18, 0.16), strict=True)},
    **{f"max_duplicate_{n}gram_char_ratio": (20 - n) / 100 for n in range(5, 11)},
    "min_word_count": 50,
    "max_word_count": 100_000,
    "min_mean_word_length": 3,
    "max_mean_word_length": 10,
    "max_hash_word_ratio": 0.1,
    "max_ellipsis_word_ratio": 0.1,
    "max_bullet_line_ratio": 0.9,
    "max_ellipsis_line_ratio": 0.3,
    "min_alpha_word_ratio": 0.8,
    "min_stop_word_count": 2,
    "max_c4_lorem_ipsum_lines": 0,
    "max_c4_curly_bracket_lines": 0,
    "min_c4_sentence_count": 5,
    "min_fineweb_line_punctuation_ratio": 0.12,
    "max_fineweb_short_line_ratio": 0.67,
    "max_fineweb_duplicate_line_char_ratio": 0.01,
    "max_fineweb_newline_word_ratio": 0.3,
}


def test_bounds_are_the_published_ones() -> None:
    assert {rule.name: rule.threshold for rule in CATALOGUE} == PUBLISHED | OF_DATATROVE
    for name in ("curator", "refinedweb", "fineweb", "gopher", "c4"):
        kept = {rule.name: rule.threshold for rule in PRESETS[name].rules}
        assert kept.items() <= (PUBLISHED | OF_DATATROVE).items(), name


def test_the_share_of_repeated_characters_is_pinned_to_what_the_code_did() -> None:
    assert named(rules_for(config()))["max_fineweb_duplicate_line_char_ratio"].maximum == 0.01


def test_every_rule_looks_at_a_column_of_the_table() -> None:
    columns = {name for name, _ in SIGNALS} | {"language", "language_score", "text_bytes"}
    everything = (*CATALOGUE, *rules_for(config(language={"allowed": ["en"]})))
    # What is only counted: the parts of a sum, and the count behind a ratio.
    parts = {name for name in columns if name.startswith("pii_")} - {"pii_count"} | {"flagged_word_count"}
    assert {rule.column for rule in everything} == columns - parts


def test_personal_data_and_flagged_words_drop_nothing_unless_told() -> None:
    row = {"text_bytes": 1, "pii_count": 6, "flagged_word_ratio": 0.5}
    assert verdict(rules_for(config(rules={"preset": "none"})), row) is None
    told = {"preset": "none", "thresholds": {"max_pii_count": 5, "max_flagged_word_ratio": 0.045}}
    rules = rules_for(config(rules=told, flagged={"words": {"any": ["spam"]}}))
    dropped = verdict(rules, row)
    assert dropped is not None and (dropped.name, dropped.reason) == ("max_pii_count", Reason.PII)
    flagged = verdict(rules, row | {"pii_count": 5})
    assert flagged is not None and flagged.reason == Reason.FLAGGED_WORDS
    assert verdict(rules, {"text_bytes": 1, "pii_count": 5, "flagged_word_ratio": None}) is None


def test_thresholds_change_drop_and_bring_back_rules() -> None:
    thresholds = {"min_word_count": 10, "max_top_2gram_char_ratio": None, "min_stop_word_count": False}
    rules = named(rules_for(config(rules={"thresholds": thresholds})))
    assert rules["min_word_count"].minimum == 10
    assert "max_top_2gram_char_ratio" not in rules
    assert "min_stop_word_count" not in rules
    back = config(rules={"preset": "none", "thresholds": {"max_c4_curly_bracket_lines": 3}})
    put_back, has_text = rules_for(back)
    assert (put_back.name, put_back.maximum, has_text) == ("max_c4_curly_bracket_lines", 3, HAS_TEXT)


def test_a_threshold_of_a_rule_that_is_not_there_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"min_words.*known: .*min_word_count"):
        config(rules={"thresholds": {"min_words": 10}})
    with pytest.raises(ConfigError, match=r"language\.min_score"):
        config(rules={"thresholds": {"min_language_score": 0.1}})
    with pytest.raises(ConfigError, match="give a number, or false"):
        config(rules={"thresholds": {"min_word_count": True}})


def test_language_settings() -> None:
    rules = rules_for(config(language={"allowed": ["en", "de"], "min_score": 0.4}))
    assert verdict(rules[:2], {"language": "fr", "language_score": 0.9}) == rules[0]
    assert verdict(rules[:2], {"language": None, "language_score": None}) == rules[0]
    assert verdict(rules[:2], {"language": "de", "language_score": 0.3}) == rules[1]
    assert verdict(rules[:2], {"language": "de", "language_score": 0.4}) is None


def test_a_document_has_text_under_any_setting() -> None:
    rules = rules_for(config(rules={"preset": "none"}))
    assert rules == (HAS_TEXT,)
    assert verdict(rules, {"text_bytes": 0}) == HAS_TEXT
    assert verdict(rules, {"text_bytes": 1}) is None


def test_blocklists_come_before_all_rules(tmp_path: Path) -> None:
    """By name, and known by their content."""
    files = {name: tmp_path / name for name in ("b.txt", "a.txt")}
    for name, path in files.items():
        path.write_text(f"{name}.test\n")
    asked = config(blocklists={path.stem: str(path) for path in files.values()}, language={"allowed": ["en"]})
    first, second, third = (rules := rules_for(asked))[:3]
    assert (first.name, second.name, third.name) == ("blocklist.a", "blocklist.b", "allowed_language")
    a, b = (asked.blocklists[name].sha256 for name in "ab")
    row: dict[str, Value] = {"language": "de", "text_bytes": 0, BLOCKLISTS: None}
    for held, expected in (([b, a], first), ([b], second), ([], third), (None, third)):
        found = verdict(rules, row | {BLOCKLISTS: held})
        assert found == expected and found is not None
        query = (
            f"SELECT {sql_case(rules[:3], 'rule')}, {sql_case(rules[:3], 'value')}, {sql_case(rules[:3], 'threshold')}"
        )
        asked_row = "(SELECT 'de' AS language, 0.5 AS language_score, $held::VARCHAR[] AS blocklists)"
        assert _connection().execute(f"{query} FROM {asked_row}", {"held": held}).fetchone() == (
            expected.name,
            None,
            None,
        )
    before = rules_digest(rules)
    files["a.txt"].write_text("other.test\n")
    after = config(blocklists={path.stem: str(path) for path in files.values()}, language={"allowed": ["en"]})
    assert rules_digest(rules_for(after)) != before


def test_what_is_null_fails_no_rule() -> None:
    assert verdict(rules_for(config()), {}) is None


def test_digests_tell_decisions_apart() -> None:
    same = config(rules={"thresholds": {"min_word_count": 50}})
    other = config(rules={"thresholds": {"min_word_count": 51}})
    assert rules_digest(rules_for(config())) == rules_digest(rules_for(same))
    assert rules_digest(rules_for(config())) != rules_digest(rules_for(other))


@pytest.mark.parametrize(
    ("preset", "removes"),
    [("fineweb", True), ("c4", True), ("refinedweb", False), ("api-docs", False), ("none", False)],
)
def test_line_removal_follows_the_preset_unless_told(preset: str, removes: bool) -> None:
    assert config(rules={"preset": preset}).removes_c4_lines is removes
    assert config(rules={"preset": preset}, c4={"remove_lines": not removes}).removes_c4_lines is not removes


def test_a_language_can_have_thresholds_of_its_own() -> None:
    settings = config(
        rules={"preset": "none", "thresholds": {"min_word_count": 50}},
        language={"override": {"fi": {"thresholds": {"min_word_count": 5, "max_mean_word_length": 18}}, "zh": _OFF}},
    )
    rules = rules_for(settings)
    assert [rule.name for rule in rules] == ["min_word_count", "max_mean_word_length", "min_text_bytes"]
    kept: dict[str, Value] = {"word_count": 20, "mean_word_length": 17}
    assert verdict(rules, {**kept, "language": "fi"}) is None
    assert verdict(rules, {**kept, "language": "en"}) == rules[0]
    assert verdict(rules, {**kept, "language": None}) == rules[0]
    assert verdict(rules, {"language": "zh", "word_count": 1, "mean_word_length": 99}) is None
    assert verdict(rules, {"language": "fi", "word_count": 20, "mean_word_length": 19}) == rules[1]
    assert rules_digest(rules) != rules_digest(rules_for(config(rules=settings.rules.model_dump())))
    with pytest.raises(ConfigError, match="unknown rule min_words"):
        config(language={"override": {"fi": {"thresholds": {"min_words": 5}}}})


def test_presets_are_rules_of_the_catalogue_in_its_order() -> None:
    names = [rule.name for rule in CATALOGUE]
    assert len(set(names)) == len(names)
    assert all(rule.source for rule in CATALOGUE)
    for name, preset in PRESETS.items():
        places = [names.index(rule.name) for rule in preset.rules]
        assert places == sorted(places), name
        if name not in ("api-docs", "none"):
            assert set(preset.rules) <= set(CATALOGUE)
            assert named(rules_for(config(rules={"preset": name}))).keys() == {
                *(rule.name for rule in preset.rules),
                HAS_TEXT.name,
            }


_FRENCH: dict[str, object] = {
    "thresholds": {"min_word_count": 4, "max_word_count": False, "max_curator_url_ratio": 0.2}
}
_OFF: dict[str, object] = {"thresholds": {"min_word_count": False}}

#: Rules that no preset has, scores among them; perplexity has no bound of its own.
_IN_PRESETS = {rule.name for preset in PRESETS.values() for rule in preset.rules}
_LEFT_OUT: dict[str, float | None] = {
    rule.name: min(rule.threshold or 0, 5) for rule in CATALOGUE if rule.name not in _IN_PRESETS
}

ROWS = st.fixed_dictionaries(
    {name: st.none() | st.sampled_from([0, 1, 5, 50, 100_001, 0.005, 0.01, 0.2, 0.3, 0.8]) for name, _ in SIGNALS}
    | {"language": st.sampled_from([None, "en", "fr", "it's"]), "language_score": st.sampled_from([None, 0.3, 0.9])}
    | {"text_bytes": st.sampled_from([0, 1])}
)


@settings(max_examples=100, deadline=None)
@given(
    row=ROWS,
    preset=st.sampled_from([*sorted(PRESETS), "what no preset has"]),
    allowed=st.sampled_from([[], ["en"], ["it's", "en"]]),
    override=st.sampled_from([{}, {"fr": _FRENCH}, {"it's": _FRENCH, "fr": {"min_score": 0.2}}]),
)
def test_sql_gives_the_same_verdict(
    row: dict[str, Value], preset: str, allowed: list[str], override: dict[str, object]
) -> None:
    language = LanguageConfig.model_validate({"allowed": allowed, "override": override})
    chosen = RulesConfig(preset="none", thresholds=_LEFT_OUT)
    if preset in PRESETS:
        chosen = RulesConfig.model_validate({"preset": preset})
    rules = rules_for(CurateConfig().model_copy(update={"language": language, "rules": chosen}))
    asked: tuple[Literal["rule", "reason", "value", "threshold"], ...] = ("rule", "reason", "value", "threshold")
    columns = ", ".join(f"${name}::{_type(name)} AS {name}" for name in row)
    query = f"SELECT {', '.join(sql_case(rules, name) for name in asked)} FROM (SELECT {columns})"
    found = _connection().execute(query, row).fetchone()
    rule = verdict(rules, row)
    if rule is None:
        assert found == (None, None, None, None)
    else:
        value = None if rule.allowed is not None else row[rule.column]
        assert found == (rule.name, rule.reason.value, value, rule.threshold_for(row["language"]))


def test_scores_of_toxic_and_adult_content_are_among_what_no_preset_has() -> None:
    assert {"max_toxicity_score", "max_adult_score", "max_pii_count", "max_perplexity"} <= _LEFT_OUT.keys()


def _type(name: str) -> str:
    return "VARCHAR" if name == "language" else "DOUBLE"


def _connection() -> duckdb.DuckDBPyConnection:
    return duckdb.connect(":memory:")


_MODULES = (
    "argparse base64 bisect calendar collections contextlib csv dataclasses decimal fractions functools gzip heapq "
    "http.client io ipaddress json linecache logging pathlib queue random shutil socket textwrap threading "
    "urllib.parse uuid weakref zipfile"
)
MODULES = _MODULES.split()


def signals_of(html: str, settings: CurateConfig) -> dict[str, Value] | None:
    found = extract(html.encode("utf-8", "replace"), charset="utf-8", config=settings.extract)
    if found.text is None:
        return None
    text = normalise(found.text)
    language, score = identify(text)
    signals, _ = Measure(settings)([text], [language])
    row: dict[str, Value] = {name: value for name, [value] in signals.items()}
    return {**row, "language": language, "language_score": score}


def reference_page(name: str) -> str:
    document = pydoc.HTMLDoc()
    with contextlib.redirect_stdout(io.StringIO()):
        return document.page(name, document.docmodule(importlib.import_module(name)))


def test_api_docs_keeps_reference_pages_that_fineweb_drops() -> None:
    settings = config(rules={"preset": "api-docs"})
    loose, strict = rules_for(settings), rules_for(config())
    rows = [row for name in MODULES if (row := signals_of(reference_page(name), settings))]
    assert len(rows) == len(MODULES)
    assert sum(verdict(loose, row) is None for row in rows) >= 0.8 * len(rows)
    assert sum(verdict(strict, row) is None for row in rows) <= 0.2 * len(rows)


@pytest.mark.parametrize(
    "body",
    [
        "",
        "<p>Not implemented.</p>",
        "<h1>module</h1><ul>" + "<li><a href='#x'>x</a></li>" * 200 + "</ul>",
        "<p>" + "NAME = 1 " * 100 + "</p>",
        "<pre>" + "0x00 0xff {} [] ; ; ; " * 100 + "</pre>",
    ],
)
def test_api_docs_drops_stubs_and_noise(body: str) -> None:
    settings = config(rules={"preset": "api-docs"})
    row = signals_of(f"<html><head><title>stub</title></head><body>{body}</body></html>", settings)
    assert row is None or verdict(rules_for(settings), row) is not None
