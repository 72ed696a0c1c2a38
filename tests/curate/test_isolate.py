"""A poisonous item costs itself one recorded outcome and nothing else."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from millpond.curate.isolate import Isolated, IsolateError, Result, shared_child

HERE = Path(__file__).parent


@pytest.fixture
def child(monkeypatch: pytest.MonkeyPatch) -> Iterator[Isolated]:
    monkeypatch.syspath_prepend(str(HERE))
    with Isolated("poison:act", timeout_seconds=0.7, memory_mb=512) as isolated:
        yield isolated


def echo(child: Isolated) -> Result:
    return child.run({"do": "echo"}, b"still here")


def running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    return state != "Z"


@pytest.mark.parametrize(
    ("do", "outcome", "detail"),
    [
        ("raise", "extract_error", "ValueError: a page of\nno use"),
        ("segv", "extract_crash", "signal:11"),
        ("exit", "extract_crash", "exit:1"),
        ("hang", "extract_timeout", "0.7 s"),
        ("allocate", "extract_memory", "MemoryError"),
    ],
)
def test_poison_is_recorded_and_the_next_item_goes_on(child: Isolated, do: str, outcome: str, detail: str) -> None:
    assert echo(child).payload == b"still here"
    assert child.run({"do": do}, b"") == Result(outcome, detail, {}, b"")
    assert child.starts == (1 if do == "raise" else 2)
    assert echo(child).payload == b"still here"


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(["echo", "raise", "segv", "exit", "allocate"]), min_size=1, max_size=8))
def test_each_item_of_a_row_gets_the_outcome_it_gets_alone(child: Isolated, acts: list[str]) -> None:
    """Whatever stands before it and behind it, which is laid down while it is worked on."""
    items = [({"do": act, "said": str(place)}, b"%d" % place) for place, act in enumerate(acts)]
    starts = child.starts
    results = list(child.map(items))
    assert results == [child.run(*item) for item in items]
    lost = sum(act in ("segv", "exit", "allocate") for act in acts)
    assert child.starts - starts >= 2 * lost
    assert [result.payload for result in results if result.outcome == "ok"] == [
        payload for header, payload in items if header["do"] == "echo"
    ]


def test_a_hanging_item_costs_the_next_one_nothing(child: Isolated) -> None:
    acts = ["echo", "hang", "echo", "hang", "hang", "echo"]
    results = child.map([({"do": act}, act.encode()) for act in acts])
    assert [result.outcome for result in results] == ["ok" if act == "echo" else "extract_timeout" for act in acts]


def test_the_next_item_runs_while_an_answer_is_looked_at(child: Isolated, tmp_path: Path) -> None:
    marks = [tmp_path / name for name in "abc"]
    results = child.map([({"do": "once", "what": "echo", "mark": str(mark)}, b"") for mark in marks])
    next(results)
    deadline = time.monotonic() + 10
    while not marks[1].exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert [mark.exists() for mark in marks] == [True, True, False]
    assert [result.outcome for result in results] == ["ok", "ok"]


def test_what_is_not_asked_for_any_more_is_given_up(child: Isolated) -> None:
    results = child.map([({"do": "echo"}, b"first"), ({"do": "echo"}, b"second"), ({"do": "echo"}, b"third")])
    assert next(results).payload == b"first"
    assert echo(child).payload == b"still here"
    assert child.starts == 2


def test_an_exception_does_not_cost_the_child(child: Isolated) -> None:
    for _ in range(3):
        assert child.run({"do": "raise"}, b"").outcome == "extract_error"
    assert child.starts == 1


@pytest.mark.parametrize("what", ["hang", "segv", "exit", "allocate"])
def test_an_item_that_loses_the_child_once_is_tried_again_and_kept(child: Isolated, tmp_path: Path, what: str) -> None:
    header = {"do": "once", "what": what, "mark": str(tmp_path / "mark")}
    assert child.run(header, b"").outcome == "ok"
    assert (tmp_path / "mark").exists()
    assert child.starts == 2


def test_memory_that_earlier_items_took_costs_no_later_one(child: Isolated) -> None:
    child.memory_mb = 2048
    assert [child.run({"do": "hoard"}, b"").outcome for _ in range(3)] == ["ok"] * 3
    assert child.starts == 3


def test_what_the_function_prints_does_not_reach_the_protocol(child: Isolated) -> None:
    assert child.run({"do": "print"}, b"") == Result("ok", None, {}, b"")
    assert echo(child).payload == b"still here"


def test_the_child_inherits_no_open_file(child: Isolated) -> None:
    with socket.socket() as inherited:
        inherited.set_inheritable(True)
        found = child.run({"do": "descriptors"}, b"").header["open"]
    # standard streams, the two files of frames, the protocol's copy, and the folder being listed
    assert len(found) <= 7


def test_closing_leaves_no_process(child: Isolated) -> None:
    pid = child.run({"do": "pid"}, b"").header["pid"]
    assert running(pid)
    child.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert echo(child).outcome == "ok"  # a closed one starts again on demand


@pytest.mark.parametrize("busy", [False, True])
def test_the_child_does_not_outlive_its_parent(tmp_path: Path, busy: bool) -> None:
    script = (
        "import sys\nfrom millpond.curate.isolate import Isolated\n"
        "child = Isolated('poison:act', timeout_seconds=0.5)\n"
        "print(child.run({'do': 'pid'}, b'').header['pid'], flush=True)\n"
        f"child.timeout_seconds = 3600\nchild.run({{'do': 'hang'}}, b'') if {busy} else sys.stdin.read()\n"
    )
    paths = os.pathsep.join([str(HERE), *sys.path])
    with subprocess.Popen(
        [sys.executable, "-c", script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": paths},
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert running(pid)
        time.sleep(0.2)
        parent.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 10
    while running(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not running(pid)


def test_an_answer_that_nobody_waited_for_is_not_the_next_items(child: Isolated) -> None:
    class Interrupted(BaseException):
        pass

    def interrupt(number: int, frame: object) -> None:
        raise Interrupted

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        assert echo(child).outcome == "ok"
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        with pytest.raises(Interrupted):
            child.run({"do": "late"}, b"")
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert echo(child).payload == b"still here"
    assert child.starts == 2


def test_what_items_leave_behind_is_bounded(child: Isolated, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("millpond.curate.isolate._MOST_ITEMS", 3)
    assert [echo(child).payload for _ in range(7)] == [b"still here"] * 7
    assert child.starts == 3
    assert [result.payload for result in child.map([({"do": "echo"}, b"%d" % n) for n in range(5)])] == [
        b"%d" % n for n in range(5)
    ]
    assert child.starts == 4


def test_a_process_keeps_one_child(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(HERE))
    first = shared_child("poison:act", 5.0, 512)
    pid = first.run({"do": "pid"}, b"").header["pid"]
    assert shared_child("poison:act", 5.0, 512).run({"do": "pid"}, b"").header["pid"] == pid
    assert shared_child("poison:act", 5.0, 600).run({"do": "pid"}, b"").header["pid"] != pid
    assert not running(pid)


def test_a_function_that_cannot_be_imported_is_an_error_not_an_outcome() -> None:
    with Isolated("millpond.curate.nowhere:act") as child, pytest.raises(IsolateError, match=r"nowhere"):
        child.run({}, b"")


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(said=st.text(), payload=st.binary(max_size=1 << 17))
def test_any_text_and_bytes_come_back_unchanged(child: Isolated, said: str, payload: bytes) -> None:
    result = child.run({"do": "echo", "said": said}, payload)
    assert (result.outcome, result.header, result.payload) == (
        "ok",
        {"size": len(payload), "said": said},
        payload,
    )


def test_a_body_larger_than_a_pipe_goes_through(child: Isolated) -> None:
    child.timeout_seconds = 10
    payload = bytes(range(256)) * (80 * 1024)
    assert child.run({"do": "echo"}, payload).payload == payload


def test_an_item_costs_less_than_a_millisecond(child: Isolated) -> None:
    payload = b"x" * 100_000
    echo(child)
    best = float("inf")
    for _ in range(5):
        start = time.perf_counter()
        for _ in range(100):
            child.run({"do": "echo"}, payload)
        best = min(best, (time.perf_counter() - start) / 100)
    assert best < 0.001
