"""C4's rules: lines that are no prose are left out, pages with filler text or code are counted.

Source: Raffel et al. 2020, arXiv 1910.10683, section 2.2, in the reading of datatrove 0.10.1 (lines, not
sentences; the list of bad words is not part of it). A line is tested in this order: overlong word, citations
cut out, terminal punctuation, too few words, lorem ipsum, JavaScript, curly bracket, policy.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache

from millpond.curate.config import C4Config
from millpond.curate.signals.gopher import Signals
from millpond.curate.signals.words import split_sentences

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


def signals(text: str, config: C4Config, sentences: Callable[[str], Sequence[str]] = split_sentences) -> Signals:
    """Counts over the lines that reach each test; sentences are those of kept lines."""
    lorem = curly = count = 0
    for line, lower, kept in _tested(text, config):
        if "lorem ipsum" in lower:
            lorem += 1
        if "{" in line and not (config.javascript and "javascript" in lower):
            curly += 1
        if kept:
            count += len(sentences(line))
    return {"c4_lorem_ipsum_lines": lorem, "c4_curly_bracket_lines": curly, "c4_sentence_count": count}


def clean_lines(text: str, config: C4Config) -> str:
    """The text without the lines that fail, kept lines stripped and joined; may be empty."""
    return "\n".join(line for line, _, kept in _tested(text, config) if kept).strip()


@lru_cache(maxsize=1)  # signals and cleaning of one text come one after the other
def _tested(text: str, config: C4Config) -> tuple[tuple[str, str, bool], ...]:
    """Each line that has enough words: stripped, in lower case, and whether the last tests keep it."""
    result = []
    for line in text.splitlines():
        line = line.strip()
        words = line.split()
        if len(line) > config.max_word_length and len(max(words, key=len)) > config.max_word_length:
            continue
        if config.remove_citations and "[" in line:
            line = _CITATION.sub("", line)
        if config.terminal_punctuation and (not line.endswith(_TERMINAL) or line.endswith("...")):
            continue
        if len(words) < config.min_words_per_line:
            continue
        lower = line.lower()
        drops = (config.javascript and "javascript" in lower) or (
            config.policy and any(phrase in lower for phrase in _POLICY)
        )
        result.append((line, lower, not drops))
    return tuple(result)
