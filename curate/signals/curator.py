"""NeMo Curator's heuristics that the other families lack: shares of characters, lines and paragraphs.

Source: NVIDIA NeMo Curator, `heuristic_filter.py` at 1e223f1 (2026-08), thresholds of `heuristic_filter_en.yaml`.
Lines are what stands between newlines and is not blank, words what stands between white space. Two things differ:
an empty text has nulls where Curator says 1, and of its boilerplate phrases three consent notices, each sentences
long, are not looked for.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterable
from itertools import pairwise

import numpy as np

from millpond.curate.signals.characters import DIGIT
from millpond.curate.signals.gopher import Signals, ratios
from millpond.curate.signals.scan import Scan, totals

_PLAIN = (string.ascii_letters + string.digits + "\n?!,.").encode()
_SPACES = b"\t\n\r\b "
_BRACKETS = b"{}[]()"  # and ⟨⟩
_END_MARKS = np.array(sorted(map(ord, ".?!\"'")), dtype=np.uint32)
_URL = re.compile(r"https?://[!$-_a-z]+")
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
        "curator_number_ratio": ratios(_digits(scan), chars),
        "curator_url_ratio": ratios(map(_url_chars, texts), chars),
        "curator_whitespace_ratio": ratios([_among(encoded, _SPACES) for encoded in data], chars),
        "curator_parenthesis_ratio": ratios(
            [_among(encoded, _BRACKETS) + number for encoded, number in zip(data, angles, strict=True)], chars
        ),
        "curator_unended_line_ratio": _unended(scan),
        "curator_boilerplate_ratio": list(map(_boilerplate, scan.lower)),
        "curator_longest_word": _longest(scan),
    }


def _among(data: bytes, characters: bytes) -> int:
    """How many of some ASCII characters a text has."""
    return len(data) - len(data.translate(None, characters))


def _digits(scan: Scan) -> Iterable[int]:
    places = np.flatnonzero(scan.kinds & DIGIT)
    counts: list[int] = np.diff(np.searchsorted(places, scan.edges)).tolist()
    return counts


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


def _longest(scan: Scan) -> list[float | int | None]:
    firsts, lasts = scan.chunks
    lengths, bounds = lasts - firsts, np.searchsorted(firsts, scan.edges).tolist()
    return [int(lengths[first:last].max(initial=0)) for first, last in pairwise(bounds)]
