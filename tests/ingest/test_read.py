"""Which reader a file's name chooses."""

from __future__ import annotations

import bz2
import gzip
import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import fsspec
import pytest
import zstandard
from archives import write_warc
from warcs import member, record, stored
from web_files import Handler, Site, serve_files

from millpond import remote
from millpond.errors import InputError
from millpond.ingest.config import IngestConfig
from millpond.ingest.page import Row
from millpond.ingest.read import plan, read_rows
from millpond.ingest.source import FilePartition, RecordReader


def read(path: Path, config: IngestConfig) -> list[Row]:
    return [row for part in plan({str(path): None}, config.split_bytes) for row in read_rows(part, config)]


@pytest.mark.parametrize(
    ("name", "pack"),
    [
        ("x.jsonl", bytes),
        ("x.jsonl.gz", gzip.compress),
        ("x.jsonl.bz2", bz2.compress),
        ("x.jsonl.zst", zstandard.compress),
    ],
)
def test_every_compression_of_json_lines_is_told_by_its_suffix(
    tmp_path: Path, name: str, pack: Callable[[bytes], bytes]
) -> None:
    path = tmp_path / name
    path.write_bytes(pack(b'{"text": "one"}\n'))
    rows = read(path, IngestConfig(crawl="c"))
    assert [tag for tag, _ in rows] == ["page", "file"] and rows[0][1]["body"] == b"one"


def test_other_files_are_archives_and_errors_are_rows(tmp_path: Path) -> None:
    good = write_warc(tmp_path / "x.warc.gz", [("http://h.example/", b"<p>x")])
    assert [tag for tag, _ in read(good, IngestConfig())] == ["page", "file"]
    [part] = plan({str(good): None}, 1 << 30)
    good.unlink()
    [(tag, row)] = read_rows(part, IngestConfig())
    assert tag == "error" and row["detail"].endswith("x.warc.gz: no such file")
    with pytest.raises(InputError, match="no such file"):
        plan({str(good): None}, 1 << 30)


def test_files_of_a_web_server_are_looked_at_together() -> None:
    """A list of ten thousand would else take as many round trips."""
    names = [f"/{number}.{kind}" for number in range(40) for kind in ("warc.gz", "jsonl")]

    def slowly(number: int, handler: Handler) -> bool:
        time.sleep(0.02)
        return False

    with serve_files(Site(dict.fromkeys(names, b"12345"), slowly)) as site:
        parts = plan({site.url + name: None for name in names}, 1 << 20)
    assert [part.path for part in parts] == [site.url + name for name in names[::2] + names[1::2]]
    assert {part.end for part in parts} == {5}
    assert len(site.log) == len(names) and 8 < site.most_open <= 32


def test_a_part_of_a_remote_file_is_all_that_is_fetched() -> None:
    """But for its beginning and its end, which are looked for, and the first bytes, which say what the file is."""
    noise = [random.Random(number).randbytes(40_000) for number in range(50)]
    data = b"".join(stored(record(number, noise[number % 50], kind="request")) for number in range(800))
    with serve_files(Site({"/x.warc.gz": data}, chunk=1 << 14)) as site:
        url = f"{site.url}/x.warc.gz"
        parts = plan({url: remote.identity(url)}, 8 << 20)
        records = 0
        for part in parts:
            site.sent = 0
            [*_, (tag, row)] = read_rows(part, IngestConfig())
            assert tag == "file" and 0 < site.sent - row["bytes"] < 6 << 20, (part, site.sent, row)
            records += row["records"]
    assert len(parts) == 4 and records == 800


def test_reading_needs_no_spark() -> None:
    code = "import sys, millpond.ingest.read; sys.exit('pyspark' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_archive_that_is_replaced_while_a_part_of_it_is_read() -> None:
    """A part ends before the file does, where the reader of the file would see it."""
    memory = fsspec.filesystem("memory")
    data = b"".join(member(record(number)) for number in range(4000))
    memory.pipe_file("/read/x.warc.gz", data)
    reader = RecordReader(["memory://read/x.warc.gz"], IngestConfig(split_bytes=len(data) // 4))
    parts = [each.part for each in reader.partitions() if isinstance(each, FilePartition)]
    assert len(parts) > 1 and parts[0].version is not None
    rows = read_rows(parts[0], IngestConfig())
    first = next(rows)
    memory.pipe_file("/read/x.warc.gz", data[:-1])
    rest = list(rows)
    assert first[0] == "page" and "file" not in [kind for kind, _ in rest]
    assert rest[-1][0] == "error" and "has changed since it was first looked at" in rest[-1][1]["detail"]
