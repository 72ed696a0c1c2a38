"""Input files by name: which ones a command means, how one is opened, what identifies one."""

from __future__ import annotations

import glob
import hashlib
from collections.abc import Iterable
from io import BufferedReader
from pathlib import Path

from millpond.errors import InputError


def expand_paths(paths: Iterable[str]) -> list[str]:
    """The files that `paths` and glob patterns (`**` included) name: absolute, sorted, each once.

    Links are not resolved.

    Raises:
        InputError: a path is missing or a folder, or a pattern matches no file.
    """
    files: set[str] = set()
    for path in paths:
        if Path(path).is_dir():
            raise InputError(f"{path}: is a folder: name its files, or a pattern such as {path}/*.warc.gz")
        if Path(path).exists():
            files.add(str(Path(path).absolute()))
            continue
        found = [match for match in glob.glob(path, recursive=True) if Path(match).is_file()]  # noqa: PTH207
        if not found:
            kind = "no file matches this pattern" if glob.has_magic(path) else "no such file"
            raise InputError(f"{path}: {kind}")
        files.update(str(Path(match).absolute()) for match in found)
    return sorted(files)


def source_digest(path: str) -> str:
    """Sha256 (hex) of a file.

    Raises:
        InputError: the file cannot be read.
    """
    with open_input(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def open_input(path: str) -> BufferedReader:
    """Open a local file to read.

    Raises:
        InputError: there is none, it is a folder, or it may not be read.
    """
    try:
        return Path(path).open("rb")
    except IsADirectoryError as error:
        raise InputError(f"{path}: is a folder, not a file") from error
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
