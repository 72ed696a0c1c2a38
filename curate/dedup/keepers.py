"""Who stays: of confirmed pairs a document goes only if a *kept* one of smaller rank is similar to it.

That rule has exactly one solution, the lexicographically first maximal independent set of the pairs: decided in order
of rank, each document's smaller neighbours are decided before it. It is found in rounds: whoever has no smaller
undecided neighbour stays, and removes its neighbours.

The rounds end. While a pair is undecided, the smallest rank among all undecided pairs is the smaller side of its
pairs and the larger side of none, so it stays, and all its pairs are decided in that round: every round decides at
least one pair, and there are finitely many. With ranks in random order, as digests are, rounds grow with the logarithm
of the documents (Blelloch, Fineman and Shun 2012, "Greedy sequential maximal independent set and matching are
parallel on average"). Ranks by quality may make long chains; so once few enough pairs are left, they are decided in
order in the driver, in one pass, with the same result.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from millpond.curate.dedup.scratch import Scratch
from millpond.errors import MillpondError
from millpond.progress import note

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

#: So many undecided pairs are decided in the driver: some 50 MB there.
IN_DRIVER = 200_000
#: More rounds than this are no cluster of any real corpus.
MAX_ROUNDS = 200


def choose_keepers(
    edges: DataFrame, scratch: Scratch, in_driver: int = IN_DRIVER, max_rounds: int = MAX_ROUNDS
) -> DataFrame:
    """From pairs (low, high, jaccard) to one (kept low, removed high, jaccard) per document that goes.

    A document is removed by the first of its keepers that is settled; its keeper is then the most similar one, and of
    these the smallest.

    Raises:
        MillpondError: more than `in_driver` pairs were left after `max_rounds` rounds.
    """
    from pyspark.sql import functions as f

    pairs = edges = scratch.keep(edges)
    removed = edges.select("high").limit(0)
    whole = left = pairs.count()
    rounds = 0
    while left > in_driver:
        if rounds == max_rounds:
            raise MillpondError(
                f"near duplicates: {left:,} pairs are undecided after {max_rounds} rounds; chains this long come from "
                "a rank that grows along them: change dedup.quality or dedup.priority, or raise dedup.threshold"
            )
        highs = pairs.select(f.col("high").alias("low")).distinct()
        kept = pairs.select("low").distinct().join(highs, "low", "left_anti")
        gone = scratch.keep(pairs.join(kept, "low").select("high").distinct())
        removed = removed.unionByName(gone)
        pairs = scratch.keep(
            pairs.join(gone, "high", "left_anti")
            .join(gone.withColumnRenamed("high", "low"), "low", "left_anti")
            .select("low", "high")
        )
        left = pairs.count()
        rounds += 1
    if left:
        last = settled((row.low, row.high) for row in pairs.select("low", "high").toLocalIterator())
        removed = removed.unionByName(
            edges.sparkSession.createDataFrame([(high,) for high in sorted(last)], "high string")
        )
        rounds += 1
    note(f"near duplicates: {whole:,} pairs settled; rounds: {rounds}")
    lasting = edges.join(removed.withColumnRenamed("high", "low"), "low", "left_anti")
    best = lasting.groupBy("high").agg(f.min(f.struct(-f.col("jaccard"), "low")).alias("best"))
    return best.select(f.col("best.low").alias("low"), "high", (-f.col("best").getField("col1")).alias("jaccard"))


def settled(pairs: Iterable[tuple[str, str]]) -> set[str]:
    """Which documents of pairs (low, high) go, decided in order of rank."""
    gone: set[str] = set()
    for low, high in sorted(pairs, key=lambda pair: pair[1]):
        if low not in gone:
            gone.add(high)
    return gone
