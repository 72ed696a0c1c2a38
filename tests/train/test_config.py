from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pytest

from millpond.config import load
from millpond.errors import ConfigError
from millpond.train.config import ModelConfig, TrainConfig
from millpond.train.optimizer import learning_rate

Settings = Callable[..., TrainConfig]


def test_preset_fills_what_is_not_given() -> None:
    model = ModelConfig.model_validate({"preset": "125M", "layers": 3})
    assert (model.hidden_size, model.layers, model.heads) == (768, 3, 12)


def test_written_settings_read_back_equal(settings: Settings, tmp_path: Path) -> None:
    config = settings(model={"preset": "small", "heads": 4, "kv_heads": 2})
    config.write(tmp_path / "config.json")
    assert TrainConfig.model_validate_json((tmp_path / "config.json").read_text()) == config


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("model.heads=7", "must be an even whole number"),
        ("model.kv_heads=3", "must divide heads"),
        ("schedule.warmup_steps=10", "must be less than steps 10"),
        ("model.width=7", "unknown key 'model.width'"),
        ("model.preset=huge", "model.preset='huge'"),
    ],
)
def test_impossible_settings_are_one_sentence(tmp_path: Path, override: str, message: str) -> None:
    file = tmp_path / "run.toml"
    file.write_text('[train]\nout = "o"\nsteps = 10\n[train.data]\nshards = "s"\n[train.schedule]\nwarmup_steps = 1\n')
    with pytest.raises(ConfigError, match=message):
        load(TrainConfig, file, "train", [override])


def test_learning_rate_equals_values_worked_by_hand(settings: Settings) -> None:
    config = settings(steps=10, optimizer={"learning_rate": 1.0}, schedule={"warmup_steps": 2, "min_ratio": 0.2})
    by_hand = {
        1: 0.5,
        2: 1.0,
        4: 0.2 + 0.8 * 0.5 * (1 + math.sqrt(0.5)),  # a quarter of the cosine: cos 45°
        6: 0.6,  # half-way between peak and floor
        8: 0.2 + 0.8 * 0.5 * (1 - math.sqrt(0.5)),
        10: 0.2,
    }
    for step, rate in by_hand.items():
        assert learning_rate(config, step) == pytest.approx(rate, rel=1e-12)


def test_what_may_change_between_resumes_is_not_identity(settings: Settings) -> None:
    config = settings()
    assert config.identity() == settings(log_every=1, micro_batch_rows=2, checkpoint={"keep": 9}).identity()
    assert config.identity() != settings(steps=13).identity()
    assert config.identity() != settings(data={"seed": 1}).identity()
