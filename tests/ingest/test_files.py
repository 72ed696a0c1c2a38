"""Input files by name."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from millpond.errors import InputError
from millpond.ingest.files import expand_paths, source_digest


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with files in it."""
    for name in ("b.warc", "a.warc.gz", "deep/c.warc"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"WARC/1.0")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_paths_and_patterns(folder: Path) -> None:
    assert expand_paths([f"{folder}/*.warc*", f"{folder}/b.warc"]) == [f"{folder}/a.warc.gz", f"{folder}/b.warc"]
    assert len(expand_paths(["**/*.warc"])) == 2
    for path, message in ((".", r"^\.: is a folder.*pattern such as"), ("no", "^no: no such"), ("*.x", "no file")):
        with pytest.raises(InputError, match=message):
            expand_paths([path])


def test_names_of_one_file_are_one_absolute_path_whose_links_are_kept(folder: Path) -> None:
    assert expand_paths(["b.warc", "./b.warc", "*.warc", str(folder / "b.warc")]) == [f"{folder}/b.warc"]
    (folder / "link.warc").symlink_to("b.warc")
    assert expand_paths(["link.warc"]) == [f"{folder}/link.warc"]


def test_digest(folder: Path) -> None:
    assert source_digest("b.warc") == hashlib.sha256(b"WARC/1.0").hexdigest()
    with pytest.raises(InputError, match="deep: is a folder"):
        source_digest("deep")
