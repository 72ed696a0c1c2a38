"""Train an n-gram language model: interpolated, modified Kneser–Ney in back-off form.

Input: texts. Output: a model file that `millpond.curate.models.ngrams` opens. An n-gram of the longest order counts
as often as it is there; a shorter one as often as there are different words before it, the beginning of a text being
one. Discounts follow from how many n-grams count once to four times, or are .5, 1 and 1.5 where there are too few for
that. N-grams of three words and more that are there once are left out: what they had goes to shorter ones.
The same texts in any order give the same bytes, as long as no limit cuts them off.

Memory: some 100 bytes a word of text, so `most_words` bounds it: reading stops after the texts in which it is reached.

Source: Chen and Goodman 1998, "An empirical study of smoothing techniques for language modeling", TR-10-98, Harvard;
Heafield et al. 2013, "Scalable modified Kneser–Ney language model estimation", ACL.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from millpond import __version__
from millpond.curate.models import archive
from millpond.curate.models.ngrams import KIND, Stream, joined
from millpond.curate.polynomial import Hashes
from millpond.curate.signals.scan import Scan, groups
from millpond.errors import InputError

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

_TEXTS = 256
_PRUNED = 3  # orders from here on lose what is there once
_FALLBACK = (0.5, 1.0, 1.5)


@dataclass(frozen=True)
class TrainedNGrams:
    """What came of training; all of it is in the model's metadata too."""

    order: int
    texts: int
    words: int
    """Words, marks and line ends that were predicted."""
    cut_off: bool
    """Whether there were more texts than were read."""
    ngrams: tuple[int, ...]
    """Different n-grams kept, by order from 1."""
    unknown: float
    """Natural log probability of a word that is not known."""


@dataclass(frozen=True)
class _Grams:
    """All n-grams of one order, ascending by hash."""

    hashes: Hashes
    places: Integers
    """The end of one occurrence."""
    counts: Integers


def train(texts: Iterable[str], output: Path, *, order: int = 3, most_words: int = 10_000_000) -> TrainedNGrams:
    """Train on texts, read once and until `most_words` are reached, and write the model file.

    Raises:
        InputError: there are no words; nothing is written then, nor where `texts` fails.
    """
    words, depths, number, cut_off = _read(texts, most_words)
    if not len(words):
        raise InputError("a language model needs texts with words: there are none")
    keys = [words]
    for _ in range(1, order):
        keys.append(joined(keys[-1], words))
    # What is predicted, and so is an n-gram of order 1, is all but the beginnings of texts.
    grams = [_grams(keys[n - 1], np.flatnonzero(depths >= max(n - 1, 1))) for n in range(1, order + 1)]
    arrays: dict[str, npt.NDArray[np.generic]] = {}
    kept_before = np.ones(0, dtype=np.bool_)
    chances: Floats = np.empty(0)
    unknown, kept = 0.0, []
    for n, found in enumerate(grams, 1):
        adjusted = found.counts if n == order else _continuations(n, grams, keys[n - 1], depths)
        keep = found.counts >= (2 if n >= _PRUNED else 1)
        if not keep.any():
            raise InputError(f"no run of {n} words is there twice: take more text, or an order below {n}")
        if n == 1:
            contexts = np.zeros(len(found.hashes), dtype=np.int64)
            shorter, count = np.full(len(contexts), 1 / (len(contexts) + 1)), 1
        else:
            contexts = _rows(grams[n - 2].hashes, keys[n - 2][found.places - 1])
            shorter = chances[_rows(grams[n - 2].hashes, keys[n - 2][found.places])]
            count = len(grams[n - 2].hashes)
        alone = np.maximum(adjusted - _discounts(adjusted)[np.minimum(adjusted, 3)], 0)
        alone /= np.bincount(contexts, adjusted, count)[contexts]
        weights = 1 - np.bincount(contexts[keep], alone[keep], count)
        weights = np.maximum(weights, np.finfo(np.float32).tiny)
        chances = alone * keep + weights[contexts] * shorter
        if n == 1:
            unknown = float(np.log(weights[0] / (len(contexts) + 1)))
        else:
            arrays[f"weights{n - 1}"] = np.log(weights[kept_before]).astype("<f4")
        arrays[f"hashes{n}"] = found.hashes[keep].astype("<u8")
        arrays[f"logs{n}"] = np.log(chances[keep]).astype("<f4")
        kept.append(int(keep.sum()))
        kept_before = keep
    trained = TrainedNGrams(order, number, int((depths > 0).sum()), cut_off, tuple(kept), unknown)
    archive.write(output, KIND, {**asdict(trained), "millpond": __version__}, arrays)
    return trained


def _read(texts: Iterable[str], most: int) -> tuple[Hashes, Integers, int, bool]:
    """The streams of texts in a row, how deep each place is, how many texts they are, and whether there were more."""
    hashes, depths = [], []
    number = size = 0
    cut_off = False
    for group in _groups(texts):
        if size >= most:
            cut_off = True
            break
        stream = Stream(Scan(group))
        hashes.append(stream.hashes)
        depths.append(stream.depths.astype(np.int32))
        number += len(group)
        size += len(stream.hashes) - len(group)
    if not size:
        return np.empty(0, dtype=np.uint64), np.empty(0, dtype=np.int64), number, cut_off
    return np.concatenate(hashes), np.concatenate(depths), number, cut_off


def _groups(texts: Iterable[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    chars = 0
    for text in texts:
        batch.append(text)
        chars += len(text)
        if len(batch) == _TEXTS or chars > 1 << 22:
            yield from map(list, groups(batch))
            batch, chars = [], 0
    yield from map(list, groups(batch))


def _grams(keys: Hashes, places: Integers) -> _Grams:
    hashes, first, counts = np.unique(keys[places], return_index=True, return_counts=True)
    return _Grams(hashes, places[first], counts.astype(np.int64))


def _continuations(n: int, grams: list[_Grams], keys: Hashes, depths: Integers) -> Integers:
    """How many different words stand before each n-gram; the beginning of a text is one."""
    own, longer = grams[n - 1], grams[n]
    counts = np.bincount(_rows(own.hashes, keys[longer.places]), minlength=len(own.hashes))
    first = np.unique(keys[np.flatnonzero(depths == n - 1)]) if n > 1 else own.hashes[:0]
    counts[_rows(own.hashes, first)] += 1
    return counts.astype(np.int64)


def _rows(hashes: Hashes, wanted: Hashes) -> Integers:
    return np.searchsorted(hashes, wanted)


def _discounts(counts: Integers) -> Floats:
    """What an n-gram that counts 0, 1, 2, and 3 times or more gives away."""
    one, two, three, four = (int(np.count_nonzero(counts == count)) for count in (1, 2, 3, 4))
    if not all((one, two, three, four)):
        return np.array((0.0, *_FALLBACK))
    share = one / (one + 2 * two)
    found = (1 - 2 * share * two / one, 2 - 3 * share * three / two, 3 - 4 * share * four / three)
    if any(not 0 < value < count for count, value in enumerate(found, 1)):
        return np.array((0.0, *_FALLBACK))
    return np.array((0.0, *found))
