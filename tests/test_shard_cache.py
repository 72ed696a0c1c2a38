"""Shards of other machines: the rows they have, through faults and kills, from a folder of bounded size."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
from token_shards import write_shards
from web_files import Bucket, Handler, Site, bucket_in_environment, serve_files

from millpond import patience
from millpond.errors import ConfigError, InputError, ShardError
from millpond.shard_cache import ShardCache
from millpond.shard_set import ShardSet
from millpond.train import data
from millpond.train.data import Loader
from millpond.train.mixture import Mixture, Part

READ = """
import sys
from pathlib import Path
from millpond.shard_cache import ShardCache
from millpond.shard_set import ShardSet
folder, limit, *urls = sys.argv[1:]
shards = ShardSet(urls, cache=ShardCache(Path(folder), int(limit)))
print([int(shards.shard(n).rows(0)[0, 0]) for n in range(len(shards))])
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six shards."""
    folder = tmp_path_factory.mktemp("shards") / "tokens"
    write_shards(folder, (40, 9, 23, 30, 17, 12))
    return folder


@pytest.fixture
def site(folder: Path) -> Iterator[Site]:
    """A web server that has them."""
    patience._quiet.clear()
    files = {f"/tokens/{path.name}": path.read_bytes() for path in folder.iterdir()}
    with serve_files(Site(files)) as site:
        yield site


@pytest.fixture(scope="module")
def bucket(folder: Path) -> Iterator[Bucket]:
    """An S3 server that has them."""
    with bucket_in_environment("shards") as bucket:
        for path in folder.iterdir():
            bucket.put(f"tokens/{path.name}", path.read_bytes())
        yield bucket


def urls(site: Site) -> list[str]:
    return [site.url + path for path in site.files if path.endswith(".index.json")]


def largest(folder: Path, count: int) -> int:
    """Bytes of so many of the largest tars."""
    return sum(sorted(path.stat().st_size for path in folder.glob("*.tar"))[-count:])


def held(cache: ShardCache) -> int:
    return sum(stat.st_size for stat in cache._files().values())


def fetched(site: Site) -> list[str]:
    """Tars that were read, once for each time."""
    return [line.split()[1] for line in site.log if ".tar" in line and "bytes=0-0" not in line]


@pytest.mark.parametrize("windows", [1, 2])
def test_s3_gives_the_rows_of_a_folder_and_the_cache_stays_bounded(
    bucket: Bucket, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, windows: int
) -> None:
    monkeypatch.setattr(data, "AHEAD_TOKENS", 1)  # one batch at a time
    cache = ShardCache(tmp_path / "cache", windows * largest(folder, 2))
    here = Loader(ShardSet.of_folder(folder, "train"), batch_rows=8, window=2, seed=1)
    there = Loader(ShardSet.of_folder("s3://shards/tokens", "train", cache=cache), batch_rows=8, window=2, seed=1)
    assert there.state_dict() == here.state_dict()
    names: set[str] = set()
    changes = 0
    readers = iter(here), iter(there)
    for mine, theirs in islice(zip(*readers, strict=True), 120):
        assert mine.step == theirs.step
        assert np.array_equal(mine.tokens, theirs.tokens) and np.array_equal(mine.valid, theirs.valid)
        assert held(cache) <= cache.limit
        now = {path.name for path in cache.folder.glob("*.tar")}
        changes += bool(names - now)
        names = now
    for reader in readers:
        reader.close()  # type: ignore[attr-defined]
    assert changes > 3, "shards were evicted and fetched again"
    assert {path.suffix for path in cache.folder.iterdir()} <= {".tar", ""}


def test_faults_that_pass_are_waited_for(site: Site, folder: Path, tmp_path: Path) -> None:
    faults: list[str] = []

    def fail(number: int, handler: Handler) -> bool:
        look = handler.headers.get("Range") == "bytes=0-0"  # how large it is
        if handler.path.endswith(".tar") and not look and handler.path not in faults and len(faults) < 2:
            faults.append(handler.path)
            if len(faults) == 1:
                return handler.refuse(503)
            handler.cut_after = 1000
        return False

    site.fault = fail
    shards = ShardSet(urls(site), cache=ShardCache(tmp_path, 1 << 30))
    local = ShardSet.of_folder(folder, "train")
    assert shards.fingerprint == local.fingerprint
    for number in range(len(shards)):
        assert np.array_equal(shards.shard(number).rows(0), local.shard(number).rows(0))
    assert len(faults) == 2 and any(" 503" in line for line in site.log) and any(" cut" in line for line in site.log)


def test_the_first_batches_do_not_wait_for_whole_shards(site: Site, folder: Path, tmp_path: Path) -> None:
    arrived, stalled = threading.Event(), []

    def stall(number: int, handler: Handler) -> bool:
        if handler.path.endswith(".tar") and handler.headers.get("Range") == "bytes=0-":  # a whole one
            stalled.append(handler.path)
            arrived.wait(20)
        return False

    site.fault = stall
    cache = ShardCache(tmp_path, 1 << 30)
    readers = [
        iter(Loader(shards, batch_rows=8, window=3, seed=1))
        for shards in (ShardSet.of_folder(folder, "train"), ShardSet(urls(site), cache=cache))
    ]
    mine, theirs = (next(reader) for reader in readers)
    assert np.array_equal(mine.tokens, theirs.tokens)
    assert stalled and not arrived.is_set() and not list(tmp_path.glob("*.tar"))
    arrived.set()
    for mine, theirs in islice(zip(*readers, strict=True), 30):
        assert np.array_equal(mine.tokens, theirs.tokens)
    for reader in readers:
        reader.close()  # type: ignore[attr-defined]
    assert list(tmp_path.glob("*.tar"))


@pytest.mark.parametrize("ranges", [True, False])
def test_a_first_batch_from_afar_is_verified_or_waits_for_the_shard(site: Site, tmp_path: Path, ranges: bool) -> None:
    site.ranges = ranges
    loader = Loader(ShardSet(urls(site)[:1], cache=ShardCache(tmp_path, 1 << 30)), batch_rows=4)
    path = urls(site)[0].removeprefix(site.url).replace(".index.json", ".tar")
    content = site.files[path]
    if ranges:
        site.files[path] = content[:600] + bytes(len(content) - 1200) + content[-600:]
        with pytest.raises(ShardError, match="is damaged"):
            next(iter(loader))
    else:
        assert next(iter(loader)).step == 0


def test_a_process_killed_in_a_download_leaves_nothing_behind(site: Site, tmp_path: Path) -> None:
    site.chunk = 1 << 12
    shared = set(Path("/dev/shm").iterdir())
    command = [sys.executable, "-c", READ, str(tmp_path / "cache"), str(1 << 30), *urls(site)]
    armed = {**os.environ, "MILLPOND_FAULT": "shard-fetch:kill-self", "MILLPOND_FAULT_LOG": str(tmp_path / "log")}
    killed = subprocess.run(command, env=armed, capture_output=True)
    assert killed.returncode == -9 and (tmp_path / "log").read_text() == "shard-fetch\n"
    left = list((tmp_path / "cache").glob("*.partial"))
    assert len(left) == 1 and not list((tmp_path / "cache").glob("*.tar"))
    again = subprocess.run(command, capture_output=True, text=True, check=True)
    assert len(eval(again.stdout)) == 6
    assert len(list((tmp_path / "cache").glob("*.tar"))) == 6 and not list((tmp_path / "cache").glob("*.partial"))
    assert set(Path("/dev/shm").iterdir()) <= shared


def test_whoever_asks_a_shard_is_fetched_once(site: Site, tmp_path: Path) -> None:
    sets = [ShardSet(urls(site), cache=ShardCache(tmp_path, 1 << 30)) for _ in range(4)]
    site.log.clear()
    site.chunk = 1 << 10
    together = threading.Barrier(len(sets))

    def read(shards: ShardSet) -> None:
        together.wait()
        for number in range(len(shards)):
            shards.shard(number).rows(0)

    threads = [Thread(target=read, args=(shards,)) for shards in sets]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(fetched(site)) == sorted(path for path in site.files if path.endswith(".tar"))


def test_an_evicted_shard_that_is_mapped_stays_readable(site: Site, folder: Path, tmp_path: Path) -> None:
    shards = ShardSet(urls(site), cache=ShardCache(tmp_path, largest(folder, 1)))
    first = shards.shard(0)
    for number in range(1, len(shards)):
        shards.shard(number)
    assert not (tmp_path / f"{first.index.sha256}.tar").exists()
    local = ShardSet.of_folder(folder, "train").shard(0)
    assert all(np.array_equal(first.rows(n), local.rows(n)) for n in range(len(first)))


def test_what_is_not_what_its_index_says_is_refused(site: Site, tmp_path: Path) -> None:
    path = "/tokens/train-00002-000.tar"
    content = bytearray(site.files[path])
    for change in (content[:-512], content + bytes(512), content[:700] + b"!" + content[701:]):
        site.files[path] = bytes(change)
        shards = ShardSet(urls(site), cache=ShardCache(tmp_path, 1 << 30))
        with pytest.raises(ShardError, match=f"{site.url}{path}: is damaged or another"):
            for number in range(len(shards)):
                shards.shard(number)
        assert not list(tmp_path.glob("*.partial"))


def test_misuse_is_one_sentence(site: Site, folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ShardError, match="lies on another machine: name a cache folder"):
        ShardSet(urls(site))
    cache = ShardCache(tmp_path / "cache", largest(folder, 2) - 1)
    shards = ShardSet(urls(site), cache=cache)
    with pytest.raises(ConfigError, match=f"give it at least {largest(folder, 2)} bytes"):
        Loader(shards, batch_rows=4, window=2)
    Loader(shards, batch_rows=4, window=1)
    with pytest.raises(ConfigError, match="give it at least"):
        other = ShardSet(urls(site)[:1], cache=cache)
        Loader(Mixture([Part(ShardSet(urls(site)[1:], cache=cache)), Part(other)]), batch_rows=4, window=2)
    with pytest.raises(ShardError, match="no room for"):
        ShardSet(urls(site), cache=ShardCache(tmp_path / "tiny", 1000)).shard(0)
    with pytest.raises(InputError, match="holds a key") as caught:
        ShardSet([urls(site)[0].replace("://", "://me:CANARY@")], cache=cache)
    assert "CANARY" not in str(caught.value)
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ShardError, match="cannot be used as a cache"):
        ShardCache(tmp_path / "file", 1 << 30)
