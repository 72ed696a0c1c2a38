"""Progress of long work: a bar on a terminal, a line every few seconds in a log, silence when asked for."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

LOG_SECONDS = 5.0

#: Everything a person reads while waiting goes to stderr; stdout carries results.
console = Console(stderr=True)
_quiet = False


def is_silent() -> bool:
    """Whether progress is switched off."""
    return _quiet


def silence(quiet: bool = True) -> None:
    """Show no progress from here on (`--output json`), or show it again."""
    global _quiet
    _quiet = quiet


def note(text: str) -> None:
    """Say something a person may want to know while waiting."""
    if not _quiet:
        console.print(text, highlight=False, markup=False)


class Bar:
    """One task's progress; `update` may be called from any thread."""

    def __init__(self, title: str, progress: Progress | None) -> None:
        self.title = title
        self._progress = progress
        self._task = progress.add_task(title, total=None) if progress else None
        self._logged = time.monotonic()

    def update(self, done: int, total: int | None = None, note: str = "") -> None:
        """Show `done` of `total` units."""
        if self._progress is not None and self._task is not None:
            self._progress.update(self._task, completed=done, total=total, description=f"{self.title} {note}".rstrip())
        elif not _quiet and time.monotonic() - self._logged >= LOG_SECONDS:
            self._logged = time.monotonic()
            of = f" of {total:,}" if total else ""
            print(f"{self.title}: {done:,}{of} {note}".rstrip(), file=sys.stderr, flush=True)  # noqa: T201


@contextmanager
def bar(title: str) -> Iterator[Bar]:
    """Show a bar for the length of a block."""
    if _quiet or not console.is_terminal:
        yield Bar(title, None)
        return
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        yield Bar(title, progress)


@contextmanager
def spark_bar(title: str, spark: SparkSession) -> Iterator[None]:
    """Show the tasks of the Spark jobs that run inside the block."""
    tracker = spark.sparkContext.statusTracker()

    def look(shown: Bar) -> None:
        stages = [tracker.getStageInfo(s) for s in tracker.getActiveStageIds()]
        running = [stage for stage in stages if stage]
        if running:
            shown.update(
                sum(stage.numCompletedTasks for stage in running),
                sum(stage.numTasks for stage in running),
                "tasks",
            )

    with followed(title, look):
        yield


@contextmanager
def followed(title: str, look: Callable[[Bar], None]) -> Iterator[None]:
    """Show what `look` sees, twice a second, while the block runs."""
    done = threading.Event()

    def follow(shown: Bar) -> None:
        while not done.wait(0.5):
            look(shown)

    with bar(title) as shown:
        thread = threading.Thread(target=follow, args=(shown,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()
