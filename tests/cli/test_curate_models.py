"""`curate classifier train`, `curate perplexity train` and `curate unigrams`: what they write, show and refuse."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command import Whole, call

from millpond.curate.models.classifier import Classifier
from millpond.curate.models.ngrams import NGramModel
from millpond.curate.models.unigrams import Unigrams


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    path = tmp_path / "labelled.jsonl"
    rows = [{"body": f"{word} number {n}", "good": n % 2} for n in range(80) for word in (("dull", "bright")[n % 2],)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_a_classifier_is_trained_and_its_scores_shown(labelled: Path, tmp_path: Path) -> None:
    model = tmp_path / "m.npz"
    arguments = ("--data", labelled, "--to", model, "--text-field", "body", "--label-field", "good")
    ended = call("curate", "classifier", "train", *arguments)
    assert ended.code == 0, ended.err
    first, second = ended.out.splitlines()
    assert first.startswith(f"{model}: labels 0, 1; 80 texts, ")
    assert "held out: accuracy 1.0000, F1 of 1 1.0000, area under the ROC curve 1.0000" in second
    before = model.read_bytes()
    again = json.loads(call("curate", "classifier", "train", *arguments, "--output", "json").out)
    assert again["held_out"]["auc"] == 1 and again["labels"] == ["0", "1"]
    assert model.read_bytes() == before and Classifier(model).positive == "1"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (["--text-field", "words"], "line 1 has no text in the field 'words' (its fields: body, good)"),
        (["--positive", "2"], "no row has the label '2': there are 0, 1"),
        (["--to", "{tmp}/m.pickle"], "m.pickle: give the file to write a name that ends in .npz"),
        (["--to", "{tmp}/none/m.npz"], "there is no folder"),
        (["--data", "{tmp}/none.jsonl"], "none.jsonl: cannot be read"),
        (["--data", "{tmp}"], "cannot be read"),
    ],
)
def test_what_cannot_be_trained_on_is_said(labelled: Path, tmp_path: Path, change: list[str], message: str) -> None:
    before = sorted(tmp_path.iterdir())
    arguments = ["--data", str(labelled), "--to", str(tmp_path / "m.npz"), "--text-field", "body"]
    arguments += ["--label-field", "good", *(text.format(tmp=tmp_path) for text in change)]
    ended = call("curate", "classifier", "train", *arguments)
    assert ended.code == 1 and ended.out == "" and message in ended.err and len(ended.err.splitlines()) == 1
    assert sorted(tmp_path.iterdir()) == before


def test_words_and_ngrams_of_files(labelled: Path, tmp_path: Path) -> None:
    given = ("--data", labelled, "--data", labelled, "--text-field", "body")
    ended = call("curate", "unigrams", *given, "--to", tmp_path / "w.tsv", "--at-least", "3")
    assert ended.code == 0 and ended.out == f"{tmp_path / 'w.tsv'}: 3 different words of 480\n", ended
    ended = call("curate", "perplexity", "train", *given, "--to", tmp_path / "n.npz", "--most-words", "200")
    assert ended.code == 0 and "there are more texts: reading stopped at 200 words" in ended.out, ended
    ended = call("curate", "unigrams", *given, "--language", "en", "--to", tmp_path / "w.tsv")
    assert ended.code == 1 and "leave it out with --data" in ended.err


def test_words_and_ngrams_of_the_corpus(whole: Whole, tmp_path: Path) -> None:
    lake = ("--lake", whole.lake.uri)
    ended = call("curate", "unigrams", *lake, "--language", "en", "--to", tmp_path / "w.tsv")
    assert ended.code == 0 and Unigrams(tmp_path / "w.tsv"), ended
    ended = call("curate", "perplexity", "train", *lake, "--to", tmp_path / "n.npz", "--order", "4")
    assert ended.code == 0 and NGramModel(tmp_path / "n.npz").order == 4, ended
    texts = whole.lake.rows("corpus.documents")
    assert f"in {texts:,} texts" in ended.out


@pytest.mark.parametrize("before", [["--lake", "x"], ["--set", "a=1"], ["--output", "json"]])
def test_options_before_a_subcommand_are_not_lost(before: list[str], labelled: Path, tmp_path: Path) -> None:
    done = call("curate", *before, "unigrams", "--data", str(labelled), "--to", str(tmp_path / "w.tsv"))
    assert done.code == 2 and "stand behind it" in done.err
    assert not (tmp_path / "w.tsv").exists()
