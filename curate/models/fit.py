"""Train a linear classifier of texts, and say how well it does on texts that it was not trained on.

Input: texts with labels. Output: a model file that `millpond.curate.models.classifier` opens, and its scores on the
rows held out, by a model of the other rows; the model written is of all. Which are held out follows from seed and
text alone: copies of a text are on one side. Logistic regression
over hashed words and pairs (softmax for more than two labels), each feature weighted by its inverse document
frequency, with an L2 penalty of 1 / (`_C` · rows), minimised by L-BFGS over all rows: no random start, no order of
rows to shuffle. Rows, seed and processor kind given, the file is the same bytes.

Memory: the weights, some 80 bytes for each bucket in use and each output; the features lie in a temporary file.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from millpond import __version__
from millpond.curate.models import archive
from millpond.curate.models.classifier import KIND, probabilities
from millpond.curate.models.features import Features, features
from millpond.curate.models.lbfgs import minimise
from millpond.curate.signals.scan import Scan, groups
from millpond.errors import InputError

Numbers = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

_C = 30.0
_TEXTS = 256  # of one reading
_BATCH = 1 << 21  # features of one step
_BITS = (16, 22)
_MOST_WEIGHTS = 1 << 26
_MOST_LABELS = 1000
_HASH_BITS = 26  # of the map in which different features are counted


@dataclass(frozen=True)
class HeldOut:
    """Scores on the rows held out."""

    rows: int
    accuracy: float
    f1: float
    """Of the positive label; without one the mean over the labels."""
    auc: float
    """Area under the ROC curve of the positive label; without one the mean of each label's against the others."""


@dataclass(frozen=True)
class Trained:
    """What came of training; all of it is in the model's metadata too."""

    labels: tuple[str, ...]
    positive: str | None
    rows: int
    """Rows trained on: all with a word."""
    skipped: int
    """Rows without a word."""
    distinct: int
    """Different features."""
    held_out: HeldOut


def train(
    rows: Iterable[tuple[str, str]],
    output: Path,
    *,
    positive: str | None = None,
    seed: int = 1,
    held_out: float = 0.1,
) -> Trained:
    """Train on (text, label) rows, read once, and write the model file.

    `positive` is the label whose probability the model's score is; of `0` and `1` it is `1`.

    Raises:
        InputError: there are too few rows or labels; nothing is written then, nor where `rows` fails.
    """
    with tempfile.TemporaryFile() as file:
        table = _Rows(file, seed, held_out)
        for batch in _batches(rows):
            table.add(batch)
        labels = table.close()
        if positive is None and labels == ["0", "1"]:
            positive = "1"
        if positive is not None and positive not in labels:
            raise InputError(f"no row has the label {positive!r}: there are {', '.join(labels[:20])}")
        judged = _judge(table, labels, positive)
        problem = _Problem(table, len(labels), np.arange(len(table.labels)))
        weights, bias = problem.solve()
    trained = Trained(tuple(labels), positive, len(table.labels), table.skipped, table.distinct, judged)
    metadata = {**asdict(trained), "seed": seed, "millpond": __version__}
    archive.write(output, KIND, metadata, {"weights": problem.dense(weights), "bias": bias.astype("<f4")})
    return trained


def _batches(rows: Iterable[tuple[str, str]]) -> Iterator[list[tuple[str, str]]]:
    batch: list[tuple[str, str]] = []
    size = 0
    for row in rows:
        batch.append(row)
        size += len(row[0])
        if len(batch) == _TEXTS or size > 1 << 22:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


