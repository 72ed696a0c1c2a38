"""Which copies go, and who stays."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from millpond.curate.dedup.config import DedupConfig
from millpond.curate.dedup.find import find_duplicates
from millpond.curate.dedup.keepers import choose_keepers, settled
from millpond.curate.dedup.minhash import MinHasher
from millpond.curate.dedup.rank import ranked
from millpond.curate.dedup.scratch import Scratch
from millpond.curate.dedup.shingles import jaccard
from millpond.errors import MillpondError

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

SCHEMA = (
    "doc_id string, url string, text string, text_digest string, minhash binary, fetched_at timestamp, crawl string, "
    "registered_domain string, source_file string, alpha_word_ratio double"
)
Find = Callable[..., dict[str, Any]]


def row(text: str, **columns: Any) -> dict[str, Any]:
    """A candidate; what is not given is derived from the text."""
    digest = hashlib.sha256(text.encode()).hexdigest()
    known = {"doc_id": digest[:32], "url": f"http://h.test/{digest}", "text": text, "text_digest": digest}
    return {**dict.fromkeys(name.split()[0] for name in SCHEMA.split(", ")), **known, **columns}


@pytest.fixture
def find(spark: SparkSession, tmp_path: Path) -> Find:
    def found(
        rows: list[dict[str, Any]], partitions: int = 2, published: Collection[str] = (), **settings: Any
    ) -> dict[str, Any]:
        config = DedupConfig.model_validate(settings)
        banding = config.banding
        hasher = MinHasher(banding.num_perm, banding.ngram, config.seed, banding.shingles)
        filled = [{**each, "minhash": hasher.signatures([each["text"]])[0]} for each in rows]
        first = spark.createDataFrame([(doc_id,) for doc_id in published], "doc_id string") if published else None
        frame = ranked(spark.createDataFrame(filled, SCHEMA).repartition(partitions), config, first)
        with Scratch(tmp_path / "scratch") as scratch:
            copies = find_duplicates(frame, frame.select("rank", "text"), config, scratch).collect()
        assert len({copy.doc_id for copy in copies}) == len(copies)
        return {copy.doc_id: (copy.keeper_id, copy.kind, copy.jaccard) for copy in copies}

    return found


def words(count: int, seed: int) -> list[str]:
    generator = random.Random(seed)
    return [f"w{generator.randrange(100_000)}" for _ in range(count)]


def chain(links: int) -> list[str]:
    """Each link is like the next, the ends are not."""
    common = [f"word{n}" for n in range(60)]
    return [" ".join([f"new{link}"] * (link * 2) + common[link * 2 :]) for link in range(links)]


def test_a_chain_of_likenesses_is_not_one_cluster(find: Find) -> None:
    """Only neighbours of kept documents go: in order of id, a document goes if a kept one of smaller id is like it."""
    rows = [row(text) for text in chain(12)]
    found = find(rows, threshold=0.75)
    sets = {each["doc_id"]: MinHasher().shingles.of(each["text"]) for each in rows}
    kept: list[str] = []
    for doc_id in sorted(sets):
        if not any(jaccard(sets[doc_id], sets[other]) >= 0.75 for other in kept):
            kept.append(doc_id)
    assert set(found) == set(sets) - set(kept)
    assert all(keeper in kept for keeper, _, _ in found.values())
    assert 1 < len(kept) < len(rows)


@pytest.mark.parametrize("in_driver", [0, 1, 1000])
def test_the_keeper_is_the_most_similar_one_whenever_it_was_settled(
    spark: SparkSession, tmp_path: Path, in_driver: int
) -> None:
    """`a` stays at once and removes `b` and `d`; `c` stays once `b` is gone, and is more like `d`."""
    edges = [("a", "b", 0.8), ("a", "d", 0.8), ("b", "c", 0.8), ("c", "d", 0.9)]
    frame = spark.createDataFrame(edges, "low string, high string, jaccard double")
    with Scratch(tmp_path / "scratch") as scratch:
        found = {row.high: (row.low, row.jaccard) for row in choose_keepers(frame, scratch, in_driver).collect()}
    assert found == {"b": ("a", 0.8), "d": ("c", 0.9)}


def test_rounds_and_the_driver_decide_alike(spark: SparkSession, tmp_path: Path) -> None:
    generator = random.Random(7)
    edges = []
    for _ in range(500):
        low, high = sorted(generator.sample(range(100, 400), 2))
        edges.append((str(low), str(high), 0.8))
    frame = spark.createDataFrame(edges, "low string, high string, jaccard double")
    with Scratch(tmp_path / "scratch") as scratch:
        by_rounds = {row.high for row in choose_keepers(frame, scratch, in_driver=0).collect()}
    assert by_rounds == settled((low, high) for low, high, _ in edges)


@pytest.mark.parametrize(("in_driver", "rounds"), [(0, 2), (2, 2), (4, 1)])
def test_it_says_how_many_pairs_were_settled_in_how_many_rounds(
    spark: SparkSession, tmp_path: Path, capsys: pytest.CaptureFixture[str], in_driver: int, rounds: int
) -> None:
    """Of a chain a round in Spark settles two pairs; what the driver settles is a round, too."""
    edges = [(f"{n}", f"{n + 1}", 0.8) for n in range(4)]
    frame = spark.createDataFrame(edges, "low string, high string, jaccard double")
    with Scratch(tmp_path / "scratch") as scratch:
        gone = {row.high for row in choose_keepers(frame, scratch, in_driver).collect()}
    assert gone == {"1", "3"}
    assert f"near duplicates: 4 pairs settled; rounds: {rounds}\n" in capsys.readouterr().err


def test_a_chain_that_takes_too_many_rounds_says_so(spark: SparkSession, tmp_path: Path) -> None:
    edges = [(f"{n:03}", f"{n + 1:03}", 0.8) for n in range(40)]
    frame = spark.createDataFrame(edges, "low string, high string, jaccard double")
    with (
        Scratch(tmp_path / "scratch") as scratch,
        pytest.raises(MillpondError, match="36 pairs are undecided after 2 rounds"),
    ):
        choose_keepers(frame, scratch, in_driver=0, max_rounds=2)


def test_the_better_source_stays_then_the_better_text_then_the_smaller_id(find: Find) -> None:
    text = " ".join(words(50, 1))
    rows = [
        row(text, doc_id="1", crawl="old", alpha_word_ratio=0.9),
        row(text, doc_id="2", crawl="good", alpha_word_ratio=0.1),
        row(text, doc_id="3", crawl="good", alpha_word_ratio=0.5),
        row(text, doc_id="4", crawl="good", alpha_word_ratio=0.5),
        row(text, doc_id="5", crawl="good"),
    ]
    priority, quality = {"priority": ["good"]}, {"quality": "alpha_word_ratio"}
    cases: list[tuple[dict[str, Any], str]] = [(quality, "1"), (priority, "2"), (priority | quality, "3")]
    for settings, expected in cases:
        found = find(rows, **settings)
        assert {copy[0] for copy in found.values()} == {expected} and len(found) == 4, settings


def test_what_is_published_stays_whatever_the_source_the_quality_or_the_age(find: Find) -> None:
    text, other = " ".join(words(50, 1)), " ".join(words(50, 2))
    rows = [
        row(text, doc_id="1", crawl="good", alpha_word_ratio=0.9),
        row(text + " more", doc_id="2", crawl="good", alpha_word_ratio=0.9),
        row(text, doc_id="3", crawl="old", alpha_word_ratio=0.1),
        row(text, doc_id="4", crawl="old", alpha_word_ratio=0.2),
        row(" ".join(words(50, 3)), doc_id="5", url="http://u.test/", fetched_at=datetime(2024, 5, 1, tzinfo=UTC)),
        row(other, doc_id="6", url="http://u.test/", fetched_at=datetime(2024, 4, 1, tzinfo=UTC)),
    ]
    settings = {"priority": ["good"], "quality": "alpha_word_ratio", "url": "newest"}
    usual = {doc_id: copy[0] for doc_id, copy in find(rows, **settings).items()}
    assert usual == {"2": "1", "3": "1", "4": "1", "6": "5"}
    found = find(rows, published=("3", "4", "6"), **settings)
    # Of two published copies the usual order decides.
    assert {doc_id: copy[0] for doc_id, copy in found.items()} == {"1": "4", "2": "4", "3": "4", "5": "6"}


def test_a_source_is_a_crawl_a_domain_or_the_beginning_of_a_file(find: Find) -> None:
    """The last of three copies of each text is from one of the sources, the second from a source that comes later."""
    sources = [{"crawl": "c"}, {"registered_domain": "d.test"}, {"source_file": "/data/books/1.warc"}]
    rows = [
        row(" ".join(words(50, text)), doc_id=f"{text}{copy}", **source)
        for text, best in enumerate(sources)
        for copy, source in enumerate(({}, {"crawl": "late"}, best))
    ]
    found = find(rows, priority=["d.test", "/data/books/", "c", "late"])
    assert {doc_id: copy[0] for doc_id, copy in found.items()} == {
        f"{n}{copy}": f"{n}2" for n in range(3) for copy in "01"
    }


def test_crawls_may_keep_what_they_share(find: Find) -> None:
    base = words(200, 1)
    texts = (" ".join(base), " ".join([*base[:-2], "other", "end"]))
    rows = [row(text, doc_id=f"{crawl}{n}", crawl=crawl) for crawl in "ab" for n, text in enumerate(texts)]
    assert {doc: copy[0] for doc, copy in find(rows, scope="crawl").items()} == {"a1": "a0", "b1": "b0"}
    assert {copy[0] for copy in find(rows).values()} == {"a0"}


@pytest.mark.parametrize(("which", "keeper"), [("newest", "3"), ("oldest", "1")])
def test_one_fetch_of_an_address_stays(find: Find, which: str, keeper: str) -> None:
    urls = ("http://A.test:80/x?q=1", "https://a.test/x?q=1#top", "http://a.test/x?q=1")
    rows = [
        row(" ".join(words(40, n)), doc_id=str(n), url=url, fetched_at=datetime(2026, 1, n, tzinfo=UTC))
        for n, url in enumerate(urls, start=1)
    ]
    rows += [row("another page", doc_id="4", url="http://a.test/X?q=1"), row("no time", doc_id="0", url=urls[2])]
    found = find(rows, url=which)
    assert {copy[0] for copy in found.values()} == {keeper} and set(found) == {"0", "1", "2", "3"} - {keeper}
    assert {(kind, similar) for _, kind, similar in found.values()} == {("url", 0.0)}
    assert find(rows) == {}


def test_what_a_removed_document_kept_goes_to_its_keeper(find: Find) -> None:
    """`4` is another fetch of `3`, which is an exact copy of `2`, which is a near copy of `1`."""
    base = words(200, 1)
    near = " ".join([*base[:-2], "other", "end"])
    when = datetime(2026, 1, 2, tzinfo=UTC)
    rows = [
        row(" ".join(base), doc_id="1"),
        row(near, doc_id="2"),
        row(near, doc_id="3", url="http://a.test", fetched_at=when),
        row(" ".join([*base[:-1], "more"]), doc_id="4", url="http://a.test/"),
    ]
    found = find(rows, url="newest")
    assert {doc: copy[:2] for doc, copy in found.items()} == {
        "2": ("1", "near"),
        "3": ("1", "near"),
        "4": ("1", "url"),
    }
    sets = {each["doc_id"]: MinHasher().shingles.of(each["text"]) for each in rows}
    for doc, (keeper, _, similar) in found.items():
        assert similar == jaccard(sets[doc], sets[keeper])


def test_characters_as_shingles(find: Find) -> None:
    base = "".join(random.Random(1).choices("的一是不了人我在有他这中大来上国", k=400))
    found = find([row(base, doc_id="1"), row(base[:-1] + "x", doc_id="2")], preset="nemo-curator", exact=False)
    assert found == {"2": ("1", "near", pytest.approx(376 / 378))}


@pytest.mark.parametrize(
    "settings", [{}, {"quality": "alpha_word_ratio", "priority": ["a"], "url": "newest"}, {"scope": "crawl"}]
)
def test_partitions_and_order_change_nothing(find: Find, settings: Mapping[str, Any]) -> None:
    generator = random.Random(2)
    base = [words(100, seed) for seed in range(4)]
    rows = []
    for n in range(60):
        text = list(generator.choice(base))
        for place in generator.sample(range(100), generator.choice((0, 1, 2, 5))):
            text[place] = f"n{n}"
        columns = {
            "doc_id": hashlib.sha256(f"{n}".encode()).hexdigest()[:32],
            "url": f"http://h.test/{generator.randrange(50)}",
            "fetched_at": datetime(2026, 1, generator.randrange(1, 9), tzinfo=UTC),
            "crawl": generator.choice("abc"),
            "alpha_word_ratio": generator.choice((0.1, 0.5, None)),
        }
        rows.append(row(" ".join(text), **columns))
    expected = find(rows, 1, **settings)
    assert len(expected) > 20
    generator.shuffle(rows)
    assert find(rows, 7, **settings) == expected
