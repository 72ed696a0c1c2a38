"""The command line, as a script or a person meets it: `call` in this process, `on_terminal` on a terminal."""

from __future__ import annotations

import contextlib
import io
import os
import pty
import re
import select
import subprocess
import sys
import termios
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

import pytest

from millpond.cli import main
from millpond.lake import Lake

#: A whole small run; `{warc}` is its archive.
RUN = """
[run]
warc = ["{warc}"]

[ingest]
crawl = "gold"

[tokenize]
vocab_size = 512
context_length = 64
buckets = 2
fractions = [0.7, 0.3, 0.0]

[train]
steps = 6
global_batch_rows = 8
log_every = 2

[train.model]
hidden_size = 32
layers = 1
heads = 2
kv_heads = 1
intermediate_size = 64

[train.schedule]
warmup_steps = 1

[eval]
max_rows = 16
sample_tokens = 8
"""


@dataclass(frozen=True)
class Ended:
    """What a command left behind."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Whole:
    """A lake, the settings and the archive `millpond run` made it from, and what that command said."""

    lake: Lake
    config: Path
    warc: Path
    ended: Ended


def call(*arguments: object, stdin: str = "") -> Ended:
    """Run `millpond` with these arguments, in this process."""
    out, err = io.StringIO(), io.StringIO()
    streams = contextlib.redirect_stdout(out), contextlib.redirect_stderr(err)
    with streams[0], streams[1], patch("sys.stdin", io.StringIO(stdin)), pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    return Ended(int(ended.value.code or 0), out.getvalue(), err.getvalue())


def on_terminal(*arguments: object, keys: Sequence[str] = (), home: Path | None = None) -> tuple[int, str]:
    """Run `python -m millpond` on a terminal of 80 columns, typing one of `keys` at each prompt.

    Returns the exit code and what was written, without colours and cursor movements.
    """
    command = [sys.executable, "-m", "millpond", *(str(argument) for argument in arguments)]
    environment = {**os.environ, "TERM": "xterm-256color"} | ({"HOME": str(home)} if home else {})
    outer, inner = pty.openpty()
    termios.tcsetwinsize(inner, (50, 80))
    with subprocess.Popen(command, stdin=inner, stdout=inner, stderr=inner, env=environment) as process:
        os.close(inner)
        seen, waiting = b"", list(keys)
        with contextlib.suppress(OSError):  # how the end of a terminal shows
            while True:
                if select.select([outer], [], [], 0.3)[0]:
                    seen += os.read(outer, 1 << 16)
                elif waiting and seen.endswith(b"> "):
                    os.write(outer, waiting.pop(0).encode())
        os.close(outer)
    return process.returncode, re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\r", "", seen.decode(errors="replace"))
