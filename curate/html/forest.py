"""A forest of oblivious decision trees: every node of a level asks the same question.

So a tree of depth d is d comparisons and a table of 2^d values, and all trees judge all blocks of a page in a
handful of NumPy calls. Source: Prokhorenkova et al. 2018, "CatBoost: unbiased boosting with categorical
features". A forest is stored as plain arrays; nothing is unpickled.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
#: Bounds the memory of a judgement: rows judged at a time.
_ROWS = 1024


@dataclass(frozen=True)
class Forest:
    """Trees of equal depth over numbered features.

    `feature` and `border` have shape (trees, depth), depth at most 8: a question is `feature > border`, the first one
    decides the lowest bit of the leaf's number. `leaves` has shape (trees, 2^depth, outputs), `bias` (outputs,).
    """

    feature: npt.NDArray[np.intp]
    border: Floats
    leaves: Floats
    bias: Floats

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[np.generic]], prefix: str) -> Forest:
        """The forest whose arrays are called `prefix` + field.

        Raises:
            ValueError: the arrays do not fit together.
        """
        feature, border, leaves, bias = (arrays[prefix + name] for name in ("feature", "border", "leaves", "bias"))
        trees, depth = feature.shape
        if depth > 8 or border.shape != feature.shape or leaves.shape != (trees, 1 << depth, len(bias)):
            raise ValueError(f"a forest's arrays do not fit: {feature.shape}, {border.shape}, {leaves.shape}")
        return cls(
            feature.astype(np.intp), border.astype(np.float32), leaves.astype(np.float32), bias.astype(np.float32)
        )

    def judge(self, columns: Floats) -> npt.NDArray[np.float64]:
        """Raw outputs, shape (rows, outputs), for `columns` of shape (features, rows)."""
        parts = [self._judge(columns[:, start : start + _ROWS]) for start in range(0, columns.shape[1], _ROWS)]
        return np.concatenate(parts) if parts else np.zeros((0, len(self.bias)))

    def _judge(self, columns: Floats) -> npt.NDArray[np.float64]:
        feature, border, question, tree = self._questions
        answers = (columns.take(feature, axis=0) > border).view(np.uint8)
        leaf = answers.take(question[-1], axis=0)
        for asked in question[-2::-1]:
            leaf += leaf  # NumPy shifts bytes one by one, but adds many at a time
            leaf += answers.take(asked, axis=0)
        values = self.leaves.reshape(-1, len(self.bias)).take(leaf + tree, axis=0)
        result: npt.NDArray[np.float64] = values.sum(axis=0) + self.bias.astype(np.float64)
        return result

    @cached_property
    def _questions(self) -> tuple[npt.NDArray[np.intp], Floats, npt.NDArray[np.intp], npt.NDArray[np.int32]]:
        """The distinct questions' features and borders, the number of the one that each level (rows) of a tree asks,
        and where each tree's leaves begin."""
        pairs = np.stack((self.feature.ravel(), self.border.ravel().astype(np.float64)), axis=1)
        distinct, numbers = np.unique(pairs, axis=0, return_inverse=True)
        trees, depth = self.feature.shape
        question = np.ascontiguousarray(numbers.reshape(trees, depth).T)
        starts = (np.arange(trees, dtype=np.int32) << depth)[:, None]
        return distinct[:, 0].astype(np.intp), distinct[:, 1:].astype(np.float32), question, starts
