"""FineWeb's signals: what lists, menus and stitched pages look like.

Source: Penedo et al. 2024, arXiv 2406.17557, section 3.6, in the reading of datatrove 0.10.1. They are taken
after C4's line rules, and lines here are what stands between newlines and is not blank.
"""

from __future__ import annotations

from collections.abc import Sequence

from millpond.curate.signals.characters import SENTENCE_END
from millpond.curate.signals.gopher import Signals, ratios, repeats

_SHORT_LINE = 30


def signals(texts: Sequence[str], word_counts: Sequence[int]) -> Signals:
    """FineWeb's four ratios of each text; `word_counts` are of the same texts, punctuation marks included."""
    lines = [[line for line in text.split("\n") if line and not line.isspace()] for text in texts]
    counts = list(map(len, lines))
    newlines = [text.count("\n") for text in texts]
    chars = [len(text) - number for text, number in zip(texts, newlines, strict=True)]
    return {
        "fineweb_line_punctuation_ratio": ratios([_ended(found) for found in lines], counts),
        "fineweb_short_line_ratio": ratios([_short(found) for found in lines], counts),
        "fineweb_duplicate_line_char_ratio": ratios([repeats(found)[1] for found in lines], chars),
        "fineweb_newline_word_ratio": ratios(newlines, word_counts),
    }


def _ended(lines: Sequence[str]) -> int:
    return sum(line[-1] in SENTENCE_END for line in lines)


def _short(lines: Sequence[str]) -> int:
    return sum(len(line) <= _SHORT_LINE for line in lines)
