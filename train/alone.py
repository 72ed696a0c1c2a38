"""One trainer to a run's folder, and none that outlives who started it.

A stage that is killed leaves its trainer behind, and the next one would write into the same checkpoints. So a
trainer started by a stage ends, with its state saved, when the stage's end of a pipe closes, and whoever trains holds
a lock that goes with the process however that ends.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from millpond import durable
from millpond.errors import ConfigError, MillpondError
from millpond.train.parallel import World

LOCK = ".lock"


def stop_at_end_of_input() -> None:
    """From here on, end as on SIGTERM, with the state saved, when standard input ends."""

    def watch() -> None:
        while os.read(0, 1):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()


@contextmanager
def sole_trainer(out: Path, world: World, wait_seconds: float) -> Iterator[None]:
    """Hold the run's folder `out` for the length of a block; another trainer gets `wait_seconds` to let go.

    Raises:
        ConfigError: `out` cannot be a folder to write in.
        MillpondError: another trainer goes on holding it.
    """
    with ExitStack() as held:
        with world.alike(ConfigError, f"out={out}: is not a folder that can be written in"):
            if world.is_main:
                out.mkdir(parents=True, exist_ok=True)
                file = held.enter_context((out / LOCK).open("w"))
                until = time.monotonic() + wait_seconds
                while not durable.lock(file):
                    if time.monotonic() > until:
                        raise MillpondError(f"{out}: another process trains this run: wait for it, or end it")
                    time.sleep(0.2)
        yield
