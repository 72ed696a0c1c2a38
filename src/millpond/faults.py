"""Named points where a test can stop a run, so that crash recovery is shown and not supposed.

`MILLPOND_FAULT=<point>:<action>` arms one point. Reaching it appends the point's name to the file named by
`MILLPOND_FAULT_LOG` (proof that the fault fired) and then acts: `kill` sends SIGKILL to the process group,
`kill-self` to this process alone, `pause` waits until the file named by `MILLPOND_FAULT_GO` exists.
Unarmed, a point costs one dictionary look-up.
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

#: The points of a publish, in order.
POINTS = (
    "before-data",
    "after-data",
    "after-branch",
    "before-main",
    "after-main",
    "before-release",
)


def point(name: str) -> None:
    """Act if `name` is armed."""
    armed = os.environ.get("MILLPOND_FAULT")
    if not armed:
        return
    wanted, _, action = armed.partition(":")
    if wanted != name:
        return
    with Path(os.environ["MILLPOND_FAULT_LOG"]).open("a") as log:
        log.write(name + "\n")
        log.flush()
        os.fsync(log.fileno())
    if action == "kill":
        os.killpg(os.getpgrp(), signal.SIGKILL)
    elif action == "kill-self":
        os.kill(os.getpid(), signal.SIGKILL)
    elif action == "pause":
        while not Path(os.environ["MILLPOND_FAULT_GO"]).exists():
            time.sleep(0.02)
