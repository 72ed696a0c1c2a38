"""Where the time of a run went: seconds by stage and by step of extraction, and the pages that took longest.

Stages are on the driver's clock, one after the other; steps are measured by tasks, which run beside each other, and
added up. All of it is kept in the run's folder and nothing in a table: the tables of a run do not depend on the
machine, and times do.
"""

from __future__ import annotations

import heapq
import json
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Self

import pyarrow as pa

from millpond import durable

#: So many of the slowest pages are kept.
SLOWEST = 20
_FILE = "times.json"


class Times:
    """Seconds by stage, and by step over a number of pages; the slowest pages as (seconds, url), the slowest first.

    What a run did twice, because another one released first, counts twice.
    """

    def __init__(self) -> None:
        self.stages: dict[str, float] = {}
        self.pages = 0
        self.seconds: dict[str, float] = {}
        self.slowest: list[tuple[float, str]] = []

    def stage(self, name: str) -> AbstractContextManager[None]:
        """Add the time the block takes to a stage."""
        return _timed(self.stages, name)

    def step(self, name: str) -> AbstractContextManager[None]:
        """Add the time the block takes to a step."""
        return _timed(self.seconds, name)

    def add(self, name: str, seconds: float) -> None:
        """Add to a step."""
        self.seconds[name] = self.seconds.get(name, 0.0) + seconds

    def page(self, url: str, seconds: float) -> None:
        """Count a page that took so long."""
        self.pages += 1
        self._keep([(seconds, url)])

    def merge(self, notes: Iterable[Mapping[str, Any]]) -> None:
        """Add what tasks noted (`note`)."""
        for note in notes:
            told = json.loads(note["times"])
            self.pages += told["pages"]
            for name, seconds in told["seconds"].items():
                self.add(name, seconds)
            self._keep((seconds, url) for seconds, url in told["slowest"])

    def note(self) -> pa.RecordBatch:
        """All of it as one row, for the driver."""
        return pa.RecordBatch.from_pydict({"times": [json.dumps(vars(self))]})

    def write(self, folder: Path) -> None:
        """Keep it in a run's folder."""
        folder.mkdir(parents=True, exist_ok=True)
        durable.write_bytes(folder / _FILE, json.dumps(vars(self), indent=1, ensure_ascii=False).encode() + b"\n")

    @classmethod
    def read(cls, folder: Path) -> Self | None:
        """What a run kept; None if nothing."""
        path = folder / _FILE
        if not path.exists():
            return None
        told = json.loads(path.read_bytes())
        found = cls()
        found.stages, found.pages, found.seconds = told.get("stages", {}), told["pages"], told["seconds"]
        found.slowest = [(seconds, url) for seconds, url in told["slowest"]]
        return found

    def _keep(self, pages: Iterable[tuple[float, str]]) -> None:
        self.slowest = heapq.nlargest(SLOWEST, [*self.slowest, *pages])


@contextmanager
def _timed(sums: dict[str, float], name: str) -> Iterator[None]:
    start = time.perf_counter()
    try:
        yield
    finally:
        sums[name] = sums.get(name, 0.0) + time.perf_counter() - start
