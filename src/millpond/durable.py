"""Files that are whole or not there, whatever is killed or switched off (temporary name, fsync, rename), and locks."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import IO, Any
from uuid import uuid4


def temporary(path: Path) -> Path:
    """A name beside `path` that nobody else writes to and no reader looks for."""
    return path.with_name(f".{path.name}.{uuid4().hex}.partial")


def lock(file: IO[Any]) -> bool:
    """Lock an open file for as long as it is open; False where another one has it.

    Raises:
        OSError: files cannot be locked there.
    """
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def commit(partial: Path, path: Path) -> None:
    """Put what lies at `partial` on disk, a folder with all that is in it, and then give it the name `path`.

    A file of that name is replaced; a folder must be empty or not there.

    Raises:
        OSError: it cannot be synced or renamed.
    """
    for each in (*partial.rglob("*"), partial):
        _sync(each)
    partial.replace(path)
    _sync(path.parent)


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file as a whole, over an earlier one if there is one.

    Raises:
        OSError: it cannot be written; an earlier file is as it was.
    """
    partial = temporary(path)
    try:
        partial.write_bytes(data)
        commit(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
