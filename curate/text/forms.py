"""Characters that stand for others: Unicode forms, widths and typographic punctuation, each by choice.

Linear: marks beyond 30 on one letter go first (UAX #15's stream-safe limit; sorting them takes quadratic time), and
no character becomes more than six.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache

from millpond.curate.text.config import NormaliseConfig

#: Where combining marks beyond the basic plane lie, below the emoji; `re` is slow with many ranges up there.
_RARE_MARK = re.compile("[\U000101fd-\U0001efff]")
#: What more combining marks on one letter than the limit need.
_FOREIGN_RUN = re.compile("[^\x00-\x7f][^\x00-\x7f]{30}")
#: Arabic phrases in one character each, of 18 and 8 letters: NFKC would make a text of them eleven times as large.
_PHRASES = "\ufdfa\ufdfb"
_NO_PHRASES = re.compile(f"[^{_PHRASES}]+")

_PUNCTUATION = str.maketrans(
    {
        **dict.fromkeys("‘’‚‛", "'"),
        **dict.fromkeys("“”„‟", '"'),
        **dict.fromkeys("‐‑‒–−", "-"),
        **dict.fromkeys("—―", "--"),
        "…": "...",
    }
)


def in_forms(text: str, config: NormaliseConfig) -> str:
    """The text in the chosen Unicode form, widths and punctuation."""
    if config.fold_width:
        text = text.translate(_widths())
    if _FOREIGN_RUN.search(text):
        text = _excess_marks(0x20000 if _RARE_MARK.search(text) else 0x10000).sub(r"\1", text)
    if config.unicode_form == "NFC":
        text = unicodedata.normalize("NFC", text)
    elif any(phrase in text for phrase in _PHRASES):
        text = _NO_PHRASES.sub(lambda found: unicodedata.normalize("NFKC", found[0]), text)
    else:
        text = unicodedata.normalize("NFKC", text)
    return text.translate(_PUNCTUATION) if config.fold_punctuation else text


@cache
def _widths() -> dict[int, str]:
    """Full-width Latin letters and digits, half-width Japanese and Korean → their usual forms."""
    wide = {code: chr(code - 0xFEE0) for code in range(0xFF10, 0xFF5B) if chr(code).isalnum()}
    # The half-width filler stays: its usual form is as invisible.
    narrow = (code for code in range(0xFF61, 0xFFDD) if code != 0xFFA0)
    forms = {code: unicodedata.decomposition(chr(code)).removeprefix("<narrow> ") for code in narrow}
    return wide | {code: chr(int(form, 16)) for code, form in forms.items() if form}


def _is_mark(code: int) -> bool:
    """Whether a character combines with the one before, as it stands or decomposed."""
    return unicodedata.combining(unicodedata.normalize("NFKD", chr(code))[0]) > 0


@cache
def _excess_marks(limit: int) -> re.Pattern[str]:
    """Marks below the code point `limit` that stand 31st or later on one letter; `\\1` is the first 30."""
    marks = [code for code in range(limit) if _is_mark(code)]
    ranges, first = [], marks[0]
    for code, following in zip(marks, [*marks[1:], 0], strict=True):
        if following != code + 1:
            ranges.append(f"\\U{first:08x}-\\U{code:08x}")
            first = following
    mark = f"[{''.join(ranges)}]"
    return re.compile(f"({mark}{{30}}){mark}+")
