"""Who is compared with whom, and which copies go."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pytest

from millpond.curate.config import DedupConfig
from millpond.curate.dedup.find import find_duplicates
from millpond.curate.dedup.keepers import choose_keepers
from millpond.curate.dedup.minhash import MinHasher
from millpond.curate.dedup.near import band_table
from millpond.curate.dedup.shingles import jaccard

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def banded(*signatures: bytes, bands: int = 14, rows: int = 8) -> dict[str, list[bytes]]:
    """The keys of each document."""
    ids = [f"d{place}" for place in range(len(signatures))]
    batch = pa.RecordBatch.from_pydict({"doc_id": ids, "minhash": pa.array(signatures, pa.binary())})
    keys: dict[str, list[bytes]] = {doc_id: [] for doc_id in ids}
    for row in band_table(batch, bands, rows).to_pylist():
        keys[row["doc_id"]].append(row["band"])
    return keys


def test_bands_agree_where_their_rows_do() -> None:
    signature = np.arange(112, dtype="<u4")
    other = signature.copy()
    other[8] = 999
    keys = banded(signature.tobytes(), other.tobytes())
    assert [a == b for a, b in zip(keys["d0"], keys["d1"], strict=True)] == [True, False, *[True] * 12]


def test_equal_rows_in_different_bands_do_not_meet() -> None:
    assert len(set(banded(bytes(4 * 112))["d0"])) == 14


def test_no_documents_have_no_bands() -> None:
    assert banded() == {}


def test_bands_of_another_size_are_refused() -> None:
    with pytest.raises(ValueError, match="112"):
        banded(bytes(4 * 112), bands=10)


def test_a_chain_of_likenesses_is_not_one_cluster(spark: SparkSession) -> None:
    """Each link is like the next, the ends are not: only neighbours of kept documents go."""
    words = [f"word{n}" for n in range(60)]
    texts = [
        " ".join([f"new{k}_{i}" for k in range(link * 2)] + words[link * 2 :]) for link in range(12) for i in (0,)
    ]
    hasher = MinHasher(112, 5, 1)
    rows = [(hashlib.sha256(text.encode()).hexdigest()[:32], text) for text in texts]
    frame = spark.createDataFrame(
        [(doc_id, text, doc_id, bytes(hasher.signatures([text])[0])) for doc_id, text in rows],
        "doc_id string, text string, text_digest string, minhash binary",
    )
    config = DedupConfig(threshold=0.75)
    found = {row.doc_id: row for row in find_duplicates(frame, frame.select("doc_id", "text"), config).collect()}

    # The rule, stated directly: in order of id, a document goes if a kept one of smaller id is like it.
    shingles = {doc_id: hasher.shingles.of(text) for doc_id, text in rows}
    kept: list[str] = []
    for doc_id in sorted(shingles):
        if not any(jaccard(shingles[doc_id], shingles[other]) >= 0.75 for other in kept):
            kept.append(doc_id)
    assert set(found) == set(shingles) - set(kept)
    assert all(row.keeper_id in kept for row in found.values())
    assert 1 < len(kept) < len(rows)


def test_the_keeper_is_the_most_similar_one_whenever_it_was_settled(spark: SparkSession) -> None:
    """`a` stays at once and removes `b` and `d`; `c` stays once `b` is gone, and is more like `d`."""
    edges = [("a", "b", 0.8), ("a", "d", 0.8), ("b", "c", 0.8), ("c", "d", 0.9)]
    frame = spark.createDataFrame(edges, "low string, high string, jaccard double")
    found = {row.high: (row.low, row.jaccard) for row in choose_keepers(frame).collect()}
    assert found == {"b": ("a", 0.8), "d": ("c", 0.9)}