class _Rows:
    """The rows read: labels and sizes in memory, features in a file."""

    def __init__(self, file: BinaryIO, seed: int, held_out: float) -> None:
        self.skipped = self.distinct = 0
        self._file, self._seed, self._share = file, seed, held_out
        self._known: dict[str, int] = {}
        self._labels: list[int] = []
        self._sizes: list[int] = []
        self._held: list[bool] = []
        self._seen = np.zeros(1 << _HASH_BITS, dtype=np.bool_)

    def _append(self, found: npt.NDArray[np.uint32]) -> None:
        try:
            found.tofile(self._file)
        except OSError as error:
            raise InputError(f"{tempfile.gettempdir()}: features of the texts cannot be kept: {error}") from error

    def add(self, rows: Sequence[tuple[str, str]]) -> None:
        """Take in some rows."""
        done = 0
        for group in groups([text for text, _ in rows]):
            found, texts = features(Scan(group))
            self._seen[found >> np.uint32(32 - _HASH_BITS)] = True
            self._append(found[np.argsort(texts, kind="stable")])
            sizes = np.bincount(texts, minlength=len(group)).tolist()
            for (text, label), size in zip(rows[done : done + len(group)], sizes, strict=True):
                if not size:
                    self.skipped += 1
                    continue
                self._labels.append(self._known.setdefault(label, len(self._known)))
                self._sizes.append(size)
                self._held.append(self._holds_out(text))
            done += len(group)
        if len(self._known) > _MOST_LABELS:
            raise InputError(f"more than {_MOST_LABELS} labels: is that field a label?")

    def close(self) -> list[str]:
        """Number the labels in their order, map the features; the labels."""
        labels = sorted(self._known)
        if len(labels) < 2:
            raise InputError(f"a classifier needs rows of two labels: there are {len(labels)}")
        order = np.array([labels.index(label) for label in self._known])
        self.labels: Integers = order[self._labels]
        self.held = np.array(self._held)
        self.edges: Integers = np.concatenate(([0], np.cumsum(self._sizes)))
        for side, chosen in (("to train on", ~self.held), ("held out", self.held)):
            counts = np.bincount(self.labels[chosen], minlength=len(labels)).tolist()
            if 0 in counts:
                raise InputError(f"no row of label {labels[counts.index(0)]!r} is {side}: give more rows of it")
        self._file.flush()
        self.features: Features = np.memmap(self._file, np.uint32, "r", shape=(int(self.edges[-1]),))
        self.distinct = int(np.count_nonzero(self._seen))
        return labels

    def _holds_out(self, text: str) -> bool:
        digest = hashlib.sha256(f"{self._seed}\n{text}".encode("utf-8", "surrogatepass")).digest()
        return int.from_bytes(digest[:8], "big") < self._share * 2**64


class _Problem:
    """The objective: mean cross-entropy of the rows to train on, and the penalty."""

    def __init__(self, rows: _Rows, labels: int, train: Integers) -> None:
        self.rows, self.train = rows, train
        self.outputs = 1 if labels == 2 else labels
        self.bits = max(_BITS[0], min(_BITS[1], (8 * rows.distinct).bit_length()))
        while self.outputs << self.bits > _MOST_WEIGHTS:
            self.bits -= 1
        self._shift = np.uint32(32 - self.bits)
        self._weigh()

    def _weigh(self) -> None:
        """Which buckets the rows to train on fill, and each one's inverse document frequency."""
        frequency = np.zeros(1 << self.bits, dtype=np.int64)
        for _, buckets, texts in self._chunks(self.train):
            pairs = np.unique((texts << self.bits) | buckets)
            frequency += np.bincount(pairs & ((1 << self.bits) - 1), minlength=1 << self.bits)
        self.active = np.flatnonzero(frequency)
        self._place = np.full(1 << self.bits, len(self.active), dtype=np.int64)
        self._place[self.active] = np.arange(len(self.active))
        self._rarity = np.log((1 + len(self.train)) / (1 + frequency[self.active])) + 1

    def _chunks(self, chosen: Integers) -> Iterator[tuple[Integers, Integers, Integers]]:
        """Rows, some at a time: their numbers, their features' buckets, and whose each is."""
        edges = self.rows.edges
        start = 0
        while start < len(chosen):
            sizes = np.cumsum(edges[chosen[start:] + 1] - edges[chosen[start:]])
            stop = start + max(1, int(np.searchsorted(sizes, _BATCH, side="right")))
            part = chosen[start:stop]
            found = np.concatenate([self.rows.features[edges[row] : edges[row + 1]] for row in part.tolist()])
            texts = np.repeat(np.arange(len(part)), edges[part + 1] - edges[part])
            yield part, (found >> self._shift).astype(np.int64), texts
            start = stop

    def solve(self) -> tuple[Numbers, Numbers]:
        """Weights, (active buckets, outputs), of features as they are counted; and the bias."""
        size = len(self.active)
        found = minimise(self._value, np.zeros((size + 1) * self.outputs))
        columns = found.reshape(self.outputs, size + 1)
        return (columns[:, :size] * self._rarity).T, columns[:, size].copy()

    def _value(self, point: Numbers) -> tuple[float, Numbers]:
        size = len(self.active)
        columns = point.reshape(self.outputs, size + 1)
        penalty = 1 / (_C * len(self.train))
        gradient = np.zeros_like(columns)
        loss = 0.0
        weights = columns[:, :size] * self._rarity
        for part, buckets, texts in self._chunks(self.train):
            places, inside = self._inside(buckets)
            margins = self._margins(weights, columns[:, size], part, places, texts)
            labels = self.rows.labels[part]
            lost, errors = _cross_entropy(margins, labels)
            loss += lost
            roots = self._roots(part)
            for output in range(self.outputs):
                pull = (errors[:, output] / roots).take(texts)
                gradient[output, :size] += np.bincount(places, pull * inside, size + 1)[:size]
                gradient[output, size] += errors[:, output].sum()
        gradient[:, :size] *= self._rarity
        gradient /= len(self.train)
        gradient[:, :size] += penalty * columns[:, :size]
        kept = columns[:, :size]
        return loss / len(self.train) + penalty / 2 * float((kept * kept).sum()), gradient.ravel()

    def _inside(self, buckets: Integers) -> tuple[Integers, npt.NDArray[np.bool_]]:
        places = self._place.take(buckets)
        return places, places < len(self.active)

    def _roots(self, part: Integers) -> Numbers:
        roots: Numbers = np.sqrt(self.rows.edges[part + 1] - self.rows.edges[part])
        return roots

    def _margins(self, weights: Numbers, bias: Numbers, part: Integers, places: Integers, texts: Integers) -> Numbers:
        """Log odds, (rows, outputs); `weights` are (outputs, active buckets)."""
        roots = self._roots(part)
        padded = np.append(weights, np.zeros((self.outputs, 1)), axis=1)
        found = [np.bincount(texts, row.take(places), len(part)) / roots for row in padded]
        margins: Numbers = np.stack(found, axis=1) + bias
        return margins

    def judged(self, weights: Numbers, bias: Numbers, chosen: Integers) -> Numbers:
        """Log odds of some rows."""
        parts = [
            self._margins(weights.T, bias, part, self._inside(buckets)[0], texts)
            for part, buckets, texts in self._chunks(chosen)
        ]
        return np.concatenate(parts)

    def dense(self, weights: Numbers) -> npt.NDArray[np.float32]:
        """The weights of all buckets, as they are stored."""
        table = np.zeros((1 << self.bits, self.outputs), dtype="<f4")
        table[self.active] = weights
        return table


