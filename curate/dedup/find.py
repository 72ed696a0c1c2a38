"""Duplicates: which documents repeat another, decided the same for any partitioning and input order.

Other fetches of one address go first where that is asked for, then exact copies, so a text that stands there a million
times is compared once, then near copies: pairs that MinHash proposes and true similarity confirms (`near`), of which
`keepers` decides who stays. Who stays among copies is a matter of `rank`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from millpond.curate.config import DedupConfig
from millpond.curate.dedup.exact import exact_copies, url_copies
from millpond.curate.dedup.keepers import choose_keepers
from millpond.curate.dedup.near import compared, proposed
from millpond.curate.dedup.rank import doc_id_of
from millpond.curate.dedup.scratch import Scratch

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

#: Columns of a candidate that decide, besides the quality signal.
COLUMNS = ("doc_id", "url", "text_digest", "minhash", "fetched_at", "crawl", "registered_domain", "source_file")


def find_duplicates(documents: DataFrame, texts: DataFrame, config: DedupConfig, scratch: Scratch) -> DataFrame:
    """Duplicates among `documents` (`COLUMNS`, as `ranked`); `texts` (rank, text) may hold more.

    Returns:
        doc_id, keeper_id, kind (url, exact or near) and jaccard, one row per document to remove; a keeper is
        never itself removed.
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
    found = exact.unionByName(near)
    if config.url != "off":
        moved = _moved(by_url, found).select("low", "high")
        found = found.unionByName(compared(moved, texts, config).withColumn("kind", f.lit("url")))
    return found.select(
        doc_id_of(f.col("high")).alias("doc_id"),
        doc_id_of(f.col("low")).alias("keeper_id"),
        "kind",
        "jaccard",
    )


def _without(documents: DataFrame, copies: DataFrame) -> DataFrame:
    from pyspark.sql import functions as f

    return documents.join(copies.select(f.col("high").alias("rank")), "rank", "left_anti")


def _moved(copies: DataFrame, found: DataFrame) -> DataFrame:
    """(low, high, jaccard): copies of a document that goes itself are its keeper's, at its similarity; else null."""
    from pyspark.sql import functions as f

    onward = found.select(f.col("high").alias("low"), f.col("low").alias("keeper"), "jaccard")
    return copies.join(onward, "low", "left").select(f.coalesce("keeper", "low").alias("low"), "high", "jaccard")
