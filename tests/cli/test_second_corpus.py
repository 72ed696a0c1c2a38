"""A lake that was compacted, and whose corpus was made again, after a model was trained: the old run keeps its shards,
pages and numbers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from archives import gold_pages, write_warc
from command import RUN, Ended, call

from millpond.lake import Lake

FIRST, SECOND = "first", "second"


def answer(ended: Ended) -> Any:
    assert ended.code == 0, ended.err
    return json.loads(ended.out)


def ask(lake: Lake, query: str) -> list[dict[str, Any]]:
    return list(answer(call("sql", query, "--lake", lake.uri, "--output", "json")))


def trace(lake: Lake, step: int, run: str) -> list[dict[str, Any]]:
    return list(answer(call("trace", step, "--run", run, "--lake", lake.uri, "--output", "json")))


@pytest.fixture(scope="module")
def story(test_data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Lake, Path, list[dict[str, Any]]]:
    """Two runs on two tokenizations of one corpus, and what step 2 of the first saw before there was a second."""
    folder = tmp_path_factory.mktemp("second corpus")
    warc = write_warc(folder / "gold.warc.gz", islice(gold_pages(test_data / "html_gold"), 20))
    config = folder / "run.toml"
    config.write_text(RUN.format(warc=warc) + '[curate.extract]\nextractor = "resiliparse"\n')

    def run(name: str, vocabulary: int) -> None:
        chosen = ("--set", f"train.run={name}", "--set", f"tokenize.vocab_size={vocabulary}")
        ended = call("run", config, "--lake", folder / "lake", *chosen, "--set", "run.report=false")
        assert ended.code == 0, ended.err

    run(FIRST, 512)
    lake = Lake.open(str(folder / "lake"))
    before = trace(lake, 2, FIRST)
    with pytest.MonkeyPatch.context() as patched:  # tables of one file, too
        patched.setattr("millpond.compact._has_small_files", lambda lake, *at: bool(lake.files(*at[:2])))
        compacted = answer(call("compact", "--lake", lake.uri, "--output", "json"))
    assert {table["table"] for table in compacted["tables"]} >= {"web.pages", "corpus.documents", "tokens.shards"}
    again = call("run", config, "--lake", lake.uri, "--set", f"train.run={FIRST}", "--output", "json")
    assert {stage["stage"] for stage in answer(again)["stages"] if not stage["unchanged"]} == set()
    run(SECOND, 400)
    return lake, config, before


def test_a_step_is_traced_to_the_pages_it_saw_whatever_was_made_since(
    story: tuple[Lake, Path, list[dict[str, Any]]],
) -> None:
    lake, _, before = story
    assert trace(lake, 2, FIRST) == before
    assert {piece["position"] for piece in before} == set(range(8)) and all(piece["url"] for piece in before)
    assert sum(piece["length"] for piece in before) <= 8 * 64
    shards = {row["shard"] for row in ask(lake, f"select shard from train.batches where run = '{FIRST}'")}
    newest = {row["shard"] for row in ask(lake, "select shard from tokens.shards")}
    assert shards and not shards & newest, "the names of two tokenizations must not meet"
    second = trace(lake, 2, SECOND)
    assert all(piece["url"] for piece in second) and second != before


def test_no_such_step_or_run(story: tuple[Lake, Path, list[dict[str, Any]]]) -> None:
    lake, _, _ = story
    ended = call("trace", 99, "--run", FIRST, "--lake", lake.uri)
    assert (ended.code, ended.err) == (1, "error: run first has no step 99: its steps go from 1 to 6\n")
    ended = call("trace", 1, "--run", "third", "--lake", lake.uri)
    assert (ended.code, ended.err) == (1, "error: no training run 'third'; there are: first, second\n")


def test_an_old_run_is_evaluated_on_its_own_shards_again_and_again(
    story: tuple[Lake, Path, list[dict[str, Any]]],
) -> None:
    lake, config, _ = story
    measured = "select step, metric, value from eval.results where run = 'first' and task = 'validation' order by all"
    before = ask(lake, measured)
    again = ("eval", "--run", FIRST, "--lake", lake.uri, "--config", config, "--output", "json")
    assert answer(call(*again))["unchanged"]
    assert not answer(call(*again, "--set", "prompt=Once ", "--set", "batch_rows=4"))["unchanged"]
    assert [(row["step"], row["metric"]) for row in ask(lake, measured)] == [(r["step"], r["metric"]) for r in before]
    prompts = ask(lake, "select sample from eval.samples where run = 'first' order by 1")
    assert [row["sample"] for row in prompts] == ["Once ", "The "]
    assert not answer(call(*again, "--set", "split=train"))["unchanged"]
    tasks = ask(lake, "select distinct task from eval.results where run = 'first' and metric = 'loss' order by 1")
    assert [row["task"] for row in tasks] == ["train", "validation", "validation_in_training"]


def test_a_file_evaluates_and_reports_the_run_it_trains(story: tuple[Lake, Path, list[dict[str, Any]]]) -> None:
    lake, config, _ = story
    ended = call("run", config, "--lake", lake.uri, "--set", "train.run=first", "--set", "eval.seed=7")
    assert ended.code == 0, ended.err
    newest = ask(
        lake, "select config, inputs from ops.runs join ops.releases using (run_id) order by release desc limit 1"
    )
    assert json.loads(newest[0]["inputs"])["run"] == FIRST
    assert "Run first:" in (lake.root / "report.html").read_text()


def test_a_tokenization_published_while_a_run_trains_is_not_taken_for_its_own(
    story: tuple[Lake, Path, list[dict[str, Any]]], tmp_path: Path
) -> None:
    lake, config, _ = story
    fired, go = tmp_path / "fired", tmp_path / "go"
    fault = {"MILLPOND_FAULT": "before-data:pause", "MILLPOND_FAULT_LOG": str(fired), "MILLPOND_FAULT_GO": str(go)}
    command = [sys.executable, "-m", "millpond", "train", "--lake", lake.uri, "--config", str(config)]
    with subprocess.Popen([*command, "--set", "run=third"], env={**os.environ, **fault}, text=True) as training:
        while not fired.exists():
            assert training.poll() is None
            time.sleep(0.05)
        between = call("tokenize", "--lake", lake.uri, "--config", config, "--set", "vocab_size=450")
        go.touch()
    assert between.code == training.returncode == 0
    pieces = trace(lake, 1, "third")
    assert pieces and all(piece["url"] for piece in pieces)
    assert not answer(call("eval", "--lake", lake.uri, "--config", config, "--output", "json"))["unchanged"]
