"""Incremental curation: only new pages are extracted, and what is published stays."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cluster import environment

from millpond import faults
from millpond.curate.config import CurateConfig
from millpond.curate.job import curate, recut
from millpond.errors import ConfigError, LakeError
from millpond.ingest.config import IngestConfig
from millpond.ingest.job import ingest_files
from millpond.lake import Lake
from millpond.publish import Mode, Run

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

INGEST = IngestConfig.model_validate({"text": {"url_column": "url"}})
CORPUS = ("corpus.candidates", "corpus.documents", "corpus.rejects", "corpus.duplicates")


def config(**settings: Any) -> CurateConfig:
    return CurateConfig.model_validate({"rules": {"preset": "none"}, "incremental": True, **settings})


def text(seed: int, words: int = 60) -> str:
    generator = random.Random(seed)
    return " ".join(f"word{generator.randrange(10_000)}" for _ in range(words)) + "."


#: Texts by URL: ten, then for each a near copy and for some an exact one, and two of their own.
OLD = {f"http://old.test/{n}": text(n) for n in range(10)}
NEW = {
    **{f"http://new.test/{n}": f"{told} Again." for n, told in enumerate(OLD.values())},
    **{f"http://new.test/same-{n}": text(n) for n in range(3)},
    **{f"http://new.test/own-{n}": text(100 + n) for n in range(2)},
}


def added(lake: Lake, folder: Path, name: str, pages: Mapping[str, str]) -> None:
    path = folder / f"{name}.jsonl"
    path.write_text("".join(json.dumps({"url": url, "text": told}) + "\n" for url, told in pages.items()))
    ingest_files(lake, [str(path)], INGEST)


def ids(lake: Lake, table: str = "corpus.documents") -> dict[str, str]:
    return {row["url"]: row["doc_id"] for row in lake.read(table, ["url", "doc_id"]).to_pylist()}


def state(lake: Lake) -> tuple[str, ...]:
    return tuple(lake.digest(table) for table in CORPUS)


def test_only_new_pages_are_extracted_and_what_is_published_stays(
    lake: Lake, tmp_path: Path, spark: SparkSession
) -> None:
    """Also where the first attempt is killed before its release: run again it ends the same."""
    clean, asked = Lake.open(str(tmp_path / "clean")), config()
    for each in (lake, clean):
        added(each, tmp_path, "old", OLD)
        assert curate(each, asked).counts["out"] == len(OLD), "a first run extracts everything"
        added(each, tmp_path, "new", NEW)
    first, old = lake.files("corpus.candidates"), ids(lake)
    settings = ("--set", "rules.preset=none", "--set", "incremental=true")
    killed(["curate", "--lake", lake.uri, *settings], tmp_path / "fired", "before-release")
    assert lake.files("corpus.candidates") == first, "readers see none of it"

    outcome = curate(lake, asked)
    assert (outcome.counts["in"], outcome.counts["out"]) == (len(OLD) + len(NEW), len(OLD) + 2)
    files = {file.file_path: file.record_count for file in lake.data_files("corpus.candidates")}
    assert set(first) < files.keys()
    assert sum(files[path] for path in files.keys() - set(first)) == len(NEW), "and no old page again"

    kept, candidates = ids(lake), ids(lake, "corpus.candidates")
    assert old.items() <= kept.items() and kept.keys() - old.keys() == {url for url in NEW if "own" in url}
    copies = {row["doc_id"]: row for row in lake.read("corpus.duplicates").to_pylist()}
    for url in NEW.keys() - kept.keys():
        number = url.rsplit("/", 1)[1].removeprefix("same-")
        copy = copies[candidates[url]]
        assert copy["keeper_id"] == old[f"http://old.test/{number}"]
        assert copy["kind"] == ("exact" if "same" in url else "near")
    assert sum(copy["doc_id"] < copy["keeper_id"] for copy in copies.values()) >= 3
    assert curate(lake, asked).unchanged

    curate(clean, asked)
    assert state(clean) == state(lake)
    assert not recut(clean, config(dedup={"threshold": 0.8})).unchanged
    assert ids(clean) == kept, "a recut keeps what is published, too"
    recut(clean, config(incremental=False))
    assert len(ids(clean)) == len(kept) and ids(clean) != kept, "without `incremental` the smaller ids stay"

    release = lake.release()
    with pytest.raises(ConfigError, match=r"dedup\.ngram was 5 and is 6"):
        curate(lake, config(dedup={"ngram": 6}))
    assert lake.release() == release


def killed(command: list[str], fired: Path, point: str) -> None:
    """Run a command that is killed, with all it started, at a point of its publishing."""
    ended = subprocess.run(
        [sys.executable, "-m", "millpond", *command],
        env={**environment(), "MILLPOND_FAULT": f"{point}:kill", "MILLPOND_FAULT_LOG": str(fired)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        start_new_session=True,
        check=False,
    )
    assert ended.returncode == -signal.SIGKILL and fired.read_text().split() == [point], ended.stderr


def test_what_another_run_publishes_meanwhile_is_what_stays(
    lake: Lake, tmp_path: Path, spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A recut drops a published document while copies of it come in: it is published no more, so the first id wins."""
    added(lake, tmp_path, "old", {"http://old.test/0": text(0, words=30), "http://old.test/1": text(1)})
    curate(lake, config())
    old = ids(lake)
    added(lake, tmp_path, "new", {f"http://new.test/{n}": text(n % 2, words=30 + n % 2 * 30) for n in range(12)})
    left: list[str] = []

    def meanwhile(point: str) -> None:
        if point == "before-main" and not left:
            left.append(point)
            recut(lake, config(incremental=False, rules={"preset": "none", "thresholds": {"min_word_count": 40}}))
            left.extend(ids(lake))

    monkeypatch.setattr(faults, "point", meanwhile)
    outcome = curate(lake, config())
    assert left == ["before-main", "http://old.test/1"] and not outcome.unchanged
    kept = {row["text"]: row["doc_id"] for row in lake.read("corpus.documents").to_pylist()}
    holders = lake.read("corpus.candidates", ["doc_id", "text"]).to_pylist()
    first = {told: min(row["doc_id"] for row in holders if row["text"] == told) for told in kept}
    assert len(holders) == 14 and len(kept) == 2 and not set(old.values()) & set(first.values())
    assert kept == {text(0, words=30): first[text(0, words=30)], text(1): old["http://old.test/1"]}

    pages = lake.read("web.pages").to_pylist()
    fewer = Run(lake, "ingest", IngestConfig(), {})
    fewer.stage_rows("web.pages", pages[1:], Mode.REPLACE)
    fewer.publish(lambda batch: [])
    with pytest.raises(LakeError, match=f"{pages[0]['page_id']} has a candidate and is none of the pages of this run"):
        curate(lake, config())
    assert curate(lake, config(incremental=False)).counts["in"] == 13
