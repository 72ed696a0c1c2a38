"""The packaged model names the language of real sentences, offline."""

from __future__ import annotations

from pathlib import Path

import pytest

from millpond.curate.signals.language import identify

#: Languages of the test sentences that the model was not trained on or names by a wider code.
ABSENT = {"lg", "mi", "nb", "sn", "st", "tn", "ts", "xh", "zu"}


def test_blank_and_broken_texts() -> None:
    assert identify("") == identify(" \n") == identify("\ud800") == (None, None)
    language, score = identify("\ud800 The house is very old and very large.")
    assert language == "en"
    assert score is not None and 0.5 < score <= 1


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("The quick brown fox\njumps over the lazy dog", "en"),
        ("Le renard brun saute par-dessus le chien paresseux", "fr"),
        ("Быстрая коричневая лиса прыгает через ленивую собаку", "ru"),
        ("素早い茶色の狐はのろまな犬を飛び越える", "ja"),
    ],
)
def test_known_sentences(text: str, language: str) -> None:
    assert identify(text)[0] == language


def test_only_the_head_of_a_text_is_read() -> None:
    english = "This is the head of a long text in the English language. " * 80
    assert len(english) > 2000
    assert identify(english) == identify(english[:2000] + "и так далее по-русски " * 1000)


def test_accuracy_on_real_sentences(test_data: Path) -> None:
    right = total = 0
    for path in sorted((test_data / "langid" / "lingua_sentences").glob("*.txt")):
        if path.stem in ABSENT:
            continue
        lines = path.read_text().splitlines()[:60]
        texts = [" ".join(lines[start : start + 3]) for start in range(0, len(lines), 3)]
        right += [identify(text)[0] for text in texts].count(path.stem)
        total += len(texts)
    assert total > 1000
    assert right / total > 0.93