def _cross_entropy(margins: Numbers, labels: Integers) -> tuple[float, Numbers]:
    """Sum over the rows, and its derivative by the margins."""
    if margins.shape[1] == 1:
        margin, second = margins[:, 0], labels == 1
        chances = 1 / (1 + np.exp(-np.clip(margin, -700, 700)))
        signed = np.where(second, -margin, margin)
        return float(np.logaddexp(0, signed).sum()), (chances - second)[:, None]
    shifted = margins - margins.max(axis=1, keepdims=True)
    powers = np.exp(shifted)
    totals = powers.sum(axis=1, keepdims=True)
    own = np.arange(len(labels)), labels
    loss = float((np.log(totals[:, 0]) - shifted[own]).sum())
    chances = powers / totals
    chances[own] -= 1
    return loss, chances


def _judge(rows: _Rows, labels: Sequence[str], positive: str | None) -> HeldOut:
    """Train on the rows that are not held out, and score those that are."""
    chosen = np.flatnonzero(rows.held)
    problem = _Problem(rows, len(labels), np.flatnonzero(~rows.held))
    margins = problem.judged(*problem.solve(), chosen)
    chances = np.array([probabilities(row) for row in margins.tolist()])
    truth, guessed = rows.labels[chosen], chances.argmax(axis=1)
    judged = range(len(labels)) if positive is None else (labels.index(positive),)
    f1 = [_f1(truth == label, guessed == label) for label in judged]
    auc = [_auc(truth == label, chances[:, label]) for label in judged]
    return HeldOut(len(chosen), float((truth == guessed).mean()), sum(f1) / len(f1), sum(auc) / len(auc))


def _f1(truth: npt.NDArray[np.bool_], guessed: npt.NDArray[np.bool_]) -> float:
    both = int((truth & guessed).sum())
    return 2 * both / int(truth.sum() + guessed.sum()) if both else 0.0


def _auc(truth: npt.NDArray[np.bool_], scores: Numbers) -> float:
    """The chance that a row of the label scores above one that is not; equal scores count half."""
    _, places, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[places]
    own, others = int(truth.sum()), int((~truth).sum())
    return (float(ranks[truth].sum()) - own * (own + 1) / 2) / (own * others)
