"""Evidence that nothing is lost and nothing doubled: `make evidence`, or `python -m benchmarks.evidence [--quick]`.

Injects faults into real stages on real pages, one after the other: kills at every point of a publish, publishers that
race, rows that vanish before the audit, other numbers of partitions, tasks that die, hostile pages. Each must have
fired, and each must end in the tables of an undisturbed run.

Inputs: the gold pages under `MILLPOND_TEST_DATA` (default `../shared/data`). Output: `docs/evidence.md`; a line that
does not show what it should says FAILED there, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shlex
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from benchmarks.hostile import SECTION as HOSTILE
from benchmarks.hostile import hostile_pages
from benchmarks.kills import DRIVER, GROUP, IN_TASKS, Injection, Reader, kill_matrix, short_plan, whole_plan
from benchmarks.machine import describe
from benchmarks.page import table
from benchmarks.pages import gold_folder
from benchmarks.scene import PAGES, ROOT, Ended, Scene, Stage
from cluster import HOSTS, cluster
from spark_events import SPECULATION, Attempt, event_settings, read_attempts

from millpond.config import StageConfig
from millpond.datafile import write_rows
from millpond.errors import MillpondError
from millpond.lake import Lake, files_digest
from millpond.progress import console
from millpond.publish import Mode, Run
from millpond.schemas import PAGES as PAGES_TABLE

PAGE = ROOT / "docs" / "evidence.md"
PUBLISHER = ROOT / "tests" / "publisher.py"
FAULTY = str(ROOT / "tests" / "faulty_job.py")
PINS = ROOT / "benchmarks" / "peers" / "datatrove.txt"
#: Stage → tables from whose staged files a row is deleted.
DELETED = {
    "ingest": ("web.pages",),
    "curate": ("corpus.candidates", "corpus.documents", "corpus.rejects"),
    "tokenize": ("tokens.documents", "tokens.shards"),
}
PARTITIONS = (1, 2, 7)
MOST_PARTITIONS, CORES = 64, 8
#: Of each kind of copy more than so many must be there for a decision over them to show anything.
HANDFUL = 5
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
against an undisturbed run on the same {pages} real pages, with copies planted among them. *old release*: whether every
reader found it readable and unchanged until the new one. *equal*: whether all tables end with the canonical digests of
an undisturbed run.
"""

