"""RefinedWeb's and Curator's signals, bad words, stop words: known cases, and the definitions written out plainly."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from millpond.curate.config import CurateConfig
from millpond.curate.presets import rules_for
from millpond.curate.signals import curator, gopher, refinedweb
from millpond.curate.signals.config import RefinedWebConfig
from millpond.curate.signals.measure import Measure
from millpond.curate.signals.scan import Scan
from millpond.curate.signals.stop_words import NAMES, packaged, stop_words
from millpond.errors import ConfigError

PROSE = "A line of prose that nobody would remove from a page."


def config(**values: object) -> CurateConfig:
    return CurateConfig.from_mapping(values, "test")


def removed(text: str, **values: float) -> tuple[float | int | None, str]:
    scan = Scan([text])
    judged = refinedweb.judge(scan, RefinedWebConfig.model_validate(values))
    return refinedweb.signals(scan, judged)["refinedweb_removed_word_ratio"][0], refinedweb.left(scan, judged)[0]


@pytest.mark.parametrize(
    ("line", "kept"),
    [
        ("BREAKING NEWS from HERE", ""),
        ("HALF half", "HALF half"),
        ("20240501", ""),
        ("٣٤٥", ""),
        ("3 likes", ""),
        ("— 1,204.5k Comments —", ""),
        ("3 likes to read", "3 likes to read"),
        ("Menu", ""),
        ("two words", "two words"),
        ("Sign-in to read this", "to read this"),
        ("And so they went. Read more...", "And so they went."),
        ("Read more...", ""),
        ("There are 2 items in cart today", "There are 2 today"),
        (f"{PROSE} Read more...", f"{PROSE} Read more..."),  # more than ten words
        ("  ", ""),
    ],
)
def test_refinedweb_lines(line: str, kept: str) -> None:
    text = f"{PROSE}\n{line}\n{PROSE}"
    share, left = removed(text)
    assert [line for line in left.split("\n") if line.strip()] == [PROSE, *filter(None, [kept]), PROSE]
    total = len(text.split())
    assert share == (total - len(left.split())) / total


def test_refinedweb_of_nothing_and_with_other_bounds() -> None:
    assert removed("") == (None, "")
    assert removed("word") == (1.0, "")
    assert removed("ONE word", min_words=1, max_uppercase=0.2) == (1.0, "")
    assert removed("word", min_words=1) == (0.0, "word")


TEXTS = st.text(st.sampled_from("ab Z1٣.,?!\"'{}[]()⟨⟩\n\t\b\r é中http://x%")) | st.text()


@settings(max_examples=200)
@given(st.lists(TEXTS, max_size=4))
def test_refinedweb_is_what_it_says(texts: list[str]) -> None:
    scan = Scan(texts)
    judged = refinedweb.judge(scan, RefinedWebConfig())
    shares = refinedweb.signals(scan, judged)["refinedweb_removed_word_ratio"]
    for text, share in zip(texts, shares, strict=True):
        lines = text.split("\n")
        words = [len(line.split()) for line in lines]
        gone = [
            count
            for line, count in zip(lines, words, strict=True)
            if line and (sum(map(str.isupper, line)) / len(line) > 0.5 or count == 1)
        ]
        assert share == (sum(gone) / sum(words) if sum(words) else None)


@settings(max_examples=200)
@given(st.lists(TEXTS, max_size=4))
def test_curator_is_what_it_says(texts: list[str]) -> None:
    found = curator.signals(Scan(texts))
    for place, text in enumerate(texts):
        values = {name.removeprefix("curator_"): column[place] for name, column in found.items()}
        words = text.split()
        assert values["longest_word"] == max(map(len, words), default=0)
        alphabetic = sum(any(map(str.isalpha, word)) for word in words)
        assert values["alpha_word_ratio"] == (alphabetic / len(words) if words else None)
        lines = [line.strip() for line in text.split("\n") if line.strip()]
        unended = sum(not line.endswith((".", "?", "!", '"', "'")) for line in lines)
        assert values["unended_line_ratio"] == (unended / len(lines) if lines else None)
        if not text:
            assert values["number_ratio"] is values["url_ratio"] is values["whitespace_ratio"] is None
            continue
        assert values["non_alphanumeric_ratio"] == (len(text) - len(re.findall(r"[a-zA-Z0-9\n?!,.]", text))) / len(
            text
        )
        assert values["number_ratio"] == len(re.findall(r"[0-9]", text)) / len(text)
        assert values["whitespace_ratio"] == sum(text.count(sign) for sign in "\t\n\r\b ") / len(text)
        assert values["parenthesis_ratio"] == len(re.findall(r"[{}⟨⟩\[\]()]", text)) / len(text)


def test_curator_urls_and_boilerplate() -> None:
    text = "See https://a.example/b?c=d. now\n\nOur Privacy Policy\n\nbye"
    found = {name: column[0] for name, column in curator.signals(Scan([text, "Lorem ipsum dolor"])).items()}
    assert found["curator_url_ratio"] == len("https://a.example/b?c=d.") / len(text)
    assert found["curator_boilerplate_ratio"] == 1 / 3
    assert curator.signals(Scan([text, "Lorem ipsum dolor"]))["curator_boilerplate_ratio"][1] == 1.0


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("<a href=https://a.example/~me/x.html#y>", "https://a.example/~me/x.html#y"),  # tags and quotes end it
        ("http://a.example/a%20b%zz", "http://a.example/a%20b"),
        ("(HTTP://A.EXAMPLE https://A.example/[1])", "https://A.example/"),
        ("https:// nothing", ""),
    ],
)
def test_curator_urls_end_where_theirs_do(text: str, url: str) -> None:
    assert curator.signals(Scan([text]))["curator_url_ratio"] == [len(url) / len(text)]


def test_the_curator_preset_asks_for_letters_in_words_between_white_space() -> None:
    rules = {rule.name: rule.minimum for rule in rules_for(config(rules={"preset": "curator"}))}
    assert rules["min_curator_alpha_word_ratio"] == 0.8
    assert "min_alpha_word_ratio" not in rules
    text = "Prices: 12, 13 and (of course) more, always..."
    signals, _ = Measure(config())([text], ["en"])
    assert signals["curator_alpha_word_ratio"] == [6 / 8]
    assert signals["alpha_word_ratio"] == [6 / 14]  # marks are words, too


def test_line_rules_follow_the_preset_and_can_be_joined() -> None:
    text = f"{PROSE}\nMENU HERE NOW OK\nThis needs JavaScript to run."
    for values, kept in (
        ({"rules": {"preset": "fineweb"}}, [0, 1]),
        ({"rules": {"preset": "refinedweb"}}, [0, 2]),
        ({"rules": {"preset": "c4"}}, [0]),
        ({"rules": {"preset": "gopher"}}, [0, 1, 2]),
        ({"refinedweb": {"remove_lines": True}}, [0]),
    ):
        _, left = Measure(config(**values))([text], ["en"])
        assert left[0].split("\n") == [text.split("\n")[place] for place in kept], values


def test_bad_words_come_from_the_users_file_by_language(tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    path.write_text("free\n\nprose that\nfree\n", encoding="utf-8")
    measure = Measure(config(c4={"bad_words": {"en": str(path), "ja": ["無料"]}}))
    texts = [PROSE, "Free for all of them.", "それは無料です。と三つ言う", PROSE, PROSE]
    signals, _ = measure(texts, ["en", "en", "ja", "de", None])
    assert signals["c4_bad_word_count"] == [1, 1, 1, None, None]
    settings = config(c4={"bad_words": {"en": str(path)}})
    path.unlink()
    assert settings.c4.bad_words["en"] == ("free", "prose that", "free")  # what was read is the setting
    with pytest.raises(ConfigError, match="not a readable list of words"):
        config(c4={"bad_words": {"en": str(path)}})


def test_stop_words_by_language(tmp_path: Path) -> None:
    path = tmp_path / "fi.txt"
    path.write_text("ja\non\n", encoding="utf-8")
    german = "Der Hund und die Katze liegen in der Sonne vor dem Haus."
    texts, languages = [german, PROSE, "Hän on ja oli", german], ["de", "en", "fi", "zh"]

    def counts(**values: object) -> list[float | int | None]:
        return Measure(config(language=values))(texts, languages)[0]["stop_word_count"]

    assert counts() == [0, 2, 0, None]
    assert counts(stop_words="packaged")[:2] == [len({"und", "die", "in", "der"}), 2]
    assert counts(stop_words="packaged")[3] is None
    own = {"fi": {"stop_words": str(path)}, "de": {"stop_words": ["Hund", "Maus"]}}
    assert counts(override=own) == [1, 2, 2, None]


def test_packaged_stop_words_are_words() -> None:
    assert packaged("en") == gopher.STOP_WORDS == stop_words(None, CurateConfig().language)
    assert packaged("de")[:3] == ("der", "und", "die")
    assert packaged("zh") == ()
    assert all(7 <= len(packaged(code)) <= len(gopher.STOP_WORDS) for code in NAMES)
