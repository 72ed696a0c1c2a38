"""Words that a user wants little of: counted from lists of words and phrases.

Source of the measure: the share of flagged words in a document's words (ROOTS, arXiv 2303.03915). The lists are the
user's own. A term of one word is compared with whole words, in lower case; a term of more, or of several signs of
a script without spaces, is looked for in the text.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from millpond.curate.privacy.config import ANY
from millpond.curate.signals.gopher import Signals, ratios
from millpond.curate.signals.scan import Scan
from millpond.curate.signals.words import split_words


class FlaggedWords:
    """The terms that count in each language."""

    def __init__(self, lists: Mapping[str, Iterable[str]]) -> None:
        """One list per language code (or `any`)."""
        terms = {language: frozenset(map(str.lower, own)) for language, own in lists.items()}
        self._given = any(terms.values())
        anywhere = terms.setdefault(ANY, frozenset())
        self._terms = {language: _by_first_word(own | anywhere) for language, own in terms.items()}

    def signals(
        self, scan: Scan, languages: Sequence[str | None], word_counts: Iterable[float | int | None]
    ) -> Signals:
        """How many flagged words and phrases texts in these languages have, and their share; null without lists."""
        counts: list[int | None] = [None] * len(scan.texts)
        if self._given:
            counts = list(map(self._count, scan.lower, scan.words(), languages))
        return {"flagged_word_count": list(counts), "flagged_word_ratio": ratios(counts, word_counts)}

    def _count(self, lower: str, words: Sequence[str], language: str | None) -> int:
        terms = self._terms.get(language or ANY, self._terms[ANY])
        words = list(map(str.lower, words))
        found = terms.keys() & words
        phrases = {phrase for word in found for phrase in terms[word] if phrase != word}
        whole = {word for word in found if word in terms[word]}
        return sum(map(whole.__contains__, words)) + sum(map(lower.count, phrases))


def _by_first_word(terms: frozenset[str]) -> dict[str, set[str]]:
    """Terms by their first word: only those whose first word a text has need be looked for in it."""
    result: dict[str, set[str]] = {}
    for term in terms:
        if words := split_words(term):
            result.setdefault(words[0], set()).add(term)
    return result
