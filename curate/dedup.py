"""Duplicates: which documents repeat another, decided the same for any partitioning and input order.

Exact: among documents of equal text the smallest `doc_id` stays. Near: MinHash bands propose pairs, the true
Jaccard similarity of the shingle sets confirms them, and a document goes only if a *kept* document of smaller
`doc_id` reaches the threshold. That rule has one solution, the lexicographically first maximal independent set
of the confirmed pairs, found in rounds: whoever has no smaller undecided neighbour stays, and removes its
neighbours. Ids are digests, hence in random order, and rounds grow with the logarithm of a cluster (Blelloch,
Fineman and Shun 2012, "Greedy sequential maximal independent set and matching are parallel on average").

In a band bucket of more than `anchors` documents each is compared with that many smallest ones only, so no
document has more than `anchors` × `bands` comparisons with smaller ones: a million variants of a boilerplate page
that share every band cost 64 million comparisons, not half a million million. Exact copies cost none.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from millpond.curate.config import DedupConfig
from millpond.curate.minhash import MinHasher

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

#: duplicates as found: doc_id, keeper_id, kind, jaccard
DUPLICATE_SCHEMA = "doc_id string, keeper_id string, kind string, jaccard double"
_EDGE_SCHEMA = "low string, high string, jaccard double"


def find_duplicates(documents: DataFrame, texts: DataFrame, config: DedupConfig) -> DataFrame:
    """Duplicates among `documents` (columns doc_id, text_digest, minhash); `texts` (doc_id, text) may hold more.

    Returns:
        doc_id, keeper_id, kind (exact or near) and jaccard, one row per document to remove; a keeper is
        never itself removed.
    """
    from pyspark.sql import functions as f

    exact = _exact(documents) if config.exact else _nothing(documents)
    if not config.near:
        return exact
    exact = exact.localCheckpoint()
    unique = documents.join(exact.select("doc_id"), "doc_id", "left_anti")
    near = _near(unique, texts, config).localCheckpoint()
    # A text whose keeper goes as a near duplicate goes with it, to the same keeper.
    moved = near.select(
        f.col("doc_id").alias("keeper_id"),
        f.col("keeper_id").alias("near_keeper"),
        f.col("jaccard").alias("near_jaccard"),
    )
    exact = exact.join(moved, "keeper_id", "left").select(
        "doc_id",
        f.coalesce("near_keeper", "keeper_id").alias("keeper_id"),
        f.when(f.col("near_keeper").isNull(), f.col("kind")).otherwise("near").alias("kind"),
        f.coalesce("near_jaccard", "jaccard").alias("jaccard"),
    )
    return exact.unionByName(near)


def _nothing(documents: DataFrame) -> DataFrame:
    return documents.sparkSession.createDataFrame([], DUPLICATE_SCHEMA)


def _exact(documents: DataFrame) -> DataFrame:
    from pyspark.sql import functions as f

    keepers = documents.groupBy("text_digest").agg(f.min("doc_id").alias("keeper_id"), f.count("*").alias("n"))
    return (
        documents.select("doc_id", "text_digest")
        .join(keepers.where("n > 1"), "text_digest")
        .where("doc_id <> keeper_id")
        .select("doc_id", "keeper_id", f.lit("exact").alias("kind"), f.lit(1.0).alias("jaccard"))
    )


def _near(documents: DataFrame, texts: DataFrame, config: DedupConfig) -> DataFrame:
    from pyspark.sql import functions as f

    pairs = _proposed(documents, config).localCheckpoint()
    if pairs.isEmpty():
        return _nothing(documents)
    return _resolve(_confirmed(pairs, texts, config)).select(
        f.col("high").alias("doc_id"),
        f.col("low").alias("keeper_id"),
        f.lit("near").alias("kind"),
        "jaccard",
    )


def _proposed(documents: DataFrame, config: DedupConfig) -> DataFrame:
    """Pairs (low, high) that share a band."""
    from pyspark.sql import Window
    from pyspark.sql import functions as f

    bands, rows = config.bands, config.rows

    def band_keys(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            yield band_table(batch, bands, rows)

    keys = documents.select("doc_id", "minhash").mapInArrow(band_keys, "doc_id string, band binary")
    ranked = keys.withColumn("rank", f.row_number().over(Window.partitionBy("band").orderBy("doc_id")))
    low = ranked.where(f.col("rank") <= config.anchors).select("band", f.col("doc_id").alias("low"))
    high = ranked.where("rank > 1").select("band", f.col("doc_id").alias("high"))
    return low.join(high, "band").where("low < high").select("low", "high").distinct()


def band_table(batch: pa.RecordBatch, bands: int, rows: int) -> pa.RecordBatch:
    """One row per document and band; a band's key is its number and its `rows` signature values as bytes.

    Raises:
        ValueError: a signature does not have `bands` × `rows` values.
    """
    count = batch.num_rows
    signatures = np.frombuffer(b"".join(batch["minhash"].to_pylist()), dtype="<u4")
    keys = np.empty((count, bands, 1 + rows), dtype="<u4")
    keys[:, :, 0] = np.arange(bands)
    keys[:, :, 1:] = signatures.reshape(count, bands, rows)
    width = pa.binary(keys.itemsize * (1 + rows))
    fixed = pa.FixedSizeBinaryArray.from_buffers(width, count * bands, [None, pa.py_buffer(keys)])
    return pa.RecordBatch.from_arrays(
        [batch["doc_id"].take(pa.array(np.repeat(np.arange(count), bands))), fixed.cast(pa.binary())],
        names=["doc_id", "band"],
    )


def _confirmed(pairs: DataFrame, texts: DataFrame, config: DedupConfig) -> DataFrame:
    """Pairs whose shingle sets have a true Jaccard similarity of at least the threshold."""
    from pyspark.sql import functions as f

    both = pairs.join(texts.select(f.col("doc_id").alias("low"), f.col("text").alias("low_text")), "low").join(
        texts.select(f.col("doc_id").alias("high"), f.col("text").alias("high_text")), "high"
    )

    def compare(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        hasher = MinHasher(config.bands * config.rows, config.ngram, config.seed)
        for batch in batches:
            lows, highs = batch["low_text"].to_pylist(), batch["high_text"].to_pylist()
            shingles = {text: hasher.shingles(text) for text in {*lows, *highs}}
            similar = [hasher.jaccard(shingles[low], shingles[high]) for low, high in zip(lows, highs, strict=True)]
            yield pa.RecordBatch.from_arrays(
                [batch["low"], batch["high"], pa.array(similar, pa.float64())],
                names=["low", "high", "jaccard"],
            )

    compared = both.select("low", "high", "low_text", "high_text").mapInArrow(compare, _EDGE_SCHEMA)
    return compared.where(f.col("jaccard") >= config.threshold)


def _resolve(edges: DataFrame) -> DataFrame:
    """One edge (kept low, removed high) per removed document: to its most similar keeper, then the smallest.

    A document is removed by the first of its keepers that is settled; the best of them is chosen at the end.
    """
    from pyspark.sql import functions as f

    open_edges = edges = edges.localCheckpoint()
    removed = edges.select("high").limit(0)
    while not open_edges.isEmpty():
        highs = open_edges.select("high").distinct()
        kept = open_edges.select(f.col("low")).distinct().join(highs, f.col("low") == f.col("high"), "left_anti")
        gone = open_edges.join(kept, "low").select("high").distinct().localCheckpoint()
        removed = removed.unionByName(gone)
        open_edges = (
            open_edges.join(gone, "high", "left_anti")
            .join(gone.withColumnRenamed("high", "low"), "low", "left_anti")
            .select("low", "high", "jaccard")
            .localCheckpoint()
        )
    lasting = edges.join(removed.withColumnRenamed("high", "low"), "low", "left_anti")
    best = lasting.groupBy("high").agg(f.min(f.struct(-f.col("jaccard"), "low")).alias("best"))
    return best.select(f.col("best.low").alias("low"), "high", (-f.col("best").getField("col1")).alias("jaccard"))
