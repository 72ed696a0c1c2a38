"""The linear classifier beside fastText and scikit-learn: `python -m benchmarks.classifier`.

Inputs: the labelled sets and the language-model text under `MILLPOND_TEST_DATA` (default `../shared/data`); the peers'
pinned environment is made in `.bench/classifier` from `benchmarks/peers/classifier.txt`. Every side trains on the same
rows, with one setting for all sets, on one core. Output: `docs/classifier.md`.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
from benchmarks import peer
from benchmarks.machine import describe, pinned
from benchmarks.measure import BenchmarkError
from benchmarks.pages import ROOT, gold_folder
from benchmarks.run import BENCH, say

from millpond.curate.models import fit, kneser_ney, unigrams
from millpond.curate.models.classifier import Classifier
from millpond.curate.models.ngrams import NGramModel
from millpond.curate.models.unigrams import Unigrams
from millpond.curate.signals.scan import Scan, groups
from millpond.curate.signals.words import split_words
from millpond.errors import MillpondError

PAGE = ROOT / "docs" / "classifier.md"
WORK = BENCH / "classifier-work"
PAGE_CHARS = 5000
ROUNDS = 5

Rows = list[tuple[str, str]]


def main() -> None:
    """Measure all sides and write the page."""
    try:
        data = gold_folder().parent
        sets = dict(labelled(data / "tasks"))
        text = (data / "lm" / "wikitext2" / "valid.txt").read_text()
        pages = [text[start : start + PAGE_CHARS] for start in range(0, len(text) - PAGE_CHARS, PAGE_CHARS)]
        WORK.mkdir(parents=True, exist_ok=True)
        report = {"Millpond": ours(sets, pages), **theirs(sets, pages)}
        PAGE.write_text(page(report, sets, model_costs(pages), describe(ROOT, peer.pins("datatrove"), 1)))
        say(f"written: {PAGE.relative_to(ROOT)}")
    except MillpondError as error:
        sys.stderr.write(f"benchmark: {error}\n")
        sys.exit(error.exit_code)


def labelled(folder: Path) -> Iterator[tuple[str, dict[str, Rows]]]:
    """The sets: a name, rows to train on and to test on."""
    splits = {part: folder / "sst2" / f"{part}.tsv" for part in ("train", "test")}
    yield "SST-2", {part: [_split(line, "\t", last=True) for line in _lines(path)] for part, path in splits.items()}
    splits = {part: folder / "trec" / f"TREC.{part}.all" for part in ("train", "test")}
    yield "TREC", {part: [_split(line, " ")[::-1] for line in _lines(path)] for part, path in splits.items()}
    rows = [_split(line, "\t")[::-1] for line in _lines(folder / "sms_spam" / "sms.tsv")]
    tested = [hashlib.sha256(text.encode()).digest()[0] < 64 for text, _ in rows]  # a quarter; copies on one side
    chosen = {
        part: [row for row, test in zip(rows, tested, strict=True) if test == (part == "test")] for part in splits
    }
    yield "SMS spam", chosen
    banking: dict[str, Rows] = {}
    for part in splits:
        with (folder / "banking77" / f"{part}.csv").open(encoding="utf-8", newline="") as file:
            banking[part] = [(row["text"], row["category"]) for row in csv.DictReader(file)]
    yield "banking77", banking


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8", errors="replace").rstrip("\n").split("\n")


def _split(line: str, sign: str, *, last: bool = False) -> tuple[str, str]:
    first, _, second = line.rpartition(sign) if last else line.partition(sign)
    return first, second


def ours(sets: dict[str, dict[str, Rows]], pages: Sequence[str]) -> dict[str, Any]:
    """Millpond's accuracy and cost, in the peers' form."""
    report: dict[str, Any] = {"sets": {}}
    for name, rows in sets.items():
        path = WORK / f"{name}.npz"
        start = time.process_time()
        fit.train(rows["train"], path)
        seconds = time.process_time() - start
        model = Classifier(path)
        guessed = _guesses(model, [text for text, _ in rows["test"]])
        right = sum(guess == label for guess, (_, label) in zip(guessed, rows["test"], strict=True))
        report["sets"][name] = {"accuracy": right / len(rows["test"]), "seconds": seconds}
        if "page_ms" not in report:
            scored = model
            report["page_ms"] = _least(lambda: [scored.margins(Scan(part)) for part in groups(pages)], pages)  # noqa: B023
    return report


def _guesses(model: Classifier, texts: Sequence[str]) -> Iterator[str]:
    for part in groups(texts):
        margins, _ = model.margins(Scan(part))
        both = margins if margins.shape[1] > 1 else np.append(np.zeros_like(margins), margins, axis=1)
        yield from (model.labels[number] for number in both.argmax(axis=1).tolist())


def theirs(sets: dict[str, dict[str, Rows]], pages: Sequence[str]) -> dict[str, Any]:
    """The peers' accuracy and cost.

    Raises:
        BenchmarkError: their environment cannot be made, or their process failed.
    """
    interpreter = peer.ensure("classifier")
    given, report = WORK / "sets.json", WORK / "report.json"
    rows = {
        name: {part: [(t, label, _words(t)) for t, label in found] for part, found in one.items()}
        for name, one in sets.items()
    }
    given.write_text(json.dumps({"sets": rows, "pages": list(pages)}))
    script = str(ROOT / "benchmarks" / "classifier_side.py")
    _run([str(interpreter), script, "--sets", str(given), "--report", str(report)])
    found: dict[str, Any] = json.loads(report.read_text())
    return found


def _words(text: str) -> str:
    return " ".join(split_words(text.lower()))


def _run(command: Sequence[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    if done.returncode:
        raise BenchmarkError(f"{' '.join(command[:4])} … exited with {done.returncode}: {done.stderr[-2000:]}")


def model_costs(pages: Sequence[str]) -> dict[str, float]:
    """Core milliseconds a page of each score, over words already scanned; models are of another part of the text."""
    cut = len(pages) // 2
    words, ngrams, quality = WORK / "words.tsv", WORK / "ngrams.npz", WORK / "SST-2.npz"
    unigrams.count(pages[cut:], words)
    kneser_ney.train(pages[cut:], ngrams)
    scans = [Scan(part) for part in groups(pages[:cut])]
    classifier, trigrams, frequencies = Classifier(quality), NGramModel(ngrams), Unigrams(words)
    steps: dict[str, Callable[[], object]] = {
        "hashes alike for upper and lower case, once for all three": lambda: [folded(scan) for scan in scans],
        "unigram log probability": lambda: [frequencies.log_probabilities(scan) for scan in scans],
        "perplexity, trigrams": lambda: [trigrams.perplexities(scan) for scan in scans],
        "one classifier": lambda: [classifier.scores(scan, "1") for scan in scans],
    }
    return {name: _least(step, pages[:cut]) for name, step in steps.items()}


def folded(scan: Scan) -> object:
    """The hashes, taken anew; and the texts they are of, which other signals need too."""
    vars(scan).pop("folded", None)
    return scan.folded, scan.text_of


def _least(work: Callable[[], object], pages: Sequence[str]) -> float:
    taken = []
    for _ in range(ROUNDS):
        start = time.process_time()
        work()
        taken.append(time.process_time() - start)
    return min(taken) / len(pages) * 1e3


def page(
    report: dict[str, Any], sets: dict[str, dict[str, Rows]], costs: dict[str, float], machine: dict[str, Any]
) -> str:
    """The page, in Markdown."""
    peers = pinned(peer.pins("classifier"), ("fasttext-numpy2-wheel", "scikit-learn"))
    names = list(sets)
    head = ["side", *names, "mean", "seconds to train all", "core-ms a page"]
    rows = [
        [
            side,
            *(f"{found['sets'][name]['accuracy']:.4f}" for name in names),
            f"{mean(found['sets'][name]['accuracy'] for name in names):.4f}",
            f"{sum(found['sets'][name]['seconds'] for name in names):.1f}",
            f"{found['page_ms']:.3f}",
        ]
        for side, found in report.items()
    ]
    sizes = ", ".join(f"{name} {len(rows['train']):,} and {len(rows['test']):,}" for name, rows in sets.items())
    return f"""# The classifier beside fastText and scikit-learn

Written by `python -m benchmarks.classifier` on {machine["date"]} at commit {machine["commit"]}, on one core of
{machine["machine"]["processor"]}, with {", ".join(f"{name} {release}" for name, release in peers.items())}.

Accuracy on rows that no side was trained on, with one setting for all sets:
fastText with word bigrams, 25 epochs and rate .5; scikit-learn with hashed words and pairs and one logistic regression
a label. "Millpond's words" are the texts in lower case, cut into words and marks, as its own classifier sees them.
Millpond's time to train includes a second model, for the scores on rows held out. A page is {PAGE_CHARS:,} characters
of text; its cost is for the model of {names[0]}, with all that is done to the text.

Rows to train and to test on: {sizes}.

{_table(head, rows)}

What each score adds to a page whose words have been scanned for the other signals, in core milliseconds:

{_table(["step", "core-ms a page"], [[name, f"{cost:.3f}"] for name, cost in costs.items()])}
"""


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in lines)


if __name__ == "__main__":
    main()
