"""Runs of words that another document holds too: what all but the first of them lose.

A window is a run of `min_length` words, compared as they are in shingles: spacing, punctuation and case do not
count. It is a copy if an equal one of its scope stands in a document of smaller rank, or earlier in its own without
sharing a word with it. A document loses every word that is in a copy, so every longer run is found whole; the
documents of smaller rank count as they are before this step.

Nothing is built over the corpus. Marks of windows (`windows`) that stand in more than one place tell which parts of
a document are worth a look; there every window becomes a row, the first of equal ones is found by hash, and
neighbouring copies of neighbouring windows make a run. Each run is then compared with its first place, word by word,
so no hash alone removes anything; two different windows of one 64-bit hash may only hide a copy. Each row meets the
first of its hash alone: what is in a million documents costs a million rows, and time and shuffled bytes grow as the
texts do. A text has 7 marks per 100 words, and a row per word in a part worth a look; where little is repeated that
is a twelfth of the bytes of a row per word. Texts themselves are read again for what is found in them.

The same is removed as by a suffix array over the words (Lee et al. 2021, arXiv 2107.06499; RefinedWeb, Penedo et al.
2023, arXiv 2306.01116), but that the first copy always stays.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from millpond.curate.dedup.config import SpansConfig
from millpond.curate.dedup.cutting import Words, without_words
from millpond.curate.dedup.scratch import Scratch
from millpond.curate.dedup.shingles import Wide
from millpond.curate.dedup.windows import Windows

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

Batches = Iterator[pa.RecordBatch]

#: Characters that are spelled at once, up to a run more.
_SPELLED = 8 << 20


def without_spans(documents: DataFrame, config: SpansConfig, scratch: Scratch) -> DataFrame:
    """What `documents` (rank, scope, text) lose: rank, text and text_digest of those that lose something."""
    from pyspark.sql import functions as f

    texts = documents.select("rank", "scope", "text")
    runs = scratch.keep(_runs(_windows(texts, config.min_length, scratch), config.min_length))
    places = f.collect_set(f.struct("origin", "words")).alias("places")
    slices = texts.select(f.col("rank").alias("keeper"), "text").join(runs.groupBy("keeper").agg(places), "keeper")
    spelled = slices.mapInArrow(_spelled, "keeper string, origin int, words int, spelling string")
    proposed = f.collect_list(f.struct("start", "words", "spelling")).alias("runs")
    lost = runs.join(spelled, ["keeper", "origin", "words"]).groupBy("rank").agg(proposed)
    cut = texts.select("rank", "text").join(lost, "rank")
    return scratch.keep(cut.mapInArrow(_cut, "rank string, text string, text_digest string"))


def _windows(texts: DataFrame, length: int, scratch: Scratch) -> DataFrame:
    """(rank, scope, place, window): place and hash of each window whose mark stands in more than one place."""
    from pyspark.sql import functions as f

    def marks(batches: Batches) -> Batches:
        windows = Windows(length)
        for batch in batches:
            found = [windows.chosen(marks) for _, marks in windows.of(batch["text"].to_pylist())]
            yield _rows(batch, {"mark": found})

    def repeated(batches: Batches) -> Batches:
        windows = Windows(length)
        for batch in batches:
            places, hashes = [], []
            wanted = batch["marks"].to_pylist()
            for (mine, marks), again in zip(windows.of(batch["text"].to_pylist()), wanted, strict=True):
                [at] = np.isin(marks, np.array(again, dtype=np.int64).view(np.uint64)).nonzero()
                places.append(at.astype(np.uint64))
                hashes.append(mine[at])
            yield _rows(batch, {"place": places, "window": hashes})

    chosen = scratch.keep(texts.mapInArrow(marks, "rank string, scope string, mark long"))
    often = chosen.groupBy("scope", "mark").agg(f.count("*").alias("times")).where("times > 1").drop("times")
    worth = chosen.join(often, ["scope", "mark"]).groupBy("rank").agg(f.collect_set("mark").alias("marks"))
    return scratch.keep(
        texts.join(worth, "rank").mapInArrow(repeated, "rank string, scope string, place long, window long")
    )


def _runs(windows: DataFrame, length: int) -> DataFrame:
    """(rank, start, words, origin, keeper): runs of neighbouring copies, and where the first of each begins.

    Together they have at most three times the words of their document, whatever it holds.
    """
    from pyspark.sql import Window
    from pyspark.sql import functions as f

    first = f.min(f.struct(f.col("rank").alias("keeper"), f.col("place").alias("origin"))).alias("first")
    firsts = windows.groupBy("scope", "window").agg(first, f.count("*").alias("times")).where("times > 1")
    copies = (
        windows.join(firsts.select("scope", "window", "first.*"), ["scope", "window"])
        .where((f.col("rank") != f.col("keeper")) | (f.col("place") >= f.col("origin") + length))
        .withColumn("shift", f.col("place") - f.col("origin"))
    )
    number = f.row_number().over(Window.partitionBy("rank", "keeper", "shift").orderBy("place"))
    found = (
        copies.withColumn("run", f.col("place") - number)
        .groupBy("rank", "keeper", "shift", "run")
        .agg(f.min("place").alias("start"), f.min("origin").alias("origin"), f.count("*").alias("count"))
        .withColumn("words", f.col("count") + length - 1)
    )
    # No two runs have a copy in common. Of those that begin within `length` words of one another all reach the last
    # of these words, so the first and the last of them cover what all do.
    run = f.struct(*(f.col(name).cast("int").alias(name) for name in ("start", "words", "origin")), "keeper")
    ends = f.array_distinct(f.array(f.min(run), f.max(run))).alias("runs")
    near = found.groupBy("rank", f.floor(f.col("start") / length)).agg(ends)
    return near.select("rank", f.explode("runs").alias("run")).select("rank", "run.*")


def _rows(batch: pa.RecordBatch, columns: dict[str, Sequence[Wide]]) -> pa.RecordBatch:
    """One row (rank, scope, …) per value that a document has."""
    sizes = [len(values) for values in next(iter(columns.values()))]
    documents = pa.array(np.repeat(np.arange(batch.num_rows), sizes))
    values = [pa.array(np.concatenate([*found, np.empty(0, np.uint64)]).view(np.int64)) for found in columns.values()]
    return pa.RecordBatch.from_arrays(
        [batch["rank"].take(documents), batch["scope"].take(documents), *values], names=["rank", "scope", *columns]
    )


def _spelled(batches: Batches) -> Batches:
    """The words of each document that others are compared with, from its places on."""
    schema = pa.schema(
        [("keeper", pa.string()), ("origin", pa.int32()), ("words", pa.int32()), ("spelling", pa.string())]
    )
    for batch in batches:
        found, size = [], 0
        for row in batch.to_pylist():
            words = Words.of(row["text"])
            for place in row["places"]:
                spelling = words.spelled(place["origin"], place["words"])
                found.append({"keeper": row["keeper"], **place, "spelling": spelling})
                size += len(spelling)
                if size >= _SPELLED:
                    yield pa.RecordBatch.from_pylist(found, schema)
                    found, size = [], 0
        yield pa.RecordBatch.from_pylist(found, schema)


def _cut(batches: Batches) -> Batches:
    """Documents without the runs that are spelled as at their first place."""
    schema = pa.schema([(name, pa.string()) for name in ("rank", "text", "text_digest")])
    for batch in batches:
        found = []
        for row in batch.to_pylist():
            words = Words.of(row["text"])
            gone = np.zeros(len(words), dtype=np.bool_)
            for run in row["runs"]:
                same = words.spelled(run["start"], run["words"]) == run["spelling"]
                gone[run["start"] : run["start"] + run["words"]] |= same
            if gone.any():
                left = without_words(row["text"], words, gone)
                digest = hashlib.sha256(left.encode()).hexdigest()
                found.append({"rank": row["rank"], "text": left, "text_digest": digest})
        yield pa.RecordBatch.from_pylist(found, schema)
