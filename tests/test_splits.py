"""Splits share out every row of data files, whatever their number and the files' sizes."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from millpond import splits

LARGE = 1 << 30
#: Rows of each file.
ROWS = (0, 1, 700, 30, 4000)


def ids(number: int, count: int) -> range:
    """The rows of a file."""
    return range(number * 10_000, number * 10_000 + count)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("files")
    paths = []
    for number, count in enumerate(ROWS):
        rows = ids(number, count)
        table = pa.table({"id": pa.array(rows, pa.int64()), "text": pa.array([f"row {row} " * 20 for row in rows])})
        path = folder / f"{number}.parquet"
        pq.write_table(table, path, row_group_size=100)
        paths.append(str(path))
    return paths


@pytest.mark.parametrize("tasks", [1, 2, 7, 500])
def test_every_row_is_in_one_split(files: list[str], tasks: int) -> None:
    plan = splits.plan(files, tasks, LARGE)
    rows = [row for split in plan for batch in splits.read(split, ["id"]) for row in batch["id"].to_pylist()]
    assert sorted(rows) == [row for number, count in enumerate(ROWS) for row in ids(number, count)]


def test_splits_follow_sizes_alone_and_are_bounded(files: list[str]) -> None:
    total = sum(Path(path).stat().st_size for path in files)
    assert splits.plan(files, 8, LARGE) == splits.plan(files[::-1], 8, LARGE)
    assert len(splits.plan(files, 1, LARGE)) == 1
    sizes = [sum(part.end - part.start for part in split) for split in splits.plan(files, 8, LARGE)]
    assert sum(sizes) == total
    assert max(sizes) <= -(-total // 8)
    assert 8 <= len(sizes) <= 16
    assert len(splits.plan(files, 2, total // 20)) >= 20


def test_only_the_columns_asked_for_are_read(files: list[str]) -> None:
    [batch, *_] = splits.read(splits.plan(files[2:3], 1, LARGE)[0], ["text"])
    assert batch.schema.names == ["text"]


def test_nothing_gives_no_split(tmp_path: Path) -> None:
    assert splits.plan([], 4, LARGE) == []
    with pytest.raises(FileNotFoundError):
        splits.plan([str(tmp_path / "gone.parquet")], 4, LARGE)
