"""Given the same words and sentences, our verdicts are those of datatrove's filters."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Iterator, Sequence

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

from millpond.curate.config import CurateConfig
from millpond.curate.presets import CATALOGUE, rules_for
from millpond.curate.rules import HAS_TEXT, Rule, Value, verdict
from millpond.curate.signals import c4, fineweb, gopher
from millpond.curate.signals.config import C4Config
from millpond.curate.signals.measure import Measure
from millpond.curate.signals.scan import GROUP_CHARS, GROUP_TEXTS, Scan, groups
from millpond.curate.signals.words import split_sentences, split_words
from millpond.reasons import Reason
from millpond.schemas import SCORES, SIGNALS

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
    "< 3 paragraphs": "min_c4_long_line_count",
    "document_removed_with_badwords": "max_c4_bad_word_count",
    "line_punct_ratio": "min_fineweb_line_punctuation_ratio",
    "short_line_ratio": "max_fineweb_short_line_ratio",
    "char_dup_ratio": "max_fineweb_duplicate_line_char_ratio",
    "list_ratio": "max_fineweb_newline_word_ratio",
}
RULES = rules_for(CurateConfig())


def measure(texts: Sequence[str]) -> tuple[gopher.Signals, list[str]]:
    """All signals of English texts, and what C4's line rules leave."""
    return Measure(CurateConfig())(texts, ["en"] * len(texts))


#: A user's lists: single words, phrases, signs at their ends, and a language without spaces.
BAD_WORDS = {
    "en": ("free", "sign up", "c++", "a.b", "-x-", "free shipping", "naïve"),
    "ja": ("の", "無料", "xx"),
}


