"""Flagged words: whole words and phrases, by language, from lists that must be there."""

from __future__ import annotations

from pathlib import Path

import pytest

from millpond.curate.config import CurateConfig
from millpond.curate.privacy.config import FlaggedConfig
from millpond.curate.privacy.flagged import FlaggedWords
from millpond.curate.signals.scan import Scan
from millpond.errors import ConfigError


def write(path: Path, text: str) -> str:
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_words_phrases_and_languages(tmp_path: Path) -> None:
    lists = {
        "any": write(tmp_path / "any", "# all\nSpam\n\nfoul play\n"),
        "de": ["Mist"],
        "zh": write(tmp_path / "zh", "坏话\n"),
    }
    flagged = FlaggedWords(FlaggedConfig.model_validate({"words": lists}).words)
    texts = [
        ("SPAM, spam and spammers; foul play", "en", 3),
        ("So ein Mist, spam!", "de", 2),
        ("So ein Mist, spam!", None, 1),
        ("So ein Mist, spam!", "fr", 1),
        ("说坏话，坏话", "zh", 2),
        ("foul language", "en", 0),
        ("", "en", 0),
    ]
    found = flagged.signals(Scan([text for text, _, _ in texts]), [code for _, code, _ in texts], [8] * 6 + [0])
    assert found["flagged_word_count"] == [count for _, _, count in texts]
    assert found["flagged_word_ratio"] == [*(count / 8 for _, _, count in texts[:-1]), None]


def test_no_lists_count_nothing() -> None:
    found = FlaggedWords({}).signals(Scan(["spam"]), ["en"], [1])
    assert found == {"flagged_word_count": [None], "flagged_word_ratio": [None]}


@pytest.mark.parametrize(("data", "message"), [(b"# nothing\n\n", "no words"), (b"\xff\xfe", "not a readable list")])
def test_lists_that_cannot_be_used(tmp_path: Path, data: bytes, message: str) -> None:
    (tmp_path / "list").write_bytes(data)
    for path, said in ((tmp_path / "list", message), (tmp_path / "missing", "not a readable list")):
        with pytest.raises(ConfigError, match=said):
            CurateConfig.from_mapping({"flagged": {"words": {"any": str(path)}}}, "test")
    with pytest.raises(ConfigError, match="at least 1 character"):
        CurateConfig.from_mapping({"flagged": {"words": {"any": [" "]}}}, "test")


def test_a_term_without_words_is_found_nowhere() -> None:
    flagged = FlaggedWords(FlaggedConfig.model_validate({"words": {"en": ["\x1c", "damn"]}}).words)
    assert flagged.signals(Scan(["Damn it"]), ["en"], [2])["flagged_word_count"] == [1]
