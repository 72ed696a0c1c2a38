"""Curation as a Spark job: the same result for any partitioning, planted copies found, every page accounted for."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from millpond.curate.config import CurateConfig, DedupConfig
from millpond.curate.dedup import find_duplicates
from millpond.curate.job import curate
from millpond.curate.minhash import MinHasher
from millpond.errors import LakeError
from millpond.ingest.config import IngestConfig
from millpond.ingest.job import ingest_files
from millpond.lake import Lake

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

CORPUS = ("corpus.candidates", "corpus.documents", "corpus.rejects", "corpus.duplicates")
SETTINGS = CurateConfig.model_validate({"rules": {"preset": "none"}, "dedup": {"threshold": 0.7}})


@pytest.fixture(scope="module")
def articles(test_data: Path) -> dict[str, str]:
    """1,000 news-like texts by name, ten of them planted near copies of others."""
    lines = (test_data / "neardup" / "articles_1000.train").read_text(encoding="utf-8").splitlines()
    return dict(line.split(" ", 1) for line in lines)


@pytest.fixture(scope="module")
def articles_lake(tmp_path_factory: pytest.TempPathFactory, articles: dict[str, str], spark: SparkSession) -> Lake:
    """A lake with the articles, in seven files, one text three times."""
    folder = tmp_path_factory.mktemp("articles")
    rows = [{"url": f"http://news.example/{name}", "text": text} for name, text in articles.items()]
    rows += [{"url": f"http://copy.example/{n}", "text": rows[0]["text"]} for n in range(2)]
    paths = []
    for part in range(7):
        path = folder / f"part-{part}.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows[part::7]))
        paths.append(str(path))
    lake = Lake.open(str(folder / "lake"))
    ingest_files(lake, paths, IngestConfig.model_validate({"text": {"url_column": "url"}}))
    return lake


def test_same_digest_for_any_partitions(
    articles_lake: Lake, articles: dict[str, str], spark: SparkSession, test_data: Path
) -> None:
    digests, partitions = set(), []
    sizes = [Path(path).stat().st_size for path in articles_lake.files("web.pages")]
    changed = ("spark.sql.files.maxPartitionBytes", "spark.sql.shuffle.partitions")
    before = {key: spark.conf.get(key) for key in changed}
    try:
        for shuffles, split_bytes in ((1, 1 << 30), (2, sum(sizes) * 2 // 3), (7, max(sizes))):
            spark.conf.set("spark.sql.files.maxPartitionBytes", str(split_bytes))
            spark.conf.set("spark.sql.shuffle.partitions", str(shuffles))
            spark.conf.set("spark.sql.files.minPartitionNum", "1")
            partitions.append(spark.read.parquet(*articles_lake.files("web.pages")).rdd.getNumPartitions())
            # Another seed in an unused setting gives another digest of the run, so that it is really done again.
            timeout = {"extract": {"timeout_seconds": 20 + shuffles}}
            outcome = curate(articles_lake, CurateConfig.model_validate({**SETTINGS.model_dump(), **timeout}))
            assert not outcome.unchanged and outcome.counts["in"] == 1002
            digests.add(tuple(articles_lake.digest(table) for table in CORPUS))
    finally:
        for key, value in before.items():
            spark.conf.set(key, str(value))
        spark.conf.unset("spark.sql.files.minPartitionNum")
    assert partitions[0] == 1 and partitions[-1] >= 5, partitions
    assert len(digests) == 1

    candidates = articles_lake.read("corpus.candidates").to_pylist()
    names = {row["doc_id"]: row["url"].rsplit("/", 1)[1] for row in candidates}
    found = articles_lake.read("corpus.duplicates").to_pylist()
    near = {frozenset((names[row["doc_id"]], names[row["keeper_id"]])) for row in found if row["kind"] == "near"}
    truth = (test_data / "neardup" / "articles_1000.truth").read_text().splitlines()
    assert near >= {frozenset(line.split()) for line in truth if line}
    assert sum(row["kind"] == "exact" for row in found) == 2
    kept = set(articles_lake.read("corpus.documents", ["doc_id"])["doc_id"].to_pylist())
    hasher = MinHasher(112, 5, 1)
    texts = {row["doc_id"]: row["text"] for row in candidates}
    for row in found:
        assert row["keeper_id"] in kept and row["keeper_id"] < row["doc_id"]
        true = hasher.jaccard(*(hasher.shingles(texts[row[side]]) for side in ("doc_id", "keeper_id")))
        assert row["jaccard"] == pytest.approx(true) and true >= 0.7


def test_same_run_again_does_nothing(articles_lake: Lake, spark: SparkSession) -> None:
    curate(articles_lake, SETTINGS)
    release = articles_lake.release()
    outcome = curate(articles_lake, SETTINGS)
    assert outcome.unchanged and articles_lake.release() == release


def test_nothing_to_curate(lake: Lake) -> None:
    with pytest.raises(LakeError, match="no pages yet: run `millpond ingest` first"):
        curate(lake, SETTINGS)


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
    shingles = {doc_id: hasher.shingles(text) for doc_id, text in rows}
    kept: list[str] = []
    for doc_id in sorted(shingles):
        if not any(hasher.jaccard(shingles[doc_id], shingles[other]) >= 0.75 for other in kept):
            kept.append(doc_id)
    assert set(found) == set(shingles) - set(kept)
    assert all(row.keeper_id in kept for row in found.values())
    assert 1 < len(kept) < len(rows)
