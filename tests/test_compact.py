"""Compaction: other files, the same rows, and nothing that was made of them is made again."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from command import call
from mixtures import publish_corpus
from publisher import audit, publish_one

from millpond import compact as module
from millpond.compact import CompactConfig, compact
from millpond.curate.export.job import Choice, export_corpus
from millpond.curate.mix.config import MixConfig
from millpond.curate.mix.job import mix
from millpond.datafile import write_rows
from millpond.errors import ConflictError, LakeError
from millpond.lake import Lake
from millpond.publish import Batch, Mode
from millpond.quality.gate import gate

TABLES = ("corpus.documents", "corpus.candidates", "web.rejects", "web.frontier")


@pytest.fixture
def scattered(lake: Lake) -> Lake:
    """A corpus in seven files, and two tables with a file of each of five runs."""
    publish_corpus(lake, [{"text": f"text {n} " * n, "source_offset": n} for n in range(1, 300)], parts=7)
    for number in range(5):
        publish_one(lake, "a", number, Mode.APPEND)
    return lake


def test_the_same_rows_in_few_sorted_files(scattered: Lake, tmp_path: Path) -> None:
    lake = scattered
    settings = MixConfig.model_validate({"components": [{"name": "all", "weight": 1}]})
    assert not mix(lake, settings).unchanged
    before = {table: (lake.digest(table), len(lake.files(table))) for table in TABLES}
    assert [files for _, files in before.values()] == [7, 7, 5, 5]
    at = lake.tables()

    outcome, done = compact(lake, CompactConfig(), gate(lake))
    assert outcome is not None and {each.table: each.files_after for each in done} == dict.fromkeys(TABLES, 1)
    assert outcome.counts == {"in": 299 * 2 + 10, "out": 299 * 2 + 10}
    for table, (digest, _) in before.items():
        assert lake.digest(table) == digest and len(lake.files(table)) == 1
        assert lake.tables()[table] != at[table] and lake.origin(table, lake.tables()[table]) == at[table]
    [path] = lake.files("corpus.documents")
    ids = pq.read_table(path)["doc_id"].to_pylist()
    assert ids == sorted(ids)
    assert compact(lake, CompactConfig(), gate(lake)) == (None, [])

    # What was made of the rows is still of them.
    assert mix(lake, settings).unchanged
    export_corpus(lake, tmp_path / "out", Choice(mixture=True))
    assert "curated by run `curate-" in (tmp_path / "out" / "README.md").read_text()
    # A corpus that is another is another.
    publish_corpus(lake, [{"text": "one"}], parts=1)
    assert lake.origin("corpus.documents", lake.tables()["corpus.documents"]) not in at.values()
    assert not mix(lake, settings).unchanged


def test_files_of_the_target_size_hold_ranges_that_do_not_overlap(
    scattered: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("millpond.datafile.ROW_GROUP_BYTES", 1)  # or so few rows were one group of one file
    monkeypatch.setattr(module, "_BATCH", 10)
    [path] = [Path(path) for path in sorted(scattered.files("corpus.documents"))[:1]]
    target = path.stat().st_size // 3
    _, [done] = compact(
        scattered, CompactConfig(tables=("corpus.documents",), target_bytes=target * 10), gate(scattered)
    )
    assert done.files_after > 1
    ranges = sorted(
        (min(ids), max(ids))
        for ids in (pq.read_table(path)["doc_id"].to_pylist() for path in scattered.files("corpus.documents"))
    )
    assert all(low < high for low, high in ranges) and all(first[1] < second[0] for first, second in pairwise(ranges))


def test_other_rows_are_refused(scattered: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    before = scattered.release()
    row = {"doc_id": "0", "url": "u", "text": "t", "text_digest": "0", "cluster_id": "0", "rules": "0"}
    folder = Path(scattered.data_folder("corpus.documents"))
    monkeypatch.setattr(module, "_rewritten", lambda *_: write_rows("corpus.documents", folder, [row]))
    with pytest.raises(LakeError, match=r"corpus.documents: compaction gives rows of digest \w+, and they had \w+"):
        compact(scattered, CompactConfig(tables=("corpus.documents",)), audit)
    with pytest.raises(LakeError, match=r"ops.runs cannot be compacted; there are: corpus.candidates, "):
        compact(scattered, CompactConfig(tables=("ops.runs",)), audit)
    assert scattered.release() == before


def test_what_is_published_meanwhile_is_not_lost(scattered: Lake) -> None:
    """The other publisher comes between the audit of the compacted files and their release."""

    def audited(batch: Batch) -> list[dict[str, object]]:
        publish_one(scattered, "b", 1, Mode.APPEND)
        return audit(batch)

    with pytest.raises(ConflictError, match="was published to while it was compacted"):
        compact(scattered, CompactConfig(tables=("web.rejects",)), audited)
    assert scattered.rows("web.rejects") == 6
    assert compact(scattered, CompactConfig(tables=("web.rejects",)), audit)[0] is not None
    assert scattered.rows("web.rejects") == 6 and len(scattered.files("web.rejects")) == 1


def test_the_command(scattered: Lake) -> None:
    ended = call("compact", "web.rejects", "--lake", scattered.root)
    assert ended.code == 0 and "web.rejects" in ended.out, ended.err
    assert "nothing to do" in call("compact", "web.rejects", "--lake", scattered.root).out
    assert call("compact", "no.table", "--lake", scattered.root).code == 1
