"""Evidence that nothing is lost and nothing doubled: `make evidence`, or `python -m benchmarks.evidence [--quick]`.

Injects faults into real stages on real pages, one after the other: kills at every point of a publish, publishers that
race, rows that vanish before the audit, other numbers of partitions, tasks that die. Each must have fired, and each
must end in the tables of an undisturbed run.

Inputs: the gold pages under `MILLPOND_TEST_DATA` (default `../shared/data`). Output: `docs/evidence.md`; a line that
does not show what it should says FAILED there, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from benchmarks.kills import DRIVER, GROUP, IN_TASKS, Injection, Reader, kill_matrix, short_plan, whole_plan
from benchmarks.machine import describe
from benchmarks.page import table
from benchmarks.pages import gold_folder
from benchmarks.scene import ARCHIVES, PAGES, ROOT, Ended, Scene, Stage

from millpond.datafile import write_rows
from millpond.errors import MillpondError
from millpond.lake import Lake, files_digest
from millpond.progress import console

PAGE = ROOT / "docs" / "evidence.md"
PUBLISHER = ROOT / "tests" / "publisher.py"
FAULTY_INGEST = ROOT / "tests" / "faulty_ingest.py"
PINS = ROOT / "benchmarks" / "peers" / "datatrove.txt"
#: Stage → tables from whose staged files a row is deleted.
DELETED = {
    "ingest": ("web.pages",),
    "curate": ("corpus.candidates", "corpus.documents", "corpus.rejects"),
    "tokenize": ("tokens.documents", "tokens.shards"),
}
PARTITIONS = (1, 2, 7)
#: Stages whose every point is met by both kinds of kill; the others meet each point once, the kinds in turn.
SPARK_STAGES = ("ingest", "curate", "tokenize")
QUICK = (("after-data", GROUP), ("after-main", DRIVER), (IN_TASKS, DRIVER))
COLUMNS = ("fault", "injected", "fired", "lost", "doubled", "old release", "equal", "")

_INTRODUCTION = """\
# Evidence

Written by `{command}` on {date} at commit {commit}, in {minutes:.0f} minutes; `make evidence` writes it anew.

Machine: {processor}, {cores} cores, {memory_gib} GiB, {system}, Python {python}, Java {java}.

**{verdict}** {injected:,} faults injected, {fired:,} fired; {lost:,} rows lost, {doubled:,} doubled; {reads:,} reads
of old releases while something was being published.

Each line is one kind of fault. *fired*: how often it demonstrably happened. *lost*, *doubled*: rows, by their keys,
against an undisturbed run on the same {pages} real pages. *old release*: whether every reader found it readable and
unchanged until the new one. *equal*: whether all tables end with the canonical digests of an undisturbed run.
"""

_SECTIONS = {
    "Raced": "Two processes publish to one lake as fast as they can.",
    "A row deleted between writing and audit": """\
The stage is stopped once its files are staged, one row is taken out of one of them, and it goes on. The publish must
be refused by the ledger, with no table and no release moved; running again must end as if undisturbed.""",
    "Partitions": "The job under `spark-submit --master local[n]`, with n shuffle partitions and n or more tasks.",
    "Tasks that die": "`spark-submit --master local[2,4]`; every first attempt is killed when its rows are done.",
    "Killed": """\
