"""Oblivious trees give what their definition says, and files that do not fit are refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from selectolax.lexbor import LexborHTMLParser

from millpond.curate.html.blocks import read_blocks
from millpond.curate.html.container_names import Names
from millpond.curate.html.features import FEATURES, features
from millpond.curate.html.forest import Forest
from millpond.curate.html.main_text import MODEL, Model, best_choice
from millpond.curate.html.metadata import read_metadata


def random_arrays(seed: int, trees: int = 7, depth: int = 3, outputs: int = 2) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(seed)
    return {
        "feature": generator.integers(0, 5, (trees, depth)),
        "border": generator.normal(size=(trees, depth)).astype(np.float32),
        "leaves": generator.normal(size=(trees, 1 << depth, outputs)).astype(np.float32),
        "bias": generator.normal(size=outputs).astype(np.float32),
    }


def test_judgement_is_the_sum_of_leaves() -> None:
    arrays = random_arrays(1)
    columns = np.random.default_rng(2).normal(size=(5, 3000)).astype(np.float32)
    judged = Forest.from_arrays(arrays, "").judge(columns)
    for row in (0, 1023, 1024, 2999):
        expected = arrays["bias"].astype(np.float64)
        for feature, border, leaves in zip(arrays["feature"], arrays["border"], arrays["leaves"], strict=True):
            answers = columns[feature, row] > border
            expected = expected + leaves[sum(int(answer) << bit for bit, answer in enumerate(answers))]
        np.testing.assert_allclose(judged[row], expected, rtol=1e-6)


def test_no_rows() -> None:
    assert Forest.from_arrays(random_arrays(1), "").judge(np.zeros((5, 0), dtype=np.float32)).shape == (0, 2)


def test_the_model_was_trained_on_these_features() -> None:
    tree = LexborHTMLParser("<p>text</p>")
    found = features(read_blocks(tree), read_metadata(tree, None), None, Names({}))
    assert found.columns.shape == (len(FEATURES), 1)
    with np.load(MODEL, allow_pickle=False) as arrays:
        assert arrays["feature_names"].tolist() == list(FEATURES)


def test_arrays_that_do_not_fit_are_refused() -> None:
    arrays = random_arrays(1)
    with pytest.raises(ValueError, match="do not fit"):
        Forest.from_arrays({**arrays, "leaves": arrays["leaves"][:, :4]}, "")


def test_a_model_with_pickles_is_refused(tmp_path: Path) -> None:
    with np.load(MODEL, allow_pickle=False) as file:
        arrays = dict(file)
    path = tmp_path / "model.npz"
    arrays["names_word"] = np.array([{"a": 1}], dtype=object)
    np.savez(path, **arrays, allow_pickle=True)
    with pytest.raises(ValueError, match="allow_pickle"):
        Model.load(path)


def test_the_best_choice_has_the_highest_expected_f1() -> None:
    chances, words = np.array([0.9, 0.2, 0.6, 0.05]), np.array([10.0, 5.0, 20.0, 100.0])

    def expected(kept: list[int]) -> float:
        return float(2 * (chances * words)[kept].sum() / (words[kept].sum() + (chances * words).sum()))

    choices = [[i for i in range(4) if bits >> i & 1] for bits in range(1, 16)]
    best = max(choices, key=expected)
    assert best_choice(chances, words).tolist() == best


def test_something_is_kept_where_nothing_is_likely() -> None:
    assert best_choice(np.array([0.01, 0.02]), np.array([5.0, 5.0])).tolist() != []
