"""Run one command in a fresh process group: its wall-clock seconds and the most memory its processes held."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from millpond.errors import MillpondError

SAMPLE_SECONDS = 1.0


class BenchmarkError(MillpondError):
    """A measured command failed, or the peer's environment could not be made."""


@dataclass(frozen=True)
class Measured:
    """One run of a command."""

    seconds: float
    peak_bytes: int
    """Largest sum of proportional set sizes: a page that two processes share counts once."""


def measure(command: Sequence[str], log: Path, cwd: Path, environment: Mapping[str, str]) -> Measured:
    """Run a command to its end; what it prints goes to `log`.

    Raises:
        BenchmarkError: it did not exit with 0; the message ends with the log's last lines.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        start = time.perf_counter()
        process = subprocess.Popen(
            command,
            cwd=cwd,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **environment},
            start_new_session=True,
        )
        memory = _Memory(process.pid)
        try:
            code = process.wait()
            seconds = time.perf_counter() - start
        finally:
            peak = memory.stop()
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    if code:
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
        raise BenchmarkError(f"{' '.join(command[:4])} … exited with {code}; all of its output is in {log}\n{tail}")
    return Measured(seconds, peak)


class _Memory:
    """Samples the memory of a process and its descendants from a thread."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._done = threading.Event()
        self._peak = 0
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()

    def stop(self) -> int:
        """End the sampling; the peak in bytes."""
        self._done.set()
        self._thread.join()
        return self._peak

    def _follow(self) -> None:
        while not self._done.wait(SAMPLE_SECONDS):
            self._peak = max(self._peak, _held(self._pid))


def _held(pid: int) -> int:
    """Memory of a process and its descendants now; what ended meanwhile holds none."""
    try:
        root = psutil.Process(pid)
        processes = [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0
    total = 0
    for process in processes:
        with suppress(psutil.Error):
            total += process.memory_full_info().pss
    return total
