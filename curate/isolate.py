"""A killable child process that runs one pure function on one item after the other.

What can hang, eat memory or crash on a hostile page runs here. `Isolated("package.module:function")` keeps
one fresh interpreter alive and feeds it; the function takes and returns a JSON object and bytes. Each item gets
exactly one outcome, in the order of the items:

    ok               the function's answer
    extract_error    it raised; the child lives on
    extract_memory   it ran into the address-space limit
    extract_timeout  it ran into the wall clock
    extract_crash    it died: `signal:11`, `exit:1`

An item over which the child is lost (the last three) is tried once more in a fresh one, and that is final, so
nothing that earlier items left behind decides it. Only the clock depends on speed: a machine so slow that an item
times out twice is at fault, and that is the one way in which it can change an outcome.

A frame is `<header: JSON><payload: bytes>`. It lies in a file in memory that both hold, which costs less than
half of what a pipe does; a pipe says in which file and how long both parts are, and so whose turn it is. There are
two such files: while the child works on one item the next one is laid down, so that it never waits for its parent to
wake. The child inherits no open file but these and its pipes. It ends when its input ends; in the middle of an item
whose parent is gone, an alarm ends it.
"""

from __future__ import annotations

import importlib
import json
import math
import os
import resource
import select
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from millpond.errors import MillpondError
from millpond.reasons import Reason

Header = dict[str, Any]
Function = Callable[[Header, bytes], tuple[Mapping[str, Any], bytes]]
Item = tuple[Mapping[str, Any], bytes]

#: The outcome of an item that got an answer.
OK = "ok"

#: The place of a frame and the lengths of its parts.
_FRAME = struct.Struct(">BII")
_PLACES = 2
_START_SECONDS = 120.0
_REAP_SECONDS = 10.0
#: How long after its time is up a child whose parent does not kill it ends itself.
_ALARM_SECONDS = 2.0
_DETAIL_CHARS = 300
#: A child of so many items makes room for a fresh one: what they left behind is bounded.
_MOST_ITEMS = 10_000
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
        self._child: _Child | None = None
        self._items = 0

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
        (result,) = self.map([(header, payload)])
        return result

    def map(self, items: Iterable[Item]) -> Iterator[Result]:
        """The result of each item, in order; an item is taken while the child works on the one before it.

        One at a time: what is not asked for any more is given up when the next items come.

        Raises:
            IsolateError: the child cannot be started or the function not be imported.
        """
        if self._child is not None and self._child.unanswered:
            self.close()  # an answer that nobody waited for would be taken for the first of these
        remaining = iter(items)
        item = next(remaining, None)
        while item is not None:
            following = next(remaining, None)
            result = self._attempt(item, following)
            if result.outcome in _LOST:
                result = self._attempt(item, following)
            yield result
            item = following

    def close(self) -> None:
        """Kill the child and reap it. The next item starts another one."""
        child, self._child = self._child, None
        if child is not None:
            child.kill()

    def _attempt(self, item: Item, following: Item | None) -> Result:
        """Run one item, which may lie before the child already, and lay the following one down behind it."""
        if self._items == _MOST_ITEMS:
            self.close()
        child = self._child or self._start()
        self._items += 1
        behind = [] if following is None or self._items == _MOST_ITEMS else [following]
        late = Result(Reason.EXTRACT_TIMEOUT, f"{self.timeout_seconds:g} s", {}, b"")
        deadline = time.monotonic() + self.timeout_seconds
        try:
            for header, payload in [item, *behind][child.unanswered :]:
                child.send(header, payload)
            answer, data = child.receive(deadline)
        except TimeoutError:
            self.close()
            return late
        except _ChildGoneError:
            self._child = None
            death = child.bury()
            if death == f"signal:{signal.SIGALRM.value}":  # this process was held up past the alarm
                return late
            return Result(Reason.EXTRACT_CRASH, death, {}, b"")
        outcome = str(answer.pop("outcome"))
        if outcome == Reason.EXTRACT_MEMORY:
            self.close()  # what failed half-way may hold memory the next item needs
        return Result(outcome, answer.pop("detail", None), answer, data)

    def _start(self) -> _Child:
        child = _Child(self.function, self.memory_mb, self.timeout_seconds)
        self.starts += 1
        try:
            hello, _ = child.receive(time.monotonic() + _START_SECONDS)
        except _ChildGoneError:
            death = child.bury()
            raise IsolateError(f"{self.function}: its child process ended at its start ({death})") from None
        except BaseException as error:
            child.kill()
            if not isinstance(error, TimeoutError):
                raise
            message = f"{self.function}: its child process did not start in {_START_SECONDS:g} s"
            raise IsolateError(message) from None
        if hello["outcome"] != OK:
            child.kill()
            raise IsolateError(f"{self.function}: cannot be run in a child process: {hello['detail']}")
        self._child, self._items = child, 0
        return child


_shared: Isolated | None = None


def shared_child(function: str, timeout_seconds: float, memory_mb: int) -> Isolated:
    """The child of this process that runs `function` under these limits, for whoever asks next; there is one.

    Starting one takes as long as a hundred pages, and a worker has many tasks. It ends with this process. It is not
    for several threads, nor for a process that is forked after it was used.
    """
    global _shared
    settings = (function, timeout_seconds, memory_mb)
    if _shared is None or settings != (_shared.function, _shared.timeout_seconds, _shared.memory_mb):
        if _shared is not None:
            _shared.close()
        _shared = Isolated(*settings)
    return _shared


