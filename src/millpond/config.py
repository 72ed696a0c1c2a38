"""Configuration: one TOML a run, frozen pydantic models behind it, a few dotted overrides.

A stage's model derives from `StageConfig`; a field's docstring is its documentation. `load` reads a
section of a TOML file, applies overrides such as `filters.preset=fineweb` and turns every problem into
one sentence. `digest` identifies a configuration: equal settings give equal digests, however written.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Self, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from millpond import durable
from millpond.errors import ConfigError

Model = TypeVar("Model", bound="StageConfig")


class StageConfig(BaseModel):
    """Base of every configuration model: frozen and closed to unknown keys."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=False, use_attribute_docstrings=True, protected_namespaces=()
    )

    def digest(self) -> str:
        """Sha256 (hex) of the resolved settings in canonical JSON."""
        return digest_of(self.model_dump(mode="json"))

    def write(self, path: Path) -> None:
        """Write the resolved settings as JSON beside an output."""
        path.parent.mkdir(parents=True, exist_ok=True)
        durable.write_bytes(path, json.dumps(self.model_dump(mode="json"), indent=2, sort_keys=True).encode() + b"\n")

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any], where: str) -> Self:
        """Validate `values`; `where` names their origin in messages.

        Raises:
            ConfigError: unknown key, wrong type or impossible value.
        """
        try:
            return cls.model_validate(dict(values))
        except ValidationError as error:
            raise ConfigError(f"{where}: {_explain(error, cls)}") from error


def digest_of(value: Any) -> str:
    """Sha256 (hex) of a JSON-like value in canonical form (sorted keys, no spaces)."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def read_settings(path: str | Path) -> dict[str, Any]:
    """Read a TOML file, or a JSON file such as the resolved `config.json` beside an output.

    Raises:
        ConfigError: the file is missing, a folder, not UTF-8 or neither TOML nor JSON.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
        values = json.loads(text) if Path(path).suffix == ".json" else tomllib.loads(text)
    except FileNotFoundError as error:
        raise ConfigError(f"{path}: no such configuration file") from error
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: not a readable TOML or JSON file: {error}") from error
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: holds a {type(values).__name__}, not settings")
    return values


def read_section(path: str | Path | None, section: str, overrides: Iterable[str] = ()) -> dict[str, Any]:
    """The settings under [section] of a file (none without a file), with overrides applied.

    A JSON file without that section is the stage's own resolved `config.json` and is taken whole.

    Raises:
        ConfigError: the file or an override is not usable.
    """
    settings = read_settings(path) if path is not None else {}
    values = settings.get(section, settings if Path(path or "").suffix == ".json" else {})
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: [{section}] must be a table")
    return apply_overrides(values, overrides)


def apply_overrides(values: dict[str, Any], overrides: Iterable[str]) -> dict[str, Any]:
    """Return `values` with dotted overrides (`a.b=1`) applied; a value is TOML, or else a plain string.

    Raises:
        ConfigError: an override is not `key=value` or goes through a value that is not a table.
    """
    result: dict[str, Any] = json.loads(json.dumps(values, default=str))
    for override in overrides:
        key, equals, text = override.partition("=")
        parts = key.strip().split(".")
        if not equals or not all(parts):
            raise ConfigError(f"override {override!r}: write it as key=value or section.key=value")
        table = result
        for part in parts[:-1]:
            table = table.setdefault(part, {})
            if not isinstance(table, dict):
                raise ConfigError(f"override {override!r}: {part} is a value, not a section")
        table[parts[-1]] = _parse_value(text)
    return result


def load(model: type[Model], path: str | Path | None, section: str, overrides: Iterable[str] = ()) -> Model:
    """Build `model` from a section of a file and overrides.

    Raises:
        ConfigError: the file, a key or a value is not usable.
    """
    where = f"{path} [{section}]" if path else section
    return model.from_mapping(read_section(path, section, overrides), where)


def _parse_value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _explain(error: ValidationError, model: type[BaseModel]) -> str:
    problems = []
    for item in error.errors():
        key = ".".join(str(part) for part in item["loc"]) or "value"
        if item["type"] == "extra_forbidden":
            problems.append(f"unknown key {key!r} (known here: {', '.join(_known(model, item['loc']))})")
        elif item["type"] == "value_error" and isinstance(item["input"], dict):  # the message names the settings
            problems.append(item["msg"].removeprefix("Value error, "))
        else:
            given = "" if isinstance(item["input"], dict) else f"={item['input']!r}"
            problems.append(f"{key}{given}: {item['msg'][:1].lower() + item['msg'][1:]}")
    return "; ".join(problems)


def _known(model: type[BaseModel], location: tuple[int | str, ...]) -> list[str]:
    for part in location[:-1]:
        field = model.model_fields.get(str(part))
        annotation = field.annotation if field else None
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            break
        model = annotation
    return sorted(model.model_fields)
