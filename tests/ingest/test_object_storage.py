"""The whole ingest against an S3 server on loopback: input files, the lake's data and Iceberg's own files."""

from __future__ import annotations

import io
import json
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import fsspec
import pytest
from archives import write_warc
from cluster import environment
from crawl_index import index_file
from pyiceberg.utils.config import Config
from pyspark.sql import SparkSession
from warcio.archiveiterator import ArchiveIterator
from web_files import CANARY, Bucket, serve_bucket
from websites import links, site

from millpond.errors import LakeError
from millpond.ingest.common_crawl.job import ingest_common_crawl
from millpond.ingest.config import IngestConfig
from millpond.ingest.job import ingest_files
from millpond.ingest.read import plan
from millpond.inputs import expand, identify
from millpond.lake import Lake
from millpond.spark import read_files
from millpond.storage import _connected, adopt

PAGES = [(f"https://site.example/{n}", f"<html><body><p>page {n}</p></body></html>".encode()) for n in range(8)]

COUNTS = {"in": 12, "out": 10, "rejected bad_row": 1, "rejected duplicate_page": 1}
SECRET = {"s3.secret-access-key": CANARY, "s3.region": "us-east-1"}


@dataclass(frozen=True)
class Cloud:
    """A bucket, and two catalogs on this machine whose warehouses are in it: `pond` and `clean`."""

    bucket: Bucket
    folder: Path
    inputs: list[str]

    def settings(self) -> dict[str, str]:
        """What a person would have in their environment."""
        found = self.bucket.environment()
        for name in ("pond", "clean", "new", "crawl", "cc"):
            found |= {
                f"PYICEBERG_CATALOG__{name.upper()}__{key}": value
                for key, value in {
                    "TYPE": "sql",
                    "URI": f"sqlite:///{self.folder}/{name}.db",
                    "WAREHOUSE": f"s3://{self.bucket.name}/{name}",
                    "S3__ENDPOINT": self.bucket.endpoint,
                    "S3__ACCESS_KEY_ID": "lake",
                    "S3__SECRET_ACCESS_KEY": CANARY,
                    "S3__REGION": "us-east-1",
                }.items()
            }
        return found

    def run(self, *command: str, lake: str, **more: str) -> subprocess.CompletedProcess[str]:
        """Run a module of Millpond's on one of the lakes."""
        return subprocess.run(
            [sys.executable, "-m", *command, "--lake", f"catalog:{lake}"],
            env={**environment(), **self.settings(), **more},
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            start_new_session=True,
        )

    def ingest(self, lake: str, **more: str) -> subprocess.CompletedProcess[str]:
        """Ingest the inputs."""
        return self.run("millpond.ingest.job", *self.inputs, lake=lake, **more)


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """A server with inputs, and this process's environment as those of the jobs."""
    folder = tmp_path_factory.mktemp("cloud")
    with serve_bucket("cloud") as bucket, pytest.MonkeyPatch.context() as patch:
        for n in range(2):
            archive = write_warc(folder / f"{n}.warc.gz", PAGES[4 * n : 4 * n + 5])
            bucket.put(f"in/{n}.warc.gz", archive.read_bytes())
        lines = [{"text": "first"}, {"text": 5}, {"text": "last"}]
        table = bucket.put("in/x.jsonl", "".join(json.dumps(line) + "\n" for line in lines).encode())
        made = Cloud(bucket, folder, ["s3://cloud/in/*.warc.gz", table])
        for name, value in made.settings().items():
            patch.setenv(name, value)
        patch.setattr("pyiceberg.catalog._ENV_CONFIG", Config())  # read when it was imported
        patch.setattr(tempfile, "tempdir", str(folder))
        patch.setattr("millpond.storage._warehouses", {})
        _connected.cache_clear()
        fsspec.filesystem("s3").clear_instance_cache()
        yield made


