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

from millpond.curate.dedup.config import DedupConfig
from millpond.curate.dedup.shingles import Shingles, jaccard

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_PAIR_SCHEMA = "low string, high string, jaccard double"


def proposed(documents: DataFrame, config: DedupConfig) -> DataFrame:
    """Pairs (low, high) of `documents` (rank, scope, minhash) that share a band, each once.

    Of a signature the first `bands` × `rows` values are read; it may hold more.
    """
    from pyspark.sql import Window
    from pyspark.sql import functions as f

    bands, rows = config.banding.bands, config.banding.rows

    def band_keys(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            yield band_table(batch, bands, rows)

    used = f.substring("minhash", 1, 4 * config.banding.num_perm).alias("minhash")
    keys = documents.select("rank", "scope", used).mapInArrow(band_keys, "rank string, scope string, band binary")
    window = Window.partitionBy("scope", "band").orderBy("rank")
    placed = keys.withColumn("place", f.row_number().over(window))
    low = placed.where(f.col("place") <= config.anchors).select("scope", "band", f.col("rank").alias("low"))
    high = placed.where("place > 1").select("scope", "band", f.col("rank").alias("high"))
    return low.join(high, ["scope", "band"]).where("low < high").select("low", "high").distinct()


def band_table(batch: pa.RecordBatch, bands: int, rows: int) -> pa.RecordBatch:
    """One row (rank, scope, band) per document and band; a band is its number and its signature values as bytes.

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
    documents = pa.array(np.repeat(np.arange(count), bands))
    return pa.RecordBatch.from_arrays(
        [batch["rank"].take(documents), batch["scope"].take(documents), fixed.cast(pa.binary())],
        names=["rank", "scope", "band"],
    )


def compared(pairs: DataFrame, texts: DataFrame, config: DedupConfig) -> DataFrame:
    """Pairs (low, high) with the true Jaccard similarity of their shingle sets; `texts` are (rank, text)."""
    from pyspark.sql import functions as f

    low = texts.select(f.col("rank").alias("low"), f.col("text").alias("low_text"))
    high = texts.select(f.col("rank").alias("high"), f.col("text").alias("high_text"))
    banding = config.banding

    def compare(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        shingles = Shingles(banding.ngram, banding.shingles)
        for batch in batches:
            lows, highs = batch["low_text"].to_pylist(), batch["high_text"].to_pylist()
            sets = {text: shingles.of(text) for text in {*lows, *highs}}
            similar = [jaccard(sets[low], sets[high]) for low, high in zip(lows, highs, strict=True)]
            yield pa.RecordBatch.from_arrays(
                [batch["low"], batch["high"], pa.array(similar, pa.float64())], names=["low", "high", "jaccard"]
            )

    both = pairs.join(low, "low").join(high, "high").select("low", "high", "low_text", "high_text")
    return both.mapInArrow(compare, _PAIR_SCHEMA)
