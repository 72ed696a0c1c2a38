"""What each character is: white space, a sign, a letter, a digit; looked up in one table.

`SENTENCE_END` and `PUNCTUATION` are the sets that datatrove's filters read; a table gives the rest by code point.
"""

from __future__ import annotations

import unicodedata
from functools import cache

import numpy as np
import numpy.typing as npt

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
#: Scripts written without spaces between words.
_UNSPACED = (
    "E01-E3A E40-E4E E81-EDF 1000-109F 1780-17D3 3005-3007 3040-30FF 31F0-31FF 3400-4DBF 4E00-9FFF F900-FAFF "
    "FF66-FF9F 20000-3FFFF"
)
#: Beyond the basic plane only emoji, symbols and tags count as signs.
_FAR_SIGNS = "1D000-1D3FF 1F000-1FAFF E0000-E0FFF"


def _code_points(ranges: str) -> list[int]:
    result: list[int] = []
    for item in ranges.split():
        first, _, last = item.partition("-")
        result += range(int(first, 16), int(last or first, 16) + 1)
    return result


SENTENCE_END = frozenset(map(chr, _code_points(_TERMINALS)))
PUNCTUATION = frozenset(map(chr, _code_points(_SIGNS))) | SENTENCE_END

#: What a character is; more than one may hold.
SPACE, SIGN, UNSPACED, JOINS, SOLID, ALPHA, DIGIT, UPPER = (np.uint8(1 << bit) for bit in range(8))
NOT_SPACED = SPACE | SIGN | UNSPACED
#: Signs of which a run is one mark, and those that join two halves of a word.
_RUNS = frozenset(".-=*~#")
_APOSTROPHES = frozenset("'’")

Kinds = npt.NDArray[np.uint8]
Codes = npt.NDArray[np.uint32]


def code_points(text: str) -> Codes:
    """The code point of each character of a text."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4")


@cache
def kinds_table() -> Kinds:
    """What each code point is: white space, a sign by itself, a letter that is a word, ...; `SOLID` is what is
    neither space nor `PUNCTUATION`, `JOINS` the signs of runs and the apostrophes."""
    table = np.zeros(0x110000, dtype=np.uint8)
    # The planes that hold letters and digits; the rest of Unicode is empty or private.
    for code in range(0x40000):
        character = chr(code)
        table[code] = (
            (SPACE if character.isspace() else 0)
            | (ALPHA if character.isalpha() else 0)
            | (DIGIT if character.isdecimal() else 0)
            | (UPPER if character.isupper() else 0)
        )
    # A word is everything that is no space, punctuation, symbol or control: so combining marks are part of it.
    for code in range(0x10000):
        if (
            unicodedata.category(chr(code))[0] in "PSZC"
            and not table[code] & SPACE
            and chr(code) not in "_\u200c\u200d"
        ):
            table[code] |= SIGN
    table[_code_points(_FAR_SIGNS)] |= SIGN
    table[_code_points(_UNSPACED)] |= UNSPACED
    table[[ord(sign) for sign in _RUNS | _APOSTROPHES]] |= JOINS
    solid = (table & SPACE) == 0
    solid[[ord(sign) for sign in PUNCTUATION]] = False
    table[solid] |= SOLID
    return table


@cache
def folded_table() -> Codes:
    """Each code point in lower case, where that is one character; a decimal digit as `0`."""
    table = np.arange(0x110000, dtype=np.uint32)
    for code in range(0x20000):
        character = chr(code)
        lower = "0" if character.isdecimal() else character.lower()
        if len(lower) == 1:
            table[code] = ord(lower)
    return table
