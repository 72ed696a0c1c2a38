"""Documents that hold evaluation texts: planted examples are found and named, whatever the partitions."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from millpond.curate.config import CurateConfig, DecontaminateConfig
from millpond.curate.decontaminate import held_examples, rejected
from millpond.curate.dedup.scratch import Scratch
from millpond.curate.job import curate, recut
from millpond.curate.signals.words import content_words
from millpond.errors import InputError, LedgerError
from millpond.ingest.config import IngestConfig
from millpond.ingest.job import ingest_files
from millpond.lake import Lake
from millpond.publish import Batch
from millpond.quality.balance import check

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

TABLES = ("candidates", "documents", "rejects", "duplicates", "contamination")
FILLER = "The weather over the valley stayed as it was, and page {} of the chronicle says nothing else about it."
PHRASE = "in no event shall the authors be liable for any claim damages or other liability arising from this"


@dataclass(frozen=True)
class Planted:
    """Documents, and which examples of which sets they hold."""

    sets: dict[str, str]
    """Name → file."""
    texts: dict[str, str]
    held: dict[tuple[str, str], tuple[int, str | None, str]]
    """(document, set) → number, id and text of the example."""


def _lines(path: Path, rows: list[dict[str, Any]]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


@pytest.fixture
def planted(test_data: Path, tmp_path: Path) -> Planted:
    def examples(name: str, column: str) -> list[str]:
        lines = (test_data / "eval" / f"{name}.a.jsonl").read_text().splitlines()
        texts = (json.loads(line)[column] for line in lines)
        return list(islice((text for text in texts if 20 <= len(content_words(text)) <= 60), 5))

    piqa, lambada = examples("piqa", "query"), examples("lambada_openai", "context")
    sets = {
        "piqa": _lines(tmp_path / "piqa.jsonl", [{"query": text} for text in piqa]),
        "lambada": _lines(
            tmp_path / "lambada.jsonl", [{"id": f"l{n}", "text": text} for n, text in enumerate(lambada)]
        ),
        "legal": _lines(tmp_path / "legal.jsonl", [{"text": PHRASE}]),
    }
    filler = FILLER.format("ninety")
    near_miss = " ".join(word if n % 12 else "otherwise" for n, word in enumerate(content_words(lambada[2])))
    texts = {
        "verbatim": f"{filler} {piqa[0]} And so on.",
        "other-form": f"{filler}\n" + "\n".join(lambada[1].upper().replace(",", " ;").split()),
        "two-sets": f"{lambada[3]} {filler} {piqa[1]}",
        "near-miss": f"{filler} {near_miss}",
        "clean": filler,
        **{f"licence-{n}": f"{FILLER.format(n)} Permission number {n}: {PHRASE} software." for n in range(5)},
    }
    # Copies of a document are one document: what only they share is not commonplace.
    texts |= {f"copy-{n}": texts["verbatim"] for n in range(6)}
    held = {
        ("other-form", "lambada"): (2, "l1", lambada[1]),
        ("two-sets", "piqa"): (2, None, piqa[1]),
        ("two-sets", "lambada"): (4, "l3", lambada[3]),
        **{(name, "piqa"): (1, None, piqa[0]) for name in ("verbatim", *(f"copy-{n}" for n in range(6)))},
    }
    return Planted(sets, texts, held)


def test_rows_are_the_same_for_any_partitions_and_commonplace_text_counts_for_nothing(
    planted: Planted, spark: SparkSession, tmp_path: Path
) -> None:
    rows = [
        (name, f"http://h.test/{name}", hashlib.sha256(text.encode()).hexdigest(), text)
        for name, text in planted.texts.items()
    ]
    documents = spark.createDataFrame(rows, "doc_id string, url string, text_digest string, text string")
    kept = documents.selectExpr(
        "doc_id", "'filter' stage", "cast(null as string) rule", "cast(null as string) reason",
        "cast(null as double) value", "cast(null as double) threshold",
    )  # fmt: skip

    def found(partitions: int, **settings: Any) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        config = DecontaminateConfig.model_validate({"sets": planted.sets, "max_documents": 4} | settings)
        with Scratch(tmp_path / "scratch") as scratch:
            held = held_examples(documents.repartition(partitions), config, scratch)
            gone = rejected(kept, held, config).where("rule is not null").collect()
            rows = [row.asDict() for row in held.orderBy("doc_id", "benchmark", "example").collect()]
        return rows, {row.doc_id: row for row in gone}

    held, gone = found(1)
    assert found(2) == found(7) == (held, gone)
    assert {(row["doc_id"], row["benchmark"]) for row in held} == set(planted.held)
    for row in held:
        number, own, text = planted.held[row["doc_id"], row["benchmark"]]
        words = content_words(text)
        assert (row["example"], row["example_id"], row["share"]) == (number, own, 1.0)
        assert row["ngrams"] == len({tuple(words[n : n + 13]) for n in range(len(words) - 12)})
        assert row["first_ngram"] == " ".join(words[:13])
    by_set = {row["benchmark"]: row["ngrams"] for row in held if row["doc_id"] == "two-sets"}
    verdict = gone["two-sets"]
    assert (verdict.stage, verdict.rule) == ("decontaminate", f"decontaminate.{max(by_set, key=lambda s: by_set[s])}")
    assert (verdict.reason, verdict.value, verdict.threshold) == ("contaminated", sum(by_set.values()), 0)
    assert set(gone) == {document for document, _ in planted.held}

    # A phrase of five documents counts where five are no commonplace.
    more, gone = found(2, max_documents=5, max_ngrams=6)
    assert {row["doc_id"] for row in more if row["benchmark"] == "legal"} == {f"licence-{n}" for n in range(5)}
    assert len(more) == len(held) + 5 and not any(document.startswith("licence") for document in gone)
    report = DecontaminateConfig.model_validate({"sets": planted.sets, "reject": False})
    assert rejected(kept, documents, report) is kept


def test_a_curated_corpus_has_none_and_says_what_it_lost(lake: Lake, planted: Planted, tmp_path: Path) -> None:
    rows = [{"url": f"http://h.test/{name}", "text": text} for name, text in planted.texts.items()]
    parts = [_lines(tmp_path / f"part-{n}.jsonl", rows[n::3]) for n in range(3)]
    ingest_files(lake, parts, IngestConfig.model_validate({"text": {"url_column": "url"}}))

    def config(**settings: Any) -> CurateConfig:
        chosen = {"max_documents": 4, "sets": planted.sets} | settings
        return CurateConfig.model_validate(
            {"rules": {"preset": "none"}, "dedup": {"near": False}, "decontaminate": chosen}
        )

    before = lake.files("ops.ledger")
    counts = curate(lake, config()).counts
    # Copies are rejected, too: decontamination comes before deduplication.
    assert (counts["in"], counts["out"], counts["rejected contaminated"]) == (16, 7, 9)
    names = {row["doc_id"]: row["url"].rpartition("/")[2] for row in lake.read("corpus.candidates").to_pylist()}
    gone = {names[row["doc_id"]] for row in lake.read("corpus.rejects").to_pylist()}

    def listed() -> list[dict[str, Any]]:
        rows = lake.read("corpus.contamination")  # in the order of its files, which have random names
        order = [(name, "ascending") for name in ("doc_id", "benchmark", "example")]
        found: list[dict[str, Any]] = rows.sort_by(order).to_pylist()
        return found

    held = listed()
    assert {(names[row["doc_id"]], row["benchmark"]) for row in held} == set(planted.held)
    assert gone == {name for name, _ in planted.held}
    new = {f"corpus.{name}": lake.files(f"corpus.{name}") for name in TABLES}
    new["ops.ledger"] = [path for path in lake.files("ops.ledger") if path not in before]
    inputs = {"web.pages": lake.files("web.pages")}
    assert check(Batch("run", "curate", new, new, inputs)) > 10
    with pytest.raises(LedgerError, match="is said to hold an example, and none is named"):
        check(Batch("run", "curate", new | {"corpus.contamination": []}, new, inputs))
    assert curate(lake, config()).unchanged
    # Deciding again needs no page: without sets nothing is known of any, with them the same as before.
    assert recut(lake, config(sets={})).counts["duplicate exact"] == 6
    assert lake.read("corpus.contamination").num_rows == 0
    assert recut(lake, config()).counts["rejected contaminated"] == 9
    assert listed() == held
    changed = config()
    Path(planted.sets["piqa"]).write_text('{"query": "another"}\n')
    with pytest.raises(InputError, match=r"piqa.jsonl: has sha256"):
        curate(lake, changed)
