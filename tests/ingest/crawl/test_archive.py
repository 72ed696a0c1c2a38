"""Where a crawl's files are put and what is removed of them: never the only copy, and nothing of anybody else."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

import pytest

from millpond.errors import InputError
from millpond.ingest.config import IngestConfig, SiteConfig
from millpond.ingest.crawl import archive
from millpond.ingest.crawl.closing import Closed
from millpond.ingest.crawl.folder import refuse_foreign, tidy
from millpond.ingest.crawl.job import _Crawl, seed_items
from millpond.ingest.crawl.plan import Round, Task
from millpond.lake import Lake
from millpond.schemas import PAGES, WEB_REJECTS


def crawl(lake: Lake, name: str | None = "test", **site: object) -> _Crawl:
    config = IngestConfig(crawl=name, site=SiteConfig.model_validate(site))
    return _Crawl(lake, seed_items(["http://127.0.0.1/"], config.site), config)


def planned(one: _Crawl) -> Round:
    """A round of a crawl as its driver writes it down, with one task and nothing to fetch."""
    one.folder.mkdir(parents=True, exist_ok=True)
    now = datetime.now(UTC)
    round_ = Round(crawl=one.name, lake=one.lake.warehouse, number=1, tasks=1, started_at=now, seeds=(), new_seeds=())
    round_.write(one.folder, [Task(hosts=())])
    return round_


@pytest.mark.parametrize("name", [".", "..", "..."])
def test_a_name_of_dots_alone_is_refused(lake: Lake, name: str) -> None:
    with pytest.raises(InputError, match="names no folder of its own"):
        crawl(lake, name)


def test_a_crawl_that_comes_to_nothing_removes_only_its_own_files(lake: Lake) -> None:
    one = crawl(lake)
    round_ = planned(one)
    warc = round_.warc(one.folder, 0)
    others = ["notes.txt", "00001-0000-0123456789abcdef.warc.gz"]
    for name in ("owner", "driver", warc.name, warc.name.replace(".warc.gz", ".log"), *others):
        (one.folder / name).touch()
    closed = Closed(frontier=[], rejects=[], counts={}, found=0, trouble="refused")
    assert "refused" in one._nothing_came(round_, {PAGES.name: [], WEB_REJECTS.name: []}, closed)
    assert sorted(path.name for path in one.folder.iterdir()) == sorted(others)


def test_an_archive_that_is_the_crawls_own_folder_is_kept(
    lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "crawls"
    (folder / "test").mkdir(parents=True)
    (tmp_path / "link").symlink_to(folder)
    monkeypatch.chdir(tmp_path)
    for place in ("crawls", "./crawls/", "link", f"{folder}", folder.as_uri()):
        one = crawl(lake, folder="link", archive=place)
        assert one.archive == str(folder / "test")
        warc = one.folder / "00001-0000.warc.gz"
        warc.write_bytes(b"records")
        for each in (one.archive, f"{tmp_path}/link/test", "crawls/test"):
            archive.put(warc, f"{each}/{warc.name}")
            tidy(one.folder, 1, each)
            assert warc.read_bytes() == b"records"
    other = crawl(lake, archive="s3://bucket/folder/")
    assert other.archive == "s3://bucket/folder/test"


def test_a_file_is_put_as_a_whole_and_removed_only_then(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    warc, place = tmp_path / "here" / "00001-0000.warc.gz", tmp_path / "there" / "00001-0000.warc.gz"
    warc.parent.mkdir()
    warc.write_bytes(b"records")

    def cut_short(source: object, target: IO[bytes], size: int) -> None:
        target.write(b"rec")
        raise OSError("no space left")

    with monkeypatch.context() as full:
        full.setattr(shutil, "copyfileobj", cut_short)
        with pytest.raises(OSError, match="no space left"):
            archive.put(warc, str(place))
    assert not list(place.parent.iterdir())
    tidy(warc.parent, 1, str(place.parent))
    assert warc.exists()

    archive.put(warc, str(place))
    first = place.stat()
    archive.put(warc, str(place))
    assert place.read_bytes() == b"records" and place.stat().st_mtime_ns == first.st_mtime_ns
    warc.write_bytes(b"records and more")  # the task went on after the file was put
    tidy(warc.parent, 1, str(place.parent))
    assert warc.exists()
    archive.put(warc, str(place))
    assert place.read_bytes() == b"records and more"
    tidy(warc.parent, 1, str(place.parent))
    assert not warc.exists() and [path.name for path in place.parent.iterdir()] == [place.name]


def test_crawls_of_two_lakes_share_an_archive_and_overwrite_nothing(lake: Lake, tmp_path: Path) -> None:
    for each in (lake, Lake.open(str(tmp_path / "second"))):
        one = crawl(each, archive=str(tmp_path / "archive"))
        warc = planned(one).warc(one.folder, 0)
        warc.write_text(each.warehouse)
        archive.put(warc, f"{one.archive}/{warc.name}")
    put = list((tmp_path / "archive" / "test").iterdir())
    assert {path.read_text() for path in put} == {lake.warehouse, str(tmp_path / "second")}


def test_the_plan_of_another_lake_is_refused(lake: Lake, tmp_path: Path) -> None:
    one = crawl(lake, folder=str(tmp_path / "crawls"))
    planned(one)
    files = sorted(one.folder.iterdir())
    other = crawl(Lake.open(str(tmp_path / "second")), folder=str(tmp_path / "crawls"))
    with pytest.raises(InputError, match="name another"):
        other.run()
    assert set(files) <= set(one.folder.iterdir())
    refuse_foreign(one.folder, lake.warehouse)
