"""The data source in a Spark program: rows of every kind, counts that add up."""

from __future__ import annotations

import random
from pathlib import Path
from typing import TYPE_CHECKING

from archives import write_warc
from warcs import HTML, member, record
from web_files import Site, serve_files

from millpond.ingest.config import IngestConfig
from millpond.ingest.source import RecordSource

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def test_pages_rejects_counts_and_errors(tmp_path: Path, spark: SparkSession) -> None:
    pages = [(f"http://site.example/{n}", b"<p>Page %d</p>" % n) for n in range(3)]
    whole = write_warc(tmp_path / "1.warc.gz", pages).read_bytes()
    (tmp_path / "2.warc.gz").write_bytes(whole[:-30])
    (tmp_path / "3.warc.gz").write_text("no archive")
    spark.dataSource.register(RecordSource)
    reader = spark.read.format("millpond").option("config", IngestConfig(crawl="test").model_dump_json())
    frame = reader.load(str(tmp_path / "*.warc.gz"))
    assert frame.rdd.getNumPartitions() == 3
    rows = frame.collect()
    kinds = [row.kind for row in rows]
    assert {kind: kinds.count(kind) for kind in set(kinds)} == {"page": 5, "reject": 2, "file": 3}
    assert {row.url for row in rows if row.kind == "page"} == {url for url, _ in pages}
    assert all(row.crawl == "test" for row in rows if row.kind in ("page", "reject"))
    assert sum(row.records for row in rows if row.kind == "file") == 7
    [damage] = [row for row in rows if row.kind == "reject" and row.offset == 0]
    assert damage.file.endswith("3.warc.gz") and "no gzip data where a member should begin" in damage.detail


def test_a_large_archive_of_a_web_server_is_many_partitions(spark: SparkSession) -> None:
    noise = [random.Random(number).randbytes(10_000).hex().encode() for number in range(80)]
    requests = [member(record(number, b"GET / HTTP/1.1", kind="request")) for number in range(80)]
    pages = [member(record(number, HTML + b"\r\n<p>" + text)) for number, text in enumerate(noise)]
    data = b"".join(part for both in zip(pages, requests, strict=True) for part in both)
    spark.dataSource.register(RecordSource)
    config = IngestConfig(split_bytes=100_000)
    reader = spark.read.format("millpond").option("config", config.model_dump_json())
    with serve_files(Site({"/large.warc.gz": data})) as site:
        frame = reader.load(f"{site.url}/large.warc.gz")
        assert frame.rdd.getNumPartitions() > 5
        rows = frame.collect()
        assert len({line.split()[2] for line in site.log}) > 5, "by ranges"
    urls = sorted(int(row.url.rpartition("/")[2]) for row in rows if row.kind == "page")
    assert urls == list(range(80))
    counts = [row for row in rows if row.kind == "file"]
    assert sum(row.records for row in counts) == 160
    assert sum(row.bytes for row in counts) == len(data)
    assert sum(row.records for row in rows if row.kind == "reject") == 80