A stage runs as `millpond STAGE`. Of two kills at a point, one takes the process group with SIGKILL and the other the
driver alone, which leaves Spark's Java and Python processes, or the trainer, to end by themselves. The stage is run
again at once, while they may still be there; a third run must find nothing to do. `in-tasks` is a kill from outside
once the first task has made a file, or training a checkpoint.""",
}


def deleted_row(scene: Scene, stage: Stage, name: str) -> Injection:
    """Take a row out of a staged file and see the publish refused."""
    shown = Injection("A row deleted between writing and audit", f"{stage.name}, {name}")
    lake = scene.before(stage)
    reader = Reader(lake)
    heads = _heads(lake)
    known = set(lake.data_folder(name).glob("*.parquet"))
    fired, go = scene.folder / "fired", scene.folder / "go"
    for path in (fired, go):
        path.unlink(missing_ok=True)
    process = scene.start(
        stage, MILLPOND_FAULT="after-data:pause", MILLPOND_FAULT_LOG=str(fired), MILLPOND_FAULT_GO=str(go)
    )
    while process.poll() is None and not fired.exists():
        time.sleep(0.05)
    staged = sorted(set(lake.data_folder(name).glob("*.parquet")) - known)
    if staged:
        rows = pq.read_table(staged[0])
        pq.write_table(rows.slice(1), staged[0])
        shown.fired = pq.read_metadata(staged[0]).num_rows == rows.num_rows - 1
    go.touch()
    ended = scene.end(process)
    if ended.code != 1 or ended.result.get("error") != "LedgerError":
        shown.problems.append(f"not refused by the ledger: exit code {ended.code}, {ended.result or ended.log}")
    if _heads(scene.lake()) != heads:
        shown.problems.append("a refused publish moved a table")
    reader.look(reader.digests)
    shown.readable, shown.reads = not reader.problems, reader.reads
    again = scene.run(stage)
    if again.code or again.result["unchanged"]:
        shown.problems.append(f"running again: exit code {again.code}, {again.result or again.log}")
    shown.compare(scene, stage.name)
    return shown


def _heads(lake: Lake) -> dict[str, dict[str, int]]:
    """Every branch of every table."""
    return {name: {ref: at.snapshot_id for ref, at in lake.table(name).refs().items()} for name in lake.tables()}


def race(folder: Path, releases: int) -> Injection:
    """Two processes publish to one lake at once, each as many releases."""
    shown = Injection("Raced", f"two publishers, {releases} releases each")
    lake, names = Lake.open(str(folder / "raced")), ("a", "b")
    command = [sys.executable, str(PUBLISHER), lake.uri]
    running = [subprocess.Popen([*command, name, str(releases)], stdout=subprocess.DEVNULL) for name in names]
    torn = 0
    while any(process.poll() is None for process in running):
        if (release := lake.release()) is not None:
            counts = {lake.rows(table, release.tables[table]) for table in ("web.rejects", "web.frontier")}
            torn += counts != {release.number}
            shown.reads += 1
        time.sleep(0.1)
    shown.readable = not torn
    if any(process.returncode for process in running):
        shown.problems.append(f"exit codes {[process.returncode for process in running]}")
    wanted = Counter(f"{name}-{number}" for name in names for number in range(releases))
    found = Counter(lake.read("web.rejects", ["file"])["file"].to_pylist())
    shown.lost, shown.doubled = (wanted - found).total(), (found - wanted).total()
    rows = [
        {"file": f"{name}-{number}", "offset": number, "reason": "damaged", "detail": name, "records": 1}
        for name in names
        for number in range(releases)
    ]
    alone = [entry.path for entry in write_rows("web.rejects", folder / "alone", rows)]
    shown.equal = lake.digest("web.rejects") == files_digest("web.rejects", alone)
    name_of = {row["run_id"]: json.loads(row["config"])["name"] for row in lake.read("ops.runs").to_pylist()}
    order = [name_of[release.run_id] for release in lake.releases()]
    changes = sum(earlier != later for earlier, later in pairwise(order))
    shown.fired = changes > 0
    shown.fault += f"; the lead changed {changes} times"
    return shown


def partitions(scene: Scene, stage: Stage, count: int) -> Injection:
    """Curate with so many partitions."""
    shown = Injection("Partitions", f"{stage.name}, local[{count}]")
    scene.before(stage)
    conf = {
        "spark.sql.files.minPartitionNum": str(count),
        "spark.sql.shuffle.partitions": str(count),
        "spark.sql.adaptive.enabled": "false",
    }
    _succeed(shown, scene.submit(f"local[{count}]", ROOT / "curate" / "job.py", (), conf))
    written = len(scene.lake().files("corpus.candidates"))
    shown.fault += f", {written} task{'' if written == 1 else 's'} wrote candidates"
    shown.fired = written == 1 if count == 1 else written >= count  # Spark packs whole files, and may need one more
    shown.compare(scene, stage.name)
    return shown


def dying_tasks(scene: Scene, stage: Stage) -> Injection:
    """Ingest with tasks whose first attempt dies."""
    shown = Injection("Tasks that die", f"{stage.name}, {ARCHIVES} tasks, each once")
    log = scene.folder / "fired"
    log.unlink(missing_ok=True)
    scene.before(stage)
    fault = {"MILLPOND_FAULT": "first-attempt:kill-self", "MILLPOND_FAULT_LOG": str(log)}
    _succeed(shown, scene.submit("local[2,4]", FAULTY_INGEST, scene.second, {}, **fault))
    shown.fired = log.exists() and log.read_text().split() == ["first-attempt"] * ARCHIVES
    shown.compare(scene, stage.name)
    return shown


def _succeed(shown: Injection, ended: Ended) -> None:
    if ended.code or ended.result["unchanged"]:
        shown.problems.append(f"exit code {ended.code}, {ended.result or ended.log}")


def inject(folder: Path, data: Path, quick: bool) -> Iterator[Injection]:
    """Everything, one after the other."""
    yield race(folder, 10 if quick else 20)
    scene = Scene(folder, data)
    scene.build(SPARK_STAGES[-1] if quick else scene.stages[-1].name)
    stages = {stage.name: stage for stage in scene.stages}
    for name, tables in DELETED.items():
        for deleted in tables[:1] if quick else tables:
            yield deleted_row(scene, stages[name], deleted)
    for count in PARTITIONS[1:] if quick else PARTITIONS:
        yield partitions(scene, stages["curate"], count)
    yield dying_tasks(scene, stages["ingest"])
    for name, stage in stages.items():
        if name in SPARK_STAGES:
            yield from kill_matrix(scene, stage, QUICK if quick else whole_plan())
        elif not quick:
            yield from kill_matrix(scene, stage, short_plan())


def write(
    injections: Sequence[Injection],
    facts: Mapping[str, Any],
    command: str,
    minutes: float,
    path: Path,
    *,
    finished: bool,
) -> None:
    """Write the page; one that is not `finished` says so."""
    verdict = "All as it should be:" if all(shown.ok for shown in injections) else "FAILED:"
    parts = [
        _INTRODUCTION.format(
            command=command,
            minutes=minutes,
            verdict=verdict if finished else "NOT FINISHED:",
            pages=PAGES,
            injected=len(injections),
            fired=sum(shown.fired for shown in injections),
            lost=sum(shown.lost for shown in injections),
            doubled=sum(shown.doubled for shown in injections),
            reads=sum(shown.reads for shown in injections),
            date=facts["date"],
            commit=facts["commit"],
            python=facts["versions"]["python"],
            java=facts["versions"]["java"],
            **facts["machine"],
        )
    ]
    for section, shown in groupby(injections, key=lambda shown: shown.section):
        rows = [_row(fault, list(same)) for fault, same in groupby(shown, key=lambda shown: shown.fault)]
        parts += [f"## {section}\n", f"{_SECTIONS[section]}\n", table(COLUMNS, rows)]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(parts))


def _row(fault: str, same: Sequence[Injection]) -> tuple[str, ...]:
    looked = [shown.readable for shown in same if shown.readable is not None]
    problems = "; ".join(dict.fromkeys(problem for shown in same for problem in shown.problems))
    failed = f"**FAILED** {' '.join(problems.split())[:400]}".replace("|", "/")
    return (
        fault,
        str(len(same)),
        str(sum(shown.fired for shown in same)),
        str(sum(shown.lost for shown in same)),
        str(sum(shown.doubled for shown in same)),
        "–" if not looked else "unchanged" if all(looked) else "NOT unchanged",
        "yes" if all(shown.equal for shown in same) else "NO",
        "ok" if all(shown.ok for shown in same) else failed,
    )


def main() -> int:
    """Inject everything and write the page; 1 where a line does not show what it should."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.evidence", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="fewer kills, and of three stages only")
    parser.add_argument("--page", type=Path, default=PAGE, help="file to write (default: docs/evidence.md)")
    options = parser.parse_args()
    started, injections = time.monotonic(), []
    facts = describe(ROOT, PINS, os.cpu_count() or 1)  # before the page changes the tree
    command = shlex.join(["python", "-m", "benchmarks.evidence", *sys.argv[1:]])
    try:
        with tempfile.TemporaryDirectory(prefix="millpond evidence ") as folder:
            for shown in inject(Path(folder), gold_folder().parent, options.quick):
                injections.append(shown)
                write(injections, facts, command, (time.monotonic() - started) / 60, options.page, finished=False)
                verdict = "ok" if shown.ok else f"FAILED {shown}"
                console.print(f"{shown.section}: {shown.fault}: {verdict}", markup=False, highlight=False)
    except MillpondError as error:
        console.print(f"evidence: {error}", markup=False, highlight=False)
        return error.exit_code
    write(injections, facts, command, (time.monotonic() - started) / 60, options.page, finished=True)
    return 0 if all(shown.ok for shown in injections) else 1


if __name__ == "__main__":
    sys.exit(main())
