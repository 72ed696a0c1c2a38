"""Decontamination: which documents hold texts that models are evaluated on → rows of `corpus.contamination`.

Three steps over the documents that the rules keep: each is searched for the n-grams of the evaluation sets
(`millpond.curate.ngram_index`); n-grams that more than `max_documents` documents hold are commonplace and dropped,
where documents of the same text count once; what is left says which examples a document holds, and how much of them.
The index goes to every worker once, and the texts are read once, whatever the number of sets.

A set that stands in more than `max_documents` different documents is taken for commonplace, too: raise the number for
a set known to be copied widely. The rows depend on the documents and the settings alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pyarrow as pa

from millpond.curate.config import DecontaminateConfig
from millpond.curate.dedup.scratch import Scratch
from millpond.curate.eval_sets import read_examples
from millpond.curate.ngram_index import Index, build_index
from millpond.progress import note
from millpond.reasons import Reason

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_FOUND = pa.schema(
    [("doc_id", pa.string()), ("text_digest", pa.string()), ("ngram", pa.int64()), ("place", pa.int64())]
)
_FOUND_SQL = "doc_id string, text_digest string, ngram long, place long"
_HELD = pa.schema(
    [
        ("doc_id", pa.string()),
        ("url", pa.string()),
        ("benchmark", pa.string()),
        ("example", pa.int64()),
        ("example_id", pa.string()),
        ("ngrams", pa.int64()),
        ("share", pa.float64()),
        ("first_ngram", pa.string()),
        ("document_ngrams", pa.int64()),
    ]
)
_HELD_SQL = (
    "doc_id string, url string, benchmark string, example long, example_id string, ngrams long, share double, "
    "first_ngram string, document_ngrams long"
)


def held_examples(documents: DataFrame, config: DecontaminateConfig, scratch: Scratch) -> DataFrame:
    """The examples that `documents` (doc_id, url, text_digest, text) hold.

    Returns:
        Columns of `corpus.contamination`, and `document_ngrams`: the document's n-grams of all sets together.

    Raises:
        InputError: a file of a set cannot be used.
    """
    from pyspark.sql import functions as f

    index = build_index(read_examples(config.sets), config.ngram, config.min_words)
    note(index.describe())
    shared = documents.sparkSession.sparkContext.broadcast(index)

    def find(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        return (_found(shared.value, batch) for batch in batches)

    def compare(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        return (_held(shared.value, batch) for batch in batches)

    texts = documents.select("doc_id", "text_digest", "text")
    found = scratch.keep(texts.mapInArrow(find, _FOUND_SQL))
    holders = found.groupBy("ngram").agg(f.countDistinct("text_digest").alias("holders"))
    common = holders.where(f.col("holders") > config.max_documents)
    counted = found.join(common, "ngram", "left_anti")
    by_document = counted.groupBy("doc_id").agg(
        f.collect_list("place").alias("places"), f.collect_list("ngram").alias("ngrams")
    )
    named = by_document.join(documents.select("doc_id", "url"), "doc_id").select("doc_id", "url", "places", "ngrams")
    return scratch.keep(named.mapInArrow(compare, _HELD_SQL))


def rejected(verdict: DataFrame, held: DataFrame, config: DecontaminateConfig) -> DataFrame:
    """The verdict over candidates, with those rejected that hold more than `max_ngrams` n-grams.

    The rule names the set of the example that a document shares most n-grams with.
    """
    from pyspark.sql import functions as f

    if not config.reject:
        return verdict
    most = f.min(f.struct(-f.col("ngrams"), f.col("benchmark")))["benchmark"]
    gone = (
        held.groupBy("doc_id")
        .agg(most.alias("benchmark"), f.max("document_ngrams").cast("double").alias("ngrams"))
        .where(f.col("ngrams") > config.max_ngrams)
    )
    is_gone = f.col("benchmark").isNotNull()
    said = {
        "stage": f.lit("decontaminate"),
        "rule": f.concat(f.lit("decontaminate."), f.col("benchmark")),
        "reason": f.lit(Reason.CONTAMINATED.value),
        "value": f.col("ngrams"),
        "threshold": f.lit(float(config.max_ngrams)),
    }
    columns = {name: f.when(is_gone, value).otherwise(f.col(name)) for name, value in said.items()}
    return verdict.join(gone, "doc_id", "left").withColumns(columns).drop("benchmark", "ngrams")


def _found(index: Index, batch: pa.RecordBatch) -> pa.RecordBatch:
    hits = list(index.found(batch["text"].to_pylist()))
    texts, numbers, places = zip(*hits, strict=True) if hits else ((), (), ())
    rows = pa.array(texts, pa.int64())
    columns = [batch["doc_id"].take(rows), batch["text_digest"].take(rows), pa.array(numbers), pa.array(places)]
    return pa.RecordBatch.from_arrays(
        [column.cast(field.type) for column, field in zip(columns, _FOUND, strict=True)], schema=_FOUND
    )


def _held(index: Index, batch: pa.RecordBatch) -> pa.RecordBatch:
    rows = []
    for document in batch.to_pylist():
        for overlap in index.overlaps(zip(document["places"], document["ngrams"], strict=True)):
            example = index.examples[overlap.example]
            rows.append(
                {
                    "doc_id": document["doc_id"],
                    "url": document["url"],
                    "benchmark": example.benchmark,
                    "example": example.number,
                    "example_id": example.id,
                    "ngrams": overlap.ngrams,
                    "share": overlap.share,
                    "first_ngram": overlap.first,
                    "document_ngrams": len(document["ngrams"]),
                }
            )
    return pa.RecordBatch.from_pylist(rows, schema=_HELD)
