"""The publish protocol under kills, races and refusals: nothing lost, nothing doubled, readers never disturbed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from publisher import Settings, audit, publish_one

from millpond import faults
from millpond.compact import CompactConfig, compact
from millpond.errors import AuditError, ConflictError, LedgerError
from millpond.lake import Lake, Release
from millpond.publish import Batch, Mode, Run

PUBLISHER = Path(__file__).with_name("publisher.py")
TABLES = ("web.rejects", "web.frontier", "ops.ledger")


def start(lake: Lake, *arguments: str, **environment: str) -> subprocess.Popen[str]:
    """A publisher in a process group of its own."""
    return subprocess.Popen(
        [sys.executable, str(PUBLISHER), lake.uri, *arguments],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def finish(process: subprocess.Popen[str]) -> str:
    """Its output, once it has ended well."""
    out, err = process.communicate(timeout=240)
    assert process.returncode == 0, err
    return out.strip()


def state(lake: Lake) -> dict[str, tuple[int, str]]:
    """Rows and digest of each table, as readers see it, but for columns that name the run."""
    return {table: (lake.rows(table), lake.digest(table)) for table in TABLES[:2]}


@pytest.mark.parametrize("point", faults.POINTS)
@pytest.mark.parametrize("mode", [Mode.APPEND, Mode.REPLACE])
def test_killed_anywhere_then_run_again_ends_the_same(tmp_path: Path, point: str, mode: Mode) -> None:
    lake, clean = Lake.open(str(tmp_path / "killed")), Lake.open(str(tmp_path / "clean"))
    for each in (lake, clean):
        publish_one(each, "before", 0, Mode.APPEND)
    before = state(lake)

    fired = tmp_path / "fired"
    killed = start(lake, "job", "1", mode, MILLPOND_FAULT=f"{point}:kill", MILLPOND_FAULT_LOG=str(fired))
    killed.communicate(timeout=120)
    assert killed.returncode == -signal.SIGKILL
    assert fired.read_text().split() == [point]
    assert state(lake) == before, "the old release must stay readable"

    # Somebody else publishes before the killed run is given again: nothing of it may leak into theirs.
    publish_one(lake, "other", 0, Mode.APPEND)
    publish_one(clean, "other", 0, Mode.APPEND)
    assert state(lake) == state(clean)

    assert publish_one(lake, "job", 0, mode)
    assert publish_one(clean, "job", 0, mode)
    assert state(lake) == state(clean)
    assert not publish_one(lake, "job", 0, mode)


def test_publishers_at_once_lose_nothing(lake: Lake) -> None:
    names = ("a", "b", "c")
    running = [start(lake, name, "4") for name in names]
    polls = set()
    while any(process.poll() is None for process in running):
        release = lake.release()
        if release is not None:
            counts = {lake.rows(table, release.tables[table]) for table in TABLES[:2]}
            assert len(counts) == 1, "tables of one release must agree"
            polls |= counts
        time.sleep(0.05)
    assert [finish(process) for process in running] == ["4", "4", "4"]
    files = lake.read("web.rejects", ["file"])["file"].to_pylist()
    assert sorted(files) == sorted(f"{name}-{number}" for name in names for number in range(4))
    assert polls <= set(range(1, 13))
    assert [release.number for release in lake.releases()] == list(range(1, 13))


@pytest.mark.parametrize("overtaker", ["fast", "slow"])
def test_two_publishers_interleaved_at_every_point(tmp_path: Path, overtaker: str) -> None:
    for point in faults.POINTS[1:]:
        lake = Lake.open(str(tmp_path / point))
        publish_one(lake, "before", 0, Mode.APPEND)
        fired, go = tmp_path / f"{point}.fired", tmp_path / f"{point}.go"
        environment = {"MILLPOND_FAULT_LOG": str(fired), "MILLPOND_FAULT_GO": str(go)}
        paused = start(lake, "slow", "1", MILLPOND_FAULT=f"{point}:pause", **environment)
        while not fired.exists():
            assert paused.poll() is None, paused.communicate()
            time.sleep(0.02)
        publish_one(lake, overtaker, 0, Mode.APPEND)
        go.touch()
        assert finish(paused) == ("0" if overtaker == "slow" else "1"), "the same work is not published again"
        files = lake.read("web.rejects", ["file"])["file"].to_pylist()
        assert sorted(files) == sorted({"before-0", f"{overtaker}-0", "slow-0"}), point


def test_main_never_moves_to_what_does_not_descend_from_it(lake: Lake) -> None:
    publish_one(lake, "first", 0, Mode.APPEND)
    stale = lake.table("web.rejects").snapshot_by_id(lake.tables()["web.rejects"])
    assert stale is not None
    publish_one(lake, "second", 0, Mode.APPEND)
    run = Run(lake, "ingest", Settings(name="x", number=0), {})
    with pytest.raises(ConflictError, match=r"main of web\.rejects has moved"):
        run._forward("web.rejects", stale.snapshot_id)
    assert lake.table("web.rejects").current_snapshot().snapshot_id == lake.tables()["web.rejects"]  # type: ignore[union-attr]


def test_refused_audit_changes_nothing(lake: Lake) -> None:
    publish_one(lake, "first", 0, Mode.APPEND)
    releases, before = lake.releases(), state(lake)
    mains = {table: lake.table(table).current_snapshot() for table in TABLES}

    def refuse(batch: Batch) -> list[dict[str, object]]:
        assert len(batch.whole["web.rejects"]) == 2 and len(batch.new["web.rejects"]) == 1
        raise AuditError("no")

    run = Run(lake, "ingest", Settings(name="bad", number=0), {})
    run.stage_rows("web.rejects", [{"reason": "damaged", "records": 1}], Mode.APPEND)
    with pytest.raises(AuditError):
        run.publish(refuse)
    assert lake.releases() == releases and state(lake) == before
    assert {table: lake.table(table).current_snapshot() for table in TABLES} == mains
    assert set(lake.table("web.rejects").refs()) == {"main"}


def found(name: str) -> dict[str, object]:
    """A row of `web.frontier`."""
    url = f"http://{name}/"
    return {
        "crawl": name,
        "url": url,
        "url_key": url,
        "state": "fetched",
        "round": 1,
        "seen_at": datetime.fromtimestamp(0, UTC),
    }


def derived(lake: Lake, read: int, name: str) -> Run:
    """A run that replaces what its stage made of a snapshot of `web.rejects`."""
    run = Run(lake, "derive", Settings(name=name, number=0), {"web.rejects": read})
    run.stage_rows("web.frontier", [found(name)], Mode.REPLACE)
    return run


def passes(batch: Batch) -> list[dict[str, object]]:
    """An audit."""
    return []


def test_what_was_made_of_newer_inputs_is_not_undone(lake: Lake) -> None:
    """Also where the newer was released between the reading of the inputs and the run."""
    publish_one(lake, "a", 0, Mode.APPEND)
    older = lake.tables()["web.rejects"]
    begun = derived(lake, older, "begun")
    publish_one(lake, "a", 1, Mode.APPEND)
    derived(lake, lake.tables()["web.rejects"], "newer").publish(passes)
    before = lake.release()
    for stale in (begun, derived(lake, older, "late")):
        with pytest.raises(AuditError, match=rf"is stale: it read snapshot {older} of web\.rejects, and release 3 "):
            stale.publish(passes)
    assert lake.release() == before


def test_the_same_rows_in_other_files_are_no_newer_inputs(lake: Lake) -> None:
    for number in range(2):
        publish_one(lake, "a", number, Mode.APPEND)
    begun = derived(lake, lake.tables()["web.rejects"], "begun")
    compact(lake, CompactConfig(tables=("web.rejects",)), passes)
    derived(lake, lake.tables()["web.rejects"], "after").publish(passes)
    begun.publish(passes)
    assert lake.read("web.frontier", ["url"])["url"].to_pylist() == ["http://begun/"]


def test_a_run_that_replaces_some_rows_of_its_base_undoes_nothing(lake: Lake) -> None:
    """It reads older inputs than one that comes first, and is made anew on what that one left."""
    publish_one(lake, "a", 0, Mode.APPEND)
    older = lake.tables()["web.rejects"]
    publish_one(lake, "a", 1, Mode.APPEND)

    def merged(name: str) -> Callable[[Run, Release | None], None]:
        def stage(run: Run, base: Release | None) -> None:
            rows = lake.read("web.frontier").to_pylist()
            run.stage_rows("web.frontier", [*rows, found(name)], Mode.REPLACE)

        return stage

    def overtaken(batch: Batch) -> list[dict[str, object]]:
        if lake.rows("web.frontier") == 2:
            newer = Run(lake, "merge", Settings(name="b", number=0), {"web.rejects": lake.tables()["web.rejects"]})
            newer.publish(passes, merged("newer"))
        return []

    Run(lake, "merge", Settings(name="a", number=0), {"web.rejects": older}).publish(overtaken, merged("older"))
    urls = lake.read("web.frontier", ["url"])["url"].to_pylist()
    assert sorted(urls) == ["http://a/0", "http://a/1", "http://newer/", "http://older/"]


def test_unbalanced_ledger_is_not_published(lake: Lake) -> None:
    run = Run(lake, "ingest", Settings(name="x", number=0), {})
    run.stage_rows("web.rejects", [{"reason": "damaged", "records": 1}], Mode.APPEND)
    run.ledger.add("records", "in", 2)
    run.ledger.add("records", "rejected", 1, "damaged")
    with pytest.raises(LedgerError, match=r"records do not balance: in 2, accounted for 1"):
        run.publish(audit)
    assert lake.release() is None


def test_digest_decides_what_is_done_again(lake: Lake) -> None:
    assert publish_one(lake, "a", 0, Mode.APPEND)
    assert not publish_one(lake, "a", 0, Mode.APPEND)
    assert publish_one(lake, "a", 1, Mode.APPEND)
    replaced = Run(lake, "ingest", Settings(name="a", number=0), {"name": "a", "number": 0})
    assert replaced.released(standing=False) and not replaced.released(standing=True)


def test_a_refusal_on_a_new_lake_says_nothing_besides(lake: Lake, caplog: pytest.LogCaptureFixture) -> None:
    def refuse(batch: Batch) -> list[dict[str, object]]:
        raise AuditError("no")

    run = Run(lake, "ingest", Settings(name="bad", number=0), {})
    run.stage_rows("web.rejects", [{"reason": "damaged", "records": 1}], Mode.APPEND)
    with pytest.raises(AuditError):
        run.publish(refuse)
    assert not caplog.records and set(lake.table("web.rejects").refs()) == {"main"}


def test_what_cannot_be_kept_changes_nothing_of_what_is_said(
    lake: Lake, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Lake, run_id: str, *, done: bool) -> None:
        raise OSError("the bucket is full")

    def refuse(batch: Batch) -> list[dict[str, object]]:
        raise AuditError("no")

    monkeypatch.setattr(Lake, "keep_run", full)
    assert publish_one(lake, "a", 0, Mode.APPEND)
    assert lake.release() is not None and "stays in" in caplog.text and "the bucket is full" in caplog.text
    run = Run(lake, "ingest", Settings(name="b", number=0), {})
    run.stage_rows("web.rejects", [{"reason": "damaged", "records": 1}], Mode.APPEND)
    with pytest.raises(AuditError):
        run.publish(refuse)
