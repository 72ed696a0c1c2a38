"""fastText's and scikit-learn's classifiers on labelled texts.

    .bench/classifier/bin/python benchmarks/classifier_side.py --sets FILE.json --report FILE.json

Runs in the peers' pinned environment, on one thread. Input: JSON, set → `train` and `test`, each a list of (text,
label, words), where `words` are the text's words and marks as Millpond sees them; and `pages`, texts to time. Output:
JSON, side → set → accuracy on `test` and seconds to train; and core milliseconds a page of `pages`.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import fasttext
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier

Rows = Sequence[tuple[str, str, str]]
Predict = Callable[[Sequence[str]], list[str]]

#: fastText's own advice for sets of this size: more epochs, a higher rate, word bigrams.
FASTTEXT = {"epoch": 25, "lr": 0.5, "wordNgrams": 2, "thread": 1, "seed": 1, "verbose": 0}
ROUNDS = 5


def by_fasttext(texts: Sequence[str], labels: Sequence[str]) -> Predict:
    """Train fastText; labels may hold spaces."""
    names = sorted(set(labels))
    with TemporaryDirectory() as folder:
        path = Path(folder) / "train.txt"
        lines = zip(texts, labels, strict=True)
        path.write_text("".join(f"__label__{names.index(label)} {' '.join(t.split())}\n" for t, label in lines))
        model = fasttext.train_supervised(str(path), **FASTTEXT)

    def predict(given: Sequence[str]) -> list[str]:
        # The wrapper's own `predict` asks NumPy for what NumPy 2 no longer gives.
        found = (model.f.predict(" ".join(text.split()) + "\n", 1, 0.0, "strict") for text in given)
        return [names[int(best[0][1].removeprefix("__label__"))] if best else "" for best in found]

    return predict


def by_regression(texts: Sequence[str], labels: Sequence[str]) -> Predict:
    """Train a logistic regression for each label over hashed words and pairs."""
    hashing = HashingVectorizer(ngram_range=(1, 2), n_features=1 << 20, alternate_sign=False)
    model = OneVsRestClassifier(LogisticRegression(solver="liblinear", C=30, random_state=1))
    model.fit(hashing.transform(texts), labels)
    return lambda given: list(model.predict(hashing.transform(given)))


SIDES: dict[str, tuple[Callable[[Sequence[str], Sequence[str]], Predict], int]] = {
    "fastText": (by_fasttext, 0),
    "fastText, Millpond's words": (by_fasttext, 2),
    "scikit-learn": (by_regression, 0),
}


def measured(sets: dict[str, dict[str, Rows]], pages: Sequence[str]) -> dict[str, Any]:
    """Every side on every set; the first set's model is timed."""
    report: dict[str, Any] = {}
    for side, (train, column) in SIDES.items():
        report[side] = {"sets": {}}
        for name, rows in sets.items():
            start = time.process_time()
            predict = train([row[column] for row in rows["train"]], [row[1] for row in rows["train"]])
            seconds = time.process_time() - start
            found = predict([row[column] for row in rows["test"]])
            right = sum(label == row[1] for label, row in zip(found, rows["test"], strict=True))
            report[side]["sets"][name] = {"accuracy": right / len(found), "seconds": seconds}
            if "page_ms" not in report[side]:
                report[side]["page_ms"] = min(_timed(predict, pages) for _ in range(ROUNDS))
    return report


def _timed(predict: Predict, pages: Sequence[str]) -> float:
    start = time.process_time()
    predict(pages)
    return (time.process_time() - start) / len(pages) * 1e3


def main() -> None:
    """Read, measure, write."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--sets", type=Path, required=True)
    parser.add_argument("--report", type=Path, required=True)
    options = parser.parse_args()
    given = json.loads(options.sets.read_text())
    options.report.write_text(json.dumps(measured(given["sets"], given["pages"])))


if __name__ == "__main__":
    main()
