"""What containers are called, and how surely main text lies below such a name."""

from __future__ import annotations

import re
from collections.abc import Mapping

_NAME = re.compile(r"(?:role|itemprop):\w+|[A-Z]?[a-z]+|[A-Z]{2,}")
#: How much of a key is read, and how many keys' scores are kept: a site's pages use the same ones again and again.
_KEY_CHARS = 500
_MOST_KEYS = 20_000


class Names:
    """Scores of the words in class, id, role and itemprop attributes: log-odds that what is below is main text.

    A word that is not known is looked for by its longest known beginning or end (`mainmenu` → `menu`).
    """

    def __init__(self, scores: Mapping[str, float]) -> None:
        self.scores = scores
        self._keys: dict[str, tuple[float, float, float]] = {}

    def score(self, key: str) -> tuple[float, float, float]:
        """Lowest, highest and mean score of the words of a container's key; zeros where none is known."""
        known = self._keys.get(key)
        if known is not None:
            return known
        found = [score for score in map(self._word, name_words(key)) if score is not None]
        result = (min(found), max(found), sum(found) / len(found)) if found else (0.0, 0.0, 0.0)
        if len(self._keys) < _MOST_KEYS and len(key) <= _KEY_CHARS:
            self._keys[key] = result
        return result

    def _word(self, word: str) -> float | None:
        score = self.scores.get(word)
        if score is not None or not 6 <= len(word) <= 40 or ":" in word:
            return score
        for size in range(len(word) - 1, 2, -1):
            parts = (self.scores.get(word[:size]), self.scores.get(word[-size:]))
            if known := [part for part in parts if part is not None]:
                return min(known)
        return None


def name_words(key: str) -> list[str]:
    """The distinct words of a container's key, lower case, sorted."""
    words = (word if ":" in word else word.lower() for word in _NAME.findall(key[:_KEY_CHARS]))
    return sorted({word for word in words if len(word) > 1})