_SECTIONS = {
    "Raced": "Two processes publish to one lake as fast as they can.",
    "A row deleted between writing and audit": """\
The stage is stopped once its files are staged, one row is taken out of one of them, and it goes on. The publish must
be refused by the ledger, with no table and no release moved; running again must end as if undisturbed.""",
    "Partitions": """\
The job under `spark-submit`, with so many shuffle partitions and tasks; and over the same pages in another order, each
in a file of its own, after which the tables of the corpus must be equal.""",
    "Tasks that die": """\
`spark-submit --master local[2,4]`; in every Spark stage that runs Python each first attempt is killed when its rows
are done.""",
    "Tasks that are overtaken": """\
`spark-submit` to a cluster of two workers on two loopback addresses, with speculation; on one of them every task that
runs Python hangs when its rows are done, until Spark kills it for a second attempt on the other.""",
    HOSTILE: """\
Markup and text on which the usual parsers and normalisers take quadratic time, take all memory, or lose text, in one
archive with real pages. Each must end in one recorded outcome, and each table of the corpus must hold of the real
pages what it holds in a run without the hostile ones. Memory is the most that all processes held at once; seconds of
a page are those of its extraction and normalisation.""",
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
    known = set(Path(lake.data_folder(name)).glob("*.parquet"))
    fired, go = scene.folder / "fired", scene.folder / "go"
    for path in (fired, go):
        path.unlink(missing_ok=True)
    process = scene.start(
        stage, MILLPOND_FAULT="after-data:pause", MILLPOND_FAULT_LOG=str(fired), MILLPOND_FAULT_GO=str(go)
    )
    while process.poll() is None and not fired.exists():
        time.sleep(0.05)
    staged = sorted(set(Path(lake.data_folder(name)).glob("*.parquet")) - known)
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
    shown = Injection("Partitions", f"{stage.name}, {count} partitions")
    scene.before(stage)
    written = _curate_in(shown, scene, count)
    # Spark packs whole files, and may need one more
    shown.fired = written == 1 if count == 1 else written >= count
    shown.compare(scene, stage.name)
    return shown


def _curate_in(shown: Injection, scene: Scene, count: int) -> int:
    """Curate with so many partitions; how many tasks wrote candidates."""
    conf = {
        "spark.sql.files.minPartitionNum": str(count),
        "spark.sql.shuffle.partitions": str(count),
        "spark.sql.adaptive.enabled": "false",
    }
    cores = min(count, CORES)
    _succeed(shown, scene.submit(f"local[{cores}]", [str(ROOT / "curate" / "job.py")], (), conf))
    written = len(scene.lake().files("corpus.candidates"))
    shown.fault += f", local[{cores}], {written} task{'' if written == 1 else 's'} wrote candidates"
    _see_copies(shown, scene)
    return written


def _see_copies(shown: Injection, scene: Scene) -> None:
    """Say how many copies curation removed: among few of a kind there is nothing to choose."""
    kinds = Counter(scene.lake().read("corpus.duplicates", ["kind"])["kind"].to_pylist())
    exact, near = kinds["exact"], kinds["near"]
    shown.fault += f", {exact} exact and {near} near copies removed"
    if min(exact, near) <= HANDFUL:
        shown.problems.append("too few copies were removed to show that the same ones stay")


def shuffled(scene: Scene, stage: Stage, seed: int) -> Injection:
    """Curate pages in another order, each in a file of its own, with many partitions."""
    shown = Injection("Partitions", f"{stage.name}, {MOST_PARTITIONS} partitions, pages shuffled (seed {seed})")
    lake = scene.before(stage)
    rows = lake.read(PAGES_TABLE.name).to_pylist()
    before = [row["page_id"] for row in rows]
    random.Random(seed).shuffle(rows)
    folder = Path(lake.data_folder(PAGES_TABLE.name))
    entries = [entry for row in rows for entry in write_rows(PAGES_TABLE.name, folder, [row])]
    run = Run(lake, "shuffle", StageConfig(), {"seed": seed})
    run.stage_files(PAGES_TABLE.name, entries, Mode.REPLACE)
    run.publish(lambda batch: [])
    reordered = lake.read(PAGES_TABLE.name, ["page_id"])["page_id"].to_pylist() != before
    shown.fired = reordered and _curate_in(shown, scene, MOST_PARTITIONS) >= MOST_PARTITIONS
    shown.compare(scene, stage.name, tables="corpus.")
    return shown


def dying_tasks(scene: Scene, stage: Stage, inputs: Sequence[str]) -> Injection:
    """A stage whose tasks die in their first attempt, in every Spark stage that runs Python."""
    shown = Injection("Tasks that die", stage.name)
    log = scene.folder / "fired"
    log.unlink(missing_ok=True)
    scene.before(stage)
    fault = {"MILLPOND_FAULT": "first-attempt:kill-self", "MILLPOND_FAULT_LOG": str(log)}
    with _events(scene) as (conf, attempts):
        _succeed(shown, scene.submit("local[2,4]", [FAULTY, stage.name], inputs, conf, **fault))
        died = [attempt for attempt in attempts() if attempt.end == "ExceptionFailure"]
    fired = len(log.read_text().split()) if log.exists() else 0
    shown.fired = fired > 0 and fired == len(died)
    shown.fault += f", {fired} tasks in {len({attempt.stage for attempt in died})} Spark stages, each once"
    if stage.name == "curate":
        _see_copies(shown, scene)
    shown.compare(scene, stage.name)
    return shown


def overtaken_tasks(scene: Scene, stage: Stage, inputs: Sequence[str]) -> Injection:
    """A stage on two workers, on one of which every task that runs Python hangs at its end."""
    shown = Injection("Tasks that are overtaken", stage.name)
    log = scene.folder / "fired"
    log.unlink(missing_ok=True)
    scene.before(stage)
    hang = {
        "MILLPOND_FAULT": "task:pause",
        "MILLPOND_FAULT_LOG": str(log),
        "MILLPOND_FAULT_GO": str(scene.folder / "never"),
    }
    with (
        cluster(scene.folder / "cluster", {HOSTS[1]: hang}) as url,
        _events(scene) as (conf, attempts),
    ):
        _succeed(shown, scene.submit(url, [FAULTY, stage.name], inputs, conf | SPECULATION))
        ended = attempts()
    copies = [attempt for attempt in ended if attempt.speculative and attempt.end == "Success"]
    killed = {(attempt.stage, attempt.task) for attempt in ended if attempt.end == "TaskKilled"}
    overtaken = [copy for copy in copies if copy.number > 0 and (copy.stage, copy.task) in killed]
    shown.fired = log.exists() and len(overtaken) > 0
    stages = len({copy.stage for copy in overtaken})
    shown.fault += f", {len(overtaken)} second attempts in {stages} Spark stages were the ones that counted"
    if stage.name == "curate":
        _see_copies(shown, scene)
    shown.compare(scene, stage.name)
    return shown


@contextmanager
def _events(scene: Scene) -> Iterator[tuple[dict[str, str], Callable[[], list[Attempt]]]]:
    """Settings that have a job write its event log, and what reads the attempts of its tasks from it."""
    with tempfile.TemporaryDirectory(dir=scene.folder, prefix="events") as folder:
        yield event_settings(Path(folder)), lambda: read_attempts(Path(folder))


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
    yield shuffled(scene, stages["curate"], 1)
    for disturbed in (dying_tasks, overtaken_tasks):
        yield disturbed(scene, stages["ingest"], scene.second)
        yield disturbed(scene, stages["curate"], ())
    yield from hostile_pages(folder / "hostile", data)
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
    for section, of_section in groupby(injections, key=lambda shown: shown.section):
        shown = list(of_section)
        rows = [_row(fault, list(same)) for fault, same in groupby(shown, key=lambda shown: shown.fault)]
        headings = (COLUMNS[0], *shown[0].columns, "") if shown[0].columns else COLUMNS
        parts += [f"## {section}\n", f"{_SECTIONS[section]}\n", table(headings, rows)]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(parts))


def _row(fault: str, same: Sequence[Injection]) -> tuple[str, ...]:
    looked = [shown.readable for shown in same if shown.readable is not None]
    problems = "; ".join(dict.fromkeys(problem for shown in same for problem in shown.problems))
    failed = f"**FAILED** {' '.join(problems.split())[:400]}".replace("|", "/")
    verdict = "ok" if all(shown.ok for shown in same) else failed
    if own := same[0].columns:
        return (fault, *own.values(), verdict)
    return (
        fault,
        str(len(same)),
        str(sum(shown.fired for shown in same)),
        str(sum(shown.lost for shown in same)),
        str(sum(shown.doubled for shown in same)),
        "–" if not looked else "unchanged" if all(looked) else "NOT unchanged",
        "yes" if all(shown.equal for shown in same) else "NO",
        verdict,
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
