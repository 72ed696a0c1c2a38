"""Languages that set no spaces between words: their prose is kept as English prose is, and settings can say other."""

from __future__ import annotations

import pytest

from millpond.curate.config import CurateConfig
from millpond.curate.languages import UNSPACED
from millpond.curate.presets import rules_for
from millpond.curate.rules import verdict
from millpond.curate.signals import c4
from millpond.curate.signals.config import C4Config
from millpond.curate.signals.language import identify, known_languages
from millpond.curate.signals.measure import Measure

#: Prose written for this test, a paragraph a line.
CHINESE = """\
老磨坊坐落在河湾的安静之处，多年来附近的农民一直把收获的谷物送到它的门前。秋天河水上涨，巨大的木轮便慢慢转动起来。
孩子们喜欢站在石桥上观看，猜想那样沉重的石头怎么能转得如此轻巧。守磨人总是耐心地解释齿轮、轴承和水闸各自的用处。
二十年前，一场洪水冲毁了堤坝，村里人以为这座建筑再也无法使用。后来三位木匠花了两个冬天，用橡树重新做好了全部机件。
如今每逢周末，游客可以走进底楼的房间，亲手筛一筛刚磨出来的面粉。楼上陈列着旧账本，上面记着一百多年前的粮价和欠款。
修复工作还没有结束。下一步要清理引水渠里的淤泥，并且为过往的鱼群修建一条通道，让它们能够回到上游产卵。"""
JAPANESE = """\
古い水車小屋は川の静かな曲がり角に立っており、近くの農家は長い間そこへ穀物を運んできた。秋になると水かさが増し、大きな輪がゆっくり回り始める。
子どもたちは石の橋から眺めて、あれほど重い石がなぜ静かに動くのかを不思議に思った。番人はいつも歯車と水門の役割を丁寧に説明してくれる。
二十年前の洪水で堤が壊れ、村の人々は二度と使えないと考えていた。その後、三人の大工が二度の冬をかけて、すべての部品を作り直した。"""
THAI = "โรงสีเก่าตั้งอยู่ริมโค้งน้ำอันเงียบสงบ ชาวนาในละแวกนั้นขนข้าวมาส่งที่นี่มานานหลายปีแล้ว"


def config(**values: object) -> CurateConfig:
    return CurateConfig.from_mapping(values, "test")


def dropped_by(text: str, settings: CurateConfig) -> tuple[str | None, str]:
    """The rule that drops a text, or None, and what the line rules leave of it."""
    language, score = identify(text)
    signals, [left] = Measure(settings)([text], [language])
    row = {name: value for name, [value] in signals.items()} | {"language": language, "language_score": score}
    rule = verdict(rules_for(settings), row)
    return (rule.name if rule else None), left


@pytest.mark.parametrize("preset", ["fineweb", "refinedweb", "gopher"])
@pytest.mark.parametrize("text", [CHINESE, JAPANESE], ids=["zh", "ja"])
def test_a_good_article_is_kept_whole(text: str, preset: str) -> None:
    assert dropped_by(text, config(rules={"preset": preset})) == (None, text)


def test_lines_of_few_letters_go_all_the_same() -> None:
    short, note = "首页", "请打开 JavaScript 以继续浏览本页面"
    rule, left = dropped_by(f"{short}\n{CHINESE}\n{note}", config())
    assert (rule, left) == (None, CHINESE)
    refined = config(rules={"preset": "refinedweb"})
    assert dropped_by(f"{CHINESE}\n请\n123", refined) == (None, CHINESE)


def test_a_letter_is_a_word_where_the_language_sets_no_spaces() -> None:
    for line in (THAI.split()[0], CHINESE.split("\n")[0] * 20):  # one chunk; one longer than the longest word
        assert c4.lines(line, C4Config(), unspaced=True).text == line
        assert c4.lines(line, C4Config()).text == ""
    assert c4.lines("x" * 1001 + " 今 天", C4Config(), unspaced=True).text == ""
    assert c4.lines("a - b", C4Config(), unspaced=True).text == "a - b"  # what is enough elsewhere is enough


def test_a_language_can_have_line_rules_of_its_own() -> None:
    line = CHINESE.split("\n")[0]
    strict = {"zh": {"min_words_per_line": len(line) + 1}}
    assert Measure(config(language={"override": strict}))([line, line], ["zh", "ja"])[1] == ["", line]
    ended = {"preset": "c4"}
    assert Measure(config(rules=ended))([line], ["zh"])[1] == [""]
    loose = {"zh": {"terminal_punctuation": False}}
    assert Measure(config(rules=ended, language={"override": loose}))([line], ["zh"])[1] == [line]


def test_line_rules_of_a_language_are_part_of_what_candidates_depend_on() -> None:
    measured = config(language={"override": {"zh": {"min_words_per_line": 1}}}).measured()
    assert measured["language.override.zh.min_words_per_line"] == 1
    assert "language.override.zh.terminal_punctuation" not in measured


def test_thresholds_of_such_a_language_can_be_set() -> None:
    rule, _ = dropped_by(CHINESE, config(language={"override": {"zh": {"thresholds": {"min_mean_word_length": 1.5}}}}))
    assert rule == "min_mean_word_length"
    rule, _ = dropped_by(CHINESE, config(language={"override": {"zh": {"stop_words": ["钱", "枪", "船"]}}}))
    assert rule == "min_stop_word_count"
    rule, _ = dropped_by(CHINESE, config(language={"override": {"zh": {"stop_words": ["的", "和"]}}}))
    assert rule is None


def test_languages_are_those_that_texts_are_found_to_be_in() -> None:
    assert set(UNSPACED) <= known_languages()
