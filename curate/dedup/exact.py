"""Duplicates that equality finds: documents of one text, and fetches of one address."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame


def exact_copies(documents: DataFrame) -> DataFrame:
    """(low, high) of `documents` (rank, scope, text_digest): among those of equal text the first rank stays."""
    from pyspark.sql import functions as f

    return _others(documents, f.col("text_digest"))


def url_copies(documents: DataFrame, *, newest: bool) -> DataFrame:
    """(low, high) of `documents` (rank, scope, published, url, fetched_at): one fetch of an address stays.

    What is published comes first, fetches without a time come last, and of equal times the first rank stays.
    """
    from pyspark.sql import functions as f

    fetched = f.col("fetched_at")
    age = fetched.desc_nulls_last() if newest else fetched.asc_nulls_last()
    return _others(documents, canonical(f.col("url")), f.desc("published"), age)


def canonical(url: Column) -> Column:
    """An address without scheme, default port and fragment, its host in lower case."""
    from pyspark.sql import functions as f

    bare = f.regexp_replace(url, r"#.*$", "")
    host = f.lower(f.regexp_extract(bare, r"^[A-Za-z]+://[^/?]*", 0))
    path = f.substr(bare, f.length(host) + 1)
    host = f.regexp_replace(f.regexp_replace(host, r"^https?://", ""), r":(80|443)$", "")
    return f.concat(host, f.when(path == "/", "").otherwise(path))


def _others(documents: DataFrame, same: Column, *order: Column) -> DataFrame:
    from pyspark.sql import Window
    from pyspark.sql import functions as f

    window = Window.partitionBy("scope", same).orderBy(*order, "rank")
    found = documents.select(f.first("rank").over(window).alias("low"), f.col("rank").alias("high"))
    return found.where("low <> high")
