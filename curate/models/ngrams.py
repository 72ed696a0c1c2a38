"""An n-gram language model of words, and the perplexity of texts under it.

A text is one stream of words and marks, upper and lower case and all digits alike; the end of a line is a word, and
so is the beginning of the text, which is not predicted. Perplexity is exp(−mean natural log probability) of all that
is predicted; CCNet (Wenzek et al. 2020, arXiv 1911.00359) takes the same figure of sentence pieces, from a KenLM
model, so its thresholds do not carry over. A word that the model does not know has what interpolation leaves it.

The model is interpolated, modified Kneser–Ney in back-off form (Chen and Goodman 1998; `millpond.curate.models.
kneser_ney` trains it): for each n-gram, by hash, its log probability, and its weight as a context. An n-gram that is
not there has the probability of its last n − 1 words times the weight of its first.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from millpond.curate.models import archive
from millpond.curate.models.lookup import Lookup, Rows
from millpond.curate.polynomial import Hashes
from millpond.curate.signals.scan import Scan

KIND = "perplexity"
ORDERS = range(2, 7)
_MOST = 1e3  # of a logarithm: the rarest word of 10^100 would have 230
_MOST_EXPONENT = 700.0  # of what a float holds

Floats = npt.NDArray[np.float64]

#: What stands for the end of a line, and for the beginning of a text.
LINE = np.uint64(0xA0761D6478BD642F)
_FACTOR = np.uint64(0xE7037ED1A0B428DB)


class Stream:
    """The words and line ends of some texts in a row.

    Attributes:
        hashes: a hash of each; each text begins with `LINE` and, where it has words, ends with it.
        texts: the number of the text of each, ascending.
        depths: how many stand before each in its text.
    """

    def __init__(self, scan: Scan) -> None:
        words, texts = scan.folded, scan.text_of
        _, newlines, _ = scan.lines
        lines = np.searchsorted(newlines, scan.starts)
        # Behind the last word of a line comes its end; a blank line has none.
        ends = np.append(lines[1:] != lines[:-1], True)[: len(lines)]
        places = np.arange(len(words)) + np.cumsum(ends) - ends + texts + 1
        size = len(words) + int(ends.sum()) + len(scan.texts)
        self.hashes: Hashes = np.full(size, LINE, dtype=np.uint64)
        self.hashes[places] = words
        each = np.bincount(texts, minlength=len(scan.texts)) + np.bincount(texts[ends], minlength=len(scan.texts)) + 1
        self.texts = np.repeat(np.arange(len(scan.texts)), each)
        self.depths = np.arange(size) - np.repeat(np.cumsum(each) - each, each)

    def keys(self, order: int) -> Iterator[Hashes]:
        """For n from 1 to `order`: a hash of the n words that end at each place; of places not so deep, of fewer."""
        found = self.hashes
        yield found
        for _ in range(1, order):
            found = joined(found, self.hashes)
            yield found


def joined(found: Hashes, words: Hashes) -> Hashes:
    """Hashes of n-grams, one word longer: what ends one place before, and the word."""
    longer = np.empty_like(found)
    longer[:1] = found[:1]
    np.multiply(found[:-1], _FACTOR, out=longer[1:])
    longer[1:] += words[1:]
    return longer


class NGramModel:
    """A trained model.

    Attributes:
        order: words of its longest n-grams.
        metadata: what it was trained on.
    """

    def __init__(self, path: Path, sha256: str | None = None) -> None:
        """Open a model file, which stays mapped.

        Raises:
            InputError: the file is missing, no n-gram model, damaged, or not the one with this digest.
        """
        found = archive.read(path, KIND, members, sha256)
        self.path, self.sha256, self.metadata = path, found.sha256, found.metadata
        self.order = int(found.metadata["order"])
        unknown = found.metadata.get("unknown")
        if not isinstance(unknown, float) or not -1e3 < unknown < 0:
            raise archive.foreign(path, KIND, f"an unknown word has log probability {unknown!r}")
        self._unknown = unknown
        self._known: list[Lookup] = []
        self._logs: list[npt.NDArray[np.float32]] = []
        self._weights: list[npt.NDArray[np.float32]] = []
        for n in range(1, self.order + 1):
            hashes, logs = np.asarray(found.arrays[f"hashes{n}"]), np.asarray(found.arrays[f"logs{n}"])
            weights = np.asarray(found.arrays[f"weights{n}"]) if n < self.order else logs[:0]
            if len(logs) != len(hashes) or len(weights) != (len(hashes) if n < self.order else 0) or not len(hashes):
                raise archive.foreign(path, KIND, f"{n}-grams and their figures do not match")
            if not (np.abs(logs) < _MOST).all() or not (np.abs(weights) < _MOST).all():
                raise archive.foreign(path, KIND, f"{n}-grams have figures that no probability has")
            try:
                self._known.append(Lookup(hashes))
            except ValueError as error:
                raise archive.foreign(path, KIND, error) from error
            self._logs.append(logs)
            self._weights.append(weights)

    def log_probabilities(self, stream: Stream) -> Floats:
        """The natural log probability at each place; the beginnings of texts have one too, which means nothing."""
        rows: Rows = np.empty(0, dtype=np.int64)
        logs: Floats = np.empty(0)
        for n, keys in enumerate(stream.keys(self.order), 1):
            if n == 1:
                rows = self._known[0].rows(keys)
                logs = np.where(rows >= 0, self._logs[0].take(rows, mode="clip"), self._unknown).astype(np.float64)
                continue
            # Without its first words, and without its last, no n-gram is known.
            before = np.append(np.int64(-1), rows[:-1])
            places = np.flatnonzero((before >= 0) & (stream.depths >= n - 1))
            logs[places] += self._weights[n - 2].take(before[places])
            places = places[rows[places] >= 0]
            found = self._known[n - 1].rows(keys[places])
            hit = found >= 0
            logs[places[hit]] = self._logs[n - 1].take(found[hit])
            rows = np.full(len(keys), -1, dtype=np.int64)
            rows[places] = found
        return logs

    def perplexities(self, scan: Scan) -> list[float | None]:
        """The perplexity of each text; null for a text without words."""
        stream = Stream(scan)
        logs = self.log_probabilities(stream)
        logs[stream.depths == 0] = 0
        sums = np.bincount(stream.texts, logs, len(scan.texts))
        counts = np.bincount(stream.texts, minlength=len(scan.texts)) - 1
        return [
            math.exp(min(-total / count, _MOST_EXPONENT)) if count else None
            for total, count in zip(sums.tolist(), counts.tolist(), strict=True)
        ]


def members(metadata: Mapping[str, Any]) -> dict[str, tuple[str, int]]:
    """The arrays of a model file: hashes and log probabilities of each order, weights of all but the last."""
    order = metadata.get("order")
    if not isinstance(order, int) or order not in ORDERS:
        raise archive.RefusedError(f"its order is {order!r}")
    arrays = {f"hashes{n}": ("<u8", 1) for n in range(1, order + 1)}
    arrays |= {f"logs{n}": ("<f4", 1) for n in range(1, order + 1)}
    return arrays | {f"weights{n}": ("<f4", 1) for n in range(1, order)}
