"""Files by name: a path of this machine, or a URL of any filesystem that fsspec knows (`s3://`, `gs://`, `hf://`, …).

Keys and endpoints come from where each filesystem's users keep them: its own environment variables and files, and
fsspec's (`FSSPEC_S3_ENDPOINT_URL`, `~/.config/fsspec/*.json`). What lies in a lake is reached with the properties of
the lake's catalog instead (`s3.endpoint`, `s3.access-key-id`, …), which `adopt` makes known for a warehouse and every
task takes over from its driver. They stand in no message, log, table or configuration file.

A lake's files are written by `create` and `settle`, and are whole or not there: a local file is synced to disk before
anything names it, an object appears when its upload is complete.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import IO, Any, cast
from urllib.parse import urlsplit

import pyarrow.dataset as ds
from fsspec import AbstractFileSystem
from fsspec.core import url_to_fs
from fsspec.registry import known_implementations
from pyiceberg.io.fsspec import SCHEME_TO_FS, FsspecFileIO

from millpond.errors import InputError, MissingExtraError

#: What to install for a scheme, where that is not what fsspec says.
_PACKAGES = {"s3": "millpond[s3]", "s3a": "millpond[s3]", "http": "millpond[ingest]", "https": "millpond[ingest]"}
_PACKAGES |= {"gs": "gcsfs", "gcs": "gcsfs", "hf": "huggingface_hub", "abfs": "adlfs", "az": "adlfs"}

#: Properties of a catalog that a filesystem is made with; others stay with the driver, its database's password too.
_CONNECTION = ("s3.", "gcs.", "adls.", "hf.", "client.")

#: Such properties of the catalogs whose warehouses were opened, by the warehouse's URL.
_warehouses: dict[str, dict[str, str]] = {}


def is_url(path: str) -> bool:
    """Whether this names a file of another filesystem than the local one."""
    return "://" in path


def adopt(warehouses: Mapping[str, Mapping[str, str]]) -> None:
    """Reach what lies under each of these URLs with its catalog's properties, in this process."""
    for url, properties in warehouses.items():
        _warehouses.pop(url, None)  # the newest is last
        _warehouses[url] = {key: value for key, value in properties.items() if key.startswith(_CONNECTION)}


def adopted() -> dict[str, dict[str, str]]:
    """What was adopted, for a task to adopt in turn."""
    return dict(_warehouses)


def filesystem(url: str, *, once: bool = False) -> tuple[AbstractFileSystem, str]:
    """The filesystem of a URL, and the file's name there.

    Args:
        url: the file.
        once: what fails is not repeated, for the caller repeats it, when the server asks for that.

    Raises:
        InputError: the scheme is unknown.
        MissingExtraError: a package is not installed; says which.
    """
    parts = urlsplit(url)
    if parts.scheme not in known_implementations:
        known = "there are s3, gs, hf, https and what else fsspec knows"
        raise InputError(f"{url}: the scheme {parts.scheme!r} is unknown; {known}")
    under = [root for root in _warehouses if url == root or url.startswith(f"{root}/")]
    properties = tuple(sorted(_warehouses[max(under, key=len)].items())) if under else None
    try:
        system = _connected(parts.scheme, f"{parts.scheme}://{parts.netloc}", properties, once, os.getpid())
    except ImportError as error:
        package = _PACKAGES.get(parts.scheme)
        how = f"run `pip install '{package}'`" if package else known_implementations[parts.scheme].get("err", error)
        raise MissingExtraError(f"{url}: a package for {parts.scheme}:// is missing: {how}") from error
    return system, cast(str, system._strip_protocol(url))


@lru_cache(maxsize=64)
def _connected(
    scheme: str, root: str, properties: tuple[tuple[str, str], ...] | None, once: bool, _: int
) -> AbstractFileSystem:
    """One for all threads of a process, where fsspec's own cache has one a thread; a forked child has its own."""
    if properties is not None and scheme in SCHEME_TO_FS:
        system = FsspecFileIO(dict(properties)).get_fs(scheme)
    else:
        system = url_to_fs(root)[0]
    if not once or scheme not in ("s3", "s3a"):
        return system
    # s3fs repeats some faults, and botocore below it others, neither as long after as the server asks for.
    options: dict[str, Any] = dict(system.storage_options)
    options["config_kwargs"] = {**options.get("config_kwargs", {}), "retries": {"total_max_attempts": 1}}
    system = type(system)(*system.storage_args, **options)
    system.retries = 1
    return system


# A lake's files


def create(path: str) -> IO[bytes]:
    """Open a new file of a lake to write; its folder is made where that is needed."""
    if is_url(path):
        system, name = filesystem(path)
        return cast(IO[bytes], system.open(name, "wb"))
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    return Path(path).open("xb")


def settle(stream: IO[bytes]) -> int:
    """Finish a file from `create`: it is whole and lasts when this returns. Returns its size.

    Raises:
        OSError: it cannot be written or synced.
    """
    stream.flush()
    if not hasattr(stream, "fs"):
        os.fsync(stream.fileno())
    size = stream.tell()
    stream.close()
    return size


def remove(path: str) -> None:
    """Remove a file of a lake, if it is there."""
    if not is_url(path):
        Path(path).unlink(missing_ok=True)
        return
    system, name = filesystem(path)
    if system.exists(name):
        system.rm_file(name)


def size(path: str) -> int:
    """Size of a lake's file in bytes.

    Raises:
        OSError: there is none, or it cannot be reached.
    """
    if not is_url(path):
        return Path(path).stat().st_size
    system, name = filesystem(path)
    return int(system.size(name))


def put(path: str, data: bytes) -> None:
    """Write an object as a whole.

    Raises:
        InputError: it cannot be written.
    """
    system, name = filesystem(path)
    try:
        system.pipe_file(name, data)
    except Exception as error:  # each filesystem has its own
        raise InputError(f"{path}: cannot be written: {' '.join(str(error).split())}") from error


def open_file(path: str) -> Any:
    """What pyarrow.parquet reads a lake's file from: its path, or an open object that is read where it is needed."""
    if not is_url(path):
        return path
    system, name = filesystem(path)
    return system.open(name, "rb", block_size=1 << 20, cache_type="readahead")


def dataset(files: Sequence[str]) -> ds.Dataset:
    """Parquet files of a lake, all in the same filesystem, as an Arrow dataset."""
    if not files or not is_url(files[0]):
        return ds.dataset(list(files), format="parquet")
    system = filesystem(files[0])[0]
    return ds.dataset([system._strip_protocol(file) for file in files], format="parquet", filesystem=system)


def warehouse_systems() -> list[AbstractFileSystem]:
    """The filesystems that hold the opened warehouses, for DuckDB to read with: of each scheme the last opened."""
    return list({url.partition("://")[0]: filesystem(url)[0] for url in _warehouses}.values())
