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
        feature, border, question = self._questions
        trees, depth = question.shape
        answers = (columns[feature] > border[:, None]).astype(np.uint8)
        leaf = answers[question[:, depth - 1]]
        for level in reversed(range(depth - 1)):
            leaf <<= 1
            leaf |= answers[question[:, level]]
        values = self.leaves.reshape(-1, len(self.bias)).take(leaf + (np.arange(trees) << depth)[:, None], axis=0)
        result: npt.NDArray[np.float64] = values.sum(axis=0, dtype=np.float64) + self.bias
        return result

    @cached_property
    def _questions(self) -> tuple[npt.NDArray[np.intp], Floats, npt.NDArray[np.intp]]:
        """The distinct questions, features and borders, and the number of the one that each level of a tree asks."""
        pairs = np.stack((self.feature.ravel(), self.border.ravel().astype(np.float64)), axis=1)
        distinct, numbers = np.unique(pairs, axis=0, return_inverse=True)
        question = numbers.reshape(self.feature.shape)
        return distinct[:, 0].astype(np.intp), distinct[:, 1].astype(np.float32), question
