"""Documents that hold evaluation texts: planted examples are found and named, whatever the partitions."""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from millpond.curate.config import CurateConfig
from millpond.curate.dedup.shingles import words_of
from millpond.curate.job import curate
from millpond.errors import InputError
from millpond.ingest.config import IngestConfig
from millpond.ingest.job import ingest_files
from millpond.lake import Lake

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

FILLER = "The weather over the valley stayed as it was, and page {} of the chronicle says nothing else about it."
PHRASE = "in no event shall the authors be liable for any claim damages or other liability arising from this"


def _lines(path: Path, rows: list[dict[str, Any]]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def test_planted_examples_are_rejected_and_named(
    lake: Lake, tmp_path: Path, test_data: Path, spark: SparkSession
) -> None:
    def examples(name: str, column: str) -> list[str]:
        lines = (test_data / "eval" / f"{name}.a.jsonl").read_text().splitlines()
        texts = (json.loads(line)[column] for line in lines)
        return list(islice((text for text in texts if 20 <= len(words_of(text)) <= 60), 5))

    piqa, lambada = examples("piqa", "query"), examples("lambada_openai", "context")
    near_miss = " ".join(word if n % 12 else "otherwise" for n, word in enumerate(words_of(lambada[2])))
    sets = {
        "piqa": _lines(tmp_path / "piqa.jsonl", [{"query": text} for text in piqa]),
        "lambada": _lines(
            tmp_path / "lambada.jsonl", [{"id": f"l{n}", "text": text} for n, text in enumerate(lambada)]
        ),
        "legal": _lines(tmp_path / "legal.jsonl", [{"text": PHRASE}]),
    }
    texts = {
        "verbatim": f"{FILLER} {piqa[0]} And so on.",
        "other-form": f"{FILLER}\n" + "\n".join(lambada[1].upper().replace(",", " ;").split()),
        "two-sets": f"{lambada[3]} {FILLER} {piqa[1]}",
        "near-miss": f"{FILLER} {near_miss}",
        "clean": FILLER,
        **{f"licence-{n}": f"{FILLER} Permission number {n}: {PHRASE} software." for n in range(5)},
    }
    rows = [{"url": f"http://h.test/{name}", "text": text.format(n)} for n, (name, text) in enumerate(texts.items())]
    # Copies of a document are one document: what only they share is not commonplace.
    rows += [{"url": f"http://copy.test/{n}", "text": rows[0]["text"]} for n in range(6)]
    parts = [_lines(tmp_path / f"part-{n}.jsonl", rows[n::7]) for n in range(7)]
    ingest_files(lake, parts, IngestConfig.model_validate({"text": {"url_column": "url"}}))

    def run(**settings: Any) -> Mapping[str, int]:
        chosen = {"max_documents": 4, "sets": sets} | settings
        rules = {"rules": {"preset": "none"}, "dedup": {"near": False}}
        return curate(lake, CurateConfig.model_validate({**rules, "decontaminate": chosen})).counts

    digests = set()
    before = spark.conf.get("spark.sql.shuffle.partitions")
    try:
        for partitions in (1, 2, 7):
            spark.conf.set("spark.sql.shuffle.partitions", str(partitions))
            spark.conf.set("spark.sql.files.maxPartitionBytes", str(1 << 30 if partitions == 1 else 4096))
            # A set that nothing is found of gives another run, so that it is really done again.
            other = {"none": _lines(tmp_path / "none.jsonl", [{"text": f"nowhere {partitions}"}])}
            counts = run(sets={**sets, **other})
            digests.add(tuple(lake.digest(f"corpus.{name}") for name in ("documents", "rejects", "contamination")))
    finally:
        spark.conf.set("spark.sql.shuffle.partitions", str(before))
        spark.conf.unset("spark.sql.files.maxPartitionBytes")
    assert len(digests) == 1
    assert (counts["in"], counts["out"], counts["rejected contaminated"]) == (16, 7, 9)

    names = {row["doc_id"]: row["url"] for row in lake.read("corpus.candidates").to_pylist()}
    rejects = {names[row["doc_id"]].rpartition("/")[2]: row for row in lake.read("corpus.rejects").to_pylist()}
    assert set(rejects) == {"verbatim", "other-form", "two-sets", *map(str, range(6))}
    held = {
        (row["url"].rpartition("/")[2], row["benchmark"]): row for row in lake.read("corpus.contamination").to_pylist()
    }
    whole = {
        ("verbatim", "piqa"): (1, None, piqa[0]),
        ("other-form", "lambada"): (2, "l1", lambada[1]),
        ("two-sets", "piqa"): (2, None, piqa[1]),
        ("two-sets", "lambada"): (4, "l3", lambada[3]),
        **{(str(n), "piqa"): (1, None, piqa[0]) for n in range(6)},
    }
    assert set(held) == set(whole)
    for key, (number, own, text) in whole.items():
        row, words = held[key], words_of(text)
        assert (row["example"], row["example_id"], row["share"]) == (number, own, 1.0)
        assert row["ngrams"] == len({tuple(words[n : n + 13]) for n in range(len(words) - 12)})
        assert row["first_ngram"] == " ".join(words[:13])
    row = rejects["two-sets"]
    most = max(("piqa", "lambada"), key=lambda name: int(held["two-sets", name]["ngrams"]))
    assert (row["stage"], row["rule"], row["threshold"]) == ("decontaminate", f"decontaminate.{most}", 0)
    assert row["value"] == held["two-sets", "piqa"]["ngrams"] + held["two-sets", "lambada"]["ngrams"]

    # Under a higher bound the phrase of five licences counts; a report rejects none of its documents.
    assert run(max_documents=5)["rejected contaminated"] == 14
    assert lake.read("corpus.contamination").num_rows == 15
    assert "rejected contaminated" not in run(reject=False)
    assert lake.read("corpus.contamination").num_rows == 10
    # Without sets nothing is known of any.
    assert run(sets={})["out"] == 10 and lake.read("corpus.contamination").num_rows == 0
    (tmp_path / "piqa.jsonl").write_text("no JSON\n")
    with pytest.raises(InputError, match=r"piqa.jsonl: line 1 is no JSON"):
        run()
