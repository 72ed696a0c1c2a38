"""The splitters lose nothing, and cut where a reader of the script would."""

from __future__ import annotations

import re

import pytest
from datatrove.utils.text import PUNCTUATION_SET, TERMINAL_PUNCTUATION
from hypothesis import given
from hypothesis import strategies as st

from millpond.curate.signals import characters
from millpond.curate.signals.words import content_words, count_sentences, split_sentences, split_words


def test_the_tables_are_those_of_the_published_filters() -> None:
    assert characters.PUNCTUATION == PUNCTUATION_SET
    assert characters.SENTENCE_END == TERMINAL_PUNCTUATION
    assert not any(map(str.isalpha, characters.PUNCTUATION))  # what `gopher.quality` relies on


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It's 3.14 ... (yes)", ["It's", "3", ".", "14", "...", "(", "yes", ")"]),
        ("L’été à Paris!", ["L’été", "à", "Paris", "!"]),
        ("हिन्दी भाषा।", ["हिन्दी", "भाषा", "।"]),
        ("今日は。", ["今", "日", "は", "。"]),
        ("می\u200cخواهم", ["می\u200cخواهم"]),
        ("ok 👩\u200d👩", ["ok", "👩", "\u200d", "👩"]),
        (" \n\t", []),
    ],
)
def test_words(text: str, expected: list[str]) -> None:
    assert split_words(text) == expected


def test_content_words_ignore_case_and_punctuation() -> None:
    assert content_words("Hello, WORLD -- “hello”!") == ["hello", "world", "hello"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two? “Three!” Four", ["One.", "Two?", "“Three!”", "Four"]),
        ("Pi is 3.14 in os.path... so.", ["Pi is 3.14 in os.path...", "so."]),
        ("今日は世界。二つ目！", ["今日は世界。", "二つ目！"]),
        ("दूसरा है। तीसरा", ["दूसरा है।", "तीसरा"]),
        ("a line\nanother", ["a line", "another"]),
        ("  ", []),
    ],
)
def test_sentences(text: str, expected: list[str]) -> None:
    assert split_sentences(text) == expected


@given(st.text(st.sampled_from("ab .!?\"')]”» \n。！」）\x0b…")) | st.text())
def test_sentences_are_counted_as_they_are_split(text: str) -> None:
    assert count_sentences(text) == len(split_sentences(text))


#: The same splitter as one regular expression, for text of Latin letters.
_PLAIN = re.compile(r"[A-Za-zéß_0-9]+(?:['’][A-Za-zéß_0-9]+)*|\.+|-+|=+|\*+|~+|\#+|[!'’,…]")


@given(st.text(st.sampled_from("aé_0'’.-=#*~! ,…\n")))
def test_words_are_those_of_the_pattern(text: str) -> None:
    assert split_words(text) == _PLAIN.findall(text)


@given(st.text())
def test_words_hold_all_but_white_space(text: str) -> None:
    assert "".join(split_words(text)) == "".join(text.split())


@given(st.text())
def test_sentences_hold_all_but_white_space(text: str) -> None:
    assert "".join("".join(split_sentences(text)).split()) == "".join(text.split())


@given(st.text(alphabet=st.characters(max_codepoint=127)))
def test_ascii_text_is_split_like_any_other(text: str) -> None:
    assert [*split_words(text), "é"] == split_words(text + "\né")
    assert [*content_words(text), "é"] == content_words(text + "\né")
