"""Words and sentences: splitters that need no model, for every script.

`split_words` cuts a text into words and punctuation marks, as the tokenizers behind the published thresholds do
(`millpond.curate.signals.scan` says how). `split_sentences` cuts after sentence-ending signs of any script; a
Latin full stop needs a space behind it, so `3.14` and `os.path` stay whole, while `e.g. this` is cut.

`content_words` gives the words alone, lower case: what two copies of a text share when only punctuation,
case or spacing differ.
"""

from __future__ import annotations

import re

from millpond.curate.signals.characters import SENTENCE_END, code_points, kinds_table
from millpond.curate.signals.scan import Scan, word_spans

_UNLATIN = "".join(sorted(sign for sign in SENTENCE_END - set(".!?") if sign <= "\uffff"))
_CLOSERS = "\"')\\]”’»"
#: From a run of signs only its first is tried: a long one that ends no sentence would take quadratic time.
_BREAK = re.compile(rf"(?<![.!?])[.!?]++[{_CLOSERS}]*+(?=\s)|[{_UNLATIN}]++[{_CLOSERS}」』）]*+|\n+")
_LATIN_BREAK = re.compile(rf"[.!?][{_CLOSERS}]*+(?=\s)[^\S\n]*+(\n?)")
_UNLATIN_BREAK = re.compile(rf"[{_UNLATIN}]++[{_CLOSERS}」』）]*+[^\S\n]*+(\n?)")


def split_words(text: str) -> list[str]:
    """Words and punctuation marks of a text, in order; what is left out is white space alone."""
    return Scan([text]).words()[0]


def content_words(text: str) -> list[str]:
    """Words of a text in lower case, without punctuation."""
    lower = text.lower()
    starts, ends = word_spans(kinds_table().take(code_points(lower)))
    return [lower[start:end] for start, end in zip(starts.tolist(), ends.tolist(), strict=True)]


def split_sentences(text: str) -> list[str]:
    """Sentences of a text, their outer white space removed; a text without letters has at most one.

    A sign that ends a sentence takes the closing quotes and brackets behind it along. Signs of other scripts
    than Latin end a sentence without a space behind them.
    """
    ends = [match.end() for match in _BREAK.finditer(text)]
    pieces = (text[start:end].strip() for start, end in zip([0, *ends], [*ends, len(text)], strict=True))
    return [piece for piece in pieces if piece]


def count_sentences(text: str) -> int:
    """How many sentences `split_sentences` gives, without making them."""
    # Each break by a sign ends one; a line whose end is no such break holds one more.
    breaks = _LATIN_BREAK.findall(text + "\n")
    if not text.isascii():
        breaks += _UNLATIN_BREAK.findall(text + "\n")
    lines = sum(map(bool, map(str.strip, text.split("\n"))))
    return len(breaks) + lines - breaks.count("\n")
