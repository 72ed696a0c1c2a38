"""Small token shards, the settings to train on them, and processes to do it in."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import pytest
import torch
from token_shards import write_shards

from millpond.train.config import TrainConfig
from millpond.train.parallel import World, open_world

Settings: TypeAlias = Callable[..., TrainConfig]
Launch: TypeAlias = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def shard_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four train shards and one validation shard, of text a tiny model can learn."""
    folder = tmp_path_factory.mktemp("shards")
    write_shards(folder, (12, 9, 14, 11))
    write_shards(folder, (8,), split="validation")
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
