"""Kills, and more than one process: real SIGKILLs, real torchrun."""

from __future__ import annotations

import json
import random
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from millpond.train.config import TrainConfig
from millpond.train.loop import train
from millpond.train.mixture import open_mixture
from millpond.train.parallel import open_world
from millpond.train.records import read_records

Settings = Callable[..., TrainConfig]
Launch = Callable[..., subprocess.CompletedProcess[str]]

STEPS, EVERY = 12, 4

#: Counts what each process holds of a model, then trains once for each pair of settings and fault.
SEVERAL = """
import json, os, sys
from pathlib import Path
from torch.distributed.tensor import DTensor
from millpond.config import load
from millpond.train import loop
from millpond.train.config import TrainConfig
from millpond.train.mixture import open_mixture
from millpond.train.parallel import open_world

build = loop.state_tensors
def state_tensors(model, optimizer):
    tensors = build(model, optimizer)
    large = [tensor for tensor in tensors.values() if tensor.ndim]
    held = {"dtensors": all(isinstance(t, DTensor) for t in large),
            "local": sum(t.to_local().nbytes for t in large), "total": sum(t.nbytes for t in large)}
    Path(f"held-{os.environ['RANK']}.json").write_text(json.dumps(held))
    return tensors
loop.state_tensors = state_tensors

with open_world("cpu", 60) as world:
    for toml, fault in zip(sys.argv[1::2], sys.argv[2::2]):
        os.environ["MILLPOND_FAULT"] = fault
        config = load(TrainConfig, toml, "train")
        shards = [open_mixture(config.data, split) for split in ("train", "validation")]
        loop.train(config, world, *shards)
"""


def write_toml(config: TrainConfig) -> Path:
    """The settings as a run's TOML file."""
    values = config.model_dump(mode="json", exclude_none=True)
    lines = ["[train]", *(f"{k} = {json.dumps(v)}" for k, v in values.items() if not isinstance(v, dict))]
    for section, keys in values.items():
        if isinstance(keys, dict):
            lines += [f"[train.{section}]", *(f"{key} = {json.dumps(value)}" for key, value in keys.items())]
    path = config.out.with_name(f"{config.out.name}.toml")
    path.write_text("\n".join(lines))
    return path


def here(config: TrainConfig) -> None:
    """Train in this process alone."""
    with open_world("cpu", 60) as world:
        train(config, world, open_mixture(config.data, "train"), open_mixture(config.data, "validation"))


def numbers(config: TrainConfig, name: str) -> list[float]:
    """One measurement of each step."""
    values: list[float] = read_records(config.out / "records", "steps")[name].to_pylist()
    return values


def rows_seen(config: TrainConfig) -> list[tuple[str, int, int]]:
    """Where the rows of all steps came from, in order."""
    table = read_records(config.out / "records", "batches")
    return list(zip(*(table[name].to_pylist() for name in ("shard", "sample", "row")), strict=True))


def weights(config: TrainConfig) -> dict[str, torch.Tensor]:
    """The exported weights."""
    return load_file(config.out / "export" / "model.safetensors")


def same_bits(one: TrainConfig, other: TrainConfig) -> bool:
    mine, theirs = weights(one), weights(other)
    return numbers(one, "loss") == numbers(other, "loss") and all(
        torch.equal(mine[k], theirs[k]) for k in mine.keys() | theirs.keys()
    )


@pytest.fixture
def alone(settings: Settings, tmp_path: Path) -> TrainConfig:
    """A run of one process, from start to end without a stop."""
    config = settings(out=tmp_path / "alone", steps=STEPS, checkpoint={"every_steps": EVERY})
    here(config)
    return config


KILL_STEP = random.Random(7).randint(EVERY + 1, STEPS - 1)
FAULTS = {f"train-step-{KILL_STEP}": "step-00000004", "checkpoint-written": ".tmp-step-00000004"}


