"""The environments of peers: each in a venv of its own under `.bench`, from pins in `benchmarks/peers`."""

from __future__ import annotations

import hashlib
import shlex
import subprocess
import sys
from pathlib import Path

from benchmarks.measure import BenchmarkError
from benchmarks.pages import ROOT


def pins(name: str) -> Path:
    """The file of pins of a peer's environment."""
    return ROOT / "benchmarks" / "peers" / f"{name}.txt"


def python(name: str) -> Path:
    """The interpreter of a peer's environment."""
    return ROOT / ".bench" / name / "bin" / "python"


def ensure(name: str) -> Path:
    """Make a peer's environment, unless one with these pins is there; returns its interpreter.

    Raises:
        BenchmarkError: pip failed.
    """
    wanted, folder, interpreter = pins(name), ROOT / ".bench" / name, python(name)
    digest = hashlib.sha256(wanted.read_bytes()).hexdigest()
    stamp = folder / "pins"
    if stamp.exists() and stamp.read_text() == digest:
        return interpreter
    sys.stdout.write(f"making {folder.relative_to(ROOT)} from {wanted.relative_to(ROOT)}\n")
    pip = [str(interpreter), "-m", "pip"]
    for command in (
        [sys.executable, "-m", "venv", "--clear", str(folder)],
        [*pip, "install", "--quiet", "--no-deps", "--requirement", str(wanted)],
        [*pip, "check", "--quiet"],
    ):
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise BenchmarkError(f"{shlex.join(command)} exited with {done.returncode}:\n{done.stderr or done.stdout}")
    stamp.write_text(digest)
    return interpreter
