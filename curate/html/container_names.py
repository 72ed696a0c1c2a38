"""What containers are called, and how surely main text lies below such a name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

_NAME = re.compile(r"(?:role|itemprop):\w+|[A-Z][a-z]+|[a-z]{2,}|[A-Z]{2,}")
#: How much of a key is read, and of how many keys and words the scores are kept: a site's pages use the same keys
#: again and again, and all sites the same words.
_KEY_CHARS = 500
_MOST_KEYS, _MOST_WORDS = 20_000, 50_000


class Names:
    """Scores of the words in class, id, role and itemprop attributes: log-odds that what is below is main text.

    A word that is not known is looked for by its longest known beginning or end (`mainmenu` → `menu`).
    """

    def __init__(self, scores: Mapping[str, float]) -> None:
        self.scores = scores
        self._kept_keys = lru_cache(_MOST_KEYS)(self._of_key)
        self._kept_words = lru_cache(_MOST_WORDS)(self._by_ends)

    def score(self, key: str) -> tuple[float, float, float]:
        """Lowest, highest and mean score of the words of a container's key; zeros where none is known."""
        return self._kept_keys(key[:_KEY_CHARS])

    def _of_key(self, key: str) -> tuple[float, float, float]:
        found = sorted([score for score in map(self._of_word, name_words(key)) if score is not None])
        return (found[0], found[-1], sum(found) / len(found)) if found else (0.0, 0.0, 0.0)

    def _of_word(self, word: str) -> float | None:
        score = self.scores.get(word)
        if score is not None or not 6 <= len(word) <= 40 or ":" in word:
            return score
        return self._kept_words(word)

    def _by_ends(self, word: str) -> float | None:
        known = self.scores.get
        for size in range(len(word) - 1, 2, -1):
            first, last = known(word[:size]), known(word[-size:])
            if first is not None or last is not None:
                return min(part for part in (first, last) if part is not None)
        return None


def name_words(key: str) -> set[str]:
    """The words of a container's key, of two letters or more; in lower case but for roles and properties."""
    words = _NAME.findall(key[:_KEY_CHARS])
    return set(words) if key.islower() else {word if ":" in word else word.lower() for word in words}
