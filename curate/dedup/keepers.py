"""Who stays: of confirmed pairs a document goes only if a *kept* one of smaller `doc_id` is similar to it.

That rule has one solution, the lexicographically first maximal independent set of the confirmed pairs, found in
rounds: whoever has no smaller undecided neighbour stays, and removes its neighbours. Ids are digests, hence in
random order, and rounds grow with the logarithm of a cluster (Blelloch, Fineman and Shun 2012, "Greedy sequential
maximal independent set and matching are parallel on average").
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def choose_keepers(edges: DataFrame) -> DataFrame:
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