@pytest.fixture(scope="module")
def pond(cloud: Cloud, spark: SparkSession) -> Lake:
    """The lake that the inputs make where the first run is killed between its data and their publishing."""
    fired = cloud.folder / "fired"
    killed = cloud.ingest("pond", MILLPOND_FAULT="before-release:kill", MILLPOND_FAULT_LOG=str(fired))
    assert killed.returncode == -signal.SIGKILL and fired.read_text().split() == ["before-release"]
    assert any(key.startswith("pond/web/pages/data/") for key in cloud.bucket.objects())
    lake = Lake.open("catalog:pond", create=False)
    assert lake.release() is None
    assert CANARY not in killed.stdout + killed.stderr
    # This session's tasks have not the environment of the jobs: the inputs are reached like a warehouse.
    keys = {"s3.endpoint": cloud.bucket.endpoint, "s3.access-key-id": "me", **SECRET}
    adopt({"s3://cloud/in": keys, "s3://cloud/index": keys})
    assert ingest_files(lake, expand(cloud.inputs), IngestConfig()).counts == COUNTS
    return lake


def test_input_and_lake_in_object_storage(cloud: Cloud, pond: Lake) -> None:
    files = pond.files("web.pages")
    assert files and all(path.startswith("s3://cloud/pond/web/pages/data/") for path in files)
    sources = set(pond.read("web.pages", ["source_file"])["source_file"].to_pylist())
    assert sources == {"s3://cloud/in/0.warc.gz", "s3://cloud/in/1.warc.gz", "s3://cloud/in/x.jsonl"}
    again = cloud.ingest("pond")
    assert json.loads(again.stdout)["unchanged"], again.stderr
    told = cloud.run("millpond", "sql", "select count(*) as pages from web.pages", "--output", "json", lake="pond")
    assert json.loads(told.stdout) == [{"pages": 10}], told.stderr
    assert not list(cloud.folder.rglob("*.parquet")), "nothing of the lake is on this machine"


def test_a_run_after_a_kill_ends_in_the_same_tables(cloud: Cloud, pond: Lake, spark: SparkSession) -> None:
    """The archives are read in parts, which shows nowhere."""
    clean = Lake.open("catalog:clean")
    files = expand(cloud.inputs)
    assert len(plan(dict(identify(files)), 400)) > 5
    assert ingest_files(clean, files, IngestConfig(split_bytes=400)).counts == COUNTS
    for table in ("web.pages", "web.rejects"):
        assert pond.digest(table) == clean.digest(table) and pond.rows(table) == clean.rows(table)


def test_single_records_by_an_index_in_the_bucket(cloud: Cloud, pond: Lake, spark: SparkSession) -> None:
    pages = [page for page in pond.read("web.pages").to_pylist() if page["source_file"].endswith(".warc.gz")]
    places = [
        {
            "url_surtkey": page["url"],
            "url": page["url"],
            "warc_filename": page["source_file"].removeprefix("s3://cloud/"),
            "warc_record_offset": page["source_offset"],
            "warc_record_length": page["source_length"],
        }
        for page in pages
    ]
    index = cloud.bucket.put("index/index.parquet", index_file(places))
    lake = Lake.open("catalog:cc")
    config = {"data": "s3://cloud", "media_types": [], "statuses": []}
    done = ingest_common_crawl(lake, [index], IngestConfig.from_mapping({"common_crawl": config}, "test"))
    assert done.counts == {"in": len(pages), "out": len(pages)} and len(pages) == 8
    found = lake.read("web.pages").to_pylist()
    assert sorted(found, key=lambda page: page["url"]) == sorted(pages, key=lambda page: page["url"])