@pytest.fixture(scope="module", autouse=True)
def same_lists(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """datatrove gets our words and sentences, and reads the user's bad words in place of those it would download."""
    folder = tmp_path_factory.mktemp("badwords")
    for language, words in BAD_WORDS.items():
        (folder / language).write_text("\n".join(words))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(c4_filters, "cached_asset_path_or_download", lambda url, **_: folder / url.rpartition("/")[2])
        for module in (gopher_quality_filter, gopher_repetition_filter, fineweb_quality_filter):
            patch.setattr(module, "split_into_words", lambda text, language: split_words(text))
        patch.setattr(c4_filters, "split_into_sentences", lambda text, language: split_sentences(text))
        yield


def theirs(judge: object, text: str, language: str = "en") -> tuple[str | None, str]:
    """The rule that their filter drops a text by, or None, and the text it leaves."""
    document = Document(text=text, id="1", metadata={"language": language})
    outcome = judge.filter(document)  # type: ignore[attr-defined]
    return (None if outcome is True else NAMES[outcome[1]]), document.text


def only(signals: gopher.Signals) -> dict[str, Value]:
    """The signals of the one text they were taken of."""
    return {name: value for name, [value] in signals.items()}


def ours(reason: Reason, signals: gopher.Signals, rules: Sequence[Rule] = RULES) -> str | None:
    rule = verdict([rule for rule in rules if rule.reason == reason], only(signals))
    return rule.name if rule else None


def own(name: str) -> list[Rule]:
    """A rule that FineWeb does without."""
    return [rule for rule in CATALOGUE if rule.name == name]


_BAD_WORDS_JUDGE = c4_filters.C4BadWordsFilter()


def compare(text: str) -> list[str]:
    """Compare all six filters on one text; the rules that dropped it."""
    scan = Scan([text])
    found = [ours(Reason.GOPHER_REPETITION, gopher.repetition(scan))]
    assert found[-1] == theirs(gopher_repetition_filter.GopherRepetitionFilter(), text)[0]

    found.append(ours(Reason.GOPHER_QUALITY, gopher.quality(scan)))
    assert found[-1] == theirs(gopher_quality_filter.GopherQualityFilter(), text)[0]

    for config in (C4Config(), C4Config(terminal_punctuation=True)):
        judge = c4_filters.C4QualityFilter(filter_no_terminal_punct=config.terminal_punctuation)
        rule, left = theirs(judge, text)
        lines = c4.lines(text, config)
        found.append(ours(Reason.C4, c4.signals(scan, [lines], [None])))
        if rule is None:
            assert found[-1] is None
            assert lines.text == left
        else:  # they stop at the first line with filler or code, we name filler first
            both = {"max_c4_lorem_ipsum_lines", "max_c4_curly_bracket_lines"}
            assert found[-1] == rule or {found[-1], rule} == both

    signals = c4.signals(scan, [c4.Lines((), text, 0, 0)], [None])
    found.append(ours(Reason.C4, signals, own("min_c4_long_line_count")))
    assert found[-1] == theirs(c4_filters.C4ParagraphFilter(), text)[0]

    for language, words in BAD_WORDS.items():
        signals = c4.signals(scan, [c4.Lines((), text, 0, 0)], [c4.BadWords(words, language)])
        found.append(ours(Reason.C4, signals, own("max_c4_bad_word_count")))
        assert found[-1] == theirs(_BAD_WORDS_JUDGE, text, language)[0]

    if text.strip():
        found.append(ours(Reason.FINEWEB, fineweb.signals([text], [len(split_words(text))])))
        assert found[-1] == theirs(fineweb_quality_filter.FineWebQualityFilter(), text)[0]
    return [rule for rule in found if rule]


def test_every_given_page_gets_the_same_verdict_from_every_filter(gold_texts: list[str]) -> None:
    dropped = [compare(text) for text in gold_texts]
    # The comparison is worth something: many texts are kept by many rules, and nearly all rules speak.
    times = Counter(rule for rules in dropped for rule in set(rules))
    silent = set(NAMES.values()) - times.keys()
    lengths = {"max_word_count", "max_mean_word_length"}
    assert silent <= lengths | {"max_bullet_line_ratio", "max_hash_word_ratio", "max_ellipsis_word_ratio"}
    assert all(count < 0.95 * len(gold_texts) for count in times.values())


_WORDS = (
    "free a.b c++ sign up 無料 a aa aaa ab b the be to of that data... … # - • , . ! ? 1 12 { } [1] [edit] lorem "
    "ipsum javascript privacy policy use cookies 今 है। naïve l’été extraordinarily １ _"
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
    signals, left = measure([text])
    assert left == [""]
    found = verdict(RULES, only(signals))
    assert found is not None and found.name == rule


def test_signals_are_the_columns_of_the_table() -> None:
    signals, _ = measure(["The cat is to be seen. And that is that."])
    # Personal data is counted where it is masked.
    assert list(signals) == [name for name, _ in SIGNALS if not name.startswith("pii_")]
    of_lists = ["c4_bad_word_count", "flagged_word_count", "flagged_word_ratio"]
    of_models = ["unigram_log_probability", "perplexity", *(f"{name}_score" for name in SCORES)]
    assert [name for name, value in only(signals).items() if value is None] == [*of_lists, *of_models]


def test_signals_of_nothing_are_null_or_zero() -> None:
    signals, left = measure([""])
    assert {value for value in only(signals).values() if value is not None} <= {0}
    assert left == [""]
    assert measure([]) == ({name: [] for name, _ in SIGNALS if not name.startswith("pii_")}, [])


@settings(max_examples=50, deadline=None)
@given(st.lists(TEXTS | st.text(), max_size=GROUP_TEXTS))
@example(["one word"] * 3 + ["", "'", "a"])
@example(["x' y", "'z"])
def test_a_text_has_the_same_signals_in_any_company(texts: list[str]) -> None:
    together, left = measure(texts)
    for place, text in enumerate(texts):
        alone = measure([text])
        assert alone == ({name: [values[place]] for name, values in together.items()}, [left[place]])


def test_long_texts_and_words_are_measured_like_short_ones() -> None:
    sentence = "The mill stands on that bend of the river, as it always has, and grinds. "
    text = " ".join(f"{sentence}{'x' * 70_000}{number}" for number in range(4))
    signals = only(measure([text])[0])
    words = split_words(text)
    assert signals["top_2gram_char_ratio"] == 4 * len("The mill") / len(text)
    repeated = 3 * len("".join(words[:16]))  # of 18 words: an 8-gram that counts is stepped over whole
    assert signals["duplicate_8gram_char_ratio"] == repeated / len(text)
    assert len(words) == 4 * 19 and signals["word_count"] == 4 * 16
    compare(f"{text} {text}")


def test_groups_keep_the_order_and_their_size() -> None:
    texts = ["a" * 10_000] * 20 + ["b" * 100_000] + ["c"] * 200
    found = list(groups(texts))
    assert [text for group in found for text in group] == texts
    assert all(
        len(group) <= GROUP_TEXTS and (len(group) == 1 or sum(map(len, group)) <= GROUP_CHARS) for group in found
    )
    assert len(found) < 12 and list(groups([])) == []
    with pytest.raises(ValueError, match="at most"):
        Scan(["a"] * (GROUP_TEXTS + 1))


def test_known_repetition() -> None:
    words = ["one", "two", "three", "four", "five"] * 2
    found = only(gopher.repetition(Scan([" ".join(words)])))
    assert found["duplicate_5gram_char_ratio"] == len("onetwothreefourfive") / len(" ".join(words))
    assert found["top_2gram_char_ratio"] == 2 * len("one two") / len(" ".join(words))
    assert found["duplicate_6gram_char_ratio"] == 0


def test_time_is_in_proportion_to_the_text() -> None:
    start = time.process_time()
    for text in ("a " * 200_000, "a" * 2_000_000, "." * 400_000 + "x", ".)" * 200_000, ". " * 200_000, "'" * 400_000):
        measure([text])
    assert time.process_time() - start < 10


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
    assert c4.lines(line, C4Config()).text == kept


def test_line_rules_can_be_switched_off() -> None:
    config = C4Config(
        remove_citations=False, min_words_per_line=0, max_word_length=10_000, javascript=False, policy=False
    )
    text = "Short\nnote [12]\nJavaScript\nprivacy policy\n" + "x" * 2000
    assert c4.lines(text, config).text == text


def test_every_rule_of_theirs_is_one_of_ours() -> None:
    mine = {rule.name for rule in RULES}
    more = {"min_c4_long_line_count", "max_c4_bad_word_count"}
    assert set(NAMES.values()) == mine - {"min_language_score", HAS_TEXT.name} | more
    assert all(re.fullmatch(r"(min|max)_\w+", name) for name in mine)


def test_bad_words_are_found_in_any_case() -> None:
    assert c4.BadWords(["Damn"], "en").count("damn DAMN") == 1