@pytest.mark.parametrize("point", FAULTS)
def test_a_killed_run_ends_in_the_same_bits(alone: TrainConfig, tmp_path: Path, launch: Launch, point: str) -> None:
    config = alone.model_copy(update={"out": tmp_path / "killed"})
    log = tmp_path / "faults.log"
    fault = {"MILLPOND_FAULT": f"{point}:kill-self", "MILLPOND_FAULT_LOG": str(log)}
    ended = launch("-m", "millpond.train", "--config", str(write_toml(config)), **fault)
    assert (ended.returncode, log.read_text()) == (-signal.SIGKILL, f"{point}\n"), ended.stderr
    assert FAULTS[point] in {path.name for path in (config.out / "checkpoints").iterdir()}
    assert not (config.out / "result.json").exists()
    here(config)
    assert same_bits(config, alone)
    assert rows_seen(config) == rows_seen(alone)


def test_two_processes(alone: TrainConfig, tmp_path: Path, launch: Launch, monkeypatch: pytest.MonkeyPatch) -> None:
    both, grown, killed, shrunk = (
        alone.model_copy(update={"out": tmp_path / name, "micro_batch_rows": 2})
        for name in ("both", "grown", "killed", "shrunk")
    )
    step_8 = Path("checkpoints") / "step-00000008"
    shutil.copytree(alone.out / step_8, grown.out / step_8)
    shutil.copytree(alone.out / "records", grown.out / "records")
    monkeypatch.chdir(tmp_path)
    Path("several.py").write_text(SEVERAL)
    fault = f"train-step-{KILL_STEP}"
    runs = ((both, ""), (grown, ""), (killed, f"{fault}:kill-self"))
    arguments = [text for config, point in runs for text in (str(write_toml(config)), point)]
    ended = launch("several.py", *arguments, processes=2, MILLPOND_FAULT_LOG="faults.log")
    assert Path("faults.log").read_text() == f"{fault}\n" * 2, ended.stderr
    assert ended.returncode == 1
    for rank in range(2):
        held = json.loads(Path(f"held-{rank}.json").read_text())
        assert held["dtensors"]
        assert held["local"] == pytest.approx(held["total"] / 2, rel=0.02)

    agree(both, alone)
    agree(grown, alone)  # saved by one, continued by two
    assert numbers(grown, "loss")[:8] == numbers(alone, "loss")[:8]

    shutil.copytree(killed.out, shrunk.out)
    here(shrunk)  # saved by two, continued by one
    agree(shrunk, alone)

    ended = launch("-m", "millpond.train", "--config", str(write_toml(killed)), processes=2)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.count("from step 4 of 12") == 1  # one process speaks
    assert same_bits(killed, both)
    assert rows_seen(killed) == rows_seen(both)


REFUSED = """
import sys
from millpond.errors import CheckpointError
from millpond.train.parallel import open_world

with open_world("cpu", 60) as world:
    try:
        with world.alike(CheckpointError, "there: cannot be written"):
            if world.rank == 1:
                raise OSError(28, "No space left on device")
    except CheckpointError as error:
        sys.stdout.write(f"{error}\\n")
"""


def test_what_goes_wrong_on_one_process_is_raised_on_all(tmp_path: Path, launch: Launch) -> None:
    (tmp_path / "refused.py").write_text(REFUSED)
    ended = launch(str(tmp_path / "refused.py"), processes=2)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.count("there: cannot be written: [Errno 28] No space left on device\n") == 2


def agree(one: TrainConfig, other: TrainConfig) -> None:
    """The same rows, and the same numbers but for rounding."""
    assert rows_seen(one) == rows_seen(other)
    for name in ("loss", "gradient_norm", "tokens"):
        assert numbers(one, name) == pytest.approx(numbers(other, name), rel=1e-5 if name != "gradient_norm" else 1e-4)
    mine, theirs = weights(one), weights(other)
    for name in theirs:
        torch.testing.assert_close(mine[name], theirs[name], rtol=1e-3, atol=1e-4)
