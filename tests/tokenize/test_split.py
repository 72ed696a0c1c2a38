"""Splits, buckets and order follow from the id alone, and every engine computes the same."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from millpond.tokenize.split import bucket_of, order_key, sampled, split_of, sql

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

FRACTIONS = [(0.7, 0.2, 0.1), (0.98, 0.01, 0.01), (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.5, 0.0, 0.5)]
IDS = [f"doc-{n}" for n in range(500)] + ["", "ß", "文書", "a'b\"c", "x" * 1000]


COPIES = [(doc_id, copy) for doc_id in IDS for copy in (0, 1, 12)]


def expected(fractions: tuple[float, float, float], buckets: int) -> list[tuple[str, int, str, str, int]]:
    keys = [(doc_id, copy, order_key(doc_id, 7), order_key(doc_id, 7, copy)) for doc_id, copy in COPIES]
    return sorted((i, copy, key, split_of(first, fractions), bucket_of(key, buckets)) for i, copy, first, key in keys)


@pytest.mark.parametrize("fractions", FRACTIONS)
def test_duckdb_computes_the_same(fractions: tuple[float, float, float]) -> None:
    expressions = ", ".join(sql("doc_id", "copy", 7, fractions, 37, "duckdb"))
    with duckdb.connect() as connection:
        query = f"SELECT doc_id, copy, {expressions} FROM (SELECT unnest(?) AS doc_id, unnest(?) AS copy)"
        assert sorted(connection.execute(query, [*zip(*COPIES, strict=True)]).fetchall()) == expected(fractions, 37)


def test_spark_computes_the_same(spark: SparkSession) -> None:
    frame = spark.createDataFrame(COPIES, "doc_id string, copy int")
    expressions = [e for fractions in FRACTIONS for e in sql("doc_id", "copy", 7, fractions, 37, "spark")]
    rows = sorted(tuple(row) for row in frame.selectExpr("doc_id", "copy", *expressions).collect())
    for n, fractions in enumerate(FRACTIONS):
        assert [(*row[:2], *row[2 + 3 * n : 5 + 3 * n]) for row in rows] == expected(fractions, 37)


def test_a_sample_is_drawn_whatever_split_and_bucket() -> None:
    key, split, bucket = sql("doc_id", "0", 7, (0.5, 0.5, 0), 2, "duckdb")
    with duckdb.connect() as connection:

        def drawn(share: float) -> dict[tuple[str, int], int]:
            query = (
                f"SELECT {split}, {bucket}, count(*) FROM (SELECT 'doc-' || n AS doc_id FROM range(20_000) t(n)) "
                f"WHERE {sampled(key, share)} GROUP BY ALL"
            )
            return {(name, number): n for name, number, n in connection.execute(query).fetchall()}

        assert not drawn(0) and sum(drawn(1).values()) == sum(drawn(7.5).values()) == 20_000
        assert len(drawn(0.25)) == 4 and all(n == pytest.approx(1250, rel=0.12) for n in drawn(0.25).values())


@given(st.text(), st.integers(0, 2**63))
def test_an_id_has_one_place(doc_id: str, seed: int) -> None:
    key = order_key(doc_id, seed)
    assert key == order_key(doc_id, seed) != order_key(doc_id, seed + 1)
    assert split_of(key, (0, 0, 1)) == "test"
    assert 0 <= bucket_of(key, 7) < 7


def test_shares_are_the_fractions_and_buckets_do_not_follow_splits() -> None:
    keys = [order_key(f"doc-{n}", 0) for n in range(20_000)]
    splits = Counter(split_of(key, (0.7, 0.2, 0.1)) for key in keys)
    for name, share in (("train", 0.7), ("validation", 0.2), ("test", 0.1)):
        assert splits[name] == pytest.approx(20_000 * share, rel=0.06)
    buckets = Counter((split_of(key, (0.5, 0.5, 0)), bucket_of(key, 8)) for key in keys)
    assert len(buckets) == 16 and all(count == pytest.approx(1250, rel=0.12) for count in buckets.values())


def test_places_stay_as_they_were_published() -> None:
    key = order_key("doc-1", 0)
    assert key == "f8bad57e723e487af12ce1c84a6b11d8704e7fc9e5926707c7851429e4afed48"
    assert (split_of(key, (0.5, 0.25, 0.25)), bucket_of(key, 1000)) == ("test", 634)
