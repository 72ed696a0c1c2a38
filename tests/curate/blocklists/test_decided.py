"""Blocklists through curation: rejected before all rules, foreseen, changed without reading a page, and explained."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from command import call

from millpond.curate.blocklists.blocked import hold_blocked, with_blocklists
from millpond.curate.config import CurateConfig
from millpond.curate.explain import explain
from millpond.curate.fields import InputFile
from millpond.curate.job import curate, recut
from millpond.curate.predict import predicted_rejects
from millpond.curate.presets import rules_for
from millpond.eval import sql
from millpond.ingest.config import IngestConfig
from millpond.ingest.job import ingest_files
from millpond.lake import Lake

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

PAGES = {
    "http://www.bad.test/a": "A page of a site in one of the lists, with enough words to be kept.",
    "http://notbad.test/": "A page of a site whose name ends in the same letters, with enough words.",
    "http://shared.test/~bad/": "A page of one user of a shared site, with enough words to be kept.",
    "http://shared.test/~good/": "A page of another user of the shared site, with enough words, too.",
    "http://both.test/": "A page that stands in both of the lists, with enough words to be kept.",
    "http://short.bad.test/": "Too few words.",
    "http://short.test/": "Too few.",
}
#: Columns of a reject that are known before.
FORESEEN = ("doc_id", "stage", "rule", "reason", "value", "threshold", "text_bytes")


def test_lists_decide_before_rules_and_can_be_changed(lake: Lake, tmp_path: Path, spark: SparkSession) -> None:
    pages, ads, more = (tmp_path / name for name in ("pages.jsonl", "ads.txt", "more.txt"))
    pages.write_text("".join(json.dumps({"url": url, "text": text}) + "\n" for url, text in PAGES.items()))
    ads.write_text("# sites\nBAD.test\nhttps://www.shared.test/~bad\nboth.test\n")
    more.write_text("both.test\n")
    ingest_files(lake, [str(pages)], IngestConfig.model_validate({"text": {"url_column": "url"}}))

    def config(**lists: Path) -> CurateConfig:
        rules = {"preset": "none", "thresholds": {"min_word_count": 5}}
        values: dict[str, Any] = {"rules": rules, "blocklists": {name: str(path) for name, path in lists.items()}}
        return CurateConfig.from_mapping(values, "test")

    def rejects() -> dict[str, str]:
        return {row["url"]: row["rule"] for row in lake.read("corpus.rejects").to_pylist()}

    def rejected() -> list[tuple[object, ...]]:
        return sorted(tuple(row.values()) for row in lake.read("corpus.rejects", FORESEEN).to_pylist())

    def foreseen(asked: CurateConfig) -> list[tuple[object, ...]]:
        with sql.connect(lake) as connection:
            hold_blocked(connection, "corpus.candidates", asked.blocklists)
            return sorted(sql.run(connection, predicted_rejects(rules_for(asked))).rows)

    outcome = curate(lake, config(zz=more, ads=ads))
    assert (outcome.counts["in"], outcome.counts["out"]) == (7, 2)
    assert rejects() == {
        "http://www.bad.test/a": "blocklist.ads",
        "http://shared.test/~bad/": "blocklist.ads",
        "http://both.test/": "blocklist.ads",
        "http://short.bad.test/": "blocklist.ads",
        "http://short.test/": "min_word_count",
    }
    assert None not in lake.read("corpus.candidates", ["text"])["text"].to_pylist(), "all are extracted"
    ledger = {
        (row["entry"], row["reason"]): row["amount"]
        for row in lake.read("ops.ledger").to_pylist()
        if row["stage"] == "curate" and row["unit"] == "documents"
    }
    assert ledger == {
        ("in", None): 7,
        ("out", None): 2,
        ("rejected", "blocklist"): 4,
        ("rejected", "gopher_quality"): 1,
    }
    ads_cost, more_cost, short, *_ = (cost for cost in explain(lake).costs if cost.stage == "filter")
    assert (ads_cost.rule, ads_cost.documents, ads_cost.fails, ads_cost.alone) == ("blocklist.ads", 4, 4, 3)
    assert (ads_cost.threshold, ads_cost.source, len(ads_cost.examples)) == (None, "ads.txt", 3)
    assert (more_cost.rule, more_cost.documents) == ("blocklist.zz", 0)
    assert (short.rule, short.documents, short.fails, short.alone) == ("min_word_count", 1, 2, 1)
    candidates, tight = lake.tables()["corpus.candidates"], lake.digest("corpus.documents")

    ads.write_text("short.test\n")  # another content is another run, of the same name
    changed = config(ads=ads, zz=more)
    predicted = foreseen(changed)
    assert not recut(lake, changed).unchanged and lake.tables()["corpus.candidates"] == candidates
    assert rejected() == predicted
    assert rejects() == {
        "http://short.test/": "blocklist.ads",
        "http://both.test/": "blocklist.zz",
        "http://short.bad.test/": "min_word_count",
    }
    assert lake.digest("corpus.documents") != tight

    recutting = ("curate", "recut", "--lake", lake.uri, "--set", f"blocklists.zz={json.dumps(str(ads))}")
    ended = call(*recutting, "--predict")
    assert ended.code == 1 and "ads.txt: has sha256" in ended.err and "give its path alone" in ended.err
    asked = (*recutting, "--set", f"blocklists.ads={json.dumps(str(ads))}")
    shown = json.loads(call(*asked, "--predict", "--output", "json").out)
    assert {(row["rule"], row["documents"], row["now"]) for row in shown} == {
        ("blocklist.ads", 1, 1),
        ("blocklist.zz", 0, 1),
        ("min_word_count", 1, 1),
    }
    query = call(*asked, "--sql").out
    assert query.startswith("/* without blocklist.ads, blocklist.zz, which `curate recut --predict` counts")
    [left] = json.loads(call("sql", query, "--lake", lake.uri, "--output", "json").out)[:1]
    assert (left["rule"], left["documents"]) == ("min_word_count", 2)


def test_any_partitions_give_the_same_lists(spark: SparkSession, tmp_path: Path) -> None:
    path = tmp_path / "list"
    path.write_text("".join(f"{n}.test\n" for n in range(0, 500, 3)))
    file = InputFile.model_validate(str(path))
    rows = spark.createDataFrame([(f"http://www.{n}.test/",) for n in range(500)], "url string")

    def held(partitions: int) -> dict[str, object]:
        return {
            row.url: row.blocklists for row in with_blocklists(rows.repartition(partitions), {"a": file}).collect()
        }

    assert held(1) == held(7) == {f"http://www.{n}.test/": [file.sha256] if n % 3 == 0 else None for n in range(500)}
