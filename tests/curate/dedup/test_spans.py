"""Runs of words that other documents hold: all but the first lose them, whatever the partitions."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pytest
from planted import SCRIPTS

from millpond.curate.dedup import spans as module
from millpond.curate.dedup.config import SpansConfig
from millpond.curate.dedup.cutting import Words, without_words
from millpond.curate.dedup.scratch import Scratch
from millpond.curate.dedup.spans import _cut, _runs, _spelled, _windows, without_spans
from millpond.curate.signals.words import content_words

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

Row = tuple[str, str, str]
LENGTH = 20


def cut(spark: SparkSession, folder: Path, rows: Sequence[Row], partitions: int, length: int) -> dict[str, str]:
    frame = spark.createDataFrame(list(rows), "rank string, scope string, text string").repartition(partitions)
    with Scratch(folder / "scratch") as scratch:
        found = without_spans(frame, SpansConfig(enabled=True, min_length=length), scratch).collect()
    assert all(row.text_digest == hashlib.sha256(row.text.encode()).hexdigest() for row in found)
    return {row.rank: row.text for row in found}


def expected(rows: Sequence[Row], length: int) -> dict[str, str]:
    """What the rule says, window by window over lists of words."""
    firsts: dict[tuple[str, ...], tuple[str, int]] = {}
    left = {}
    for rank, scope, text in sorted(rows):
        words = content_words(text)
        gone = np.zeros(len(words), dtype=np.bool_)
        for place in range(len(words) - length + 1):
            keeper, origin = firsts.setdefault((scope, *words[place : place + length]), (rank, place))
            if keeper != rank or place >= origin + length:
                gone[place : place + length] = True
        if gone.any():
            left[rank] = without_words(text, Words.of(text), gone)
    return left


def passage(generator: random.Random, script: str, count: int) -> str:
    letters, spaced = SCRIPTS[script]
    words = ["".join(generator.choices(letters, k=generator.randint(3, 9) if spaced else 1)) for _ in range(count)]
    return (" " if spaced else "").join(words)


def test_passages_in_five_scripts_stay_in_their_first_document(spark: SparkSession, tmp_path: Path) -> None:
    """In each script a passage stands in three documents, each time in other surroundings, and one word too few of it
    in a fourth; a notice stands in thirty documents, and in one of another scope."""
    generator = random.Random(5)
    rows: list[Row] = []
    left = {}
    notice = passage(generator, "Latin", 25)
    for script in ("Latin", "Cyrillic", "Arabic", "Devanagari", "Han"):
        shared = passage(generator, script, 40)
        words = Words.of(shared)
        short = shared[: words.ends[LENGTH - 2]]
        own = [passage(generator, script, 30) for _ in range(8)]
        rows += [
            (f"{script}1", "", f"{own[0]}.\n\n{shared}.\n\n{own[1]}."),
            (f"{script}2", "", f"{own[2]}.\n\n{shared.upper()}!\n\n\n{own[3]}."),
            (f"{script}3", "", f"{own[4]}. «{shared}»\n- {own[5]}\n- {shared}"),
            (f"{script}4", "", f"{own[6]}\n{short} {own[7]}."),
        ]
        left[f"{script}2"] = f"{own[2]}.\n\n\n{own[3]}."
        left[f"{script}3"] = f"{own[4]}.\n- {own[5]}"
    rows += [(f"notice{n:02}", "", f"{notice}. {n}") for n in range(30)] + [("notice99", "other", notice)]
    rows += [("zz", "", f"again {notice[::-1]} and again {notice[::-1]}"), ("zzz", "", notice)]
    left |= {f"notice{n:02}": str(n) for n in range(1, 30)} | {"zz": f"again {notice[::-1]} and", "zzz": ""}
    for partitions in (1, 2, 7):
        generator.shuffle(rows)
        assert cut(spark, tmp_path, rows, partitions, LENGTH) == left
    assert left == expected(rows, LENGTH)


def test_what_goes_is_what_the_rule_says(spark: SparkSession, tmp_path: Path) -> None:
    """Texts of two words, of runs of one word, and of pieces of one another: copies overlap in every way."""
    generator = random.Random(3)
    pool = [str(n) for n in range(300)]
    rows: list[Row] = []
    for number in range(150):
        words: list[str] = []
        for _ in range(generator.randint(0, 5)):
            at, size = generator.randrange(280), generator.randint(1, 40)
            words += generator.choice(
                (
                    pool[at : at + size],
                    ["a"] * size,
                    ["a", "b", "c"] * (size // 3),
                    generator.choices("ab", k=size),
                    [f"own{generator.randrange(10**9)}"] * min(size, 3),
                )
            )
        text = "".join(word + generator.choice((" ", " ", ". ", "\n", "\n\n")) for word in words)
        rows.append((f"{number:03}", generator.choice(("", "crawl")), text))
    rows.append(("echo", "", "la " * 2000))
    due = expected(rows, 10)
    assert len(due) > 50 and "" in due.values() and due["echo"] == " ".join(["la"] * 10)
    assert cut(spark, tmp_path, rows, 3, 10) == due
    with Scratch(tmp_path / "scratch") as scratch:
        echo = spark.createDataFrame(rows[-1:], "rank string, scope string, text string")
        [(runs, spelled)] = _runs(_windows(echo, 10, scratch), 10).selectExpr("count(*)", "sum(words)").collect()
        assert 100 < runs <= 400 and spelled <= 3 * 2000


def test_a_run_that_is_spelled_otherwise_stays() -> None:
    runs = [{"start": 0, "words": 2, "spelling": "one too "}, {"start": 2, "words": 2, "spelling": "three four "}]
    rows = [{"rank": "1", "text": "One two. Three, four!", "runs": runs[:1]}]
    rows.append({**rows[0], "rank": "2", "runs": runs})
    [batch] = _cut(iter([pa.RecordBatch.from_pylist(rows)]))
    assert [(row["rank"], row["text"]) for row in batch.to_pylist()] == [("2", "One two.")]


def test_what_a_document_is_asked_for_is_spelled_a_part_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A template may be the first place of as many runs as documents hold parts of it."""
    monkeypatch.setattr(module, "_SPELLED", 100)
    words = [f"w{n:02}" for n in range(40)]
    places = [{"origin": start, "words": 10} for start in range(30)]
    rows = [{"keeper": "1", "text": " ".join(words), "places": places}]
    found = list(_spelled(iter([pa.RecordBatch.from_pylist(rows)])))
    assert max(sum(map(len, batch["spelling"].to_pylist())) for batch in found) <= 100 + 40
    assert [row for batch in found for row in batch.to_pylist()] == [
        {"keeper": "1", "origin": start, "words": 10, "spelling": "".join(f"{word} " for word in words[start:][:10])}
        for start in range(30)
    ]
