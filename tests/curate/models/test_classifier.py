"""The classifier learns what is there to learn, gives each text its own score, says what is wrong with its data."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import pytest

from millpond.curate.models import archive, fit
from millpond.curate.models.classifier import KIND, Classifier, probabilities
from millpond.curate.models.lbfgs import Vector, minimise
from millpond.curate.models.texts import read_labelled, read_texts
from millpond.curate.signals.scan import Scan
from millpond.errors import InputError

TOPICS = {
    "mill": "the wheel turns grain into flour beside the stone sluice",
    "pond": "a heron stands among reeds while frogs watch still water",
    "road": "carts carry sacks along gravel towards market every morning",
}


def rows(labels: tuple[str, ...] = ("mill", "pond"), each: int = 60) -> list[tuple[str, str]]:
    chance = random.Random(7)
    made = [(" ".join(chance.choices(TOPICS[label].split(), k=12)), label) for label in labels for _ in range(each)]
    chance.shuffle(made)
    return made


def test_learns_two_labels_and_three(tmp_path: Path) -> None:
    for labels in (("mill", "pond"), ("mill", "pond", "road")):
        trained = fit.train(rows(labels), tmp_path / "m.npz", positive=labels[1])
        assert trained.labels == labels and trained.rows == 60 * len(labels)
        assert (trained.held_out.accuracy, trained.held_out.f1, trained.held_out.auc) == (1, 1, 1)
        model = Classifier(tmp_path / "m.npz")
        assert model.metadata["held_out"]["accuracy"] == 1 and model.positive == "pond"
        scan = Scan(["Frogs among REEDS.", "the wheel, the grain", "", " \n"])
        found = [model.scores(scan, label) for label in labels]
        assert found[1][0] is not None and found[1][0] > 0.8
        assert found[0][1] is not None and found[0][1] > 0.8
        assert all(column[2:] == [None, None] for column in found)
        assert sum(column[0] or 0 for column in found) == pytest.approx(1)


def test_the_same_rows_give_the_same_bytes(tmp_path: Path) -> None:
    files = [tmp_path / f"{name}.npz" for name in ("one", "two", "seed")]
    scores = [fit.train(rows(), path, seed=seed).held_out for path, seed in zip(files, (1, 1, 2), strict=True)]
    one, two, seed = (path.read_bytes() for path in files)
    assert one == two != seed and scores[0].rows != scores[2].rows


def test_a_score_does_not_depend_on_what_shares_its_scan(tmp_path: Path) -> None:
    fit.train(rows(), tmp_path / "m.npz")
    model = Classifier(tmp_path / "m.npz")
    texts = [text for text, _ in rows()[:40]]
    together = model.scores(Scan(texts), "pond")
    assert together == [model.scores(Scan([text]), "pond")[0] for text in texts]
    assert together == model.scores(Scan(texts[::-1]), "pond")[::-1]


def test_copies_of_a_text_are_on_one_side(tmp_path: Path) -> None:
    once = fit.train(rows(), tmp_path / "m.npz").held_out.rows
    assert fit.train([row for row in rows() for _ in range(3)], tmp_path / "m.npz").held_out.rows == 3 * once


def test_scores_are_those_of_their_definitions() -> None:
    truth = np.array([True, False, True, False])
    assert fit._auc(truth, np.array([0.9, 0.1, 0.5, 0.5])) == 3.5 / 4
    assert fit._f1(truth, np.array([True, True, False, False])) == 0.5
    assert fit._f1(truth, ~truth) == 0
    assert probabilities([0.0]) == [0.5, 0.5] and probabilities([5000.0, 0.0, 5000.0]) == [0.5, 0, 0.5]


def test_the_gradient_is_the_slope_of_the_loss(tmp_path: Path) -> None:
    for labels in (("mill", "pond"), ("mill", "pond", "road")):
        with (tmp_path / "features").open("w+b") as file:
            table = fit._Rows(file, 1, 0.2)
            table.add(rows(labels))
            table.close()
            problem = fit._Problem(table, len(labels), np.flatnonzero(~table.held))
            point = np.random.default_rng(1).normal(size=(len(problem.active) + 1) * problem.outputs) / 10
            value, gradient = problem._value(point)
            for place in (0, 17, len(point) - 1):
                moved = point.copy()
                moved[place] += 1e-6
                assert (problem._value(moved)[0] - value) / 1e-6 == pytest.approx(gradient[place], abs=1e-6)


def test_minimise_finds_the_bottom_of_a_narrow_valley() -> None:
    def rosenbrock(point: Vector) -> tuple[float, Vector]:
        x, y = point
        value = (1 - x) ** 2 + 100 * (y - x * x) ** 2
        return float(value), np.array([2 * (x - 1) - 400 * x * (y - x * x), 200 * (y - x * x)])

    found = minimise(rosenbrock, np.array([-1.2, 1.0]), tolerance=1e-12)
    assert found == pytest.approx([1, 1], abs=1e-4)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (
            '{"text": "a", "label": "x"}\n{"text": "b"}\n',
            "line 2 has no label in the field 'label' (its fields",
        ),
        ('{"text": 3, "label": "x"}\n', "line 1 has no text in the field 'text'"),
        ('{"text": "a", "label": 0.5}\n', "line 1 has no label"),
        ('\n{"text": "a"', "line 2 is no JSON"),
        ("[" * 100_000 + "\n", "line 1 is no JSON"),
        ('"a text"\n', "line 1 is no JSON object"),
        ("", "needs rows of two labels: there are 0"),
        ('{"text": "a", "label": "x"}\n' * 9, "needs rows of two labels: there are 1"),
        ('{"text": "a", "label": 0}\n{"text": "b", "label": true}\n', "no row of label '"),
    ],
)
def test_what_is_wrong_with_the_data_is_said(tmp_path: Path, data: str, message: str) -> None:
    path, model = tmp_path / "labelled.jsonl", tmp_path / "m.npz"
    path.write_text(data)
    with pytest.raises(InputError) as refused:
        fit.train(read_labelled(path), model)
    assert message in str(refused.value)
    assert list(tmp_path.iterdir()) == [path], "nothing is left behind"


def test_labels_are_numbers_and_truth_values_too(tmp_path: Path) -> None:
    path = tmp_path / "labelled.jsonl"
    path.write_text("".join(json.dumps({"t": str(label), "l": label}) + "\n" for label in (1, 0, True, False, "no")))
    found = list(read_labelled(path, "t", "l"))
    assert found == [("1", "1"), ("0", "0"), ("True", "1"), ("False", "0"), ("no", "no")]
    with pytest.raises(InputError, match="cannot be read"):
        list(read_texts(tmp_path / "nothing.jsonl"))
    with pytest.raises(InputError, match="no row has the label 'good'"):
        fit.train(rows(), tmp_path / "m.npz", positive="good")


@pytest.mark.parametrize(
    ("metadata", "weights", "bias", "message"),
    [
        ({"labels": ["a", "b"]}, np.zeros((5, 1)), np.zeros(1), r"weights of shape \(5, 1\), 2 labels"),
        ({"labels": ["a", "b"]}, np.zeros((4, 2)), np.zeros(2), r"weights of shape \(4, 2\), 2 labels"),
        ({"labels": ["a", "b"]}, np.zeros((4, 1)), np.zeros(2), r"weights of shape \(4, 1\), 2 labels"),
        ({"labels": ["a", "b"]}, np.zeros((0, 1)), np.zeros(1), r"weights of shape \(0, 1\), 2 labels"),
        ({"labels": ["a", "b"]}, np.full((4, 1), np.nan), np.zeros(1), "not finite"),
        ({"labels": ["a", "b"]}, np.zeros((4, 1)), np.full(1, np.inf), "not finite"),
        ({"labels": ["b", "a"]}, np.zeros((4, 1)), np.zeros(1), "its labels are"),
        ({"labels": ["a"]}, np.zeros((4, 1)), np.zeros(1), "its labels are"),
        ({"labels": "ab"}, np.zeros((4, 1)), np.zeros(1), "its labels are"),
        ({}, np.zeros((4, 1)), np.zeros(1), "its labels are"),
        ({"labels": ["a", "b"], "positive": "c"}, np.zeros((4, 1)), np.zeros(1), "'c' is none of its labels"),
    ],
)
def test_files_that_do_not_fit_together_are_refused(
    tmp_path: Path, metadata: dict[str, object], weights: Vector, bias: Vector, message: str
) -> None:
    path = tmp_path / "m.npz"
    archive.write(path, KIND, metadata, {"weights": weights.astype("<f4"), "bias": bias.astype("<f4")})
    with pytest.raises(InputError, match=message):
        Classifier(path)
