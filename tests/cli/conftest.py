"""A lake taken through every stage by `millpond run`; every test here looks at it and none changes it."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from archives import gold_pages, write_warc
from command import Whole, call

from millpond.lake import Lake

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

RUN = """
[run]
warc = ["{warc}"]

[ingest]
crawl = "gold"

[tokenize]
vocab_size = 512
context_length = 64
buckets = 2
fractions = [0.7, 0.3, 0.0]

[train]
steps = 6
global_batch_rows = 8
log_every = 2

[train.model]
hidden_size = 32
layers = 1
heads = 2
kv_heads = 1
intermediate_size = 64

[train.schedule]
warmup_steps = 1

[eval]
max_rows = 16
sample_tokens = 8
"""


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
