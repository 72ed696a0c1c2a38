"""A text without some of its words."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from millpond.curate.dedup.cutting import Words, without_words
from millpond.curate.signals.words import content_words


def cut(text: str, *gone: str) -> str:
    """The text without all words of these."""
    words = Words.of(text)
    marked = [spelled in " ".join(gone).split() for spelled in words.spelling.split(" ")[:-1]]
    return without_words(text, words, np.array(marked, dtype=np.bool_))


@settings(max_examples=300, deadline=None)
@given(text=st.text(max_size=60).filter(lambda text: not {"İ", "Σ", "ς"} & set(text)))
def test_words_are_content_words_at_their_places(text: str) -> None:
    """İ and the final sigma are lower-cased by themselves here."""
    words, expected = Words.of(text), content_words(text)
    assert words.spelling == "".join(f"{word} " for word in expected)
    at = [text[start:end] for start, end in zip(words.starts, words.ends, strict=True)]
    assert [content_words(word) for word in at] == [[word] for word in expected]
    for start in range(len(expected)):
        assert (
            words.spelled(start, 2 if start + 1 < len(expected) else 1).split(" ")[:-1] == expected[start : start + 2]
        )


@pytest.mark.parametrize(
    ("text", "gone", "left"),
    [
        ("one two three four", "two three", "one four"),
        ("One. Two, three! Four", "two three", "One. Four"),
        ('He said "two three" and left.', "two three", "He said and left."),
        ("Two three. Four.", "two three", "Four."),
        ("One.\n\nTwo (three).", "two three", "One."),
        ("One.\n\nTwo three.\n\nFour.", "two three", "One.\n\nFour."),
        ("One.\n- two\n- three\n- four", "two three", "One.\n- four"),
        ("One\n\ntwo three four", "two three", "One\n\nfour"),
        ("One two\nthree\n\n\nfour", "two three", "One\n\n\nfour"),
        ("  indented one two\n  three", "two", "  indented one\n  three"),
        ("我们在这里。他走。她来。", "他 走", "我们在这里。她来。"),
        ("abc漢def", "漢", "abc def"),
        ("मैं घर जाता हूँ।", "घर जाता", "मैं हूँ।"),
        ("All of it.", "all of it", ""),
        ("one TWO two one", "two", "one one"),
        # A mark goes with the letter it stands on, and stays with it.
        ("กี่ นา", "ก", "นา"),
        ("กี่ นา", "ี", "กี่ นา"),
        ("กี่ นา", "ี ่ น", "กี่ า"),
        ("漢\U000e0100字 か\u3099", "漢 か", "字"),
    ],
)
def test_seams(text: str, gone: str, left: str) -> None:
    assert cut(text, gone) == left


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="ab,. \n漢-(", max_size=40), st.data())
def test_all_other_words_stay_as_they_were(text: str, data: st.DataObject) -> None:
    words = Words.of(text)
    count = len(words)
    gone = np.array(data.draw(st.lists(st.booleans(), min_size=count, max_size=count)), dtype=np.bool_)
    left = without_words(text, words, gone)
    expected = [text[start:end] for start, end in zip(words.starts[~gone], words.ends[~gone], strict=True)]
    kept = Words.of(left)
    assert [left[start:end] for start, end in zip(kept.starts, kept.ends, strict=True)] == expected
    if not gone.any() and count:
        assert left == text
