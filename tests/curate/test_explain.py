"""What each rule cost, and where the time went, of a small corpus that can be counted by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from mixtures import publish_corpus

from millpond.compact import CompactConfig, compact
from millpond.curate.config import CurateConfig
from millpond.curate.explain import _times, explain
from millpond.curate.job import curate, recut
from millpond.curate.times import SLOWEST, Times
from millpond.errors import LakeError
from millpond.ingest.config import IngestConfig
from millpond.ingest.job import ingest_files
from millpond.lake import Lake

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

TEXTS = (
    "The river leaves its banks in spring and the meadows are under water.",
    "The river leaves its banks in spring and the meadows are under water.",
    "Too few words.",
    "Few too, # # # # # # #",
    "A text with # # # # # # # # # many signs in it that no one wanted to read at all.",
)


def test_what_each_rule_dropped(lake: Lake, tmp_path: Path, spark: SparkSession) -> None:
    with pytest.raises(LakeError, match="no corpus yet: run `millpond curate` first"):
        explain(lake)
    path = tmp_path / "pages.jsonl"
    rows = [{"url": f"http://h.test/{n}", "text": text} for n, text in enumerate(TEXTS)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    ingest_files(lake, [str(path)], IngestConfig.model_validate({"text": {"url_column": "url"}}))
    thresholds = {"min_word_count": 5, "max_hash_word_ratio": 0.1, "max_word_count": 1000}
    settings: dict[str, Any] = {"rules": {"preset": "none", "thresholds": thresholds}}
    curate(lake, CurateConfig.model_validate(settings))

    found = explain(lake, examples=1)
    assert (found.candidates, found.documents, found.token_bytes) == (5, 1, 4.0)
    costs = {(cost.stage, cost.rule): cost for cost in found.costs}
    few, signs = costs["filter", "min_word_count"], costs["filter", "max_hash_word_ratio"]
    assert (few.documents, few.fails, few.alone) == (2, 2, 1)
    assert (signs.documents, signs.fails, signs.alone) == (1, 2, 1)
    assert (few.share, few.bytes, few.threshold) == (0.4, len(TEXTS[2]) + len(TEXTS[3]), 5)
    assert few.tokens == round(few.bytes / 4) and few.source
    unused = costs["filter", "max_word_count"]
    assert (unused.documents, unused.fails, unused.examples) == (0, 0, ())
    [example] = signs.examples
    assert (example.url, example.text) == ("http://h.test/4", TEXTS[4]) and (example.value or 0) > 0.1
    exact = costs["dedup", "exact"]
    assert (exact.documents, exact.fails, exact.words) == (1, None, 13)

    times = found.times
    assert times is not None and times.pages == 5
    assert set(times.seconds) == {
        *("extract", "normalise", "isolation", "language", "signals", "personal data", "MinHash"),
    }
    assert all(seconds >= 0 for seconds in times.seconds.values())
    assert {url for _, url in times.slowest} == {f"http://h.test/{n}" for n in range(5)}
    assert list(found.stages) == ["extract", "decide", "audit"] and found.stages == times.stages
    assert all(seconds > 0 for seconds in found.stages.values())

    quiz = tmp_path / "quiz.jsonl"
    quiz.write_text(json.dumps({"question": TEXTS[4]}) + "\n" + json.dumps({"question": TEXTS[0]}) + "\n")
    config = CurateConfig.model_validate(
        {**settings, "rules": {"preset": "none"}, "decontaminate": {"sets": {"quiz": [str(quiz)]}, "ngram": 8}}
    )
    recut(lake, config)
    again = explain(lake)
    held = {(cost.stage, cost.rule): cost.documents for cost in again.costs}
    assert held["decontaminate", "decontaminate.quiz"] == 3
    assert list(again.stages) == ["decide", "audit"], "what was recut was not extracted"
    assert again.times is not None and vars(again.times) == vars(times)


def test_times_are_those_of_the_run_that_made_the_rows(lake: Lake) -> None:
    publish_corpus(lake, [{"text": f"text {n}"} for n in range(4)], parts=2)
    made = lake.release()
    assert made is not None and _times(lake, made) is None
    times = Times()
    times.page("http://h.test/", 1.0)
    times.write(lake.run_folder(made.run_id))
    assert compact(lake, CompactConfig(), lambda batch: [])[0] is not None
    compacted = lake.release()
    assert compacted is not None and compacted.tables["corpus.candidates"] != made.tables["corpus.candidates"]
    found = _times(lake, compacted)
    assert found is not None and found.pages == 1


def test_the_slowest_pages_of_all_tasks_are_kept(tmp_path: Path) -> None:
    whole = Times()
    for task in range(3):
        part = Times()
        for n in range(30):
            part.page(f"{task}-{n}", n + task / 10)
        part.add("extract", 2.0)
        whole.merge(part.note().to_pylist())
    with whole.stage("extract"):
        pass
    whole.write(tmp_path / "run")
    found = Times.read(tmp_path / "run")
    assert found is not None and vars(found) == vars(whole) and list(found.stages) == ["extract"]
    assert (found.pages, found.seconds) == (90, {"extract": 6.0})
    assert len(found.slowest) == SLOWEST and found.slowest[:2] == [(29.2, "2-29"), (29.1, "1-29")]
    assert Times.read(tmp_path) is None
