"""How Spark's tasks ended and what they shuffled, read from its event log; for tests, evidence and benchmarks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

#: A copy of a task starts as soon as others have ended, or it has run for some seconds.
SPECULATION = {
    "spark.speculation": "true",
    "spark.speculation.quantile": "0.5",  # of two tasks, one
    "spark.speculation.multiplier": "1.5",
    "spark.speculation.task.duration.threshold": "5s",  # of a stage of one task
}


@dataclass(frozen=True)
class Attempt:
    """One finished attempt of a task."""

    stage: int
    task: int
    number: int
    host: str
    speculative: bool
    end: str


def event_settings(folder: Path) -> dict[str, str]:
    """Settings with which a job writes its event log into a folder of its own."""
    return {
        "spark.eventLog.enabled": "true",
        "spark.eventLog.compress": "false",
        "spark.eventLog.rolling.enabled": "false",
        "spark.eventLog.dir": folder.as_uri(),
    }


def read_attempts(folder: Path) -> list[Attempt]:
    """The attempts of all tasks of the job that wrote into the folder."""
    return [attempt for event in _events(folder) for attempt in _attempts(event)]


def shuffled_bytes(folder: Path) -> int:
    """What the tasks of that job wrote for others to read."""
    written = 0
    for event in _events(folder):
        if event["Event"] == "SparkListenerTaskEnd" and (metrics := event.get("Task Metrics")):
            written += metrics["Shuffle Write Metrics"]["Shuffle Bytes Written"]
    return int(written)


def _events(folder: Path) -> Iterator[dict[str, Any]]:
    [log] = folder.iterdir()
    with log.open(encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def _attempts(event: dict[str, Any]) -> Iterator[Attempt]:
    if event["Event"] == "SparkListenerTaskEnd":
        task, end = event["Task Info"], event["Task End Reason"]["Reason"]
        yield Attempt(event["Stage ID"], task["Index"], task["Attempt"], task["Host"], task["Speculative"], end)
