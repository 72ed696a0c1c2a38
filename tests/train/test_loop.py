from __future__ import annotations

import json
import logging
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from millpond import faults, schemas
from millpond.errors import CheckpointError, ConfigError, MillpondError
from millpond.shard_set import ShardSet
from millpond.train import __main__ as command
from millpond.train import loop
from millpond.train.config import TrainConfig
from millpond.train.loop import TrainingStopped, train
from millpond.train.mixture import Mixture, Part
from millpond.train.parallel import World
from millpond.train.records import read_records
from millpond.train.result import TrainResult

Settings = Callable[..., TrainConfig]


@pytest.fixture
def run(world: World, shard_folder: Path) -> Callable[[TrainConfig], TrainResult]:
    """Trains in this process, with validation."""
    shards, held_out = (Mixture([Part(ShardSet.of_folder(shard_folder, split))]) for split in ("train", "validation"))
    return lambda config: train(config, world, shards, held_out)


Run = Callable[[TrainConfig], TrainResult]


def at_step(monkeypatch: pytest.MonkeyPatch, step: int, action: Callable[[], Any]) -> None:
    """Do something in this process right after a step."""
    monkeypatch.setattr(faults, "point", lambda name: action() if name == f"train-step-{step}" else None)


def test_loss_falls_and_everything_is_written(run: Run, settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    config = settings(steps=60, checkpoint={"every_steps": 25})
    shards = str(config.data.shards)
    with caplog.at_level(logging.INFO):
        result = run(config)
    assert result.first_loss > 4
    assert result.last_loss < 0.25 * result.first_loss
    assert [step for step, _ in result.validation] == [0, *range(6, 61, 6)]
    assert result.validation[0][1] > 4 > 2 > result.validation[-1][1]
    assert sorted(path.name for path in (config.out / "checkpoints").iterdir()) == ["step-00000050", "step-00000060"]
    assert json.loads((config.out / "result.json").read_text()) == json.loads(json.dumps(vars(result)))

    steps, batches = (read_records(config.out / "records", kind) for kind in ("steps", "batches"))
    assert steps.schema == schemas.TRAIN_STEPS.schema and batches.schema == schemas.TRAIN_BATCHES.schema
    assert sum(steps["tokens"].to_pylist()) == result.tokens
    assert batches.num_rows == 60 * 8
    assert batches["position"].to_pylist() == list(range(8)) * 60
    assert set(batches["shard"].to_pylist()) == {f"{Path(shards).name}/train-{n:05d}-000.tar" for n in range(4)}

    events = EventAccumulator(str(config.out / "tensorboard")).Reload()
    assert set(events.Tags()["scalars"]) == {
        "loss/train",
        "loss/validation",
        "optimizer/gradient_norm",
        "optimizer/learning_rate",
        "time/data_wait_percent",
        "time/tokens_per_second",
    }
    assert [event.step for event in events.Scalars("loss/train")] == [1, *range(5, 61, 5)]
    assert "step 60/60 (100.0%) | loss " in caplog.text


def test_every_row_is_seen_once_an_epoch(run: Run, settings: Settings, shard_folder: Path) -> None:
    rows = ShardSet.of_folder(shard_folder, "train").total_rows
    config = settings(steps=3 * rows // 5 + 1, global_batch_rows=5)  # three epochs, which end inside batches
    run(config)
    batches = read_records(config.out / "records", "batches")
    keys = list(zip(*(batches[name].to_pylist() for name in ("shard", "sample", "row")), strict=True))
    for epoch in range(3):
        assert len(set(keys[epoch * rows : (epoch + 1) * rows])) == rows


def test_a_finished_run_does_nothing(run: Run, settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    config = settings(steps=3)
    first = run(config)
    before = {path: path.stat().st_mtime_ns for path in config.out.rglob("*")}
    with caplog.at_level(logging.INFO):
        assert vars(run(config)) == json.loads(json.dumps(vars(first)))
    assert "is finished, nothing to do" in caplog.text
    assert {path: path.stat().st_mtime_ns for path in config.out.rglob("*")} == before
    (config.out / "result.json").unlink()  # as if killed right before the end
    assert run(config).last_loss == first.last_loss
    (config.out / "result.json").write_text("{")
    with pytest.raises(CheckpointError, match=r"result\.json"):
        run(config)


def test_other_settings_do_not_go_on_with_a_run(run: Run, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    at_step(monkeypatch, 6, lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run(settings())
    monkeypatch.undo()
    with pytest.raises(ConfigError, match=r"optimizer\.learning_rate 0\.01 → 0\.02"):
        run(settings(optimizer={"learning_rate": 0.02}))
    with pytest.raises(ConfigError, match="global_batch_rows 8 → 4"):
        run(settings(global_batch_rows=4))
    run(settings())
    with pytest.raises(ConfigError, match="seed 0 → 1"):
        run(settings(seed=1))


def test_a_run_does_not_go_on_in_another_precision(
    run: Run, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_step(monkeypatch, 6, lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run(settings(precision="auto"))
    monkeypatch.undo()
    with monkeypatch.context() as elsewhere, pytest.raises(ConfigError, match="precision 'fp32' → 'bf16'"):
        elsewhere.setattr(loop, "use_bf16", lambda *_: True)
        run(settings(precision="auto"))
    run(settings(precision="auto"))


@pytest.mark.parametrize("folder", ["records", "export", "tensorboard"])
def test_a_folder_that_cannot_be_written_is_one_error(run: Run, settings: Settings, folder: str) -> None:
    config = settings(steps=3)
    config.out.mkdir()
    (config.out / folder).symlink_to("/proc/nowhere")  # where even root can make nothing
    with pytest.raises(CheckpointError, match=f"{folder}: cannot be") as raised:
        run(config)
    assert "\n" not in str(raised.value)


def test_sigterm_saves_and_the_run_goes_on(run: Run, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    reference = run(settings(out=settings().out.with_name("reference")))
    handler = signal.getsignal(signal.SIGTERM)
    at_step(monkeypatch, 5, lambda: os.kill(os.getpid(), signal.SIGTERM))
    with pytest.raises(TrainingStopped, match="after step 6 of 12") as stopped:
        run(settings())
    assert stopped.value.exit_code == 143
    assert signal.getsignal(signal.SIGTERM) is handler
    monkeypatch.undo()
    assert run(settings()).validation == reference.validation
    assert losses(settings().out) == losses(reference_out(settings))


def reference_out(settings: Settings) -> Path:
    return settings().out.with_name("reference")


def losses(out: Path) -> list[float]:
    """Each step's loss."""
    table: pa.Table = read_records(out / "records", "steps")
    values: list[float] = table["loss"].to_pylist()
    return values


def test_a_loss_that_is_no_number_stops_the_run_and_names_the_step(run: Run, settings: Settings) -> None:
    config = settings(optimizer={"learning_rate": 1e30})
    with pytest.raises(MillpondError, match=r"step \d+ \(run test\): loss is"):
        run(config)
    assert not (config.out / "result.json").exists()


def test_a_damaged_last_checkpoint_costs_only_its_steps(run: Run, settings: Settings) -> None:
    reference = run(settings(out=reference_out(settings)))
    config = settings()
    run(config)
    (config.out / "result.json").unlink()
    tensors = config.out / "checkpoints" / "step-00000012" / "__0_0.distcp"
    content = bytearray(tensors.read_bytes())
    content[len(content) // 2] ^= 1
    tensors.write_bytes(content)
    again = settings(checkpoint={"every_steps": 5})  # other segments than those of the lost steps
    assert run(again).validation == reference.validation
    assert losses(config.out) == losses(reference_out(settings))


def test_command_line_errors_are_one_line(
    tmp_path: Path, shard_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "run.toml"
    file.write_text(
        f'[train]\nout = "{tmp_path}/run"\nsteps = 2\nglobal_batch_rows = 4\ndevice = "cpu"\n'
        f'data = {{ shards = "{shard_folder}" }}\nschedule = {{ warmup_steps = 1 }}\n'
    )
    assert command.main(["--config", str(file), "--set", "model.preset=tiny"]) == 0
    assert json.loads((tmp_path / "run" / "config.json").read_text())["model"]["hidden_size"] == 64
    caplog.clear()
    assert command.main(["--config", str(file), "--set", "steps=none"]) == 2
    assert command.main(["--config", str(file), "--set", "data.shards=/nowhere"]) == 1
    assert (
        command.main(
            ["--config", str(file), "--set", f"data.validation=['{shard_folder}/train-00000-000.index.json']"]
        )
        == 1
    )
    (tmp_path / "taken").touch()
    assert command.main(["--config", str(file), "--set", f"out={tmp_path}/taken"]) == 2
    messages = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert len(messages) == 4 and all(m.startswith("error: ") and "\n" not in m for m in messages)
    assert f"ConfigError: out={tmp_path}/taken: is not a folder" in messages[3]
    assert "steps='none'" in messages[0] and "/nowhere" in messages[1] and "train split" in messages[2]
