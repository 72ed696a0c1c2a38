"""A shard is read as it was written, or refused: no flipped byte, no false index and no pickle gets through."""

from __future__ import annotations

import hashlib
import io
import json
import os
import random
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from token_shards import CONTEXT, shard_set, write_shards

from millpond.config import digest_of
from millpond.errors import ShardError
from millpond.shard import Shard, ShardIndex, index_path
from millpond.shard_set import ShardSet

NAME = "train-00000-000.tar"
READ_PLAINLY = """
import io, sys
import numpy, webdataset
samples = webdataset.WebDataset(sys.argv[1], shardshuffle=False, empty_check=False)
arrays = [numpy.load(io.BytesIO(sample["npy"]), allow_pickle=False) for sample in samples]
numpy.save(sys.argv[2], numpy.concatenate(arrays), allow_pickle=False)
"""


@pytest.fixture
def index(tmp_path: Path) -> Path:
    """The index file of one shard of some twenty samples."""
    write_shards(tmp_path, [60])
    return index_path(tmp_path, NAME)


def rewrite(index: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change an index as an attacker would: with a digest that is right."""
    body = json.loads(index.read_bytes())
    del body["digest"]
    change(body)
    index.write_text(json.dumps({"digest": digest_of(body), **body}))


def test_plain_webdataset_reads_the_same_rows(index: Path, tmp_path: Path) -> None:
    shard = Shard.open(index)
    mine = np.concatenate([shard.rows(sample) for sample in range(len(shard))])
    command = [sys.executable, "-c", READ_PLAINLY, shard.where, str(tmp_path / "rows.npy")]
    subprocess.run(command, check=True, env={**os.environ, "WDS_SECURE": "1"})
    theirs = np.load(tmp_path / "rows.npy", allow_pickle=False)
    assert len(shard) > 10 and theirs.dtype == mine.dtype == np.uint16
    assert np.array_equal(mine, theirs)


def test_rows_and_gather_agree(index: Path) -> None:
    shard = Shard.open(index)
    samples, rows = (np.array(column) for column in zip(*((s, r) for s in range(5) for r in range(4)), strict=True))
    out = np.zeros((20, CONTEXT), np.uint16)
    shard.gather(samples, rows, out, np.arange(20)[::-1])
    for place, (sample, row) in enumerate(zip(samples.tolist(), rows.tolist(), strict=True)):
        assert np.array_equal(shard.rows(sample)[row], out[19 - place])


def test_rows_are_views_that_cannot_be_written(index: Path) -> None:
    rows = Shard.open(index).rows(0)
    assert not rows.flags.owndata
    with pytest.raises(ValueError, match="read-only"):
        rows[0, 0] = 1


def test_what_is_not_there_is_refused(index: Path) -> None:
    shard = Shard.open(index)
    for sample in (-1, len(shard)):
        with pytest.raises(ShardError, match=NAME):
            shard.rows(sample)
    for sample, row in ((0, 4), (0, -1), (len(shard) - 1, 4)):
        with pytest.raises(ShardError, match="do not have"):
            shard.gather(np.array([sample]), np.array([row]), np.zeros((1, CONTEXT), np.uint16), np.array([0]))


def test_every_flip_and_every_cut_is_found_before_a_row_of_its_sample_is_handed_out(index: Path) -> None:
    tar = index.with_name(NAME)
    good, starts = tar.read_bytes(), ShardIndex.read(index).samples.start
    chance = random.Random(5)
    places = [0, 511, 640, len(good) - 1, *(chance.randrange(len(good)) for _ in range(1396))]
    found = 0
    with tar.open("r+b", buffering=0) as file:
        for place in places:
            file.seek(place)
            file.write(bytes([good[place] ^ 1 << chance.randrange(8)]))
            shard = Shard.open(index)
            sample = sum(start <= place for start in starts) - 1
            for _ in range(2):  # asking again does not help
                with pytest.raises(ShardError, match=f"{NAME}: sample {sample} .* is damaged"):
                    shard.rows(sample)
            shard.rows((sample + 1) % len(shard))  # the others are untouched
            file.seek(place)
            file.write(good[place : place + 1])
            found += 1
    for length in (0, 1, len(good) - 1, *(chance.randrange(len(good)) for _ in range(97))):
        tar.write_bytes(good[:length])
        with pytest.raises(ShardError, match=NAME):
            Shard.open(index)
        found += 1
    assert found == 1500


def test_every_flip_and_every_cut_of_an_index_is_found(index: Path) -> None:
    good, original = index.read_bytes(), ShardIndex.read(index)
    chance, refused = random.Random(6), 0
    for number in range(500):
        place = chance.randrange(len(good) - 1)  # the last is a newline
        damaged = bytearray(good)
        damaged[place] ^= 1 << chance.randrange(8)
        index.write_bytes(good[:place] if number % 5 == 4 else damaged)
        with pytest.raises(ShardError, match=str(index)):
            ShardIndex.read(index)
        refused += 1
    assert refused == 500
    index.write_bytes(good)
    assert ShardIndex.read(index) == original


@pytest.mark.parametrize("change", ["cut", "grown", "empty", "missing", "folder"])
def test_a_tar_of_another_size_is_refused(index: Path, change: str) -> None:
    tar = index.with_name(NAME)
    content = tar.read_bytes()
    tar.unlink()
    if change == "folder":
        tar.mkdir()
    elif change != "missing":
        tar.write_bytes({"cut": content[: 512 * 9], "grown": content + b"\0", "empty": b""}[change])
    with pytest.raises(ShardError, match=NAME):
        Shard.open(index)


def _set(key: str, value: Any) -> Callable[[dict[str, Any]], None]:
    return lambda body: body.update({key: value})


def _column(key: str, place: int, value: Any) -> Callable[[dict[str, Any]], None]:
    return lambda body: body["samples"][key].__setitem__(place, value)


HOSTILE = {
    "other version": _set("version", 2),
    "path up": _set("shard", "../train-00000-000.tar"),
    "path down": _set("shard", "a/train-00000-000.tar"),
    "absolute path": _set("shard", "/etc/passwd.tar"),
    "command": _set("shard", "pipe:touch x.tar"),
    "other shard": _set("shard", "train-00000-001.tar"),
    "object dtype": _set("dtype", "object"),
    "wider dtype": _set("dtype", "uint32"),
    "number as text": _set("size", "100"),
    "no context": _set("context_length", 0),
    "huge context": _set("context_length", 2**47),
    "eos outside": _set("eos_id", 257),
    "unknown key": _set("run", "me"),
    "samples not columns": _set("samples", [1, 2]),
    "no samples": _set("samples", {"start": [], "offset": [], "rows": [], "tokens": [], "digest": []}),
    "negative offset": _column("offset", 0, -2),
    "offset beyond the end": _column("offset", 3, 2**40),
    "offset in the next sample": _column("offset", 3, 640 * 9),
    "odd offset": _column("offset", 0, 641),
    "huge offset": _column("offset", 3, 10**400),
    "start after its data": _column("start", 2, 10**6),
    "bytes before the first": _column("start", 0, 512),
    "too many rows": _column("rows", 0, 5),
    "no rows": _column("rows", -1, 0),
    "padding within": _column("tokens", 0, 4),
    "more tokens than room": _column("tokens", -1, 4 * CONTEXT + 1),
    "short digest": _column("digest", 0, "00"),
    "column too long": lambda body: body["samples"]["digest"].append("0" * 32),
    "not a number": _column("offset", 0, float("nan")),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_false_index_is_refused_by_name(index: Path, name: str) -> None:
    rewrite(index, lambda body: None)
    Shard.open(index)  # a rewritten index is accepted where it is true
    rewrite(index, HOSTILE[name])
    with pytest.raises(ShardError, match=r"train-00000-000\.index\.json"):
        Shard.open(index)


@pytest.mark.parametrize("content", [b"", b"[]", b"null", b"{", b"\xff\xfe", b"[" * 100_000, b'{"digest":"\\ud800"}'])
def test_what_is_no_index_is_refused(index: Path, content: bytes) -> None:
    index.write_bytes(content)
    with pytest.raises(ShardError, match=r"train-00000-000\.index\.json"):
        Shard.open(index)


def test_a_pickle_in_a_shard_is_bytes_and_nothing_else(index: Path, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    pickled = f"cos\nmkdir\n(S'{canary}'\ntR.".encode()
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|O", "fortran_order": False, "shape": (1,)})
    array = header.getvalue() + pickled.ljust(2 * 4 * CONTEXT, b".")
    np.load(io.BytesIO(array), allow_pickle=True)
    assert canary.is_dir()  # a reader that unpickles would run it
    canary.rmdir()

    tar = index.with_name(NAME)
    with tarfile.open(tar, "w") as file:
        for name in ("000000.npy", "000001.pyd"):
            member = tarfile.TarInfo(name)
            member.size = len(array)
            file.addfile(member, io.BytesIO(array))
    size = tar.stat().st_size
    content = tar.read_bytes()
    with tarfile.open(tar) as file:
        members = file.getmembers()
    starts = [member.offset for member in members]
    regions = [content[a:b] for a, b in zip(starts, [*starts[1:], size], strict=True)]

    def claim(body: dict[str, Any]) -> None:
        body.update(size=size, sha256=hashlib.sha256(content).hexdigest(), vocab_size=65536)
        body["samples"] = {
            "start": starts,
            "offset": [member.offset_data + len(header.getvalue()) for member in members],
            "rows": [4, 4],
            "tokens": [4 * CONTEXT, 4 * CONTEXT],
            "digest": [hashlib.sha256(region).hexdigest()[:32] for region in regions],
        }

    rewrite(index, claim)
    shard = Shard.open(index)
    assert shard.rows(0).tobytes().startswith(pickled) and shard.rows(1).dtype == np.uint16
    assert not canary.exists()


def member(name: str, content: bytes = b"", **fields: Any) -> tuple[tarfile.TarInfo, bytes]:
    """A tar's member as an attacker writes it."""
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for field, value in fields.items():
        setattr(info, field, value)
    return info, content


@pytest.mark.parametrize("kind", ["pickle", "traversal", "links", "split", "duplicate"])
def test_members_of_a_hostile_tar_are_neither_run_nor_written_nor_read(index: Path, tmp_path: Path, kind: str) -> None:
    canary = tmp_path.parent / f"canary-{kind}"
    run = f"cos\nmkdir\n(S'{canary}'\ntR.".encode()
    sample = Shard.open(index).rows(0)
    plain = io.BytesIO()
    np.save(plain, sample)
    added = {
        "pickle": [member("000000.pyd", run), member("000000.pickle", run), member("evil.npy", run)],
        "traversal": [member(f"../{canary.name}", b"x"), member(str(canary), b"x")],
        "links": [
            member("l", type=tarfile.SYMTYPE, linkname=str(tmp_path.parent)),
            member(f"l/{canary.name}", b"x"),
            member("000000.npy", type=tarfile.LNKTYPE, linkname="/etc/passwd"),
        ],
        "split": [member("000001.npy", plain.getvalue()), member("000000.json", b"{}")],
        "duplicate": [member("000000.npy", plain.getvalue()[:-2] + b"\0\0"), member("000000.npy", b"")],
    }[kind]
    tar = index.with_name(NAME)
    with tarfile.open(tar, "w", format=tarfile.USTAR_FORMAT) as file:
        for info, content in [member("000000.npy", plain.getvalue()), *added]:
            file.addfile(info, io.BytesIO(content))
    with pytest.raises(ShardError, match=NAME):  # under the old index it is another file
        Shard.open(index)

    content = tar.read_bytes()
    claim = {
        "start": [0],
        "offset": [512 + len(plain.getvalue()) - sample.nbytes],
        "rows": [4],
        "tokens": [4 * CONTEXT],
        "digest": [hashlib.sha256(content).hexdigest()[:32]],
    }
    digest = hashlib.sha256(content).hexdigest()
    rewrite(index, lambda body: body.update(size=len(content), sha256=digest, samples=claim))
    shard = Shard.open(index)  # and under one made for it, what the index names is read, and nothing else
    assert len(shard) == 1 and np.array_equal(shard.rows(0), sample)
    assert not canary.exists()


def test_ids_outside_the_vocabulary_are_refused(index: Path) -> None:
    rewrite(index, lambda body: body.update(vocab_size=100))
    with pytest.raises(ShardError, match="sample 0 holds id"):
        Shard.open(index).rows(0)


def test_a_set_is_sorted_by_name_and_known_by_its_content(tmp_path: Path) -> None:
    one = shard_set(tmp_path / "one")
    other = ShardSet(sorted((tmp_path / "one").glob("*.index.json"), reverse=True))
    write_shards(tmp_path / "moved")
    moved = ShardSet.of_folder(tmp_path / "moved", "train")
    files = ("train-00000-000.tar", "train-00001-000.tar", "train-00002-000.tar")
    assert one.names == other.names == tuple(f"one/{file}" for file in files)
    assert one.fingerprint == other.fingerprint == moved.fingerprint and moved.names[0] == f"moved/{files[0]}"
    assert one.total_rows == sum(shard.index.rows for shard in map(one.shard, range(3)))
    assert one.total_tokens == sum(shard.index.tokens for shard in map(one.shard, range(3)))
    changed = shard_set(tmp_path / "changed", (40, 9, 24))
    fewer = ShardSet(sorted((tmp_path / "one").glob("*.index.json"))[:2])
    assert len({one.fingerprint, changed.fingerprint, fewer.fingerprint}) == 3


def test_shards_that_do_not_fit_together_are_refused(tmp_path: Path) -> None:
    write_shards(tmp_path / "a")
    write_shards(tmp_path / "a", split="test")
    paths = sorted((tmp_path / "a").glob("train*.index.json"))
    with pytest.raises(ShardError, match="split is 'train', that of test-"):
        ShardSet([*paths, tmp_path / "a" / "test-00000-000.index.json"][::-1])
    with pytest.raises(ShardError, match="have one name"):
        ShardSet([*paths, paths[0]])
    with pytest.raises(ShardError, match="no shards were named"):
        ShardSet([])
    with pytest.raises(ShardError, match="holds no validation shards"):
        ShardSet.of_folder(tmp_path / "a", "validation")
    rewrite(paths[1], lambda body: body.update(tokenizer_digest="another"))
    with pytest.raises(ShardError, match="tokenizer_digest is 'another'"):
        ShardSet(paths)


def test_a_set_keeps_few_shards_open_and_notices_one_that_was_replaced(tmp_path: Path) -> None:
    write_shards(tmp_path)
    shards = ShardSet(tmp_path.glob("*.index.json"), max_open=2)
    first = shards.shard(0)
    assert shards.shard(1) and shards.shard(0) is first and shards.shard(2)
    assert shards.shard(0) is first  # used last, so 1 had to go
    for path in tmp_path.iterdir():
        path.unlink()
    write_shards(tmp_path, (40, 10, 23))
    with pytest.raises(ShardError, match="was replaced"):
        shards.shard(1)
