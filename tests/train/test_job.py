"""What the stage makes of what the trainer says."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from millpond.errors import ConfigError, MillpondError
from millpond.train import job
from millpond.train.config import TrainConfig

Settings = Callable[..., TrainConfig]
Popen = subprocess.Popen


def saying(monkeypatch: pytest.MonkeyPatch, code: int, *lines: str) -> None:
    """Put a process that prints lines and exits in the trainer's place."""
    text = "".join(f"{line}\n" for line in lines)
    command = [sys.executable, "-c", f"import sys; sys.stdout.write({text!r}); sys.exit({code})"]
    monkeypatch.setattr(subprocess, "Popen", lambda _, **options: Popen(command, **options))


def test_only_the_trainers_own_last_word_is_its_complaint(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(job, "is_silent", lambda: False)
    harmless = "W1122 [socket.cpp] error: retrying"
    saying(monkeypatch, 1, harmless, "10:00:00 step 1", "10:00:01 error: CheckpointError: disk full", "torchrun: dead")
    with pytest.raises(MillpondError, match=r"^disk full$"):
        job._launch(tmp_path, 1)
    shown = "".join(capsys.readouterr())
    assert harmless in shown and "10:00:00 step 1" in shown and "torchrun" not in shown
    saying(monkeypatch, 1, harmless, "killed")
    with pytest.raises(MillpondError, match=r"exit code 1: .*retrying / killed"):
        job._launch(tmp_path, 1)


@pytest.mark.parametrize("processes", [1, 2])
def test_misuse_stays_misuse_however_many_processes_find_it(
    settings: Settings, tmp_path: Path, processes: int
) -> None:
    (tmp_path / "taken").touch()
    launch = tmp_path / "launch.json"
    launch.write_text(json.dumps({"train": settings(out=tmp_path / "taken").model_dump(mode="json")}))
    with pytest.raises(ConfigError, match="taken: is not a folder that can be written in"):
        job._launch(launch, processes)


def test_an_unusable_folder_is_one_sentence(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "taken").touch()
    with pytest.raises(ConfigError, match="taken: is not a folder that can be written in"):
        job._train(settings(out=tmp_path / "taken"), 1)
