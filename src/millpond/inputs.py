"""Input files by name: which ones a command means, what identifies one, how one is opened.

    millpond ingest warc 'crawl-*.warc.gz' 's3://bucket/crawl/*.warc.gz' https://host.example/a.warc.gz @files.txt

A name is a path, a URL of any filesystem that fsspec knows, a pattern of either (`*`, `**`, `?`, `[…]`; web servers
list nothing), or `@` and the name of a list of names, one a line.
"""

from __future__ import annotations

import glob
import gzip
import hashlib
import io
import re
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO, TypeVar, cast
from urllib.parse import unquote, urlsplit

from millpond import remote
from millpond.errors import InputError
from millpond.patience import repeated
from millpond.storage import filesystem, is_url

Name = TypeVar("Name")
Result = TypeVar("Result")

#: How many files are looked at at a time.
_AT_ONCE = 32
_LIST_BYTES = 1 << 28
_WEB = ("http://", "https://")
#: Before the @ of these stands a container, not a user.
_CONTAINERS = ("abfs", "abfss", "wasb", "wasbs")
#: Parameters that make an address a key, as those who sign addresses call them.
_SIGNED = re.compile(r"[?&](?:X-Amz-Signature|X-Goog-Signature|Signature|sig|access_token|token)=", re.I)


def expand(names: Iterable[str]) -> list[str]:
    """The files that these names mean: absolute paths and URLs, sorted, each once.

    Links are not resolved, and a file named in full by a URL is not asked for yet: `identify` does that.

    Raises:
        InputError: a path is missing or a folder, a pattern matches no file, a list is empty or too large, or an
            address holds a key, which would be kept in the lake.
        MissingExtraError: a package for a scheme is not installed.
    """
    files: set[str] = set()
    for name in names:
        for one in _listed(name[1:]) if name.startswith("@") else (name,):
            files.update(_remote(one) if is_url(one) else _local(one))
    return sorted(files)


def identify(files: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Each file with what its content is known by: sha256 (hex) of a local one, size and version of a remote one.

    Raises:
        InputError: a file is missing or cannot be read.
    """
    yield from each_of(files, lambda file: (file, identity(file)))


def each_of(files: Iterable[Name], look: Callable[[Name], Result]) -> Iterator[Result]:
    """What `look` says of each file, in their order, many at a time."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:  # hashing and waiting leave the interpreter to others
        yield from pool.map(look, files)


def identity(file: str) -> str:
    """What one file's content is known by, see `identify`.

    Raises:
        InputError: it is missing or cannot be read.
    """
    if is_url(file):
        return remote.identity(file)
    with open_input(file) as opened:
        return hashlib.file_digest(cast(io.BufferedReader, opened), "sha256").hexdigest()


def open_input(file: str, version: str | None = None) -> BinaryIO:
    """Open a file to read; seekable and of known size. A remote one is read with repeats, see `millpond.remote`.

    Args:
        file: path or URL.
        version: `identity` of a remote file when the run began; another one is refused.

    Raises:
        InputError: there is none, it is a folder, or it may not be read.
    """
    if is_url(file):
        return cast(BinaryIO, remote.open_remote(file, version=version))
    try:
        return Path(file).open("rb")
    except IsADirectoryError as error:
        raise InputError(f"{file}: is a folder, not a file") from error
    except FileNotFoundError as error:
        raise InputError(f"{file}: no such file") from error
    except OSError as error:
        raise InputError(f"{file}: cannot be read: {error.strerror}") from error


def refuse_changed(file: str, version: str | None) -> None:
    """Refuse a remote file that is another by now than `version`, if that is known; a local one is not looked at.

    Raises:
        InputError: it has changed, or is gone.
    """
    if version is not None and is_url(file):
        open_input(file, version).close()


def address(file: str) -> str:
    """The file as a URL."""
    return file if is_url(file) else Path(file).resolve().as_uri()


def refuse_secrets(url: str) -> None:
    """Refuse an address with a user, a password or a signature in it: what is named ends in the lake's tables.

    Raises:
        InputError: it has one; the message does not show it.
    """
    parts = urlsplit(url)
    user = parts.username is not None and parts.scheme not in _CONTAINERS
    if user or parts.password is not None or _SIGNED.search(url):
        shown = f"{parts.scheme}://{parts.hostname or ''}{parts.path}"
        raise InputError(f"{shown}: this address holds a key, and would be kept in the lake: use s3://, gs://, …")


def _listed(name: str) -> list[str]:
    """The lines of a list of names, which may be compressed with gzip."""
    with open_input(next(iter(_remote(name))) if is_url(name) else name) as opened:
        data = opened.read(_LIST_BYTES + 1)
    try:
        if data.startswith(b"\x1f\x8b"):
            with gzip.open(io.BytesIO(data)) as inflated:
                data = inflated.read(_LIST_BYTES + 1)
        lines = data.decode("utf-8-sig").splitlines()
    except (ValueError, OSError, EOFError) as error:
        raise InputError(f"@{name}: not a list of names, one a line, in UTF-8: {error}") from error
    if len(data) > _LIST_BYTES:
        raise InputError(f"@{name}: more than {_LIST_BYTES >> 20} MiB of names: divide the list")
    if not (names := [line.strip() for line in lines if line.strip()]):
        raise InputError(f"@{name}: this list names no files")
    return names


def _local(path: str) -> set[str]:
    if Path(path).is_dir():
        raise InputError(f"{path}: is a folder: name its files, or a pattern such as {path}/*.warc.gz")
    if Path(path).exists():
        return {str(Path(path).absolute())}
    found = [match for match in glob.glob(path, recursive=True) if Path(match).is_file()]  # noqa: PTH207
    if not found:
        kind = "no file matches this pattern" if glob.has_magic(path) else "no such file"
        raise InputError(f"{path}: {kind}")
    return {str(Path(match).absolute()) for match in found}


def _remote(url: str) -> set[str]:
    parts = urlsplit(url)
    if parts.scheme == "file":
        return _local(unquote(parts.path))
    refuse_secrets(url)
    if "::" in url:
        raise InputError(f"{url}: chained addresses are not read here: name the file itself")
    system, name = filesystem(url, once=True)
    if url.startswith(_WEB):
        if "*" in parts.path:
            raise InputError(f"{url}: a web server lists no files: name them, or a list of them as @files.txt")
        return {url}
    if not glob.has_magic(name):
        return {system.unstrip_protocol(name)}
    found = repeated(url, lambda: system.glob(name, detail=True))
    files = {system.unstrip_protocol(match) for match, info in found.items() if info["type"] != "directory"}
    if not files:
        raise InputError(f"{url}: no file matches this pattern")
    return files
