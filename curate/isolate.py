"""A killable child process that runs one pure function on one item at a time.

What can hang, eat memory or crash on a hostile page runs here. `Isolated("package.module:function")` keeps
one fresh interpreter alive and feeds it over pipes; the function takes and returns a JSON object and bytes.
Each item gets exactly one outcome:

    ok               the function's answer
    extract_error    it raised; the child lives on
    extract_memory   it ran into the address-space limit
    extract_timeout  it ran into the wall clock
    extract_crash    it died: `signal:11`, `exit:1`

An item over which the child is lost (the last three) is tried once more in a fresh one, and that is final, so
nothing that earlier items left behind decides it. Only the clock depends on speed: a machine so slow that an item
times out twice is at fault, and that is the one way in which it can change an outcome.

A frame is `<length of header><length of payload><header: JSON><payload: bytes>`. The child inherits no open
file but its pipes. It ends when its input ends; in the middle of an item whose parent is gone, an alarm
ends it.
"""

from __future__ import annotations

import contextlib
import fcntl
import importlib
import json
import os
import resource
import selectors
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from millpond.errors import MillpondError
from millpond.reasons import Reason

Header = dict[str, Any]
Function = Callable[[Header, bytes], tuple[Mapping[str, Any], bytes]]

#: The outcome of an item that got an answer.
OK = "ok"

_LENGTHS = struct.Struct(">II")
_PIPE_BYTES = 1 << 20
_START_SECONDS = 120.0
_REAP_SECONDS = 10.0
#: How long after its time is up a child whose parent does not kill it ends itself.
_ALARM_SECONDS = 2.0
_DETAIL_CHARS = 300
#: Outcomes that end the child.
_LOST = (Reason.EXTRACT_MEMORY, Reason.EXTRACT_TIMEOUT, Reason.EXTRACT_CRASH)


class IsolateError(MillpondError):
    """The child process could not be started."""


@dataclass(frozen=True)
class Result:
    """What became of one item: `ok` with the function's answer, or a reason and its detail."""

    outcome: str
    detail: str | None
    header: Header
    payload: bytes


class _ChildGoneError(Exception):
    """The child closed its end of a pipe."""


