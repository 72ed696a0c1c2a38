"""Model files: arrays and what is to be known about them in one npz, without pickle, read by memory map.

Input and output: an uncompressed zip of `.npy` members in the order of their names, each aligned to 64 bytes, with
fixed times, so the same model is the same bytes and `numpy.load` reads it too. `metadata` is a JSON object as bytes.

A file is not trusted: `read` takes the members it is told of and no others, of the type and number of dimensions it is
told, stored as they are, with a short header, the checksum they say and exactly the bytes that their shape needs.
Nothing in it is ever run.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from millpond import durable
from millpond.errors import InputError

Array = npt.NDArray[Any]
#: Array → its type, such as `<f4`, and number of dimensions.
Members = Mapping[str, tuple[str, int]]

METADATA = "metadata"
_FORMAT = 1
_ALIGN = 64
_MOST_METADATA = 1 << 20
_MOST_HEADER = 1 << 10  # an `.npy` header of ours has 118 bytes
_MOST_MEMBERS = 64
_ARRAY_HEADER = struct.Struct("<6sHH")  # magic, version (1, 0), bytes of the description
#: What NumPy writes of an array.
_DESCRIPTION = re.compile(
    rb"\{'descr': '(?P<type>[<>|=][A-Za-z]\d{0,3})', 'fortran_order': (?P<fortran>True|False), "
    rb"'shape': \((?P<shape>[\d, ]{0,100})\)(?:, ?)?\}\s*"
)
_LOCAL_HEADER = struct.Struct("<4s5H3I2H")
_TIME = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class Archive:
    """A model file that has been read."""

    path: Path
    sha256: str
    metadata: Mapping[str, Any]
    arrays: Mapping[str, Array]
    """By name; memory maps that cannot be written."""


def write(path: Path, kind: str, metadata: Mapping[str, Any], arrays: Mapping[str, Array]) -> None:
    """Write a model file as a whole, over an earlier one if there is one.

    Raises:
        InputError: it cannot be written; an earlier file is as it was.
    """
    described = json.dumps({"kind": kind, "format": _FORMAT, **metadata}, sort_keys=True, indent=1).encode()
    members = {METADATA: np.frombuffer(described, dtype=np.uint8), **arrays}
    partial = durable.temporary(path)
    try:
        try:
            with zipfile.ZipFile(partial, "w", zipfile.ZIP_STORED) as file:
                for name in sorted(members):
                    _add(file, f"{name}.npy", np.ascontiguousarray(members[name]))
            durable.commit(partial, path)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error}") from error


def read(
    path: Path, kind: str, expected: Callable[[Mapping[str, Any]], Members], sha256: str | None = None
) -> Archive:
    """Open a model file: `expected` says, from its metadata, which arrays it holds.

    Raises:
        InputError: the file is missing, no model of this kind, damaged, or not the one with this digest.
    """
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
            if sha256 not in (None, found):
                raise InputError(f"{path}: has been changed: its sha256 is {found}, and the run began with {sha256}")
            members = _members(file)
            if METADATA not in members:
                raise RefusedError(f"holds {_listed(members)}")
            metadata = _metadata(_array(file, members.pop(METADATA), "|u1", 1), kind)
            wanted = expected(metadata)
            if set(members) != set(wanted):
                raise RefusedError(f"holds {_listed(members)} and not {_listed(wanted)}")
            arrays = {name: _array(file, members[name], *wanted[name]) for name in sorted(wanted)}
    except (OSError, ValueError, NotImplementedError, zipfile.BadZipFile, struct.error) as error:
        raise InputError(f"{path}: not a readable model file: {error}") from error
    except RefusedError as error:
        raise foreign(path, kind, error) from error
    return Archive(path, found, metadata, arrays)


def foreign(path: Path, kind: str, why: object) -> InputError:
    """The error for a file that is no model of this kind."""
    return InputError(f"{path}: no {kind} model of Millpond: {why}")


class RefusedError(Exception):
    """Something in a file that no model of ours has; `read` and its callers say so with the file's name."""


