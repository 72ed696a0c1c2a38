"""A whole ingest by an index: what it selects becomes pages or rejects, in a release whose counts balance."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from pathlib import Path

import pytest
from crawl_index import index_file
from pyspark.sql import SparkSession
from warcs import member, record
from web_files import Handler, Site, serve_files

from millpond.errors import InputError
from millpond.ingest.common_crawl import job, records
from millpond.ingest.common_crawl.job import IndexPart, ingest_common_crawl
from millpond.ingest.config import IngestConfig
from millpond.inputs import identity
from millpond.lake import Lake
from millpond.storage import adopt

FILE = "crawl-data/CC-MAIN/a.warc.gz"
MEMBERS = [member(record(number)) for number in range(40)]


def index(path: Path) -> str:
    """An index of all members, of which every fourth is of another language, and one is not where it says."""
    offset, rows = 0, []
    for number, data in enumerate(MEMBERS):
        rows.append(
            {
                "url_surtkey": f"test,h)/{number:02}",
                "url": f"http://h.test/{number}",
                "url_host_name": "h.test",
                "content_languages": "deu" if number % 4 else "eng,deu",
                "content_mime_type": "text/html",
                "content_mime_detected": "text/html",
                "fetch_status": 200,
                "warc_filename": FILE,
                "warc_record_offset": offset + 3 * (number == 9),
                "warc_record_length": len(data),
            }
        )
        offset += len(data)
    path.write_bytes(index_file(rows, group=3))
    return str(path)


def config(data: str, *languages: str) -> IngestConfig:
    return IngestConfig.from_mapping({"crawl": "cc", "common_crawl": {"data": data, "languages": languages}}, "test")


def test_an_index_becomes_pages(tmp_path: Path, spark: SparkSession) -> None:
    lake = Lake.open(str(tmp_path / "lake"))
    table = {"/index.parquet": Path(index(tmp_path / "index.parquet")).read_bytes()}
    with serve_files(Site({f"/{FILE}": b"".join(MEMBERS)})) as site, serve_files(Site(table)) as other:
        path = f"{other.url}/index.parquet"
        done = ingest_common_crawl(lake, [path], config(site.url, "deu"))
        assert done.counts == {"in": 30, "out": 29, "rejected damaged": 1}
        asked = len(site.log)
        again = ingest_common_crawl(lake, [path], config(site.url, "deu"))
        assert again.unchanged
        assert len(site.log) == asked
        assert site.sent < sum(len(data) for n, data in enumerate(MEMBERS) if n % 4) + 1000  # and nothing else
    pages = lake.read("web.pages")
    assert sorted(pages["url"].to_pylist()) == sorted(f"http://h.test/{n}" for n in range(40) if n % 4 and n != 9)
    assert set(pages["source_file"].to_pylist()) == {f"{site.url}/{FILE}"}
    [reject] = lake.read("web.rejects").to_pylist()
    assert (reject["url"], reject["reason"]) == ("http://h.test/9", "damaged")


def test_nothing_is_published_where_nothing_is_selected(tmp_path: Path, spark: SparkSession) -> None:
    lake = Lake.open(str(tmp_path / "lake"))
    path = index(tmp_path / "index.parquet")
    with pytest.raises(InputError, match=r"no page was found in 0 records"):
        ingest_common_crawl(lake, [path], config("http://127.0.0.1:9", "fra"))
    (tmp_path / "no.parquet").write_bytes(b"no Parquet")
    with pytest.raises(InputError, match=r"no\.parquet: not a readable Parquet file"):
        ingest_common_crawl(lake, [str(tmp_path / "no.parquet")], config("http://127.0.0.1:9"))
    assert lake.release() is None
    assert not list((tmp_path / "lake").rglob("*.parquet"))


def test_a_key_in_the_address_of_the_snapshot_is_refused(tmp_path: Path) -> None:
    lake = Lake.open(str(tmp_path / "lake"))
    with pytest.raises(InputError, match=r"https://h\.example/: this address holds a key"):
        ingest_common_crawl(lake, [index(tmp_path / "index.parquet")], config("https://token@h.example/"))


@pytest.mark.parametrize("scheme", ["http", "s3"])
def test_a_busy_server_is_left_alone_for_as_long_as_it_asks(
    scheme: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For the index and for a record: no request for the same bytes comes earlier, of the libraries below either."""
    table = Path(index(tmp_path / "index.parquet")).read_bytes()
    files = {"/cc/index.parquet": table, f"/cc/{FILE}": b"".join(MEMBERS)}
    asked: dict[str, list[float]] = defaultdict(list)
    refused: dict[str, str] = {}

    def busy(number: int, handler: Handler) -> bool:
        wanted = f"{handler.path} {handler.headers['Range']}"
        asked[wanted].append(time.monotonic())
        first = handler.path not in refused
        refused.setdefault(handler.path, wanted)
        return first and handler.refuse(503, Retry_After="1")

    monkeypatch.setattr("millpond.storage._warehouses", {})
    monkeypatch.setattr("millpond.patience._quiet", {})
    with serve_files(Site(files)) as site:
        data = f"{site.url}/cc" if scheme == "http" else "s3://cc"
        keys = {"s3.access-key-id": "me", "s3.secret-access-key": "key", "s3.region": "us-east-1"}
        adopt({"s3://cc": {"s3.endpoint": site.url, **keys}})
        part = IndexPart(f"{data}/index.parquet", identity(f"{data}/index.parquet"), 0, 1 << 40)
        site.fault = busy
        kinds = Counter(kind for kind, _ in job._rows(part, config(data, "deu"), records.Share(2, 1 << 28)))
    assert kinds == {"page": 29, "reject": 1, "file": 1} and refused.keys() == files.keys()
    assert all(asked[wanted][1] - asked[wanted][0] >= 1 for wanted in refused.values())


def test_what_is_counted_is_what_is_selected_and_not_what_became_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So a row that is lost on the way is one that the ledger misses."""
    path = index(tmp_path / "index.parquet")
    with serve_files(Site({f"/{FILE}": b"".join(MEMBERS)})) as site:
        part = IndexPart(path, "", 0, 1 << 40)
        rows = list(job._rows(part, config(site.url), records.Share(4, 1 << 28)))
        read = records.read_captures
        monkeypatch.setattr(job, "read_captures", lambda *arguments: list(read(*arguments))[1:])
        lossy = list(job._rows(part, config(site.url), records.Share(4, 1 << 28)))
    assert len(lossy) == len(rows) - 1 == len(MEMBERS)
    assert (
        rows[-1]
        == lossy[-1]
        == (
            "file",
            {"file": path, "records": len(MEMBERS), "bytes": sum(map(len, MEMBERS))},
        )
    )
