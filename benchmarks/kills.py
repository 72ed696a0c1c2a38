"""The kill matrix: a stage is killed at every named point of a publish and in the middle of its tasks, then run again.

Once the whole process group dies, once the driver alone, which leaves Spark's Java and Python processes to notice.
While the stage runs, and after its death, a reader reads the old release. The stage is run again at once; then its
tables must be those of an undisturbed run, and a third run must find nothing to do.
"""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field

from benchmarks.scene import Scene, Stage, contents, differing, lost_and_doubled, stopped_on_error
from sessions import left_behind

from millpond import faults
from millpond.lake import Lake

#: What is killed, and how `MILLPOND_FAULT` calls it.
GROUP, DRIVER = "kill", "kill-self"
VICTIMS = (GROUP, DRIVER)
#: The point that is none of the named ones: the first task has made a file.
IN_TASKS = "in-tasks"
POLL_SECONDS = 0.25
#: How long processes that lost their driver may take to end.
LINGER_SECONDS = 20.0


@dataclass
class Injection:
    """One injected fault and what came of it."""

    section: str
    fault: str
    fired: bool = False
    lost: int = 0
    doubled: int = 0
    readable: bool | None = None
    """Whether every look at the old release found it unchanged; None where nobody looked."""
    equal: bool = False
    """Whether running again ended in the tables of an undisturbed run."""
    problems: list[str] = field(default_factory=list)
    """Everything that should not be, in words."""
    reads: int = 0
    columns: dict[str, str] = field(default_factory=dict)
    """What is shown of it instead of the counts above, by heading."""

    @property
    def ok(self) -> bool:
        """Whether this shows what it should."""
        clean = self.fired and self.equal and self.readable is not False and not self.problems
        return clean and self.lost == self.doubled == 0

    def compare(self, scene: Scene, stage: str, tables: str = "") -> None:
        """Compare the lake, or tables whose names begin so, with the one an undisturbed run of `stage` makes."""
        wanted, found = (
            {name: rows for name, rows in side.items() if name.startswith(tables)}
            for side in (scene.clean[stage], contents(scene.lake()))
        )
        self.lost, self.doubled = lost_and_doubled(wanted, found)
        different = differing(wanted, found)
        self.equal = not different
        if different:
            self.problems.append(f"not as after an undisturbed run: {', '.join(different)}")


class Reader:
    """Somebody who reads the release of a lake again and again; it must stay as it was at first."""

    def __init__(self, lake: Lake) -> None:
        self.lake = lake
        self.releases = lake.releases()
        self.digests = {table: lake.digest(table) for table in lake.tables()}
        self.reads = 0
        self.problems: list[str] = []
        self._next = itertools.cycle(self.digests)

    def look(self, tables: Iterable[str] | None = None) -> None:
        """Read some tables, one after the other where none are named."""
        for table in tables or [next(self._next)]:
            self.reads += 1
            try:
                if self.lake.releases() != self.releases or self.lake.digest(table) != self.digests[table]:
                    self.problems.append(f"the old release changed: {table}")
            except Exception as error:  # whatever a reader meets is what is looked for here
                self.problems.append(f"the old release could not be read: {table}: {error}")


def kill_matrix(scene: Scene, stage: Stage, plan: Iterable[tuple[str, str]]) -> Iterator[Injection]:
    """Kill a stage at each (point, victim) of a plan."""
    for point, victim in plan:
        if point != IN_TASKS or stage.sign:
            yield kill(scene, stage, point, victim)


def kill(scene: Scene, stage: Stage, point: str, victim: str) -> Injection:
    """Kill one stage once, run it again, and once more."""
    shown = Injection("Killed", f"{stage.name}, {point}")
    reader = Reader(scene.before(stage))
    log = scene.folder / "fired"
    log.unlink(missing_ok=True)
    fault = {} if point == IN_TASKS else {"MILLPOND_FAULT": f"{point}:{victim}", "MILLPOND_FAULT_LOG": str(log)}
    process = scene.start(stage, **fault)
    if point == IN_TASKS:
        with stopped_on_error(process):
            _kill_at_work(scene, stage, process, victim, reader)
    with stopped_on_error(process):
        while process.poll() is None:
            reader.look()
            time.sleep(POLL_SECONDS)
    fired = point == IN_TASKS or (log.exists() and log.read_text().split() == [point])
    shown.fired = fired and process.returncode == -signal.SIGKILL
    reader.look(reader.digests)
    shown.readable, shown.reads, shown.problems = not reader.problems, reader.reads, reader.problems[:1]

    again = scene.run(stage)
    if again.code or again.result["unchanged"]:
        shown.problems.append(f"running again: exit code {again.code}, {again.result or again.log}")
    shown.compare(scene, stage.name)
    newest = scene.lake().releases()
    if [release.number for release in newest] != list(range(1, len(reader.releases) + 2)):
        shown.problems.append(f"there were {len(reader.releases)} releases, and running again made it {len(newest)}")
    third = scene.run(stage)
    if third.code or not third.result["unchanged"] or scene.lake().releases() != newest:
        shown.problems.append(f"the third run: exit code {third.code}, {third.result or third.log}")
    shown.problems += _orphans(process.pid)
    return shown


def _kill_at_work(scene: Scene, stage: Stage, process: subprocess.Popen[bytes], victim: str, reader: Reader) -> None:
    """Kill from outside, as soon as the stage's tasks have made a file."""
    known = set(scene.root.glob(stage.sign))
    while process.poll() is None:
        if set(scene.root.glob(stage.sign)) - known:
            (os.killpg if victim == GROUP else os.kill)(process.pid, signal.SIGKILL)
            process.wait()
            return
        reader.look()
        time.sleep(POLL_SECONDS / 5)


def _orphans(session: int) -> list[str]:
    """What is left of a killed stage's session, which should end by itself; ends what does not."""
    deadline = time.monotonic() + LINGER_SECONDS
    while (left := left_behind(session)) and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
    for pid in left:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return [f"{len(left)} processes outlived their driver by more than {LINGER_SECONDS:.0f} s"] if left else []


def whole_plan() -> list[tuple[str, str]]:
    """Every point, for the group and for the driver alone."""
    return [(point, victim) for point in (*faults.POINTS, IN_TASKS) for victim in VICTIMS]


def short_plan() -> list[tuple[str, str]]:
    """Every named point once, the victims taking turns, and both in the middle of the tasks."""
    return [*zip(faults.POINTS, itertools.cycle(VICTIMS), strict=False), *((IN_TASKS, victim) for victim in VICTIMS)]
