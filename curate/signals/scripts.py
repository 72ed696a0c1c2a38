"""Which languages a text's letters allow, by the scripts of Unicode's blocks.

The languages are labels of fastText's lid.176. A language is allowed where one of its scripts makes up a tenth of
the letters, so that a page in two languages is left to the model. Where one script makes up half of them and one
language alone is written in it, it is that one; kana tell Japanese from Chinese. What would leave no language
decides nothing. Single letters decide nothing either: Mongolian typed with Ukrainian `ї` for `ү` is still Mongolian.

Sources: Unicode's Blocks.txt; the scripts of languages as CLDR lists them.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt

#: Least share of the letters for a script to count.
_PRESENT = 0.1
#: Least share of the letters for a script that one language alone is written in to decide.
_DECIDES = 0.5
#: Kana make up half of Japanese text; headlines have few. Chinese has next to none.
_JAPANESE, _CHINESE, _ENOUGH_HAN = 0.1, 0.02, 8

_BLOCKS = {
    "Latn": ((0x40, 0x7F), (0xC0, 0x2AF), (0x1E00, 0x1EFF), (0x2C60, 0x2C7F), (0xA720, 0xA7FF), (0xFF20, 0xFF5F)),
    "Grek": ((0x370, 0x3FF), (0x1F00, 0x1FFF)),
    "Cyrl": ((0x400, 0x52F), (0x1C80, 0x1C8F), (0x2DE0, 0x2DFF), (0xA640, 0xA69F)),
    "Armn": ((0x530, 0x58F),),
    "Hebr": ((0x590, 0x5FF), (0xFB20, 0xFB4F)),
    "Arab": ((0x610, 0x65F), (0x670, 0x6FF), (0x750, 0x77F), (0x8A0, 0x8FF), (0xFB50, 0xFDFF), (0xFE70, 0xFEFF)),
    "Thaa": ((0x780, 0x7BF),),
    "Deva": ((0x900, 0x95F), (0x970, 0x97F), (0xA8E0, 0xA8FF)),
    "Beng": ((0x980, 0x9FF),),
    "Guru": ((0xA00, 0xA7F),),
    "Gujr": ((0xA80, 0xAFF),),
    "Orya": ((0xB00, 0xB7F),),
    "Taml": ((0xB80, 0xBFF),),
    "Telu": ((0xC00, 0xC7F),),
    "Knda": ((0xC80, 0xCFF),),
    "Mlym": ((0xD00, 0xD7F),),
    "Sinh": ((0xD80, 0xDFF),),
    "Thai": ((0xE00, 0xE7F),),
    "Laoo": ((0xE80, 0xEFF),),
    "Tibt": ((0xF00, 0xFFF),),
    "Mymr": ((0x1000, 0x109F), (0xA9E0, 0xA9FF), (0xAA60, 0xAA7F)),
    "Geor": ((0x10A0, 0x10FF), (0x1C90, 0x1CBF), (0x2D00, 0x2D2F)),
    "Hang": ((0x1100, 0x11FF), (0x3130, 0x318F), (0xA960, 0xA97F), (0xAC00, 0xD7FF)),
    "Ethi": ((0x1200, 0x139F), (0x2D80, 0x2DDF), (0xAB00, 0xAB2F)),
    "Khmr": ((0x1780, 0x17FF),),
    "Kana": ((0x3040, 0x30FF), (0x31F0, 0x31FF), (0xFF60, 0xFF9F)),
    "Hani": ((0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x3FFFF)),
}
_NAMES = tuple(_BLOCKS)
_NUMBER = {name: place for place, name in enumerate(_NAMES)}
_LATIN, _KANA, _HAN = (_NUMBER[name] for name in ("Latn", "Kana", "Hani"))

#: Labels that are not, or not only, written in Latin letters. All others are.
_WRITTEN_IN = {
    "Cyrl": "av az ba be bg bs bxr ce cv kk krc ku kv ky lez mhr mk mn mrj myv os ru rue sah sh sr tg tk tt tyv ug"
    " uk uz xal",
    "Arab": "ar arz az azb ckb fa kk ku ky lrc ms mzn pa pnb ps sd tg tt ug ur uz",
    "Deva": "bh dty gom hi mai mr ne new sa sd",
    "Beng": "as bn bpy",
    "Hebr": "he yi",
    "Grek": "el",
    "Armn": "hy",
    "Thaa": "dv",
    "Guru": "pa",
    "Gujr": "gu",
    "Orya": "or",
    "Taml": "ta",
    "Telu": "te",
    "Knda": "kn",
    "Mlym": "ml",
    "Sinh": "si",
    "Thai": "th",
    "Laoo": "lo",
    "Tibt": "bo",
    "Mymr": "my",
    "Geor": "ka xmf",
    "Hang": "ko",
    "Ethi": "am",
    "Khmr": "km",
    "Kana": "ja",
    "Hani": "ja wuu yue zh",
}
#: Of those, the ones that are written in Latin letters too.
_ALSO_LATIN = frozenset(("az", "bs", "gom", "kk", "krc", "ku", "ms", "sh", "sr", "tk", "tt", "ug", "uz"))


@cache
def _script_of_row() -> npt.NDArray[np.uint8]:
    """Script number of each 16 code points: blocks begin and end on such rows."""
    rows = np.full(0x110000 >> 4, len(_NAMES), dtype=np.uint8)
    for name, blocks in _BLOCKS.items():
        for first, last in blocks:
            rows[first >> 4 : (last >> 4) + 1] = _NUMBER[name]
    return rows


@cache
def _labels_in(scripts: tuple[int, ...], labels: frozenset[str]) -> frozenset[str]:
    """Those of the labels that are written in one of the scripts."""
    elsewhere = frozenset(" ".join(_WRITTEN_IN.values()).split()) - _ALSO_LATIN
    found: set[str] = set()
    for script in scripts:
        found |= labels - elsewhere if script == _LATIN else labels.intersection(_WRITTEN_IN[_NAMES[script]].split())
    return frozenset(found)


def allowed(line: str, labels: frozenset[str]) -> frozenset[str]:
    """Those of the labels that a line of text can be in; all of them where its letters tell nothing."""
    if line.isascii():
        return _labels_in((_LATIN,), labels)
    codes = np.frombuffer(line.encode("utf-32-le"), dtype="<u4")
    counts = np.bincount(_script_of_row()[codes >> 4], minlength=len(_NAMES) + 1).tolist()[: len(_NAMES)]
    letters, kana, han = sum(counts), counts[_KANA], counts[_HAN]
    if kana and kana >= _JAPANESE * (kana + han):
        counts[_KANA], counts[_HAN] = kana + han, 0
    present = [place for place, count in enumerate(counts) if count and count >= _PRESENT * letters]
    for place in present:
        if counts[place] >= _DECIDES * letters and len(only := _labels_in((place,), labels)) == 1:
            return only
    kept = _labels_in(tuple(present), labels)
    if han >= _ENOUGH_HAN and kana < _CHINESE * (kana + han):
        kept -= {"ja"}
    return kept or labels
