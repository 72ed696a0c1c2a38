"""The order of preference among copies: source, then quality, then `doc_id`; and what is compared with what.

A document's rank is a string that sorts as the rule says and ends in its `doc_id`, so it is unique, and everything
behind it needs one column. Without priorities and quality it is the `doc_id` itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from millpond.curate.config import DedupConfig

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

_PRIORITY_DIGITS, _QUALITY_DIGITS = 6, 16


def ranked(documents: DataFrame, config: DedupConfig) -> DataFrame:
    """Add columns `rank` and `scope`; only documents of equal scope are compared.

    Reads `doc_id`, and as far as the configuration asks for them `crawl`, `registered_domain`, `source_file` and the
    signal that is the quality.
    """
    from pyspark.sql import functions as f
    from pyspark.sql.pandas.functions import arrow_udf

    scope = f.coalesce("crawl", f.lit("")) if config.scope == "crawl" else f.lit("")
    key: Column = f.col("doc_id")
    if config.quality:
        # The stub asks for a function type; given one, the call warns that type hints are preferred.
        quality = arrow_udf(falling, "string")  # type: ignore[call-overload]
        key = f.concat(quality(f.col(config.quality).cast("double")), key)
    if config.priority:
        place = f.lit(len(config.priority))
        for number, source in reversed(list(enumerate(config.priority))):
            place = f.when(_from(source), f.lit(number)).otherwise(place)
        key = f.concat(f.lpad(place.cast("string"), _PRIORITY_DIGITS, "0"), key)
    return documents.withColumns({"scope": scope, "rank": key})


def doc_id_of(rank: Column, config: DedupConfig) -> Column:
    """The `doc_id` that a rank ends in."""
    from pyspark.sql import functions as f

    digits = (_PRIORITY_DIGITS if config.priority else 0) + (_QUALITY_DIGITS if config.quality else 0)
    return f.substr(rank, f.lit(digits + 1)) if digits else rank


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
