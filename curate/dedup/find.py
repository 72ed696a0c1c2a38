"""Duplicates: which documents repeat another, decided the same for any partitioning and input order.

Exact copies go first (`exact`), so a text that stands there a million times is compared once; near copies among what
is left (`near`) are pairs confirmed by their true Jaccard similarity, of which `keepers` decides who stays.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from millpond.curate.config import DedupConfig
from millpond.curate.dedup.exact import exact_duplicates
from millpond.curate.dedup.keepers import choose_keepers
from millpond.curate.dedup.near import similar_pairs

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

#: duplicates as found: doc_id, keeper_id, kind, jaccard
DUPLICATE_SCHEMA = "doc_id string, keeper_id string, kind string, jaccard double"


def find_duplicates(documents: DataFrame, texts: DataFrame, config: DedupConfig) -> DataFrame:
    """Duplicates among `documents` (columns doc_id, text_digest, minhash); `texts` (doc_id, text) may hold more.

    Returns:
        doc_id, keeper_id, kind (exact or near) and jaccard, one row per document to remove; a keeper is
        never itself removed.
    """
    from pyspark.sql import functions as f

    exact = exact_duplicates(documents) if config.exact else _nothing(documents)
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


def _near(documents: DataFrame, texts: DataFrame, config: DedupConfig) -> DataFrame:
    from pyspark.sql import functions as f

    return choose_keepers(similar_pairs(documents, texts, config)).select(
        f.col("high").alias("doc_id"),
        f.col("low").alias("keeper_id"),
        f.lit("near").alias("kind"),
        "jaccard",
    )
