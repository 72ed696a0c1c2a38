"""What a finished run says of itself: `result.json`, written last."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from millpond import durable
from millpond.errors import CheckpointError, ConfigError

RESULT = "result.json"


@dataclass(frozen=True)
class TrainResult:
    """A finished run."""

    run: str
    identity: dict[str, Any]
    """The settings and shards that decided its numbers."""
    model: dict[str, Any]
    parameters: int
    """Tied ones once."""
    world_size: int
    steps: int
    tokens: int
    """Tokens of documents in all steps, padding not counted."""
    seconds: float
    """Of all steps, waiting for data included."""
    fingerprint: str
    """Of the training shards."""
    tokenizer_digest: str
    export_path: str
    first_loss: float
    last_loss: float
    validation: list[list[float]]
    """[step, nats per token] of each validation; empty without validation shards."""

    def write(self, out: Path) -> None:
        """Write `out`/result.json.

        Raises:
            OSError: it cannot be written.
        """
        durable.write_bytes(out / RESULT, json.dumps(asdict(self), indent=2, sort_keys=True).encode() + b"\n")


def read_result(out: Path) -> TrainResult | None:
    """The result in a run's folder; None where the run is not finished.

    Raises:
        CheckpointError: the file is not one a run wrote.
    """
    path = out / RESULT
    if not path.exists():
        return None
    try:
        return TrainResult(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise CheckpointError(f"{path}: not readable, remove it to finish the run again: {error}") from error


def require_same(before: Mapping[str, Any], now: Mapping[str, Any], where: Path) -> None:
    """Refuse to go on with a run under other settings.

    Raises:
        ConfigError: names each setting that differs.
    """
    changed = [
        f"{key} {before.get(key)!r} → {now.get(key)!r}"
        for key in sorted(before.keys() | now.keys())
        if before.get(key) != now.get(key)
    ]
    if changed:
        raise ConfigError(
            f"{where} is of a run with other settings ({', '.join(changed)}): "
            "give these back, or choose another `run` or `out`"
        )
