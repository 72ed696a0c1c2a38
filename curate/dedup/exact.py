"""Exact duplicates: among documents of equal text the smallest `doc_id` stays."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def exact_duplicates(documents: DataFrame) -> DataFrame:
    """Documents (doc_id, text_digest) to remove: doc_id, keeper_id, kind, jaccard."""
    from pyspark.sql import functions as f

    keepers = documents.groupBy("text_digest").agg(f.min("doc_id").alias("keeper_id"), f.count("*").alias("n"))
    return (
        documents.select("doc_id", "text_digest")
        .join(keepers.where("n > 1"), "text_digest")
        .where("doc_id <> keeper_id")
        .select("doc_id", "keeper_id", f.lit("exact").alias("kind"), f.lit(1.0).alias("jaccard"))
    )