def test_what_a_run_keeps_is_in_the_lake(cloud: Cloud, pond: Lake) -> None:
    [release] = pond.releases()
    kept = {key for key in cloud.bucket.objects() if key.startswith(f"pond/runs/{release.run_id}/")}
    names = {key.rpartition("/")[2] for key in kept}
    assert {"config.json", "audit.json", "index.html"} <= names
    assert not list(cloud.folder.glob(f"millpond-runs-*/{release.run_id}")), "the folder of a run that is done is gone"
    with pytest.raises(LakeError, match="catalog:pond: is in object storage, and this works only"):
        _ = pond.root


def test_keys_stand_nowhere(cloud: Cloud, pond: Lake) -> None:
    stored = cloud.bucket.objects()
    assert len(stored) > 20 and not [key for key, data in stored.items() if CANARY.encode() in data]
    local = [path for path in cloud.folder.rglob("*") if path.is_file()]
    assert any(path.name == "pond.db" for path in local)
    assert not [path for path in local if CANARY.encode() in path.read_bytes()]
    [run] = [row for row in pond.read("ops.runs").to_pylist() if row["stage"] == "ingest"]
    assert json.loads(run["inputs"]).keys() == {*(f"s3://cloud/in/{n}.warc.gz" for n in range(2)), cloud.inputs[1]}


def test_spark_reads_the_lake_with_nothing_but_the_catalogs_keys(pond: Lake, spark: SparkSession) -> None:
    rows = read_files(spark, "web.pages", pond.files("web.pages"))
    found = sorted(row.url for row in rows.select("url").collect())
    assert found == sorted(pond.read("web.pages", ["url"])["url"].to_pylist())


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"WAREHOUSE": "s3://nobody/lake"}, "cannot be written: The specified bucket does not exist"),
        ({"S3__ENDPOINT": "http://127.0.0.1:9"}, "cannot be written: Could not connect"),
    ],
)
def test_a_warehouse_that_cannot_be_reached_is_said_in_one_line(
    cloud: Cloud, changed: dict[str, str], said: str
) -> None:
    settings = {f"PYICEBERG_CATALOG__NEW__{key}": value for key, value in changed.items()}
    done = cloud.ingest("new", AWS_MAX_ATTEMPTS="1", **settings)
    assert done.returncode == 1 and len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert said in done.stderr


def test_a_crawl_ends_in_the_bucket_archive_and_all(cloud: Cloud) -> None:
    with site({"/": links("/a", "/b"), "/a": "<p>a", "/b": "<p>b"}) as server:
        changes = {"folder": cloud.folder / "crawls", "delay_seconds": 0, "allow_private": f'["{server.host}"]'}
        command = ["millpond.ingest.crawl.job", server.url + "/"]
        without = cloud.run(*command, lake="crawl")
        assert without.returncode == 1 and "name a local folder for crawls" in without.stderr
        command += [part for key, value in changes.items() for part in ("--set", f"site.{key}={value}")]
        fired = cloud.folder / "crawl-fired"
        fault = {"MILLPOND_FAULT": "before-release:kill", "MILLPOND_FAULT_LOG": str(fired)}
        killed = cloud.run(*command, lake="crawl", **fault)
        assert killed.returncode == -signal.SIGKILL and fired.exists()
        done = cloud.run(*command, lake="crawl")
        assert done.returncode == 0, done.stderr
        assert sorted(server.asked) == ["/", "/.well-known/tdmrep.json", "/a", "/b", "/robots.txt"]
    pages = Lake.open("catalog:crawl", create=False).read("web.pages").to_pylist()
    assert sorted(page["url"] for page in pages) == [server.url + path for path in ("/", "/a", "/b")]
    for page in pages:
        with fsspec.open(page["source_file"]) as file:
            file.seek(page["source_offset"])
            record = next(iter(ArchiveIterator(io.BytesIO(file.read(page["source_length"])))))
        assert page["source_file"].startswith("s3://cloud/crawl/crawls/")
        assert record.rec_headers.get_header("WARC-Target-URI") == page["url"]
    assert not list((cloud.folder / "crawls").rglob("*.warc.gz"))
