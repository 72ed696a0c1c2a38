"""Words that a user wants little of: counted from lists of one term a line.

Source of the measure: the share of flagged words in a document's words (ROOTS, arXiv 2303.03915). The lists are the
user's own. A term of one word is compared with whole words, in lower case; a term of more, or of several signs of
a script without spaces, is looked for in the text.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from millpond.curate.words import split_words
from millpond.errors import ConfigError

#: In place of a language code: a list for every text.
ANY = "any"


class FlaggedWords:
    """The terms that count in each language; read once, and handed to whoever counts."""

    def __init__(self, files: Mapping[str, str]) -> None:
        """Read one file per language code (or `any`); blank lines and lines that begin with `#` are no terms.

        Raises:
            ConfigError: a file cannot be read, or has no terms.
        """
        self.digests: dict[str, str] = {}
        """File → sha256 (hex): what a run has to name as its input."""
        terms = {language: self._read(path) for language, path in files.items()}
        anywhere = terms.setdefault(ANY, frozenset())
        self._terms = {language: _by_first_word(own | anywhere) for language, own in terms.items()}

    def count(self, text: str, words: Sequence[str], language: str | None) -> int | None:
        """Flagged words and phrases in a text; `words` are all its words. None without any lists."""
        if not self.digests:
            return None
        terms = self._terms.get(language or ANY, self._terms[ANY])
        lower = list(map(str.lower, words))
        known = set(lower)
        found = known & terms.keys()
        phrases = {phrase for word in found for phrase in terms[word] if phrase != word}
        whole = {word for word in found if word in terms[word]}
        text = text.lower() if phrases else ""
        return sum(map(whole.__contains__, lower)) + sum(map(text.count, phrases))

    def _read(self, path: str) -> frozenset[str]:
        try:
            data = Path(path).read_bytes()
            lines = data.decode().splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{path}: not a readable list of words: {error}") from error
        terms = frozenset(line.strip().lower() for line in lines if line.strip() and not line.startswith("#"))
        if not terms:
            raise ConfigError(f"{path}: no terms; write one a line")
        self.digests[path] = hashlib.sha256(data).hexdigest()
        return terms


def _by_first_word(terms: frozenset[str]) -> dict[str, set[str]]:
    """Terms by their first word: only those whose first word a text has need be looked for in it."""
    result: dict[str, set[str]] = {}
    for term in terms:
        result.setdefault(split_words(term)[0], set()).add(term)
    return result
