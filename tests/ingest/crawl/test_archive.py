"""Where a crawl's files are put and what is removed of them: never the only copy, and nothing of anybody else."""

from __future__ import annotations

from pathlib import Path

import pytest

from millpond.errors import InputError
from millpond.ingest.config import IngestConfig, SiteConfig
from millpond.ingest.crawl.frontier import Closed
from millpond.ingest.crawl.job import _Crawl, seed_items
from millpond.lake import Lake
from millpond.schemas import PAGES, WEB_REJECTS


def crawl(lake: Lake, name: str | None = "test", **site: object) -> _Crawl:
    config = IngestConfig(crawl=name, site=SiteConfig.model_validate(site))
    return _Crawl(lake, seed_items(["http://127.0.0.1/"], config.site), config)


@pytest.mark.parametrize("name", [".", "..", "..."])
def test_a_name_of_dots_alone_is_refused(lake: Lake, name: str) -> None:
    with pytest.raises(InputError, match="names no folder of its own"):
        crawl(lake, name)


def test_a_crawl_that_comes_to_nothing_removes_only_its_own_files(lake: Lake) -> None:
    one = crawl(lake)
    one.folder.mkdir(parents=True)
    mine = ["owner", "driver", "00001.round", "00001-0000.plan", "00001-0000.log", "00001-0000.warc.gz"]
    others = ["notes.txt", "00002.round"]
    for name in (*mine, *others):
        (one.folder / name).touch()
    closed = Closed(frontier=[], rejects=[], counts={}, found=0, trouble="refused")
    assert "refused" in one._nothing_came({PAGES.name: [], WEB_REJECTS.name: []}, closed)
    assert sorted(path.name for path in one.folder.iterdir()) == sorted(others)