class _Child:
    """A running child as its parent sees it: the process, its pipes and the memory that frames lie in."""

    def __init__(self, function: str, memory_mb: int, timeout_seconds: float) -> None:
        # The child imports what the parent could import: Spark puts shipped code on sys.path alone.
        paths = [str(Path(path).absolute()) for path in sys.path if path]
        self.unanswered = 1
        """How many answers are to come: that it has started, then those of the items sent."""
        self._place = 0
        self._memory = [os.memfd_create("millpond-frames") for _ in range(_PLACES)]
        try:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-P", "-m", "millpond.curate.isolate"),
                    *(function, str(memory_mb), str(timeout_seconds), *map(str, self._memory)),
                ],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
                pass_fds=self._memory,
                bufsize=0,
            )
        except BaseException:
            self._forget_frames()
            raise
        self._input, self._output = _open(self._process.stdin), _open(self._process.stdout)
        self._answers = select.poll()
        self._answers.register(self._output, select.POLLIN)

    def send(self, header: Mapping[str, Any], payload: bytes) -> None:
        self.unanswered += 1
        self._place = (self._place + 1) % _PLACES
        try:
            # So few bytes never block.
            os.write(self._input.fileno(), _put(self._memory, self._place, header, payload))
        except BrokenPipeError:
            raise _ChildGoneError from None

    def receive(self, deadline: float) -> tuple[Header, bytes]:
        left = deadline - time.monotonic()
        if left <= 0 or not self._answers.poll(math.ceil(left * 1000)):
            raise TimeoutError
        frame = os.read(self._output.fileno(), _FRAME.size)
        if len(frame) < _FRAME.size:
            raise _ChildGoneError
        answer = _get(self._memory, frame)
        self.unanswered -= 1
        return answer

    def kill(self) -> None:
        self._process.kill()
        self._release()
        self._process.wait()

    def bury(self) -> str:
        """Reap a child that closed its pipes, and say how it died."""
        self._release()
        try:
            code = self._process.wait(timeout=_REAP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        return f"signal:{-code}" if code < 0 else f"exit:{code}"

    def _release(self) -> None:
        self._input.close()
        self._output.close()
        self._forget_frames()

    def _forget_frames(self) -> None:
        for memory in self._memory:
            os.close(memory)


def _open(pipe: IO[bytes] | None) -> IO[bytes]:
    if pipe is None:
        raise IsolateError("a child process without pipes")
    return pipe


def _put(memory: Sequence[int], place: int, header: Mapping[str, Any], payload: bytes) -> bytes:
    """Lay a frame down; what the pipe says of it."""
    head = json.dumps(header).encode()
    rest, offset = memoryview(payload), len(head)
    os.pwrite(memory[place], head, 0)
    while rest:  # one call writes at most 2 GiB
        written = os.pwrite(memory[place], rest, offset)
        rest, offset = rest[written:], offset + written
    return _FRAME.pack(place, len(head), len(payload))


def _get(memory: Sequence[int], frame: bytes) -> tuple[Header, bytes]:
    place, head_length, length = _FRAME.unpack(frame)
    return json.loads(os.pread(memory[place], head_length, 0)), os.pread(memory[place], length, head_length)


def _answer(function: Function, memory: Sequence[int], frame: bytes) -> bytes:
    """Run the function on a frame and put its answer in the same place; what the pipe says of that."""
    place = frame[0]
    header, payload = _get(memory, frame)
    try:
        answer, data = function(header, payload)
        return _put(memory, place, {**answer, "outcome": answer.get("outcome", OK)}, data)
    except MemoryError:
        return _put(memory, place, {"outcome": Reason.EXTRACT_MEMORY, "detail": "MemoryError"}, b"")
    except Exception as error:  # whatever a page makes the function raise is that page's outcome
        detail = f"{type(error).__name__}: {error}"[:_DETAIL_CHARS]
        return _put(memory, place, {"outcome": Reason.EXTRACT_ERROR, "detail": detail}, b"")


def _serve(name: str, memory_mb: int, timeout_seconds: float, memory: Sequence[int]) -> None:
    """The child's life: say hello, then answer frames until the input ends."""
    # The protocol gets a descriptor of its own: what a library prints goes nowhere.
    output = os.dup(1)
    silent = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silent, 1)
    os.close(silent)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (memory_mb << 20, memory_mb << 20))
    try:
        module, _, attribute = name.partition(":")
        function: Function = getattr(importlib.import_module(module), attribute)
    except Exception as error:
        os.write(output, _put(memory, 0, {"outcome": "failed", "detail": f"{type(error).__name__}: {error}"}, b""))
        return
    os.write(output, _put(memory, 0, {"outcome": OK}, b""))
    while len(frame := os.read(0, _FRAME.size)) == _FRAME.size:
        # The parent kills on time; the alarm, left to its default action, is for a parent that is gone.
        signal.setitimer(signal.ITIMER_REAL, timeout_seconds + _ALARM_SECONDS)
        answer = _answer(function, memory, frame)
        signal.setitimer(signal.ITIMER_REAL, 0)
        os.write(output, answer)


if __name__ == "__main__":
    _serve(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), [int(memory) for memory in sys.argv[4:]])
