"""A lake taken through every stage by `millpond run`; every test here looks at it and none changes it."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from archives import gold_pages, write_warc
from command import RUN, Whole, call

from millpond.lake import Lake

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@pytest.fixture(scope="session")
def whole(test_data: Path, tmp_path_factory: pytest.TempPathFactory, spark: SparkSession) -> Whole:
    """Forty real pages from WARC to report."""
    folder = tmp_path_factory.mktemp("whole way")
    pages = islice(gold_pages(test_data / "html_gold"), 0, None, 30)
    warc = write_warc(folder / "gold.warc.gz", islice(pages, 40))
    config = folder / "run.toml"
    config.write_text(RUN.format(warc=warc))
    ended = call("run", config, "--lake", folder / "lake")
    assert ended.code == 0, ended.err
    return Whole(Lake.open(str(folder / "lake")), config, warc, ended)
