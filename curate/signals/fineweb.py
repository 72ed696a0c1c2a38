"""FineWeb's signals: what lists, menus and stitched pages look like.

Source: Penedo et al. 2024, arXiv 2406.17557, section 3.6, in the reading of datatrove 0.10.1. They are taken
after C4's line rules, and lines here are what stands between newlines and is not blank.
"""

from __future__ import annotations

from millpond.curate.signals.gopher import Signals, repeats
from millpond.curate.signals.words import SENTENCE_END

_SHORT_LINE = 30


def signals(text: str, word_count: int) -> Signals:
    """FineWeb's four ratios; `word_count` is of the same text, punctuation marks included."""
    lines = [line for line in text.split("\n") if line and not line.isspace()]
    newlines = text.count("\n")
    chars = len(text) - newlines
    ended = sum(line[-1] in SENTENCE_END for line in lines)
    short = sum(len(line) <= _SHORT_LINE for line in lines)
    return {
        "fineweb_line_punctuation_ratio": ended / len(lines) if lines else None,
        "fineweb_short_line_ratio": short / len(lines) if lines else None,
        "fineweb_duplicate_line_char_ratio": repeats(lines)[1] / chars if chars else None,
        "fineweb_newline_word_ratio": newlines / word_count if word_count else None,
    }
