"""Configuration: every mistake is one sentence, equal settings have equal digests."""

from __future__ import annotations

from pathlib import Path

import pytest

from millpond.config import StageConfig, apply_overrides, load, read_settings
from millpond.errors import ConfigError


class Inner(StageConfig):
    """A section in a section."""

    threshold: float = 0.5


class Settings(StageConfig):
    """Something to configure."""

    number: int = 1
    inner: Inner = Inner()


def test_file_then_overrides(tmp_path: Path) -> None:
    path = tmp_path / "a b.toml"
    path.write_text("[stage]\nnumber = 2\n[stage.inner]\nthreshold = 0.25\n")
    assert load(Settings, path, "stage") == Settings(number=2, inner=Inner(threshold=0.25))
    assert load(Settings, path, "stage", ["inner.threshold=1", "number=7"]).inner.threshold == 1
    assert load(Settings, None, "stage") == Settings()
    assert load(Settings, path, "other") == Settings()


def test_written_configuration_is_read_back(tmp_path: Path) -> None:
    settings = Settings(number=3)
    settings.write(tmp_path / "config.json")
    assert Settings.from_mapping(read_settings(tmp_path / "config.json"), "x").digest() == settings.digest()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[stage]\nnumbr = 1", r"unknown key 'numbr' \(known here: inner, number\)"),
        ("[stage.inner]\nthreshld = 1", r"unknown key 'inner.threshld' \(known here: threshold\)"),
        ("[stage]\nnumber = 'many'", r"number='many': input should be a valid integer"),
        ("[stage\n", "not a readable TOML"),
        ("stage = 3", r"\[stage\] must be a table"),
    ],
)
def test_mistakes_are_one_sentence(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "run.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message) as caught:
        load(Settings, path, "stage")
    assert "\n" not in str(caught.value) and str(path) in str(caught.value)


@pytest.mark.parametrize("override", ["number", "=1", "a..b=1", "number.x=1"])
def test_bad_override(override: str) -> None:
    with pytest.raises(ConfigError, match="override"):
        apply_overrides({"number": 1}, [override])


def test_missing_file_and_folder(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such configuration file"):
        read_settings(tmp_path / "none.toml")
    with pytest.raises(ConfigError, match="not a readable"):
        read_settings(tmp_path)


def test_digest_is_of_the_settings_not_their_order() -> None:
    assert Settings.from_mapping({"inner": {}, "number": 1}, "x").digest() == Settings().digest()
    assert Settings(number=2).digest() != Settings().digest()
