"""Token shards of a corpus that a tiny model can learn, and the settings to train on them."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pytest
import torch

from millpond.shard import Samples, ShardIndex, index_path, region_digest
from millpond.train.config import TrainConfig
from millpond.train.parallel import World, open_world

VOCABULARY, CONTEXT, EOS, ROWS_PER_SAMPLE = 64, 32, 0, 4

Settings: TypeAlias = Callable[..., TrainConfig]


def corpus(rows: int, seed: int) -> npt.NDArray[np.uint16]:
    """Rows that count up by one of three strides, each from a random token on."""
    draw = np.random.default_rng(seed)
    first, stride = draw.integers(0, VOCABULARY - 1, (rows, 1)), draw.integers(1, 4, (rows, 1))
    tokens: npt.NDArray[np.int64] = 1 + (first + stride * np.arange(CONTEXT)) % (VOCABULARY - 1)
    return tokens.astype(np.uint16)


def write_shard(folder: Path, name: str, rows: npt.NDArray[np.uint16], padding: int = 0) -> Path:
    """Write one shard by hand, the last `padding` tokens being filling; returns its index file."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = rows.copy()
    if padding:
        rows[-1, -padding:] = EOS
    samples = [rows[at : at + ROWS_PER_SAMPLE] for at in range(0, len(rows), ROWS_PER_SAMPLE)]
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for number, sample in enumerate(samples):
            array = io.BytesIO()
            np.save(array, sample)
            member = tarfile.TarInfo(f"{number:06d}.npy")
            member.size = len(array.getvalue())
            tar.addfile(member, io.BytesIO(array.getvalue()))
    content = buffer.getvalue()
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        members = tar.getmembers()
    start = [member.offset for member in members]
    tokens = [sample.size for sample in samples]
    tokens[-1] -= padding
    index = ShardIndex(
        shard=name,
        split=name.split("-")[0],  # type: ignore[arg-type]
        size=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        context_length=CONTEXT,
        rows_per_sample=ROWS_PER_SAMPLE,
        dtype="uint16",
        vocab_size=VOCABULARY,
        eos_id=EOS,
        tokenizer_digest="0" * 64,
        samples=Samples(
            start=start,
            offset=[m.offset_data + m.size - s.nbytes for m, s in zip(members, samples, strict=True)],
            rows=[len(sample) for sample in samples],
            tokens=tokens,
            digest=[region_digest(content[a:b]) for a, b in zip(start, [*start[1:], len(content)], strict=True)],
        ),
    )
    (folder / name).write_bytes(content)
    path = index_path(folder, name)
    path.write_bytes(index.to_json())
    return path


@pytest.fixture(scope="session")
def shard_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four train shards, one with padding, and one validation shard."""
    folder = tmp_path_factory.mktemp("shards")
    for number in range(4):
        padding = 9 if number == 1 else 0
        write_shard(folder, f"train-{number:05d}-000.tar", corpus(10 + number, seed=number), padding)
    write_shard(folder, "validation-00000-000.tar", corpus(7, seed=99), padding=5)
    return folder


@pytest.fixture
def settings(shard_folder: Path, tmp_path: Path) -> Settings:
    """Builds the settings of a small run; sections are given as dicts."""

    def build(**changes: Any) -> TrainConfig:
        values: dict[str, Any] = {
            "run": "test",
            "out": tmp_path / "run",
            "data": {"shards": shard_folder, "validation": shard_folder, "window": 2},
            "optimizer": {"learning_rate": 1e-2},
            "schedule": {"warmup_steps": 2},
            "checkpoint": {"every_steps": 4},
            "steps": 12,
            "global_batch_rows": 8,
            "micro_batch_rows": 8,
            "device": "cpu",
            "log_every": 5,
            "validate_every": 6,
        }
        for key, value in changes.items():
            section = values.get(key)
            values[key] = section | value if isinstance(section, dict) else value
        return TrainConfig.from_mapping(values, "test")

    return build


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """Sums in one order, here as in child processes."""
    torch.set_num_threads(1)


@pytest.fixture
def world() -> Iterator[World]:
    """This process alone."""
    with open_world("cpu", 60) as opened:
        yield opened


Launch: TypeAlias = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def launch() -> Launch:
    """Runs Python in a session of its own, under torchrun where a number of processes is given."""

    def run(*target: str, processes: int | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
        torchrun = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
        return subprocess.run(
            [sys.executable, *(torchrun if processes else []), *target],
            env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
            start_new_session=True,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    return run
