"""Curation as a Spark job: the same result for any partitioning, planted copies found, every page accounted for."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from millpond.curate.config import CurateConfig
from millpond.curate.dedup.minhash import MinHasher
from millpond.curate.dedup.shingles import jaccard
from millpond.curate.job import curate
from millpond.errors import AuditError, LakeError
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
        true = jaccard(*(hasher.shingles.of(texts[row[side]]) for side in ("doc_id", "keeper_id")))
        assert row["jaccard"] == pytest.approx(true) and true >= 0.7


def test_same_run_again_does_nothing(articles_lake: Lake, spark: SparkSession) -> None:
    curate(articles_lake, SETTINGS)
    release = articles_lake.release()
    outcome = curate(articles_lake, SETTINGS)
    assert outcome.unchanged and articles_lake.release() == release


def test_a_page_that_loses_every_line_is_no_document(lake: Lake, tmp_path: Path) -> None:
    texts = ["A text that is whole, and is kept.", "two words\nonly here"]
    path = tmp_path / "two.jsonl"
    path.write_text("".join(json.dumps({"url": f"http://h.test/{n}", "text": t}) + "\n" for n, t in enumerate(texts)))
    ingest_files(lake, [str(path)], IngestConfig.model_validate({"text": {"url_column": "url"}}))
    outcome = curate(lake, CurateConfig.model_validate({"rules": {"preset": "none"}, "c4": {"remove_lines": True}}))
    assert (outcome.counts["in"], outcome.counts["out"]) == (2, 1)
    assert lake.read("corpus.documents")["text"].to_pylist() == texts[:1]
    [row] = lake.read("corpus.rejects").to_pylist()
    assert (row["stage"], row["reason"], row["rule"], row["value"]) == ("filter", "empty", "min_text_bytes", 0)


@pytest.mark.parametrize(("unit", "between"), [("lines", "\n"), ("paragraphs", "\n\n")])
def test_what_many_documents_hold_goes_from_all_but_the_first(
    lake: Lake, tmp_path: Path, unit: str, between: str
) -> None:
    """And a document of which nothing is left is no document, nor is its copy; a runaway is refused."""
    own = [f"Own text number {n} with some words of its own." for n in range(3)]
    texts = [*(f"The menu of the site.{between}{text}" for text in own), *["The menu of the site."] * 2]
    path = tmp_path / "menus.jsonl"
    path.write_text("".join(json.dumps({"url": f"http://h.test/{n}", "text": t}) + "\n" for n, t in enumerate(texts)))
    ingest_files(lake, [str(path)], IngestConfig.model_validate({"text": {"url_column": "url"}}))
    dedup = {"lines": {"unit": unit, "max_documents": 2}}
    capped = {"rules": {"preset": "none"}, "dedup": {"judged_from": 2, "max_removed_share": 0.1}}
    with pytest.raises(
        AuditError, match=r"removed_share on registered_domain failed, seen h.test lost 1 of 5 documents"
    ):
        curate(lake, CurateConfig.model_validate(capped))
    assert "corpus.documents" not in lake.tables()

    curate(lake, CurateConfig.model_validate({"rules": {"preset": "none"}, "dedup": dedup}))
    documents = lake.read("corpus.documents").to_pylist()
    left = {row["url"][-1]: row["text"] for row in documents}
    rejects = lake.read("corpus.rejects").to_pylist()
    kept_menu = {number for number, text in left.items() if text.startswith("The menu")}
    assert (
        len(kept_menu) == 1
        and {n: left[n] for n in left.keys() - kept_menu - {"3", "4"}}.items()
        <= dict(zip("012", own, strict=True)).items()
    )
    for row in documents:
        assert row["text_digest"] == hashlib.sha256(row["text"].encode()).hexdigest()
        assert row["text_bytes"] == len(row["text"].encode())
    for row in rejects:
        assert (row["stage"], row["reason"], row["rule"], row["threshold"]) == (
            "dedup",
            "line",
            f"{unit}.max_documents",
            2,
        )
    gone = lake.read("corpus.duplicates").num_rows
    assert len(documents) + len(rejects) + gone == 5
    # Of the two documents that are the menu alone one is the other's copy; both stay together or go together.
    assert (len(rejects), gone) == ((0, 1) if kept_menu <= {"3", "4"} else (2, 0))


def test_passages_stay_in_one_document(lake: Lake, tmp_path: Path) -> None:
    """A passage of three documents, one of which is nothing else."""
    passage = "Whoever finds this passage in a second place may take it out there, since it says nothing new."
    own = ["One page begins with words that are its own alone.", "Quite another opening, as far as anyone here knows."]
    texts = [*(f"{text}\n\n{passage}" for text in own), passage]
    path = tmp_path / "passages.jsonl"
    path.write_text("".join(json.dumps({"url": f"http://h.test/{n}", "text": t}) + "\n" for n, t in enumerate(texts)))
    ingest_files(lake, [str(path)], IngestConfig.model_validate({"text": {"url_column": "url"}}))
    dedup = {"spans": {"enabled": True, "min_length": 15}}
    curate(lake, CurateConfig.model_validate({"rules": {"preset": "none"}, "dedup": dedup}))
    left = sorted(lake.read("corpus.documents")["text"].to_pylist())
    rejects = [(row["stage"], row["reason"], row["rule"]) for row in lake.read("corpus.rejects").to_pylist()]
    # Whose id is the smallest keeps it.
    assert (left, rejects) in (
        (sorted([texts[0], own[1]]), [("dedup", "span", "spans.min_length")]),
        (sorted([own[0], texts[1]]), [("dedup", "span", "spans.min_length")]),
        (sorted([*own, passage]), []),
    )
    removed = sum(len(text) for text in texts) - sum(map(len, left)) - len(rejects) * len(passage)
    ledger = {(row["entry"], row["unit"], row["reason"]): row["amount"] for row in lake.read("ops.ledger").to_pylist()}
    assert ledger["transformed", "bytes", "repeated_text"] == removed


def test_personal_data_is_masked_and_the_ledger_balances(lake: Lake, tmp_path: Path) -> None:
    words = tmp_path / "words.txt"
    words.write_text("spam\n")
    texts = [
        "Mail jane.doe@example.com about the server at 8.8.8.8, and mind that it is slow.",
        "Mail john.roe@example.com about the server at 9.9.9.9, and mind that it is slow.",
        "Of a@b.com, c@d.com and e@f.com (as long as their placeholders) there is one too many here.",
        "All of this is spam and nothing else.",
        "Nothing at all to hide in this one.",
    ]
    path = tmp_path / "pages.jsonl"
    path.write_text("".join(json.dumps({"url": f"http://h.test/{n}", "text": t}) + "\n" for n, t in enumerate(texts)))
    ingest_files(lake, [str(path)], IngestConfig.model_validate({"text": {"url_column": "url"}}))
    rules = {"preset": "none", "thresholds": {"max_pii_count": 2, "max_flagged_word_ratio": 0.1}}

    def told() -> CurateConfig:
        return CurateConfig.model_validate({"rules": rules, "flagged": {"words": {"any": str(words)}}})

    outcome = curate(lake, told())
    assert (outcome.counts["in"], outcome.counts["out"]) == (5, 2)
    masked = "Mail <EMAIL> about the server at <IP_ADDRESS>, and mind that it is slow."
    assert sorted(lake.read("corpus.documents")["text"].to_pylist()) == [masked, texts[4]]
    # Two texts that differ in what is masked are one.
    assert lake.read("corpus.duplicates")["kind"].to_pylist() == ["exact"]
    reasons = lake.read("corpus.rejects")["reason"].to_pylist()
    assert sorted(reasons) == ["flagged_words", "pii"]
    ledger = {(row["entry"], row["reason"]): row["amount"] for row in _bytes_of(lake)}
    assert ledger["transformed", "mask"] == len(texts[0]) + len(texts[1]) - 2 * len(masked)
    assert ledger["in", None] == sum(map(len, texts)) == sum(n for (entry, _), n in ledger.items() if entry != "in")
    words.write_text("ham\n")
    assert not curate(lake, told()).unchanged, "another list is another setting"
    assert curate(lake, told()).unchanged


def _bytes_of(lake: Lake) -> list[dict[str, Any]]:
    rows = lake.read("ops.ledger").to_pylist()
    return [row for row in rows if row["stage"] == "curate" and row["unit"] == "bytes"]


def test_nothing_to_curate(lake: Lake) -> None:
    with pytest.raises(LakeError, match="no pages yet: run `millpond ingest` first"):
        curate(lake, SETTINGS)
