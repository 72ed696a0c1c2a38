"""Planted near duplicates in six scripts: who is similar goes, who is not stays, and every keeper is named."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from planted import planted

from millpond.curate.dedup.config import DedupConfig
from millpond.curate.dedup.find import find_duplicates
from millpond.curate.dedup.minhash import MinHasher
from millpond.curate.dedup.rank import ranked
from millpond.curate.dedup.scratch import Scratch

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def test_planted_pairs_are_found_as_the_preset_promises(spark: SparkSession, tmp_path: Path) -> None:
    config, pairs = DedupConfig(), list(planted(600, seed=4))
    texts = [text for pair in pairs for text in (pair.first, pair.second)]
    ids = [hashlib.sha256(f"{n}".encode()).hexdigest()[:32] for n in range(len(texts))]
    columns = zip(ids, texts, MinHasher().signatures(texts), strict=True)
    rows = [(doc_id, "", text, hashlib.sha256(text.encode()).hexdigest(), data) for doc_id, text, data in columns]
    schema = "doc_id string, url string, text string, text_digest string, minhash binary"
    documents = ranked(spark.createDataFrame(rows, schema), config)
    with Scratch(tmp_path / "scratch") as scratch:
        copies = find_duplicates(documents, documents.select("rank", "text"), config, scratch).collect()
    place = {doc_id: n for n, doc_id in enumerate(ids)}
    gone = {place[copy.doc_id] // 2: copy for copy in copies}
    assert len(gone) == len(copies) and not {copy.keeper_id for copy in copies} & {copy.doc_id for copy in copies}
    for number, copy in gone.items():
        assert place[copy.keeper_id] // 2 == number and copy.keeper_id < copy.doc_id
        assert abs(copy.jaccard - pairs[number].similarity) < 1e-9 and copy.jaccard >= config.threshold
    expected = [
        (n, config.banding.probability(pair.similarity)) for n, pair in enumerate(pairs) if pair.similarity >= 0.75
    ]
    spread = sum(chance * (1 - chance) for _, chance in expected) ** 0.5
    assert abs(len(gone) - sum(chance for _, chance in expected)) < 4 * spread
    near = [n for n, pair in enumerate(pairs) if pair.similarity >= 0.9]
    assert sum(n in gone for n in near) >= 0.98 * len(near) and len({pairs[n].script for n in near}) == 6