def _add(file: zipfile.ZipFile, name: str, array: Array) -> None:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, np.lib.format.header_data_from_array_1_0(array))
    info = zipfile.ZipInfo(name, _TIME)
    info.external_attr = 0o644 << 16
    # The extra field of the member's header is filled up so that the numbers lie on a multiple of 64.
    begin = file.fp.tell() if file.fp else 0
    used = begin + _LOCAL_HEADER.size + len(name) + len(header.getvalue()) + 4
    fill = -used % _ALIGN
    info.extra = struct.pack("<HH", 0xD935, fill) + bytes(fill)
    size = len(header.getvalue()) + array.nbytes
    info.file_size = size
    with file.open(info, "w", force_zip64=size >= 1 << 31) as member:
        member.write(header.getvalue())
        data = array.reshape(-1).view(np.uint8).data
        for start in range(0, array.nbytes, 1 << 24):
            member.write(data[start : start + (1 << 24)])


def _members(file: BinaryIO) -> dict[str, zipfile.ZipInfo]:
    with zipfile.ZipFile(file) as listed:
        infos = listed.infolist()
    if len(infos) > _MOST_MEMBERS:
        raise RefusedError(f"holds {len(infos)} members")
    if any(info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 1 for info in infos):
        raise RefusedError("its members are compressed or encrypted")
    names = [info.filename.removesuffix(".npy") for info in infos]
    if len(set(names)) < len(names):
        raise RefusedError("holds two members of one name")
    return dict(zip(names, infos, strict=True))


def _array(file: BinaryIO, info: zipfile.ZipInfo, kind: str, dimensions: int) -> Array:
    """One member, mapped."""
    file.seek(info.header_offset)
    header = file.read(_LOCAL_HEADER.size)
    signature, *_, name_size, extra_size = _LOCAL_HEADER.unpack(header)
    if signature != b"PK\x03\x04":
        raise RefusedError(f"{info.filename} is not where the list of members says")
    begin = info.header_offset + _LOCAL_HEADER.size + name_size + extra_size
    if _checksum(file, begin, info.file_size) != info.CRC:
        raise RefusedError(f"{info.filename} is damaged")
    file.seek(begin)
    shape, used = _shape(info.filename, file.read(_MOST_HEADER), kind, dimensions)
    offset, dtype = begin + used, np.dtype(kind)
    size = math.prod(shape) * dtype.itemsize
    if offset + size != begin + info.file_size:
        raise RefusedError(f"{info.filename} does not have the bytes of its shape {shape}")
    return np.memmap(file, dtype, "r", offset, shape) if size else np.empty(shape, dtype)


def _shape(name: str, data: bytes, kind: str, dimensions: int) -> tuple[tuple[int, ...], int]:
    """The shape that an `.npy` header gives, and the header's bytes; it is matched, never evaluated."""
    if len(data) < _ARRAY_HEADER.size:
        raise RefusedError(f"{name} has no header")
    magic, version, length = _ARRAY_HEADER.unpack_from(data)
    used = _ARRAY_HEADER.size + length
    if magic != b"\x93NUMPY" or version != 1 or used > len(data):
        raise RefusedError(f"{name} has no header of npy version 1.0 within {_MOST_HEADER} bytes")
    found = _DESCRIPTION.fullmatch(data, _ARRAY_HEADER.size, used)
    if found is None:
        raise RefusedError(f"{name}: its header describes no plain array")
    shape = tuple(int(size) for size in found["shape"].split(b",") if size.strip())
    if found["type"].decode() != kind or found["fortran"] == b"True" or len(shape) != dimensions:
        raise RefusedError(f"{name} has type {found['type'].decode()} and {len(shape)} dimensions")
    return shape, used


def _checksum(file: BinaryIO, begin: int, size: int) -> int:
    file.seek(begin)
    found = 0
    while size > 0 and (block := file.read(min(size, 1 << 20))):
        found = zlib.crc32(block, found)
        size -= len(block)
    return found


def _metadata(stored: Array, kind: str) -> dict[str, Any]:
    if len(stored) > _MOST_METADATA:
        raise RefusedError(f"its metadata has {len(stored)} bytes")
    try:
        found = json.loads(stored.tobytes())
    except (ValueError, RecursionError) as error:
        raise RefusedError(f"its metadata is no JSON: {error}") from error
    if not isinstance(found, dict) or found.get("kind") != kind or found.get("format") != _FORMAT:
        said = found.get("kind") if isinstance(found, dict) else None
        raise RefusedError(f"its metadata says kind {said!r}")
    return found


def _listed(names: Mapping[str, object]) -> str:
    return ", ".join(sorted(names)[:10]) or "nothing"
