"""A mixture of a published corpus: who is in it, how often, and why the others are not."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from command import call
from mixtures import publish_corpus

from millpond.curate.mix.config import MixConfig
from millpond.curate.mix.job import mix, summary
from millpond.curate.mix.selection import Selection
from millpond.duck import connect
from millpond.errors import ConfigError, LakeError, LedgerError
from millpond.lake import Lake
from millpond.publish import Batch
from millpond.quality.balance import check

Rows = dict[str, dict[str, Any]]
DOMAINS = ("a.test", "b.test", "c.test", None)


def corpus(count: int = 600) -> list[dict[str, Any]]:
    """Documents of every length, domain, language and crawl."""
    generator = random.Random(5)
    return [
        {
            "text": "x" * generator.randrange(1, 200),
            "registered_domain": generator.choice(DOMAINS),
            "language": generator.choice(("en", "de", None)),
            "page_type": generator.choice(("article", "forum", None)),
            "crawl": generator.choice(("spring", "autumn", None)),
            "source_file": generator.choice(("/data/books/1.jsonl", "/data/web/1.warc")),
        }
        for _ in range(count)
    ]


def config(*components: dict[str, Any], **settings: Any) -> MixConfig:
    return MixConfig.model_validate({"components": components, **settings})


def selected(lake: Lake, settings: MixConfig) -> tuple[Rows, Rows]:
    """Documents by id with what a mixture makes of them: those in it, and those that are not."""
    documents, candidates = (lake.files(f"corpus.{name}") for name in ("documents", "candidates"))
    with connect() as connection:
        selection = Selection(connection, documents, candidates, settings)
        rows = [row for batch in selection.rows() for row in batch.to_pylist()]
    known = {row["doc_id"]: row for row in lake.read("corpus.candidates").to_pylist()}
    parts = ([row for row in rows if bool(row["copies"]) is taken] for taken in (True, False))
    chosen, left = ({row["doc_id"]: known[row["doc_id"]] | row for row in part} for part in parts)
    return chosen, left


def amount(rows: Sequence[dict[str, Any]]) -> int:
    return sum(row["copies"] * row["text_bytes"] for row in rows)


def test_weights_repeats_and_reasons(lake: Lake) -> None:
    publish_corpus(lake, corpus())
    settings = config(
        {"name": "books", "sources": ["/data/books/"], "languages": ["en"], "weight": 0.4, "max_repeats": 3},
        {"name": "a", "sources": ["a.test", "spring"], "page_types": ["forum", "article"], "weight": 0.6},
        size=20_000,
    )
    mix(lake, settings)
    known = {row["doc_id"]: row for row in lake.read("corpus.candidates").to_pylist()}
    tables = (lake.read(f"corpus.{name}").to_pylist() for name in ("mixture", "mixture_rejects"))
    chosen, left = ({row["doc_id"]: known[row["doc_id"]] | row for row in rows} for rows in tables)
    assert len(chosen) + len(left) == 600
    for row in (*chosen.values(), *left.values()):
        in_books = row["source_file"].startswith("/data/books/") and row["language"] == "en"
        in_a = row["registered_domain"] == "a.test" or row["crawl"] == "spring"
        expected = "books" if in_books else "a" if in_a and row["page_type"] else None
        assert row["component"] == expected
    assert Counter(row["reason"] for row in left.values()).keys() == {"no_component", "not_sampled"}
    parts = {name: [row for row in chosen.values() if row["component"] == name] for name in ("books", "a")}
    assert abs(amount(parts["books"]) - 8_000) <= 100 and abs(amount(parts["a"]) - 12_000) <= 100
    everything = sum(row["text_bytes"] for row in (*chosen.values(), *left.values()) if row["component"] == "books")
    passes = 8_000 // everything
    assert {row["copies"] for row in parts["books"]} <= {passes, passes + 1} and {
        row["copies"] for row in parts["a"]
    } == {1}
    ledger = {
        (r["unit"], r["entry"], r["reason"]): r["amount"]
        for r in lake.read("ops.ledger").to_pylist()
        if r["stage"] == "mix"
    }
    assert ledger["bytes", "out", None] == amount([*chosen.values()])
    assert ledger["bytes", "transformed", "repeat"] == sum(
        (1 - r["copies"]) * r["text_bytes"] for r in chosen.values()
    )
    [books, second] = summary(lake, settings)
    assert (books.component, books.documents, books.bytes) == ("books", len(parts["books"]), amount(parts["books"]))
    assert books.wanted == 0.4 and books.got == pytest.approx(0.4, abs=0.01) and second.max_copies == 1
    assert books.rows == sum(row["copies"] for row in parts["books"])


def test_caps_bound_every_group_and_strata(lake: Lake) -> None:
    publish_corpus(lake, corpus())
    caps = [{"by": ["registered_domain"], "bytes": 4000}, {"by": ["language", "page_type"], "documents": 7}]
    chosen, left = selected(lake, config({"name": "all", "weight": 1, "caps": caps}))
    assert {row["cap"] for row in left.values()} == {"registered_domain", "language, page_type"}
    sizes: dict[Any, int] = defaultdict(int)
    for row in chosen.values():
        sizes[row["registered_domain"]] += row["text_bytes"]
    for row in left.values():
        sizes[row["registered_domain"]] += row["text_bytes"] if row["cap"] != "registered_domain" else 0
    assert set(sizes) == set(DOMAINS) and all(3600 < size <= 4000 for size in sizes.values())
    strata = Counter((row["language"], row["page_type"]) for row in chosen.values())
    assert len(strata) == 9 and set(strata.values()) == {7}


def test_strata_have_the_shares_of_their_components(tmp_path: Path) -> None:
    """A component for each, the narrower first; the same for any files."""
    strata = [
        {"name": "de-forums", "languages": ["de"], "page_types": ["forum"], "weight": 0.2},
        {"name": "de", "languages": ["de"], "weight": 0.3},
        {"name": "en", "languages": ["en"], "weight": 0.5},
    ]
    found = []
    for parts in (1, 5):
        lake = Lake.open(str(tmp_path / f"{parts}"))
        publish_corpus(lake, corpus(), parts)
        chosen, _ = selected(lake, config(*strata, unit="documents", size=200))
        drawn = Counter((row["language"], row["page_type"] == "forum", row["component"]) for row in chosen.values())
        assert drawn["de", True, "de-forums"] == 40 and drawn["de", False, "de"] == 60
        assert drawn["en", True, "en"] + drawn["en", False, "en"] == 100 and drawn.total() == 200
        found.append(chosen)
        chosen, _ = selected(lake, config(*strata, size=8_000))
        sizes: dict[str, int] = defaultdict(int)
        for row in chosen.values():
            sizes[row["component"]] += row["text_bytes"]
        wanted = {"de-forums": 1600, "de": 2400, "en": 4000}
        assert all(abs(sizes[name] - size) <= 100 for name, size in wanted.items())  # half of the longest document
    assert found[0] == found[1]


def test_a_document_over_a_cap_takes_nothing_from_the_others(lake: Lake) -> None:
    """The giant comes first of its domain for some of the seeds."""
    publish_corpus(lake, [{"text": "x" * size, "registered_domain": "a.test"} for size in (5000, 30, 30, 30)])
    cap = {"by": ["registered_domain"], "bytes": 70, "documents": 2}
    for seed in range(5):
        chosen, _ = selected(lake, config({"name": "all", "weight": 1, "caps": [cap]}, seed=seed))
        assert [row["text_bytes"] for row in chosen.values()] == [30, 30]


def test_the_same_for_any_files_another_for_another_seed(tmp_path: Path) -> None:
    documents, found = corpus(), []
    component = {"name": "all", "weight": 1, "caps": [{"by": ["crawl"], "documents": 150}]}
    for parts, seed in ((1, 0), (7, 0), (1, 1)):
        lake = Lake.open(str(tmp_path / f"{parts}-{seed}"))
        publish_corpus(lake, documents, parts)
        settings = config(component, size=9_000, seed=seed)
        found.append(selected(lake, settings))
    assert found[0] == found[1] and set(found[0][0]) != set(found[2][0])


def test_a_larger_mixture_holds_the_smaller(lake: Lake) -> None:
    publish_corpus(lake, corpus())

    def of_size(size: int, unit: str = "bytes") -> set[str]:
        return set(selected(lake, config({"name": "all", "weight": 1}, size=size, unit=unit))[0])

    assert of_size(1_000) < of_size(5_000) < of_size(20_000)
    assert len(of_size(17, "documents")) == 17


def test_a_hostile_source_is_a_text_like_any_other(lake: Lake) -> None:
    name = "it's'); drop table selected; --"
    publish_corpus(lake, [{"text": "one", "registered_domain": name}, {"text": "two"}])
    chosen, left = selected(lake, config({"name": "odd", "sources": [name], "weight": 1}))
    assert [row["text"] for row in chosen.values()] == ["one"] and len(left) == 1


def test_what_cannot_be_mixed_changes_nothing(lake: Lake) -> None:
    with pytest.raises(LakeError, match="no corpus yet: run `millpond curate` first"):
        mix(lake, config({"name": "all", "weight": 1}))
    publish_corpus(lake, corpus(50))
    before = lake.release()
    with pytest.raises(ConfigError, match=r"'all' is too small: 1 of 1,000,000 bytes is 1,000,000, and it has"):
        mix(lake, config({"name": "all", "weight": 1}, size=1_000_000))
    with pytest.raises(ConfigError, match="'none' has no documents"):
        mix(lake, config({"name": "all", "weight": 1}, {"name": "none", "weight": 1}))
    few = {"name": "few", "languages": ["de", "en"], "weight": 1}
    rest = {"name": "rest", "weight": 1e5, "max_repeats": 1000}
    with pytest.raises(ConfigError, match="'few' would have no document: its share of the mixture is less than half"):
        mix(lake, config(few, rest, size=100_000))
    assert lake.release() == before


def test_a_lost_row_is_noticed(lake: Lake) -> None:
    publish_corpus(lake, corpus())
    before = lake.files("ops.ledger")
    mix(lake, config({"name": "all", "weight": 1}, size=5_000))
    names = ("corpus.mixture", "corpus.mixture_rejects", "ops.ledger")
    new, inputs = ({name: lake.files(name) for name in each} for each in (names, ("corpus.documents",)))
    new["ops.ledger"] = [path for path in new["ops.ledger"] if path not in before]
    assert check(Batch("run", "mix", new, new, inputs)) > 5
    for lost, said in (
        ("corpus.mixture", "documents out"),
        ("corpus.mixture_rejects", "documents rejected not_sampled"),
    ):
        with pytest.raises(LedgerError, match=said):
            check(Batch("run", "mix", new | {lost: []}, new, inputs))


def test_the_command_shows_what_was_asked_for_and_got(lake: Lake, tmp_path: Path) -> None:
    publish_corpus(lake, corpus())
    path = tmp_path / "mix.toml"
    path.write_text("[[mix.components]]\nname = 'en'\nlanguages = ['en']\nweight = 1\n")
    ended = call("mix", "--config", path, "--lake", lake.root)
    assert ended.code == 0, ended.err
    assert "mix: release 2 (in 600, out" in ended.out and "wanted" in ended.out
    again = call("mix", "--config", path, "--lake", lake.root)
    assert again.code == 0 and "nothing to do" in again.out
    assert call("mix", "--lake", lake.root).code == 2
