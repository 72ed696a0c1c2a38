"""Input files by name: local, remote, by pattern and by list, and what each is known by."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from web_files import CANARY, Bucket, Site, bucket_in_environment, serve_files

from millpond.errors import InputError, MissingExtraError
from millpond.inputs import address, expand, identify, identity, open_input, refuse_secrets


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with files in it."""
    for name in ("b.warc", "a.warc.gz", "deep/c.warc"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"WARC/1.0")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def bucket() -> Iterator[Bucket]:
    """An S3 server with a few objects, which fsspec finds by the environment."""
    with bucket_in_environment("inputs") as bucket:
        for key in ("crawl/b.warc.gz", "crawl/a.warc.gz", "crawl/deep/c.warc.gz", "crawl/notes.txt"):
            bucket.put(key, key.encode())
        yield bucket


def test_paths_and_patterns(folder: Path) -> None:
    assert expand([f"{folder}/*.warc*", f"{folder}/b.warc"]) == [f"{folder}/a.warc.gz", f"{folder}/b.warc"]
    assert len(expand(["**/*.warc"])) == 2
    for path, message in ((".", r"^\.: is a folder.*pattern such as"), ("no", "^no: no such"), ("*.x", "no file")):
        with pytest.raises(InputError, match=message):
            expand([path])


def test_names_of_one_file_are_one_absolute_path_whose_links_are_kept(folder: Path) -> None:
    names = ["b.warc", "./b.warc", "*.warc", str(folder / "b.warc"), (folder / "b.warc").as_uri()]
    assert expand(names) == [f"{folder}/b.warc"]
    (folder / "link.warc").symlink_to("b.warc")
    assert expand(["link.warc"]) == [f"{folder}/link.warc"]


def test_a_local_file_is_known_by_its_content(folder: Path) -> None:
    known = hashlib.sha256(b"WARC/1.0").hexdigest()
    assert identity("b.warc") == known and dict(identify(["b.warc", "a.warc.gz"])) == {
        "b.warc": known,
        "a.warc.gz": known,
    }
    with pytest.raises(InputError, match="deep: is a folder"):
        identity("deep")
    assert address("b.warc") == (folder / "b.warc").as_uri() and address("s3://b/x") == "s3://b/x"


def test_objects_by_name_and_pattern(bucket: Bucket) -> None:
    assert expand(["s3://inputs/crawl/*.warc.gz", "s3://inputs/crawl/a.warc.gz"]) == [
        "s3://inputs/crawl/a.warc.gz",
        "s3://inputs/crawl/b.warc.gz",
    ]
    assert len(expand(["s3://inputs/crawl/**/*.warc.gz"])) == 3
    with pytest.raises(InputError, match=r"s3://inputs/crawl/\*\.bz2: no file matches"):
        expand(["s3://inputs/crawl/*.bz2"])


def test_an_object_is_known_without_its_content(bucket: Bucket) -> None:
    url = bucket.put("x", b"one")
    first = identity(url)
    assert first.startswith("3 bytes, ") and identity(url) == first
    bucket.put("x", b"two")
    assert identity(url) != first
    bucket.put("x", b"one")
    assert identity(url) == first, "the same content again"
    with open_input(url, first) as file:
        assert file.read() == b"one"
    bucket.put("x", b"two")
    with pytest.raises(InputError, match="has changed since"):
        open_input(url, first)
    for name, message in (("none", "no such file"), ("crawl", "is a folder")):
        with pytest.raises(InputError, match=f"s3://inputs/{name}: {message}"):
            identity(f"s3://inputs/{name}")


def test_lists_of_names(folder: Path, bucket: Bucket) -> None:
    (folder / "list.txt").write_text(
        f"\ufeffb.warc\r\n\n  {folder}/a.warc.gz\ns3://inputs/crawl/a*.gz\n", encoding="utf-8"
    )
    three = [f"{folder}/a.warc.gz", f"{folder}/b.warc", "s3://inputs/crawl/a.warc.gz"]
    assert expand(["@list.txt", "b.warc"]) == three
    packed = bucket.put("list.gz", gzip.compress((folder / "list.txt").read_bytes()))
    assert expand([f"@{packed}"]) == three
    (folder / "empty.txt").write_text("\n")
    (folder / "binary.txt").write_bytes(b"\xff\xfe\x00")
    for name, message in (("@empty.txt", "names no files"), ("@no.txt", "no such"), ("@binary.txt", "not a list")):
        with pytest.raises(InputError, match=message):
            expand([name])


def test_web_addresses() -> None:
    with serve_files(Site({"/x?a=1": b"abc"})) as site:
        [url] = expand([f"{site.url}/x?a=1"])
        assert not site.log, "nothing is asked for to know what a name means"
        assert identity(url).startswith("3 bytes, ")
    with pytest.raises(InputError, match="a web server lists no files"):
        expand(["https://host.example/*.warc.gz"])


@pytest.mark.parametrize(
    "url",
    ["https://u:{}@h.example/x", "https://{}@h.example/x", "https://h.example/x?X-Amz-Signature={}&y=1"],
)
def test_an_address_with_a_key_in_it_is_refused_and_not_shown(url: str) -> None:
    with pytest.raises(InputError, match=r"https://h\.example/x: this address holds a key") as raised:
        expand([url.format(CANARY)])
    assert CANARY not in str(raised.value)


def test_a_container_is_no_key() -> None:
    refuse_secrets("abfs://container@account.dfs.core.windows.net/x")
    refuse_secrets("/folder/a@b")


def test_what_is_not_known_or_not_installed_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match=r"^s4://b/x: the scheme 's4' is unknown"):
        expand(["s4://b/x"])
    with pytest.raises(InputError, match="chained"):
        expand(["simplecache::s3://b/x"])
    with pytest.raises(
        MissingExtraError, match=r"^gs://b/x: a package for gs:// is missing: run `pip install 'gcsfs'`"
    ):
        expand(["gs://b/x"])
