"""C4's rules: lines that are no prose are left out, pages with filler text or code are counted.

Source: Raffel et al. 2020, arXiv 1910.10683, section 2.2, in the reading of datatrove 0.10.1 (lines, not
sentences; the list of bad words is not part of it). A line is tested in this order: overlong word, citations
cut out, terminal punctuation, too few words, lorem ipsum, JavaScript, curly bracket, policy.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from millpond.curate.config import C4Config
from millpond.curate.signals.gopher import Signals
from millpond.curate.signals.words import count_sentences

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


def lines(text: str, config: C4Config) -> Lines:
    """Test each line of a text."""
    # What no line holds need not be looked for in any.
    lower = text.lower()
    javascript = config.javascript and "javascript" in lower
    policies = tuple(phrase for phrase in _POLICY if phrase in lower) if config.policy else ()
    filler, code = "lorem ipsum" in lower, "{" in text
    citations = config.remove_citations and "[" in text
    kept = []
    lorem = curly = 0
    for line in text.splitlines():
        line = line.strip()
        words = line.split(None, config.min_words_per_line)
        if len(line) > config.max_word_length and len(max(line.split(), key=len)) > config.max_word_length:
            continue
        if citations and "[" in line:
            line = _CITATION.sub("", line)
        if config.terminal_punctuation and (not line.endswith(_TERMINAL) or line.endswith("...")):
            continue
        if len(words) < config.min_words_per_line:
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


def signals(found: Sequence[Lines]) -> Signals:
    """Counts over the lines of each text that reach each test; sentences are those of kept lines."""
    return {
        "c4_lorem_ipsum_lines": [lines.lorem_ipsum for lines in found],
        "c4_curly_bracket_lines": [lines.curly_bracket for lines in found],
        "c4_sentence_count": [count_sentences(lines.text) for lines in found],
    }
