"""Unigram log probability: datatrove's figure over the same words and counts, from any file of word frequencies."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datatrove.data import Document
from datatrove.pipeline.filters import unigram_log_probs
from hypothesis import given, settings
from hypothesis import strategies as st

from millpond.curate.models import unigrams
from millpond.curate.models.unigrams import Unigrams
from millpond.curate.signals.scan import Scan
from millpond.curate.signals.words import split_words
from millpond.errors import InputError

COUNTS = {"the": 60, "pond": 5, "mill's": 1, "水": 4, ",": 30, "null": 2, "überall": 3}


def write(path: Path, counts: dict[str, int]) -> Path:
    if path.suffix == ".parquet":
        pq.write_table(pa.table({"count": list(counts.values()), "word": list(counts), "x": [0] * len(counts)}), path)
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps({"word": word, "count": n, "x": 1}) + "\n" for word, n in counts.items()))
    elif path.suffix == ".csv":
        path.write_text("word,count\n" + "".join(f'"{word}",{n}\n' for word, n in counts.items()))
    else:
        path.write_text("word\tcount\n" + "".join(f"{word}\t{n}\n" for word, n in counts.items()))
    return path


@pytest.mark.parametrize("suffix", unigrams.FORMATS)
def test_every_format(tmp_path: Path, suffix: str) -> None:
    found = Unigrams(write(tmp_path / f"w{suffix}", COUNTS)).log_probabilities(Scan(["The pond, the null!", "", "水"]))
    chances = (60, 5, 30, 60, 2)
    expected = (sum(math.log(n / 105) for n in chances) + math.log(1e-9)) / 6
    assert found == [pytest.approx(expected), None, pytest.approx(math.log(4 / 105))]


def test_digits_are_alike_and_what_is_no_word_only_counts(tmp_path: Path) -> None:
    table = Unigrams(write(tmp_path / "w.tsv", {"1999": 1, "2024": 2, "two words": 5, "": 2}))
    assert table.log_probabilities(Scan(["1234"])) == [pytest.approx(math.log(3 / 10))]


@pytest.fixture(scope="module")
def theirs() -> unigram_log_probs.UnigramLogProbFilter:
    """datatrove's filter with these counts, and our words."""
    with pytest.MonkeyPatch.context() as patch:
        frequencies = {word: n / sum(COUNTS.values()) for word, n in COUNTS.items()}
        patch.setattr(unigram_log_probs.UnigramLogProbFilter, "get_frequencies", lambda self: frequencies)
        return unigram_log_probs.UnigramLogProbFilter()


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from([*COUNTS, "The", "POND", "ÜBERALL", "unknown", "2", "."]), min_size=1, max_size=50))
def test_the_figure_is_datatroves(
    tmp_path_factory: pytest.TempPathFactory, theirs: unigram_log_probs.UnigramLogProbFilter, words: list[str]
) -> None:
    text = " ".join(words)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(unigram_log_probs, "split_into_words", lambda text, language: split_words(text))
        wanted = float(theirs.get_logprob(Document(text=text, id="1")))
    path = tmp_path_factory.getbasetemp() / "counts.tsv"
    if not path.exists():
        write(path, COUNTS)
    assert Unigrams(path).log_probabilities(Scan([text])) == [pytest.approx(wanted)]


def test_counting_and_reading_back(tmp_path: Path) -> None:
    path = tmp_path / "w.tsv"
    assert unigrams.count(["The pond. The MILL.", "the 水水"], path) == (9, 5)
    assert path.read_text() == "word\tcount\nthe\t3\n.\t2\n水\t2\nmill\t1\npond\t1\n"
    assert Unigrams(path).log_probabilities(Scan(["Pond"])) == [pytest.approx(math.log(1 / 9))]
    assert unigrams.count(["a b b"], path, at_least=2) == (3, 1)
    with pytest.raises(InputError, match="no word is there 3 times"):
        unigrams.count(["a b b"], path, at_least=3)
    assert path.read_text() == "word\tcount\nb\t2\n"


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("w.tsv", "a\tb\nthe\t3\n", "no table of word and count"),
        ("w.tsv", "word\tcount\nthe\tmany\n", "no table of word and count"),
        ("w.tsv", "word\tcount\nthe\n", "no table of word and count"),
        ("w.tsv", "word\tcount\nthe\t-3\n", "a count below zero"),
        ("w.tsv", "word\tcount\nthe\t\n", "without a word or a count"),
        ("w.tsv", "word\tcount\nthe\t0\n", "no word with a count over zero"),
        ("w.tsv", "word\tcount\n", "no word with a count over zero"),
        ("w.tsv", "", "no table of word and count"),
        ("w.jsonl", '{"word": "the"}\n', "without a word or a count"),
        ("w.jsonl", "{", "no table of word and count"),
        ("w.parquet", "no", "no table of word and count"),
        ("w.txt", "the 3", "ends in .tsv, .csv, .jsonl, .parquet"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, name: str, data: str, message: str) -> None:
    path = tmp_path / name
    path.write_text(data)
    with pytest.raises(InputError) as refused:
        Unigrams(path)
    assert message in str(refused.value)


def test_counts_beyond_64_bits_add_up(tmp_path: Path) -> None:
    known = Unigrams(write(tmp_path / "words.tsv", {"a": 2**63 - 1, "b": 2**63 - 1}))
    assert known.log_probabilities(Scan(["a b"])) == pytest.approx([math.log(0.5)])


def test_lone_surrogates_are_one_sign(tmp_path: Path) -> None:
    unigrams.count(["\ud800 \ud801 ?"], tmp_path / "words.tsv")
    assert (tmp_path / "words.tsv").read_text().splitlines() == ["word\tcount", "?\t3"]


def test_parquet_that_is_no_utf8_is_refused(tmp_path: Path) -> None:
    broken = pa.Array.from_buffers(pa.string(), 1, [None, pa.py_buffer(b"\0\0\0\0\1\0\0\0"), pa.py_buffer(b"\xff")])
    pq.write_table(pa.table({"word": broken, "count": pa.array([1], pa.int64())}), tmp_path / "words.parquet")
    with pytest.raises(InputError, match="no table of word and count"):
        Unigrams(tmp_path / "words.parquet")
