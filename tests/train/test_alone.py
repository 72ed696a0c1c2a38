"""A trainer whose driver was killed: it saves and ends, and the next one waits for it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from millpond.errors import MillpondError
from millpond.train.alone import LOCK, sole_trainer
from millpond.train.config import TrainConfig
from millpond.train.parallel import World
from millpond.train.records import read_records

DRIVER = """
import sys
from pathlib import Path
from millpond.train import job
job._launch(Path(sys.argv[1]), int(sys.argv[2]))
"""


def wait_for(true: Callable[[], bool]) -> None:
    until = time.monotonic() + 60
    while not true():
        assert time.monotonic() < until
        time.sleep(0.05)


def has_open(process: int, path: Path) -> bool:
    for descriptor in Path(f"/proc/{process}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed meanwhile
            if descriptor.readlink() == path:
                return True
    return False


@pytest.mark.parametrize("processes", [1, 2])
def test_trainer_ends_with_its_driver_and_the_next_goes_on(
    settings: Callable[..., TrainConfig], tmp_path: Path, processes: int
) -> None:
    config = settings(out=tmp_path / "run", steps=12, checkpoint={"every_steps": 100})
    toml = tmp_path / "launch.json"
    toml.write_text('{"train": ' + config.model_dump_json() + "}")
    fired, go = tmp_path / "fired", tmp_path / "go"
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    fault = {"MILLPOND_FAULT": "train-step-6:pause", "MILLPOND_FAULT_LOG": str(fired), "MILLPOND_FAULT_GO": str(go)}
    driver = subprocess.Popen(
        [sys.executable, "-c", DRIVER, str(toml), str(processes)],
        env={**environment, **fault},
        stderr=subprocess.DEVNULL,
    )
    wait_for(lambda: fired.exists() and len(fired.read_text().split()) == processes)
    driver.kill()
    assert driver.wait() == -signal.SIGKILL
    assert not (config.out / "checkpoints").exists(), "nothing saved yet: the orphan holds six steps in memory"

    command = [sys.executable, "-m", "millpond.train", "--config", str(toml)]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as rerun:
        wait_for(lambda: has_open(rerun.pid, config.out / LOCK))
        go.touch()
        said, _ = rerun.communicate(timeout=120)
    assert rerun.returncode == 0, said
    assert "from step 7 of 12" in said, said
    assert read_records(config.out / "records", "steps")["step"].to_pylist() == list(range(1, 13))


def test_a_held_folder_is_refused_in_one_sentence(tmp_path: Path, world: World) -> None:
    with (
        sole_trainer(tmp_path / "run", world, 0),
        pytest.raises(MillpondError, match="another process trains this run: wait for it, or end it"),
        sole_trainer(tmp_path / "run", world, 0.1),
    ):
        pass
    with sole_trainer(tmp_path / "run", world, 0):
        pass
