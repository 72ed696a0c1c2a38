"""C4's rules: lines that are no prose are left out, filler text, code, long paragraphs and bad words are counted.

Source: Raffel et al. 2020, arXiv 1910.10683, section 2.2, and mC4's paragraphs (Xue et al. 2021, arXiv
2010.11934), in the reading of datatrove 0.10.1 (lines, not sentences). A line is tested in this order: overlong
word, citations cut out, terminal punctuation, too few words, lorem ipsum, JavaScript, curly bracket, policy. Words
are what stands between spaces; in a text of a language without them, a letter of its script is a word too.

Bad words come from the user's list for the text's language, are in lower case, and count where no letter, digit or
underscore stands beside them; in Japanese, Thai and Chinese anywhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from millpond.curate.signals.config import C4Config
from millpond.curate.signals.gopher import Signals
from millpond.curate.signals.scan import Scan, totals
from millpond.curate.signals.words import content_words, count_sentences

_CITATION = re.compile(r"\[(?:\d*|edit|citation needed)\]")
_TERMINAL = (".", "?", "!", '"', "'")
_POLICY = (
    "terms of use",
    "privacy policy",
    "cookie policy",
    "uses cookies",
    "use of cookies",
    "use cookies",
)


#: A paragraph that mC4 counts has as many characters.
LONG_LINE = 200
_LETTERS = re.compile(r"\w+")
_NO_SPACES = ("ja", "th", "zh")


@dataclass(frozen=True)
class Lines:
    """A text under C4's line rules."""

    kept: tuple[str, ...]
    """The lines that pass, stripped, without citations."""
    text: str
    """Those lines joined: what the text becomes where lines are removed; may be empty."""
    lorem_ipsum: int
    curly_bracket: int
    """Lines that reach the test and mention filler, or hold code."""


def lines(text: str, config: C4Config, lower: str | None = None, *, unspaced: bool = False) -> Lines:
    """Test each line of a text; `lower` is the text in lower case, `unspaced` whether its language sets no spaces."""
    # What no line holds need not be looked for in any.
    lower = text.lower() if lower is None else lower
    javascript = config.javascript and "javascript" in lower
    policies = tuple(phrase for phrase in _POLICY if phrase in lower) if config.policy else ()
    filler, code = "lorem ipsum" in lower, "{" in text
    citations = config.remove_citations and "[" in text
    kept = []
    lorem = curly = 0
    for line in text.splitlines():
        line = line.strip()
        words = line.split(None, config.min_words_per_line)
        if len(line) > config.max_word_length and _longest(line, unspaced) > config.max_word_length:
            continue
        if citations and "[" in line:
            line = _CITATION.sub("", line)
        if config.terminal_punctuation and (not line.endswith(_TERMINAL) or line.endswith("...")):
            continue
        few = len(words) < config.min_words_per_line
        if few and not (unspaced and len(content_words(line)) >= config.min_words_per_line):
            continue
        if javascript or policies or filler or code:
            lower = line.lower()
            scripted = javascript and "javascript" in lower
            lorem += "lorem ipsum" in lower
            curly += "{" in line and not scripted
            if scripted or any(phrase in lower for phrase in policies):
                continue
        kept.append(line)
    return Lines(tuple(kept), "\n".join(kept).strip(), lorem, curly)


def _longest(line: str, unspaced: bool) -> int:
    """Characters of a line's longest word."""
    words = content_words(line) if unspaced else line.split()
    return max(map(len, words), default=0)


def signals(scan: Scan, found: Sequence[Lines], bad_words: Sequence[BadWords | None]) -> Signals:
    """Counts over each text: the lines that reach each test, sentences and bad words of kept lines, long lines.

    Bad words are those of the text's language; their count is null where there is no list for it.
    """
    starts, ends, bounds = scan.lines
    return {
        "c4_lorem_ipsum_lines": [lines.lorem_ipsum for lines in found],
        "c4_curly_bracket_lines": [lines.curly_bracket for lines in found],
        "c4_sentence_count": [count_sentences(lines.text) for lines in found],
        "c4_long_line_count": [*totals(ends - starts >= LONG_LINE, bounds)],
        "c4_bad_word_count": [
            None if words is None else words.count(lines.text) for lines, words in zip(found, bad_words, strict=True)
        ],
    }


class BadWords:
    """A list of words and phrases that a text is searched for."""

    def __init__(self, words: Iterable[str], language: str) -> None:
        self._words = frozenset(word.lower() for word in words if word)
        self._anywhere = language in _NO_SPACES
        self._by_first: dict[str, list[str]] = {}
        for word in self._words:
            first = _LETTERS.match(word)
            self._by_first.setdefault(first[0] if first else "", []).append(word)

    def count(self, text: str) -> int:
        """How many of the list's entries the text holds."""
        lower = text.lower()
        if self._anywhere:
            return sum(word in lower for word in self._words)
        # An entry can only stand where the run of letters it begins with does.
        runs = {"", *_LETTERS.findall(lower)} & self._by_first.keys()
        return sum(_stands_alone(word, lower) for run in runs for word in self._by_first[run])


def _stands_alone(word: str, text: str) -> bool:
    return word in text and re.search(rf"(?:\W|^){re.escape(word)}(?:\W|$)", text) is not None