class Isolated:
    """Runs a function in a child process. A context manager; closing it leaves no process behind.

    Args:
        function: `module:name` of a function (header, payload) → (header, payload).
        timeout_seconds: wall clock for one item.
        memory_mb: address space of the child in MiB.

    Raises:
        IsolateError: on the first item, where the child cannot be started or the function not be imported.
    """

    def __init__(self, function: str, timeout_seconds: float = 10.0, memory_mb: int = 2048) -> None:
        self.function = function
        self.timeout_seconds = timeout_seconds
        self.memory_mb = memory_mb
        self.starts = 0
        self._child: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def run(self, header: Mapping[str, Any], payload: bytes) -> Result:
        """Run the function on one item; whatever the item does, there is one result.

        Raises:
            IsolateError: the child cannot be started or the function not be imported.
        """
        result = self._attempt(header, payload)
        return self._attempt(header, payload) if result.outcome in _LOST else result

    def close(self) -> None:
        """Kill the child and reap it. The next item starts another one."""
        child, self._child = self._child, None
        if child is not None:
            child.kill()
            _close_pipes(child)
            child.wait()

    def _attempt(self, header: Mapping[str, Any], payload: bytes) -> Result:
        child = self._child or self._start()
        late = Result(Reason.EXTRACT_TIMEOUT, f"{self.timeout_seconds:g} s", {}, b"")
        deadline = time.monotonic() + self.timeout_seconds
        try:
            _send(child, _frame(header, payload), deadline)
            answer, data = _receive(child, deadline)
        except TimeoutError:
            self.close()
            return late
        except _ChildGoneError:
            death = self._bury(child)
            if death == f"signal:{signal.SIGALRM.value}":  # this process was held up past the alarm
                return late
            return Result(Reason.EXTRACT_CRASH, death, {}, b"")
        outcome = str(answer.pop("outcome"))
        if outcome == Reason.EXTRACT_MEMORY:
            self.close()  # what failed half-way may hold memory the next item needs
        return Result(outcome, answer.pop("detail", None), answer, data)

    def _start(self) -> subprocess.Popen[bytes]:
        # The child imports what the parent could import: Spark puts shipped code on sys.path alone.
        paths = [str(Path(path).absolute()) for path in sys.path if path]
        child = subprocess.Popen(
            [
                *(sys.executable, "-P", "-m", "millpond.curate.isolate"),
                *(self.function, str(self.memory_mb), str(self.timeout_seconds)),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        )
        self._child = child
        self.starts += 1
        for pipe in (child.stdin, child.stdout):
            os.set_blocking(_open(pipe).fileno(), False)
            _widen(_open(pipe))
        try:
            hello, _ = _receive(child, time.monotonic() + _START_SECONDS)
        except _ChildGoneError:
            death = self._bury(child)
            raise IsolateError(f"{self.function}: its child process ended at its start ({death})") from None
        except TimeoutError:
            self.close()
            message = f"{self.function}: its child process did not start in {_START_SECONDS:g} s"
            raise IsolateError(message) from None
        if hello["outcome"] != OK:
            self.close()
            raise IsolateError(f"{self.function}: cannot be run in a child process: {hello['detail']}")
        return child

    def _bury(self, child: subprocess.Popen[bytes]) -> str:
        """Reap a child that closed its pipes, and say how it died."""
        self._child = None
        _close_pipes(child)
        try:
            code = child.wait(timeout=_REAP_SECONDS)
        except subprocess.TimeoutExpired:
            child.kill()
            code = child.wait()
        return f"signal:{-code}" if code < 0 else f"exit:{code}"


def _open(pipe: IO[bytes] | None) -> IO[bytes]:
    if pipe is None:
        raise IsolateError("a child process without pipes")
    return pipe


def _widen(pipe: IO[bytes]) -> None:
    """Let a whole page into the pipe at once, where the system allows it."""
    with contextlib.suppress(PermissionError):  # the user's share of pipe memory is used up: 64 KiB work, too
        fcntl.fcntl(pipe.fileno(), fcntl.F_SETPIPE_SZ, _PIPE_BYTES)


def _close_pipes(child: subprocess.Popen[bytes]) -> None:
    _open(child.stdout).close()
    with contextlib.suppress(BrokenPipeError):  # nothing was buffered that anyone could still read
        _open(child.stdin).close()


def _frame(header: Mapping[str, Any], payload: bytes) -> bytes:
    head = json.dumps(header).encode()
    return b"".join((_LENGTHS.pack(len(head), len(payload)), head, payload))


def _wait(pipe: IO[bytes], event: int, deadline: float) -> None:
    left = deadline - time.monotonic()
    with selectors.PollSelector() as selector:
        selector.register(pipe, event)
        if left <= 0 or not selector.select(left):
            raise TimeoutError


def _send(child: subprocess.Popen[bytes], frame: bytes, deadline: float) -> None:
    pipe, rest = _open(child.stdin), memoryview(frame)
    while rest:
        try:
            rest = rest[os.write(pipe.fileno(), rest) :]
        except BlockingIOError:
            _wait(pipe, selectors.EVENT_WRITE, deadline)
        except BrokenPipeError:
            raise _ChildGoneError from None


def _receive(child: subprocess.Popen[bytes], deadline: float) -> tuple[Header, bytes]:
    pipe, data = _open(child.stdout), bytearray()
    need = _LENGTHS.size
    while len(data) < need:
        _wait(pipe, selectors.EVENT_READ, deadline)
        part = os.read(pipe.fileno(), max(need - len(data), 1 << 16))
        if not part:
            raise _ChildGoneError
        data += part
        if len(data) >= _LENGTHS.size:
            need = _LENGTHS.size + sum(_LENGTHS.unpack_from(data))
    head_length, _ = _LENGTHS.unpack_from(data)
    head_end = _LENGTHS.size + head_length
    return json.loads(bytes(data[_LENGTHS.size : head_end])), bytes(data[head_end:need])


def _answer(function: Function, header: Header, payload: bytes) -> bytes:
    try:
        answer, data = function(header, payload)
        return _frame({**answer, "outcome": answer.get("outcome", OK)}, data)
    except MemoryError:
        return _frame({"outcome": Reason.EXTRACT_MEMORY, "detail": "MemoryError"}, b"")
    except Exception as error:  # whatever a page makes the function raise is that page's outcome
        detail = f"{type(error).__name__}: {error}"[:_DETAIL_CHARS]
        return _frame({"outcome": Reason.EXTRACT_ERROR, "detail": detail}, b"")


def _serve(name: str, memory_mb: int, timeout_seconds: float) -> None:
    """The child's life: say hello, then answer frames until the input ends."""
    # The protocol gets a descriptor of its own: what a library prints goes nowhere.
    output = os.fdopen(os.dup(1), "wb")
    silent = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silent, 1)
    source = sys.stdin.buffer
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (memory_mb << 20, memory_mb << 20))
    try:
        module, _, attribute = name.partition(":")
        function: Function = getattr(importlib.import_module(module), attribute)
    except Exception as error:
        output.write(_frame({"outcome": "failed", "detail": f"{type(error).__name__}: {error}"}, b""))
        output.flush()
        return
    output.write(_frame({"outcome": OK}, b""))
    output.flush()
    while len(lengths := source.read(_LENGTHS.size)) == _LENGTHS.size:
        head_length, length = _LENGTHS.unpack(lengths)
        header, payload = json.loads(source.read(head_length)), source.read(length)
        # The parent kills on time; the alarm, left to its default action, is for a parent that is gone.
        signal.setitimer(signal.ITIMER_REAL, timeout_seconds + _ALARM_SECONDS)
        answer = _answer(function, header, payload)
        signal.setitimer(signal.ITIMER_REAL, 0)
        output.write(answer)
        output.flush()


if __name__ == "__main__":
    _serve(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]))
