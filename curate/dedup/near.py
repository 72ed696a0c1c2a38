"""Near duplicates: MinHash bands propose pairs, the true Jaccard similarity of the shingle sets confirms them.

In a band bucket of more than `anchors` documents each is compared with that many smallest ones only, so no
document has more than `anchors` × `bands` comparisons with smaller ones: a million variants of a boilerplate page
that share every band cost 64 million comparisons, not half a million million.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from millpond.curate.config import DedupConfig
from millpond.curate.dedup.shingles import Shingles, jaccard

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_PAIR_SCHEMA = "low string, high string, jaccard double"


def similar_pairs(documents: DataFrame, texts: DataFrame, config: DedupConfig) -> DataFrame:
    """Pairs (low, high, jaccard), low < high, of `documents` (doc_id, minhash) that reach the threshold."""
    return _confirmed(_proposed(documents, config), texts, config)


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
        shingles = Shingles(config.ngram)
        for batch in batches:
            lows, highs = batch["low_text"].to_pylist(), batch["high_text"].to_pylist()
            sets = {text: shingles.of(text) for text in {*lows, *highs}}
            similar = [jaccard(sets[low], sets[high]) for low, high in zip(lows, highs, strict=True)]
            yield pa.RecordBatch.from_arrays(
                [batch["low"], batch["high"], pa.array(similar, pa.float64())],
                names=["low", "high", "jaccard"],
            )

    compared = both.select("low", "high", "low_text", "high_text").mapInArrow(compare, _PAIR_SCHEMA)
    return compared.where(f.col("jaccard") >= config.threshold)
