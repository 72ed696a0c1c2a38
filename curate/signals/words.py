"""Words and sentences: a splitter that needs no model, for every script, at regex speed.

`split_words` cuts a text into words and punctuation marks, as the tokenizers behind the published
thresholds do. A word is a run of letters, marks and digits, joined over an inner apostrophe (`it's`). A
mark is one sign, or a run of dots, dashes or ruling signs (`...`, `---`). Where a script sets no spaces
(Han, kana, Thai, Lao, Khmer, Burmese), each letter is a word. `split_sentences` cuts after sentence-ending
signs of any script; a Latin full stop needs a space behind it, so `3.14` and `os.path` stay whole, while
`e.g. this` is cut.

`content_words` gives the words alone, lower case: what two copies of a text share when only punctuation,
case or spacing differ.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import cache

#: Characters that are no part of a word for Gopher's word count, as datatrove 0.10.1 lists them (CCNet's
#: table and Unicode's sentence terminals).
_SIGNS = (
    "0-8 B-1F 21-2F 3A-40 5B-60 7B-9F AB B4 BB 2013-2014 2019 201C-201E 2026 2236 2501 25BA 3001-3002 "
    "3008-300D 3010-3011 FF01 FF05 FF08-FF09 FF0C FF0E FF11 FF1A-FF1B FF1F FF5E"
)
#: Unicode's Sentence_Terminal property.
_TERMINALS = (
    "21 2E 3F 589 61D-61F 6D4 700-702 7F9 837 839 83D-83E 964-965 104A-104B 1362 1367-1368 166E 1735-1736 "
    "17D4-17D6 17D9-17DA 1803 1809 1944-1945 1AA8-1AAB 1B5A-1B5B 1B5E-1B5F 1B7D-1B7E 1C3B-1C3C 1C7E-1C7F "
    "203C-203D 2047-2049 2E2E 2E3C 2E53-2E54 3002 A4FF A60E-A60F A6F3 A6F7 A876-A877 A8CE-A8CF A92F "
    "A9C8-A9C9 AA5D-AA5F AAF0-AAF1 ABEB FE52 FE56-FE57 FF01 FF0E FF1F FF61 10A56-10A57 10F55-10F59 10F86-10F89 "
    "11047-11048 110BE-110C1 11141-11143 111C5-111C6 111CD 111DE-111DF 11238-11239 1123B-1123C 112A9 "
    "1144B-1144C 115C2-115C3 115C9-115D7 11641-11642 1173C-1173E 11944 11946 11A42-11A43 11A9B-11A9C "
    "11C41-11C42 11EF7-11EF8 11F43-11F44 16A6E-16A6F 16AF5 16B37-16B38 16B44 16E98 1BC9F 1DA88"
)
#: Scripts written without spaces between words, as a regular expression's character ranges.
_UNSPACED = (
    "\u0e01-\u0e3a\u0e40-\u0e4e\u0e81-\u0edf\u1000-\u109f\u1780-\u17d3\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff"
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9f\U00020000-\U0003ffff"
)


def _code_points(ranges: str) -> list[str]:
    result = []
    for item in ranges.split():
        first, _, last = item.partition("-")
        result += [chr(code) for code in range(int(first, 16), int(last or first, 16) + 1)]
    return result


_RUNS = r"\.+|-+|=+|\*+|~+|\#+"
_ASCII_TOKENS = re.compile(rf"[A-Za-z0-9_]+(?:'[A-Za-z0-9_]+)*|{_RUNS}|[^\sA-Za-z0-9_]")
_ASCII_WORDS = re.compile(r"[a-z0-9_]+")

SENTENCE_END = frozenset(_code_points(_TERMINALS))
PUNCTUATION = frozenset(_code_points(_SIGNS)) | SENTENCE_END

_UNLATIN_END = "".join(sorted(sign for sign in SENTENCE_END - set(".!?") if sign <= "\uffff"))
_ASCII_BREAK = re.compile(r"[.!?]+[\"')\]]*(?=\s)|\n+")
_SENTENCE_BREAK = re.compile(rf"[.!?]+[\"')\]”’»]*(?=\s)|[{_UNLATIN_END}]+[\"')\]”’»」』）]*|\n+")


@cache
def _patterns() -> tuple[re.Pattern[str], re.Pattern[str]]:
    """Patterns for text beyond ASCII: words and marks; words alone."""
    # `\w` knows no combining marks and would cut Devanagari words at their vowel signs, so a word is
    # everything that is no space, punctuation, symbol or control. Beyond the basic plane, where `re` slows
    # down with every range, only the blocks of emoji and symbols count as signs.
    signs = []
    for code in range(0x10000):
        character = chr(code)
        kept = character in "_\u200c\u200d" or character.isspace()
        if unicodedata.category(character)[0] in "PSZC" and not kept:
            signs.append(character)
    sign = "".join(f"\\u{first:04x}-\\u{last:04x}" for first, last in _runs(map(ord, signs)))
    sign += "\U0001d000-\U0001d3ff\U0001f000-\U0001faff\U000e0000-\U000e0fff"
    spaced = f"[^{sign}\\s{_UNSPACED}]"
    word = f"{spaced}+|[{_UNSPACED}]"
    joined = f"{spaced}+(?:['’]{spaced}+)*|[{_UNSPACED}]"
    return re.compile(f"{joined}|{_RUNS}|[{sign}]"), re.compile(word)


def _runs(codes: Iterable[int]) -> list[tuple[int, int]]:
    result: list[tuple[int, int]] = []
    for code in codes:
        if result and result[-1][1] == code - 1:
            result[-1] = (result[-1][0], code)
        else:
            result.append((code, code))
    return result


def split_words(text: str) -> list[str]:
    """Words and punctuation marks of a text, in order; what is left out is white space alone."""
    pattern = _ASCII_TOKENS if text.isascii() else _patterns()[0]
    return pattern.findall(text)


def content_words(text: str) -> list[str]:
    """Words of a text in lower case, without punctuation."""
    lower = text.lower()
    pattern = _ASCII_WORDS if lower.isascii() else _patterns()[1]
    return pattern.findall(lower)


def split_sentences(text: str) -> list[str]:
    """Sentences of a text, their outer white space removed; a text without letters has at most one.

    A sign that ends a sentence takes the closing quotes and brackets behind it along. Signs of other scripts
    than Latin end a sentence without a space behind them.
    """
    pieces = (text[start:end].strip() for start, end in _sentence_spans(text))
    return [piece for piece in pieces if piece]


def _sentence_spans(text: str) -> Iterable[tuple[int, int]]:
    start = 0
    pattern = _ASCII_BREAK if text.isascii() else _SENTENCE_BREAK
    for match in pattern.finditer(text):
        yield start, match.end()
        start = match.end()
    yield start, len(text)
