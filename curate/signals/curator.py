"""NeMo Curator's heuristics that the other families lack: shares of characters, words, lines and paragraphs.

Source: NVIDIA NeMo Curator 1.4.0, its heuristic filters, thresholds of `heuristic_filter_english_pipeline.yaml`. Lines
are what stands between newlines and is not blank, words what stands between white space. Three things differ: a text
with nothing to divide by has nulls where Curator says 1 or fails; a letter is what Unicode puts in category L, so that
a word like `Ⅳ` has none; and three of its boilerplate phrases, consent notices several sentences long, are not looked
for: they would add little to the short ones. `docs/curator.md` compares all of it with the package itself.
"""

from __future__ import annotations

import re
import string
from itertools import pairwise

import numpy as np

from millpond.curate.signals.characters import ALPHA
from millpond.curate.signals.gopher import Signals, ratios
from millpond.curate.signals.scan import Scan, totals

_PLAIN = (string.ascii_letters + string.digits + "\n?!,.").encode()
_DIGITS = string.digits.encode()
_SPACES = b"\t\n\r\b "
_BRACKETS = b"{}[]()"  # and ⟨⟩
_END_MARKS = np.array(sorted(map(ord, ".?!\"'")), dtype=np.uint32)
_URL = re.compile(r"https?://(?:[!#$&(-:=?@A-Z_a-z~]|%[0-9A-Fa-f]{2})+")
_BOILERPLATE = (
    "terms of use",
    "privacy policy",
    "cookie policy",
    "uses cookies",
    "privacy overview",
    "use of cookies",
    "use cookies",
    "privacy & cookies policy",
    "privacy and cookies policy",
)
#: Every phrase holds one of these.
_HINTS = ("cookie", "privacy", "terms of use")
_FILLER = "lorem ipsum"


def signals(scan: Scan) -> Signals:
    """Curator's scores of each text."""
    texts = scan.texts
    chars = list(map(len, texts))
    data = [text.encode("utf-8", "surrogatepass") for text in texts]
    plain = [_among(encoded, _PLAIN) for encoded in data]
    angles = [text.count("⟨") + text.count("⟩") for text in texts]
    return {
        "curator_non_alphanumeric_ratio": ratios(
            [size - kept for size, kept in zip(chars, plain, strict=True)], chars
        ),
        "curator_number_ratio": ratios([_among(encoded, _DIGITS) for encoded in data], chars),
        "curator_url_ratio": ratios(map(_url_chars, texts), chars),
        "curator_whitespace_ratio": ratios([_among(encoded, _SPACES) for encoded in data], chars),
        "curator_parenthesis_ratio": ratios(
            [_among(encoded, _BRACKETS) + number for encoded, number in zip(data, angles, strict=True)], chars
        ),
        "curator_unended_line_ratio": _unended(scan),
        "curator_boilerplate_ratio": list(map(_boilerplate, scan.lower)),
        **_words(scan),
    }


def _among(data: bytes, characters: bytes) -> int:
    """How many of some ASCII characters a text has."""
    return len(data) - len(data.translate(None, characters))


def _url_chars(text: str) -> int:
    return sum(map(len, _URL.findall(text))) if "http" in text else 0


def _unended(scan: Scan) -> list[float | int | None]:
    starts, ends, bounds = scan.lines
    firsts, lasts = scan.chunks
    before = np.searchsorted(firsts, ends)
    solid = before > np.searchsorted(firsts, starts)
    ended = np.isin(scan.codes[lasts[before[solid] - 1] - 1], _END_MARKS)
    unended = solid.copy()
    unended[solid] = ~ended
    return ratios(totals(unended, bounds), totals(solid, bounds))


def _boilerplate(lower: str) -> float:
    if _FILLER in lower:
        return 1.0
    if not any(hint in lower for hint in _HINTS):
        return 0.0
    present = [phrase for phrase in _BOILERPLATE if phrase in lower]
    paragraphs = lower.split("\n\n")
    return sum(any(phrase in paragraph for phrase in present) for paragraph in paragraphs) / len(paragraphs)


def _words(scan: Scan) -> Signals:
    firsts, lasts = scan.chunks
    bounds = np.searchsorted(firsts, scan.edges)
    # White space behind a word is no letter, so what lies up to the next word may be looked at with it.
    alphabetic = (np.bitwise_or.reduceat(scan.kinds, firsts) & ALPHA) != 0 if len(firsts) else np.zeros(0, np.bool_)
    lengths = lasts - firsts
    return {
        "curator_alpha_word_ratio": ratios(totals(alphabetic, bounds), np.diff(bounds).tolist()),
        "curator_longest_word": [int(lengths[first:last].max(initial=0)) for first, last in pairwise(bounds.tolist())],
    }
