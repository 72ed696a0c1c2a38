"""The order of preference among copies: what is published, then source, then quality, then `doc_id`; and what is
compared with what.

A document's rank is a string that sorts as the rule says and ends in its `doc_id`, so it is unique, and everything
behind it needs one column. Where nothing comes before the `doc_id`, it is the `doc_id` itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from millpond.curate.dedup.config import DedupConfig

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

_PRIORITY_DIGITS = 6
#: Between what comes before a `doc_id`, which has a fixed width, and the `doc_id`, which is hexadecimal.
_BETWEEN = ":"


def ranked(documents: DataFrame, config: DedupConfig, published: DataFrame | None = None) -> DataFrame:
    """Add columns `rank`, `scope` and `published`; only documents of equal scope are compared.

    The documents in `published` (doc_id, each once) come before all others. Of `documents` this reads `doc_id`, and as
    far as the configuration asks for them `crawl`, `registered_domain`, `source_file` and the signal that is the
    quality.
    """
    from pyspark.sql import functions as f
    from pyspark.sql.pandas.functions import arrow_udf

    scope = f.coalesce("crawl", f.lit("")) if config.scope == "crawl" else f.lit("")
    before: list[Column] = []
    if published is not None:
        first = published.select("doc_id", f.lit(True).alias("published"))
        documents = documents.join(first, "doc_id", "left").fillna(False, ["published"])
        before.append(f.when(f.col("published"), "0").otherwise("1"))
    else:
        documents = documents.withColumn("published", f.lit(False))
    if config.priority:
        place = f.lit(len(config.priority))
        for number, source in reversed(list(enumerate(config.priority))):
            place = f.when(_from(source), f.lit(number)).otherwise(place)
        before.append(f.lpad(place.cast("string"), _PRIORITY_DIGITS, "0"))
    if config.quality:
        # The stub asks for a function type; given one, the call warns that type hints are preferred.
        quality = arrow_udf(falling, "string")  # type: ignore[call-overload]
        before.append(quality(f.col(config.quality).cast("double")))
    key = f.concat(*before, f.lit(_BETWEEN), f.col("doc_id")) if before else f.col("doc_id")
    return documents.withColumns({"scope": scope, "rank": key})


def doc_id_of(rank: Column) -> Column:
    """The `doc_id` that a rank ends in."""
    from pyspark.sql import functions as f

    return f.substring_index(rank, _BETWEEN, -1)


def _from(source: str) -> Column:
    """Whether a document is from a source: its crawl, its registered domain, or the beginning of its file's path."""
    from pyspark.sql import functions as f

    same = (f.col("crawl") == source) | (f.col("registered_domain") == source)
    return f.coalesce(same, f.lit(False)) | f.coalesce(f.col("source_file").startswith(source), f.lit(False))


def falling(values: pa.Array) -> pa.Array:
    """Numbers as 16 hex digits that sort from the highest to the lowest, nulls and NaN last."""
    numbers = values.to_numpy(zero_copy_only=False) + 0.0  # -0.0 is 0.0
    bits = numbers.view(np.uint64)
    # The bits of positive floats sort as they do, those of negative ones the other way round.
    rising = np.where(bits >> np.uint64(63), ~bits, bits | np.uint64(1 << 63))
    return pa.array([f"{key:016x}" for key in np.where(np.isnan(numbers), ~np.uint64(0), ~rising).tolist()])
