from __future__ import annotations

import os
import resource
from pathlib import Path

import pytest

from millpond import durable


def test_a_file_is_replaced_as_a_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "file"
    durable.write_bytes(path, b"one")
    durable.write_bytes(path, b"two")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, limits[1]))  # writing more fails, as on a full disk
    try:
        with pytest.raises(OSError, match="File too large"):
            durable.write_bytes(path, b"three" * 10)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == b"two"
    assert list(tmp_path.iterdir()) == [path]


def test_a_lock_is_one_holders_until_the_file_is_closed(tmp_path: Path) -> None:
    with (tmp_path / "lock").open("w") as one, (tmp_path / "lock").open("w") as other:
        assert durable.lock(one) and not durable.lock(other)
        one.close()
        assert durable.lock(other)


def test_everything_is_on_disk_before_the_name_and_the_name_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    partial, path = tmp_path / "partial", tmp_path / "path"
    (partial / "below").mkdir(parents=True)
    (partial / "below" / "file").write_text("x")
    synced: list[str] = []
    monkeypatch.setattr(os, "fsync", lambda number: synced.append(str(Path(f"/proc/self/fd/{number}").readlink())))
    durable.commit(partial, path)
    assert sorted(synced[:3]) == [str(partial), str(partial / "below"), str(partial / "below" / "file")]
    assert synced[3:] == [str(tmp_path)]
    assert (path / "below" / "file").read_text() == "x" and not partial.exists()
