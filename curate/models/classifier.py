"""A linear classifier of texts: the probability of each label, from a trained model file.

A text's vector counts its features (`millpond.curate.models.features`), hashed into buckets and divided by the root
of their number; a label's weights are one column, or one for both of two. Nothing depends on which texts share a
scan: sums run over a text's own features, in their order. `millpond.curate.models.fit` trains one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from millpond.curate.models import archive
from millpond.curate.models.features import features
from millpond.curate.signals.scan import Scan

KIND = "classifier"
MEMBERS = {"weights": ("<f4", 2), "bias": ("<f4", 1)}
_MOST_LABELS = 1000
_MOST_BITS = 30

Numbers = npt.NDArray[np.float64]


class Classifier:
    """A trained model.

    Attributes:
        labels: its labels, ascending.
        positive: the label that a score is the probability of, unless another is asked for; may be None.
        metadata: what it was trained on and how well it did on what was held out.
    """

    def __init__(self, path: Path, sha256: str | None = None) -> None:
        """Open a model file, which stays mapped.

        Raises:
            InputError: the file is missing, no classifier, damaged, or not the one with this digest.
        """
        found = archive.read(path, KIND, lambda _: MEMBERS, sha256)
        self.path, self.sha256, self.metadata = path, found.sha256, found.metadata
        self.labels, self.positive = _labels(path, found.metadata)
        self._weights, self._bias = found.arrays["weights"], found.arrays["bias"]
        buckets, columns = self._weights.shape
        outputs = 1 if len(self.labels) == 2 else len(self.labels)
        bits = buckets.bit_length() - 1
        if not 1 <= bits <= _MOST_BITS or buckets != 1 << bits or columns != outputs or self._bias.shape != (outputs,):
            raise archive.foreign(path, KIND, f"weights of shape {self._weights.shape}, {len(self.labels)} labels")
        if not np.isfinite(self._weights).all() or not np.isfinite(self._bias).all():
            raise archive.foreign(path, KIND, "weights that are not finite")
        self._columns = [np.ascontiguousarray(self._weights[:, column]) for column in range(outputs)]
        self._shift = np.uint32(32 - bits)

    def margins(self, scan: Scan) -> tuple[Numbers, npt.NDArray[np.int64]]:
        """Log odds, (texts, 1) for two labels and else (texts, labels), and how many features each text has."""
        found, texts = features(scan)
        buckets = found >> self._shift
        counts = np.bincount(texts, minlength=len(scan.texts))
        root = np.sqrt(np.maximum(counts, 1))
        columns = [
            np.bincount(texts, weights.take(buckets), len(scan.texts)) / root + bias
            for weights, bias in zip(self._columns, self._bias.tolist(), strict=True)
        ]
        return np.stack(columns, axis=1), counts

    def scores(self, scan: Scan, label: str) -> list[float | None]:
        """The probability of a label for each text; null for a text without words."""
        number = self.labels.index(label)
        margins, counts = self.margins(scan)
        return [
            probabilities(row)[number] if count else None
            for row, count in zip(margins.tolist(), counts.tolist(), strict=True)
        ]


def probabilities(margins: list[float]) -> list[float]:
    """The probability of each label: one margin is the log odds of the second of two."""
    if len(margins) == 1:
        margins = [0.0, *margins]
    highest = max(margins)
    powers = [math.exp(margin - highest) for margin in margins]
    total = sum(powers)
    return [power / total for power in powers]


def _labels(path: Path, metadata: Mapping[str, Any]) -> tuple[list[str], str | None]:
    labels, positive = metadata.get("labels"), metadata.get("positive")
    good = isinstance(labels, list) and all(isinstance(label, str) for label in labels)
    labels = list(labels or ()) if good else []
    if not 2 <= len(labels) <= _MOST_LABELS or labels != sorted(set(labels)):
        raise archive.foreign(path, KIND, f"its labels are {str(labels)[:200]}")
    if positive is not None and positive not in labels:
        raise archive.foreign(path, KIND, f"{str(positive)[:200]!r} is none of its labels")
    return labels, positive
