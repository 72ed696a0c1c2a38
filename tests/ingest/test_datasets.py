"""Dataset folders: which files belong to a split, by the README.md or by their names."""

from __future__ import annotations

import json
from pathlib import Path

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from millpond.errors import InputError
from millpond.ingest.config import IngestConfig, TextConfig
from millpond.ingest.datasets import with_datasets
from millpond.ingest.job import ingest_files
from millpond.lake import Lake

FILES = ("data/train-00000-of-00002.parquet", "data/train-00001-of-00002.parquet", "data/test-00000-of-00001.parquet")
MORE = ("en/a.jsonl", "en/b.jsonl.gz", "de/a.jsonl", "dev.csv", ".cache/train.csv", "notes.txt")

README = """---
license: cc0-1.0
size_categories: [n<1K]
configs:
- config_name: en
  default: true
  data_files:
  - split: train
    path: "en/*"
  - split: heldout
    path: ["de/a.jsonl", "./dev.csv"]
- config_name: all
  data_files: "**/*.jsonl"
- config_name: deep
  data_dir: data
---
# A dataset
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A dataset's files, all empty."""
    root = tmp_path / "set"
    for name in (*FILES, *MORE):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"")
    return root


def files(folder: Path | str, **config: str) -> list[str]:
    """The names of a split's files, relative to the folder."""
    return [
        path.removeprefix(f"{folder}/") for path in with_datasets([str(folder)], TextConfig.model_validate(config))
    ]


def test_splits_by_name(folder: Path) -> None:
    for extra in MORE:
        (folder / extra).unlink()
    assert files(folder) == list(FILES[:2])
    assert files(folder, split="test") == [FILES[2]]
    with pytest.raises(InputError, match="has no split 'valid'; there are: test, train"):
        files(folder, split="valid")
    with pytest.raises(InputError, match="has no subset 'en'; there are: none"):
        files(folder, subset="en")


def test_without_names_of_splits_all_is_train(tmp_path: Path) -> None:
    for name in ("a.jsonl", "b/c.parquet"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert files(tmp_path) == ["a.jsonl", "b/c.parquet"]


def test_splits_by_the_readme(folder: Path) -> None:
    (folder / "README.md").write_text(README)
    assert files(folder) == ["en/a.jsonl", "en/b.jsonl.gz"]
    assert files(folder, split="heldout") == ["de/a.jsonl", "dev.csv"]
    assert files(folder, subset="all") == ["de/a.jsonl", "en/a.jsonl"]
    assert files(folder, subset="deep", split="test") == [FILES[2]]
    for config, message in (
        ({"subset": "fr"}, "has no subset 'fr'; there are: all, deep, en"),
        ({"split": "test"}, "has no split 'test'; there are: heldout, train"),
    ):
        with pytest.raises(InputError, match=message):
            files(folder, **config)


@pytest.mark.parametrize(
    ("readme", "message"),
    [
        ("---\nconfigs: [\n---\n", "its head is not YAML"),
        ("---\nconfigs: some\n---\n", "configs is no list of tables"),
        ("---\nconfigs:\n- data_files: 5\n---\n", "data_files names no paths"),
        ("---\nconfigs:\n- config_name: a\n- config_name: b\n---\n", "no default: set text.subset; there are: a, b"),
        ("---\nconfigs:\n- data_files: x/*\n---\n", "no file belongs to split 'train'"),
    ],
)
def test_a_readme_that_does_not_do(folder: Path, readme: str, message: str) -> None:
    (folder / "README.md").write_text(readme)
    with pytest.raises(InputError, match=message):
        files(folder)


@pytest.mark.parametrize("key", ["data_files", "config_name", "data_dir"])
def test_aliases_of_aliases_are_not_written_out(folder: Path, key: str) -> None:
    bomb = "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}' if n else 'x'] * 20)}]\n" for n in range(12))
    (folder / "README.md").write_text(f"---\n{bomb}configs:\n- {key}: *a11\n---\n")
    with pytest.raises(InputError) as raised:
        files(folder, split="none")
    assert len(str(raised.value)) < 1000


@pytest.mark.parametrize("readme", ["", "# no head", "---\nlicense: mit\n---\n", "---\n- a list\n---\n"])
def test_a_readme_that_says_nothing(folder: Path, readme: str) -> None:
    (folder / "README.md").write_text(readme)
    assert files(folder, split="test") == [FILES[2]]


def test_other_names_are_left_as_they_are(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    names = [f"{folder}/en/a.jsonl", f"{folder}/*.csv", "s3://bucket/x.jsonl", str(tmp_path / "empty"), "no such"]
    assert with_datasets(names, TextConfig()) == names


def test_a_folder_of_another_filesystem() -> None:
    memory = fsspec.filesystem("memory")
    for name in (*FILES, *MORE):
        memory.pipe_file(f"/owner/set/{name}", b"")
    memory.pipe_file("/owner/set/README.md", README.encode())
    assert files("memory://owner/set/") == ["memory://owner/set/en/a.jsonl", "memory://owner/set/en/b.jsonl.gz"]


def test_a_dataset_is_ingested(lake: Lake, tmp_path: Path) -> None:
    root = tmp_path / "set"
    (root / "data").mkdir(parents=True)
    for number, texts in enumerate((["one", None], ["two"])):
        pq.write_table(pa.table({"text": pa.array(texts, pa.string())}), root / "data" / f"train-{number}.parquet")
    (root / "data" / "test-0.jsonl").write_text(json.dumps({"text": "heldout"}) + "\n")
    outcome = ingest_files(lake, with_datasets([str(root)], TextConfig()), IngestConfig())
    assert outcome.counts == {"in": 3, "out": 2, "rejected bad_row": 1}
    assert sorted(lake.read("web.pages", ["body"])["body"].to_pylist()) == [b"one", b"two"]
