"""Flagged words: whole words and phrases, by language, from files that must be there."""

from __future__ import annotations

from pathlib import Path

import pytest

from millpond.curate.privacy.flagged import FlaggedWords
from millpond.curate.words import split_words
from millpond.errors import ConfigError


def write(path: Path, text: str) -> str:
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_words_phrases_and_languages(tmp_path: Path) -> None:
    lists = {
        "any": write(tmp_path / "any", "# all\nSpam\n\nfoul play\n"),
        "de": write(tmp_path / "de", "mist\n"),
        "zh": write(tmp_path / "zh", "坏话\n"),
    }
    flagged = FlaggedWords(lists)

    def count(text: str, language: str | None) -> int | None:
        return flagged.count(text, split_words(text), language)

    assert count("SPAM, spam and spammers; foul play", "en") == 3
    assert count("So ein Mist, spam!", "de") == 2
    assert count("So ein Mist, spam!", None) == count("So ein Mist, spam!", "fr") == 1
    assert count("说坏话，坏话", "zh") == 2
    assert count("foul language", "en") == count("", "en") == 0
    assert flagged.digests.keys() == set(lists.values())


def test_no_lists_count_nothing() -> None:
    assert FlaggedWords({}).count("spam", ["spam"], "en") is None


def test_the_digest_is_of_what_the_file_holds(tmp_path: Path) -> None:
    path = write(tmp_path / "list", "one\n")
    before = FlaggedWords({"any": path}).digests
    write(tmp_path / "list", "two\n")
    assert FlaggedWords({"any": path}).digests != before


@pytest.mark.parametrize(("data", "message"), [(b"# nothing\n\n", "no terms"), (b"\xff\xfe", "not a readable list")])
def test_lists_that_cannot_be_used(tmp_path: Path, data: bytes, message: str) -> None:
    (tmp_path / "list").write_bytes(data)
    with pytest.raises(ConfigError, match=message):
        FlaggedWords({"any": str(tmp_path / "list")})
    with pytest.raises(ConfigError, match="not a readable list"):
        FlaggedWords({"any": str(tmp_path / "missing")})
