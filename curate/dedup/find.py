"""Duplicates: which documents repeat another, decided the same for any partitioning and input order.

Other fetches of one address go first where that is asked for, then exact copies, so a text that stands there a million
times is compared once, then near copies: pairs that MinHash proposes and true similarity confirms (`near`), of which
`keepers` decides who stays; then, where that is asked for, copies in meaning (`semantic`). Who stays among copies is a
matter of `rank`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from millpond.curate.dedup.config import DedupConfig
from millpond.curate.dedup.exact import exact_copies, url_copies
from millpond.curate.dedup.keepers import choose_keepers
from millpond.curate.dedup.near import compared, proposed
from millpond.curate.dedup.rank import doc_id_of
from millpond.curate.dedup.scratch import Scratch
from millpond.curate.dedup.semantic import semantic_copies

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

#: Columns of a candidate that decide, besides the quality signal.
COLUMNS = (
    "doc_id",
    "url",
    "text_digest",
    "minhash",
    "language",
    "fetched_at",
    "crawl",
    "registered_domain",
    "source_file",
)


def find_duplicates(documents: DataFrame, texts: DataFrame, config: DedupConfig, scratch: Scratch) -> DataFrame:
    """Duplicates among `documents` (`COLUMNS`, as `ranked`); `texts` (rank, text) may hold more.

    Returns:
        doc_id, keeper_id, kind (url, exact, near or semantic), jaccard and, of semantic copies, similarity: one row
        per document to remove; a keeper is never itself removed.
    """
    from pyspark.sql import functions as f

    left = documents
    nobody = documents.sparkSession.createDataFrame([], "low string, high string")
    by_url = nobody
    if config.url != "off":
        by_url = scratch.keep(url_copies(left, newest=config.url == "newest"))
        left = _without(left, by_url)
    exact = nobody
    if config.exact:
        exact = scratch.keep(exact_copies(left))
        left = _without(left, exact)
    near = nobody.withColumn("jaccard", f.lit(1.0))
    if config.near:
        pairs = compared(proposed(left, config), texts, config)
        near = scratch.keep(choose_keepers(pairs.where(f.col("jaccard") >= config.threshold), scratch))
    # A document whose keeper goes, goes with it to the same keeper.
    exact = _moved(exact, near).withColumn("kind", f.when(f.col("jaccard").isNull(), "exact").otherwise("near"))
    exact = exact.withColumn("jaccard", f.coalesce("jaccard", f.lit(1.0)))
    near = near.withColumn("kind", f.lit("near"))
    found = exact.unionByName(near).withColumn("similarity", f.lit(None).cast("double"))
    if config.semantic.enabled:
        left = _without(left, near)
        alike = scratch.keep(semantic_copies(left, texts, config.semantic, scratch))
        found = _with_semantic(found, alike, texts, config)
    if config.url != "off":
        moved = _moved(by_url, found).select("low", "high")
        again = compared(moved, texts, config).withColumn("kind", f.lit("url"))
        found = found.unionByName(again, allowMissingColumns=True)
    return found.select(
        doc_id_of(f.col("high")).alias("doc_id"),
        doc_id_of(f.col("low")).alias("keeper_id"),
        "kind",
        "jaccard",
        "similarity",
    )


def _with_semantic(found: DataFrame, alike: DataFrame, texts: DataFrame, config: DedupConfig) -> DataFrame:
    """All copies, where `alike` (low, high, similarity) go too, and with them the copies of those."""
    from pyspark.sql import functions as f

    onward = alike.select(f.col("high").alias("low"), f.col("low").alias("keeper"), "similarity")
    known = found.drop("similarity").join(onward, "low", "left")
    staying = known.where("keeper is null").drop("keeper")
    moved = known.where("keeper is not null").select(f.col("keeper").alias("low"), "high", "similarity")
    gone = alike.unionByName(moved)
    true = compared(gone.select("low", "high"), texts, config)
    return staying.unionByName(gone.join(true, ["low", "high"]).withColumn("kind", f.lit("semantic")))


def _without(documents: DataFrame, copies: DataFrame) -> DataFrame:
    from pyspark.sql import functions as f

    return documents.join(copies.select(f.col("high").alias("rank")), "rank", "left_anti")


def _moved(copies: DataFrame, found: DataFrame) -> DataFrame:
    """(low, high, jaccard): copies of a document that goes itself are its keeper's, at its similarity; else null."""
    from pyspark.sql import functions as f

    onward = found.select(f.col("high").alias("low"), f.col("low").alias("keeper"), "jaccard")
    return copies.join(onward, "low", "left").select(f.coalesce("keeper", "low").alias("low"), "high", "jaccard")
