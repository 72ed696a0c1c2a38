"""The n-grams of evaluation sets, and which of them texts hold.

`Index` holds every distinct run of `ngram` words of the sets' texts as a 64-bit hash, and a shorter text of at least
`min_words` words as one run. Words are those of MinHash's shingles: case, spacing and punctuation do not count.
`found` hashes all runs of a batch of texts at once, looks them up in the sorted hashes, and compares the words
themselves of what it finds: two runs of equal hash are not taken for each other.

An n-gram takes about 30 bytes of memory, in every process that looks for it.

As GPT-3 was decontaminated (Brown et al. 2020, arXiv 2005.14165, appendix C): 13 words, 8 for short texts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from operator import itemgetter

import numpy as np
import numpy.typing as npt

from millpond.curate.dedup.cutting import Words
from millpond.curate.dedup.shingles import Wide, rolled, text_words
from millpond.curate.eval_sets import Example

_Numbers = npt.NDArray[np.int64]

#: Bits of a hash that decide in one look whether an n-gram can be among those of the sets.
_SIEVE_BITS = 22


@dataclass(frozen=True)
class Grams:
    """Distinct n-grams of one length, by ascending hash; n-gram g of the index stands at g - `first`."""

    length: int
    first: int
    hashes: Wide
    text: _Numbers
    """A text that holds it."""
    offset: _Numbers
    """Of its first word there."""
    sieve: npt.NDArray[np.bool_]
    """Whether any hash has these upper bits."""


@dataclass(frozen=True)
class Overlap:
    """What a document shares with an example."""

    example: int
    ngrams: int
    """Distinct n-grams."""
    share: float
    """Of the example's distinct n-grams."""
    first: str
    """The first of them, in lower case and without punctuation."""


@dataclass(frozen=True)
class Index:
    """N-grams of examples; an n-gram and an example are known by their numbers here."""

    examples: tuple[Example, ...]
    texts: tuple[str, ...]
    """All of the examples."""
    grams: tuple[Grams, ...]
    held: _Numbers
    """The examples that hold n-gram 0, those that hold n-gram 1, …"""
    ends: _Numbers
    """Where an n-gram's examples end in `held`."""
    sizes: _Numbers
    """Distinct n-grams of each example; 0 for one whose texts are all too short."""

    def found(self, texts: Sequence[str]) -> Iterator[tuple[int, int, int]]:
        """(text, n-gram, place) of what stands in `texts`, by text: each n-gram once, at its first word's number."""
        if not texts or not self.grams:
            return
        tokens, starts, stops = text_words(texts)
        looked_up = [_looked_up(grams, tokens, stops) for grams in self.grams]
        places, numbers = (np.concatenate(parts) for parts in zip(*looked_up, strict=True))
        inside = np.searchsorted(stops, places, side="right")
        # The first place of each n-gram in each text; then in the order of the texts, where neighbours are mostly
        # neighbours in an example, too.
        order = np.lexsort((places, numbers, inside))
        places, numbers, inside = places[order], numbers[order], inside[order]
        once = np.flatnonzero((np.diff(inside, prepend=-1) != 0) | (np.diff(numbers, prepend=-1) != 0))
        once = once[np.argsort(places[once], kind="stable")]
        hits = zip(inside[once].tolist(), numbers[once].tolist(), places[once].tolist(), strict=True)
        for text, mine in groupby(hits, key=itemgetter(0)):
            words, begin = Words.of(texts[text]), int(starts[text])
            for _, number, place in mine:
                expected = self.spelled(number)
                if words.spelled(place - begin, expected.count(" ")) == expected:
                    yield text, number, place - begin

    def spelled(self, number: int) -> str:
        """The words of an n-gram, a space behind each."""
        grams = next(grams for grams in reversed(self.grams) if grams.first <= number)
        offset = int(grams.offset[number - grams.first])
        return _words(self.texts[grams.text[number - grams.first]]).spelled(offset, grams.length)

    def overlaps(self, found: Iterable[tuple[int, int]]) -> list[Overlap]:
        """What a document with these n-grams, as (place, n-gram), shares with each example, by example."""
        counts: dict[int, int] = {}
        first: dict[int, int] = {}
        for _, number in sorted(found):
            begin = int(self.ends[number - 1]) if number else 0
            for example in self.held[begin : self.ends[number]].tolist():
                counts[example] = counts.get(example, 0) + 1
                first.setdefault(example, number)
        return [
            Overlap(example, count, count / int(self.sizes[example]), self.spelled(first[example]).rstrip(" "))
            for example, count in sorted(counts.items())
        ]

    def describe(self) -> str:
        """One sentence on what is looked for, and what is too short to be."""
        parts = []
        for name in dict.fromkeys(example.benchmark for example in self.examples):
            own = [size for example, size in zip(self.examples, self.sizes, strict=True) if example.benchmark == name]
            short = f", {own.count(0):,} of them too short to be found" if 0 in own else ""
            parts.append(f"{name} ({len(own):,} examples{short})")
        return f"decontaminate: {sum(len(grams.hashes) for grams in self.grams):,} n-grams of {', '.join(parts)}"


def build_index(examples: Iterable[Example], ngram: int, min_words: int) -> Index:
    """The index of examples: n-grams of `ngram` words, and whole texts of `min_words` words and more."""
    examples = tuple(examples)
    texts = [text for example in examples for text in example.texts]
    owners = np.repeat(np.arange(len(examples)), [len(example.texts) for example in examples])
    tokens, starts, stops = text_words(texts or [""])
    sizes = stops - starts
    grams: list[Grams] = []
    pairs: list[_Numbers] = []
    first = 0
    for length in sorted({ngram, *sizes[(sizes >= min_words) & (sizes < ngram)].tolist()}):
        every = rolled(tokens, length)
        if length == ngram:
            places = np.arange(len(every))
            inside = np.searchsorted(stops, places, side="right")
            whole = places + length <= stops[inside]
            places, inside = places[whole], inside[whole]
        else:
            inside = np.flatnonzero(sizes == length)
            places = starts[inside]
        hashes, where, number = np.unique(every[places], return_index=True, return_inverse=True)
        sieve = np.zeros(1 << _SIEVE_BITS, dtype=bool)
        sieve[hashes >> np.uint64(64 - _SIEVE_BITS)] = True
        offsets = (places - starts[inside])[where]
        grams.append(Grams(length, first, hashes, inside[where], offsets, sieve))
        pairs.append(np.unique((number + first) * len(examples) + owners[inside]))
        first += len(hashes)
    grams = [each for each in grams if len(each.hashes)]
    numbers, held = np.divmod(np.concatenate(pairs), max(len(examples), 1))
    ends = np.cumsum(np.bincount(numbers, minlength=first))
    return Index(examples, tuple(texts), tuple(grams), held, ends, np.bincount(held, minlength=len(examples)))


def _looked_up(grams: Grams, tokens: Wide, stops: _Numbers) -> tuple[_Numbers, _Numbers]:
    """Where n-grams stand among the tokens of texts that end at `stops`, by their hashes: places and numbers."""
    every = rolled(tokens, grams.length)
    places = np.flatnonzero(grams.sieve.take((every >> np.uint64(64 - _SIEVE_BITS)).astype(np.intp)))
    at = np.searchsorted(grams.hashes, every[places])
    equal = grams.hashes.take(at, mode="clip") == every[places]
    places, at = places[equal], at[equal]
    inside = places + grams.length <= stops[np.searchsorted(stops, places, side="right")]
    return places[inside], at[inside] + grams.first


@lru_cache(maxsize=64)
def _words(text: str) -> Words:
    return Words.of(text)
