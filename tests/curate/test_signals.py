"""Given the same words and sentences, our verdicts are those of datatrove's filters."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

import pytest
from datatrove.data import Document
from datatrove.pipeline.filters import (
    c4_filters,
    fineweb_quality_filter,
    gopher_quality_filter,
    gopher_repetition_filter,
)
from hypothesis import example, given, settings
from hypothesis import strategies as st

from millpond.curate import c4, fineweb, gopher
from millpond.curate.config import C4Config, CurateConfig
from millpond.curate.rules import HAS_TEXT, Rule, rules_for, verdict
from millpond.curate.words import split_sentences, split_words
from millpond.schemas import SIGNALS, Reason

#: datatrove's drop reason → our rule.
NAMES = {
    "dup_para_frac": "max_duplicate_paragraph_ratio",
    "dup_para_char_frac": "max_duplicate_paragraph_char_ratio",
    "dup_line_frac": "max_duplicate_line_ratio",
    "dup_line_char_frac": "max_duplicate_line_char_ratio",
    **{f"top_{n}_gram": f"max_top_{n}gram_char_ratio" for n in range(2, 5)},
    **{f"duplicated_{n}_n_grams": f"max_duplicate_{n}gram_char_ratio" for n in range(5, 11)},
    "gopher_short_doc": "min_word_count",
    "gopher_long_doc": "max_word_count",
    "gopher_below_avg_threshold": "min_mean_word_length",
    "gopher_above_avg_threshold": "max_mean_word_length",
    "gopher_too_many_hashes": "max_hash_word_ratio",
    "gopher_too_many_ellipsis": "max_ellipsis_word_ratio",
    "gopher_too_many_bullets": "max_bullet_line_ratio",
    "gopher_too_many_end_ellipsis": "max_ellipsis_line_ratio",
    "gopher_below_alpha_threshold": "min_alpha_word_ratio",
    "gopher_enough_stop_words": "min_stop_word_count",
    "lorem_ipsum": "max_c4_lorem_ipsum_lines",
    "curly_bracket": "max_c4_curly_bracket_lines",
    "too_few_sentences": "min_c4_sentence_count",
    "line_punct_ratio": "min_fineweb_line_punctuation_ratio",
    "short_line_ratio": "max_fineweb_short_line_ratio",
    "char_dup_ratio": "max_fineweb_duplicate_line_char_ratio",
    "list_ratio": "max_fineweb_newline_word_ratio",
}
RULES = rules_for(CurateConfig())


@pytest.fixture(scope="module", autouse=True)
def same_words_and_sentences() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for module in (gopher_quality_filter, gopher_repetition_filter, fineweb_quality_filter):
            patch.setattr(module, "split_into_words", lambda text, language: split_words(text))
        patch.setattr(c4_filters, "split_into_sentences", lambda text, language: split_sentences(text))
        yield


def theirs(judge: object, text: str) -> tuple[str | None, str]:
    """The rule that their filter drops a text by, or None, and the text it leaves."""
    document = Document(text=text, id="1")
    outcome = judge.filter(document)  # type: ignore[attr-defined]
    return (None if outcome is True else NAMES[outcome[1]]), document.text


def ours(reason: Reason, signals: gopher.Signals) -> str | None:
    rule = verdict([rule for rule in RULES if rule.reason == reason], signals)
    return rule.name if rule else None


def compare(text: str) -> list[str]:
    """Compare all four filters on one text; the rules that dropped it."""
    words = split_words(text)
    found = [ours(Reason.GOPHER_REPETITION, gopher.repetition(text, words))]
    assert found[-1] == theirs(gopher_repetition_filter.GopherRepetitionFilter(), text)[0]

    found.append(ours(Reason.GOPHER_QUALITY, gopher.quality(text, words)))
    assert found[-1] == theirs(gopher_quality_filter.GopherQualityFilter(), text)[0]

    for config in (C4Config(), C4Config(terminal_punctuation=True)):
        judge = c4_filters.C4QualityFilter(filter_no_terminal_punct=config.terminal_punctuation)
        rule, left = theirs(judge, text)
        found.append(ours(Reason.C4, c4.signals(text, config)))
        if rule is None:
            assert found[-1] is None
            assert c4.clean_lines(text, config) == left
        else:  # they stop at the first line with filler or code, we name filler first
            both = {"max_c4_lorem_ipsum_lines", "max_c4_curly_bracket_lines"}
            assert found[-1] == rule or {found[-1], rule} == both

    if text.strip():
        found.append(ours(Reason.FINEWEB, fineweb.signals(text, len(words))))
        assert found[-1] == theirs(fineweb_quality_filter.FineWebQualityFilter(), text)[0]
    return [rule for rule in found if rule]


def test_on_real_pages(real_texts: list[str]) -> None:
    dropped = [compare(text) for text in real_texts]
    # The comparison is worth something: many texts are kept, and many rules speak.
    assert sum(not rules for rules in dropped) > 20
    assert len({rule for rules in dropped for rule in rules}) > 8


_WORDS = (
    "a aa aaa ab b the be to of that data... … # - • , . ! ? 1 12 { } [1] [edit] lorem ipsum javascript "
    "privacy policy use cookies 今 है। naïve l’été extraordinarily １ _"
)
WORDS = st.sampled_from(_WORDS.split())
SPACES = st.sampled_from([" ", " ", " ", " ", "\n", "\n\n", "\n\n\n", ". ", ".\n", "\t", "\x0b", "\u2028", "\xa0"])
SENTENCE = st.sampled_from(
    ["The quick data of that house is to be seen by them.", "Lorem ipsum is filler for that.", "x = {1: 2} is code"]
)
TEXTS = st.lists(st.tuples(WORDS | SENTENCE, SPACES), max_size=150).map(
    lambda parts: "".join(word + space for word, space in parts)
)


@settings(max_examples=150, deadline=None)
@given(TEXTS, st.integers(1, 6))
@example("the that of " * 40, 1)
@example("", 1)
@example("\n", 1)
@example("a", 1)
@example("ab c\na bc\n" * 30, 1)  # n-grams are compared with their words run together
def test_on_made_texts(text: str, times: int) -> None:
    text *= times
    if text:
        compare(text)


@settings(max_examples=100, deadline=None)
@given(st.text())
def test_on_any_text(text: str) -> None:
    if text:
        compare(text)


_LONG_LINE = (
    "The old mill stands on a quiet bend of that river, and farmers have carried their grain to its doors for many "
    "years; when autumn comes, water turns each great wheel slowly while children watch from an arched stone bridge "
    "nearby, hoping someone will be kind enough to explain how such heavy stones can move with so little noise"
)


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("two words\nonly here", "max_top_2gram_char_ratio"),
        (_LONG_LINE[:120] + ", which needs JavaScript.", "min_word_count"),
        (_LONG_LINE + ". That is our privacy policy.", "min_c4_sentence_count"),
    ],
)
def test_a_text_that_loses_every_line_is_dropped_by_the_rule_that_drops_it_in_datatrove(text: str, rule: str) -> None:
    judges = (
        gopher_repetition_filter.GopherRepetitionFilter(),
        gopher_quality_filter.GopherQualityFilter(),
        c4_filters.C4QualityFilter(filter_no_terminal_punct=False),
    )
    assert next(name for judge in judges if (name := theirs(judge, text)[0])) == rule
    assert c4.clean_lines(text, C4Config()) == ""
    words = split_words(text)
    signals = gopher.quality(text, words) | gopher.repetition(text, words)
    signals |= c4.signals(text, C4Config()) | fineweb.signals("", 0)
    found = verdict(RULES, signals)
    assert found is not None and found.name == rule


def test_signals_are_the_columns_of_the_table() -> None:
    text = "The cat is to be seen. And that is that."
    words = split_words(text)
    found = gopher.quality(text, words) | gopher.repetition(text, words)
    found |= c4.signals(text, C4Config()) | fineweb.signals(text, len(words))
    assert set(found) == {name for name, _ in SIGNALS if not name.startswith(("pii_", "flagged_"))}


def test_signals_of_nothing_are_null_or_zero() -> None:
    found = gopher.quality("", []) | gopher.repetition("", []) | fineweb.signals("", 0)
    assert {value for value in found.values() if value is not None} <= {0}


def test_known_repetition() -> None:
    words = ["one", "two", "three", "four", "five"] * 2
    found = gopher.repetition(" ".join(words), words)
    assert found["duplicate_5gram_char_ratio"] == len("onetwothreefourfive") / len(" ".join(words))
    assert found["top_2gram_char_ratio"] == 2 * len("one two") / len(" ".join(words))
    assert found["duplicate_6gram_char_ratio"] == 0


def test_repetition_takes_time_in_proportion() -> None:
    words = ["a"] * 200_000
    start = time.process_time()
    gopher.repetition(" ".join(words), words)
    gopher.repetition("a" * 2_000_000, ["a" * 2_000_000])
    assert time.process_time() - start < 5


@pytest.mark.parametrize(
    ("line", "kept"),
    [
        ("Too short", ""),
        ("See the note [12] in the text [edit].", "See the note  in the text ."),
        ("Please enable JavaScript in your browser.", ""),
        ("Read our privacy policy before you go.", ""),
        ("a word of " + "x" * 1001, ""),
        ("  three words here  ", "three words here"),
    ],
)
def test_line_rules(line: str, kept: str) -> None:
    assert c4.clean_lines(line, C4Config()) == kept


def test_line_rules_can_be_switched_off() -> None:
    config = C4Config(
        remove_citations=False, min_words_per_line=0, max_word_length=10_000, javascript=False, policy=False
    )
    text = "Short\nnote [12]\nJavaScript\nprivacy policy\n" + "x" * 2000
    assert c4.clean_lines(text, config) == text


def test_every_rule_of_theirs_is_one_of_ours() -> None:
    mine = {rule.name for rule in RULES if isinstance(rule, Rule)}
    assert set(NAMES.values()) == mine - {"min_language_score", HAS_TEXT.name}
    assert all(re.fullmatch(r"(min|max)_\w+", name) for name in mine)
