"""RefinedWeb's line rules: which lines are no prose, and what share of a text's words stands in them.

Source: Penedo et al. 2023, arXiv 2306.01116, appendix G.2; where the paper is silent (the exact counters, what is
cut from lines) in the reading of DCLM's `refinedweb.yaml`. A line goes if more than half of its characters are
upper case, if it is digits alone, a counter such as `3 likes`, or one word. From lines of at most ten words,
`sign-in` at the start, `read more...` at the end and `items in cart` anywhere are cut out. Words here are what
stands between spaces, and in a text of a language without them also the letters of its script. The rule is over
the share of words that all of it would remove.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from millpond.curate.signals.characters import DIGIT, UPPER
from millpond.curate.signals.config import RefinedWebConfig
from millpond.curate.signals.gopher import Signals, ratios
from millpond.curate.signals.scan import Places, Scan, totals, word_spans

_COUNTED = "likes|shares|comments|retweets|reposts|quotes|bookmarks|upvotes|downvotes|downloads|views|followers"
_COUNTER = re.compile(rf"\W*\d[\d,.]*[kmb]?\s+(?:{_COUNTED})\W*", re.IGNORECASE)
_CUT = re.compile(r"\s?items in cart|\s?read more\.\.\.$|^sign-in\s?", re.IGNORECASE)
_CUT_HINTS = ("items in cart", "read more...", "sign-in")
_CUT_WORDS = 10


@dataclass(frozen=True)
class Judged:
    """The lines of a scan under RefinedWeb's rules."""

    fails: npt.NDArray[np.bool_]
    """Whether a line goes."""
    cut: dict[int, str]
    """Lines from which something is cut, and what is left of them."""
    words: Places
    """Words of each line."""
    removed: Places
    """Words that each line loses."""


def judge(scan: Scan, config: RefinedWebConfig, unspaced: Sequence[bool] = ()) -> Judged:
    """Test each line of some texts; `unspaced` says of which texts the language sets no spaces (none by default)."""
    starts, ends, bounds = scan.lines
    chunks, _ = scan.chunks
    words = np.searchsorted(chunks, ends) - np.searchsorted(chunks, starts)
    if any(unspaced):
        letters, _ = word_spans(scan.kinds)
        counts = np.searchsorted(letters, ends) - np.searchsorted(letters, starts)
        words = np.where(np.repeat(unspaced, np.diff(bounds)), np.maximum(words, counts), words)
    digits = _count(scan, DIGIT)
    fails = _count(scan, UPPER) > config.max_uppercase * (ends - starts)
    fails |= (words > 0) & ((words < config.min_words) | (digits == ends - starts))
    for place in np.flatnonzero((digits > 0) & ~fails).tolist():
        fails[place] = _COUNTER.fullmatch(scan.whole, starts[place], ends[place]) is not None
    removed = words * fails
    cut = {}
    for text, lower in enumerate(scan.lower):
        if not any(hint in lower for hint in _CUT_HINTS):
            continue
        for place in range(bounds[text], bounds[text + 1]):
            line = scan.whole[starts[place] : ends[place]]
            if words[place] <= _CUT_WORDS and not fails[place] and (rest := _CUT.sub("", line)) != line:
                cut[place] = rest
                removed[place] = len(line.split()) - len(rest.split())
    return Judged(fails, cut, words, removed)


def signals(scan: Scan, judged: Judged) -> Signals:
    """The share of each text's words that the rules remove."""
    bounds = scan.lines[2]
    return {"refinedweb_removed_word_ratio": ratios(totals(judged.removed, bounds), totals(judged.words, bounds))}


def left(scan: Scan, judged: Judged) -> list[str]:
    """Each text without what the rules remove; may be empty."""
    starts, ends, bounds = scan.lines
    spans = list(zip(starts.tolist(), ends.tolist(), strict=True))
    result = []
    for first, last in pairwise(bounds.tolist()):
        kept = []
        for place in range(first, last):
            line = judged.cut.get(place, scan.whole[slice(*spans[place])])
            if not judged.fails[place] and (place not in judged.cut or line.strip()):
                kept.append(line)
        result.append("\n".join(kept).strip())
    return result


def _count(scan: Scan, kind: np.uint8) -> Places:
    """Characters of a kind in each line."""
    starts, _, _ = scan.lines
    return np.add.reduceat((scan.kinds & kind) != 0, starts, dtype=np.int64) if len(starts) else starts
