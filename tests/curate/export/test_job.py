"""An exported corpus: the rows of the lake, in shards of equal size, in the layout that datasets reads."""

from __future__ import annotations

import hashlib
import json
import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from command import call
from huggingface_hub import DatasetCard
from mixtures import publish_corpus

from millpond.curate.config import CurateConfig
from millpond.curate.export import job
from millpond.curate.export.job import Choice, export_corpus
from millpond.curate.export.shards import Exported, write_shards
from millpond.curate.mix.config import MixConfig
from millpond.curate.mix.job import mix
from millpond.errors import InputError, LakeError
from millpond.lake import Lake
from millpond.publish import Mode, Run


def corpus(count: int = 300) -> list[dict[str, Any]]:
    generator = random.Random(2)
    return [
        {
            "text": f"{number} " + "ä" * generator.randrange(1, 300),
            "registered_domain": generator.choice(("a.test", "b.test")),
            "language": generator.choice(("en", "de")),
            "title": f"Title {number}",
        }
        for number in range(count)
    ]


def read(folder: Path) -> list[dict[str, Any]]:
    """All rows, shard by shard."""
    paths = sorted((folder / "data").iterdir())
    rows: list[dict[str, Any]] = pa.concat_tables([pq.read_table(path) for path in paths]).to_pylist()
    return rows


def digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_shards_hold_the_corpus_and_the_card_its_numbers(lake: Lake, tmp_path: Path) -> None:
    documents = corpus()
    publish_corpus(lake, documents, parts=3)
    total = sum(len(document["text"].encode()) for document in documents)
    folder = tmp_path / "out" / "my corpus"
    written = export_corpus(lake, folder, Choice(max_shard_bytes=total // 4 + 1, license="odc-by"))
    names = [path.name for path in sorted((folder / "data").iterdir())]
    assert names == [f"train-{n:05d}-of-00004.parquet" for n in range(4)]
    rows = read(folder)
    assert [row["doc_id"] for row in rows] == sorted(row["doc_id"] for row in rows)
    expected = {row["doc_id"]: row for row in lake.read("corpus.documents").to_pylist()}
    assert len(rows) == 300 and all(row == {k: expected[row["doc_id"]][k] for k in row} for row in rows)
    assert not {"source_file", "rules"} & rows[0].keys()
    for name in names:
        size = sum(len(text.encode()) for text in pq.read_table(folder / "data" / name)["text"].to_pylist())
        assert abs(size - total / 4) < 650

    said = DatasetCard.load(folder / "README.md")
    info = said.data.to_dict()["dataset_info"]
    assert info["splits"] == [{"name": "train", "num_bytes": written.splits[0].bytes, "num_examples": 300}]
    assert info["download_size"] == sum(path.stat().st_size for path in (folder / "data").iterdir())
    assert [feature["name"] for feature in info["features"]] == list(rows[0])
    assert said.data.to_dict()["configs"][0]["data_files"] == [{"split": "train", "path": "data/train-*"}]
    assert said.data.to_dict()["language"] == sorted(
        ("de", "en"), key=lambda code: -sum(row["text_bytes"] for row in rows if row["language"] == code)
    )
    assert (
        f"| **documents out** | 300 | {total:,} |" in said.text and "| − rejected: language | 2 | 500 |" in said.text
    )

    again = tmp_path / "again" / "my corpus"
    export_corpus(lake, again, Choice(max_shard_bytes=total // 4 + 1, license="odc-by"))
    assert digests(again) == digests(folder)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["my corpus"], "nothing else is left"


def test_a_mixture_is_exported_with_its_repeats(lake: Lake, tmp_path: Path) -> None:
    publish_corpus(lake, corpus())
    settings = MixConfig.model_validate(
        {
            "components": [
                {"name": "a", "sources": ["a.test"], "languages": ["en"], "weight": 1, "max_repeats": 3},
                {"name": "de", "languages": ["de"], "weight": 1},
            ]
        }
    )
    with pytest.raises(LakeError, match="no mixture yet: run `millpond mix` first"):
        export_corpus(lake, tmp_path / "mixed", Choice(mixture=True))
    mix(lake, settings)
    export_corpus(lake, tmp_path / "mixed", Choice(mixture=True, max_shard_bytes=10_000))
    mixture = {row["doc_id"]: row for row in lake.read("corpus.mixture").to_pylist()}
    counted: dict[str, int] = {}
    for row in read(tmp_path / "mixed"):
        assert row["component"] == mixture[row["doc_id"]]["component"]
        counted[row["doc_id"]] = counted.get(row["doc_id"], 0) + 1
    assert counted == {doc_id: row["copies"] for doc_id, row in mixture.items()} and max(counted.values()) > 1
    text = (tmp_path / "mixed" / "README.md").read_text()
    assert "## Mixture" in text and "| a | " in text and "| 50.0% | " in text

    publish_corpus(lake, corpus(20), config=CurateConfig.model_validate({"rules": {"preset": "none"}}))
    with pytest.raises(LakeError, match="the mixture is of another corpus than the released one"):
        export_corpus(lake, tmp_path / "stale", Choice(mixture=True))
    assert not (tmp_path / "stale").exists()


def test_many_repeats_of_a_large_document_take_the_memory_of_a_few(lake: Lake, tmp_path: Path) -> None:
    """2.4 GB of text, that no row group could hold, and the numbers of a corpus of 6 TB in small shards."""
    large = "large " * 400_000
    documents: list[dict[str, Any]] = [
        {"text": large},
        {"text": "small", "text_bytes": 3 * 10**12},
        {"text": "other", "text_bytes": 3 * 10**12},
    ]
    publish_corpus(lake, documents)
    export_corpus(lake, tmp_path / "corpus", Choice(max_shard_bytes=10**6))
    assert len(read(tmp_path / "corpus")) == 3 and len(list((tmp_path / "corpus" / "data").iterdir())) == 3

    publish_corpus(lake, [{"text": large}, {"text": "small"}])
    settings = {"components": [{"name": "all", "weight": 1, "max_repeats": 1000}]}
    mix(lake, MixConfig.model_validate(settings))
    written = export_corpus(lake, tmp_path / "mixed", Choice(mixture=True))
    assert written.splits[0].rows == 2000 and written.splits[0].shards <= 2
    footers = [pq.read_metadata(path) for path in (tmp_path / "mixed" / "data").iterdir()]
    assert sum(footer.num_rows for footer in footers) == 2000
    assert 35 < sum(footer.num_row_groups for footer in footers) < 40, "64 MiB each"


def test_a_release_that_comes_meanwhile_is_not_what_the_card_speaks_of(
    lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish_corpus(lake, corpus(7))
    mix(lake, MixConfig.model_validate({"components": [{"name": "all", "weight": 1}]}))

    def meanwhile(*arguments: Any) -> Exported:
        publish_corpus(lake, corpus(9))
        mix(lake, MixConfig.model_validate({"components": [{"name": "later", "weight": 1}]}))
        return write_shards(*arguments)

    monkeypatch.setattr(job, "write_shards", meanwhile)
    export_corpus(lake, tmp_path / "mixed", Choice(mixture=True))
    said = (tmp_path / "mixed" / "README.md").read_text()
    assert "release 2 of the lake" in said and "| **documents out** | 7 |" in said
    assert "| all | 7 | 7 |" in said and "later" not in said


def test_splits_are_those_of_tokenization(lake: Lake, tmp_path: Path) -> None:
    publish_corpus(lake, corpus(50))
    with pytest.raises(LakeError, match="no splits yet: `millpond tokenize` draws them"):
        export_corpus(lake, tmp_path / "split", Choice(splits=("train",)))
    ids = sorted(lake.read("corpus.documents", ["doc_id"])["doc_id"].to_pylist())
    place = {"shard": "s", "sample": 0, "row": 0, "offset": 0, "length": 1, "unknown": 0}
    drawn = {doc_id: "validation" if number % 5 == 0 else "train" for number, doc_id in enumerate(ids)}
    run = Run(lake, "tokenize", CurateConfig(), {"corpus.documents": lake.tables()["corpus.documents"]})
    parts = [{"doc_id": d, "copy": 0, "part": part, "split": drawn[d], **place} for d in ids for part in range(2)]
    run.stage_rows("tokens.documents", parts, Mode.REPLACE)
    shard = {
        "shard": "s",
        "split": "train",
        "path": "s",
        "bytes": 1,
        "sha256": "0",
        "samples": 1,
        "rows": 1,
        "tokens": 1,
    }
    run.stage_rows("tokens.shards", [shard | {"corpus_snapshot": lake.tables()["corpus.documents"]}], Mode.REPLACE)
    run.publish(lambda batch: [])
    export_corpus(lake, tmp_path / "split", Choice(splits=("validation", "train")))
    for name in ("train", "validation"):
        [path] = (tmp_path / "split" / "data").glob(f"{name}-*")
        assert pq.read_table(path)["doc_id"].to_pylist() == [doc_id for doc_id in ids if drawn[doc_id] == name]
    with pytest.raises(InputError, match="split 'test' has no documents"):
        export_corpus(lake, tmp_path / "test", Choice(splits=("test",)))
    assert not (tmp_path / "test").exists()
    # Those of a mixture are no splits of the corpus, and those of a corpus are good for its mixtures.
    mix(lake, MixConfig.model_validate({"components": [{"name": "all", "weight": 1}]}))
    export_corpus(lake, tmp_path / "mixed", Choice(mixture=True, splits=("train",)))
    tables = lake.tables()
    inputs = {name: tables[name] for name in ("corpus.documents", "corpus.mixture")}
    run = Run(lake, "tokenize", CurateConfig(), inputs)
    run.stage_rows("tokens.documents", parts[:2], Mode.REPLACE)
    run.stage_rows("tokens.shards", [shard], Mode.REPLACE)
    run.publish(lambda batch: [])
    with pytest.raises(LakeError, match="the splits are of another corpus, or of a mixture, than what is exported"):
        export_corpus(lake, tmp_path / "lost", Choice(splits=("train",)))
    export_corpus(lake, tmp_path / "same", Choice(mixture=True, splits=("validation",)))


def test_the_command_refuses_a_folder_with_something_in_it(lake: Lake, tmp_path: Path) -> None:
    folder = tmp_path / "full"
    folder.mkdir()
    (folder / "file").touch()
    assert "no corpus yet" in call("export", "corpus", folder, "--lake", lake.root).err
    publish_corpus(lake, corpus(5))
    with pytest.raises(InputError, match="cannot be read: File name too long"):
        export_corpus(lake, tmp_path / ("long" * 100), Choice())
    ended = call("export", "corpus", folder, "--lake", lake.root)
    assert ended.code == 1 and "give a new or an empty folder" in ended.err
    (folder / "file").unlink()
    ended = call("export", "corpus", folder, "--lake", lake.root, "--output", "json")
    assert ended.code == 0, ended.err
    assert json.loads(ended.out)["splits"][0]["rows"] == 5 and (folder / "README.md").exists()
