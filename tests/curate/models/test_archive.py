"""Model files: the same bytes again, what was written comes back, and nothing else is let in."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from millpond.curate.models import archive
from millpond.errors import InputError

ARRAYS = {"weights": np.arange(12, dtype="<f4").reshape(6, 2), "bias": np.ones(2, "<f4"), "none": np.zeros(0, "<u8")}
MEMBERS = {"weights": ("<f4", 2), "bias": ("<f4", 1), "none": ("<u8", 1)}


def opened(path: Path, sha256: str | None = None) -> archive.Archive:
    return archive.read(path, "test", lambda _: MEMBERS, sha256)


def members_of(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as file:
        return {info.filename: file.read(info) for info in file.infolist()}


def packed(path: Path, members: Mapping[str, bytes], compression: int = zipfile.ZIP_STORED) -> None:
    with zipfile.ZipFile(path, "w", compression) as file:
        for name, data in members.items():
            file.writestr(name, data)


def npy(array: np.ndarray[Any, Any], *, allow_pickle: bool = False) -> bytes:
    data = io.BytesIO()
    np.save(data, array, allow_pickle=allow_pickle)
    return data.getvalue()


def header(text: str) -> bytes:
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "a model.npz"
    archive.write(path, "test", {"words": 3}, ARRAYS)
    return path


def test_round_trip_and_the_same_bytes(model: Path, tmp_path: Path) -> None:
    found = opened(model)
    assert found.metadata == {"kind": "test", "format": 1, "words": 3}
    for name, array in ARRAYS.items():
        assert found.arrays[name].dtype == array.dtype and (found.arrays[name] == array).all()
    weights = found.arrays["weights"]
    assert isinstance(weights, np.memmap) and not weights.flags.writeable
    assert weights.ctypes.data % 64 == 0
    again = tmp_path / "again.npz"
    archive.write(again, "test", {"words": 3}, dict(reversed(ARRAYS.items())))
    assert again.read_bytes() == model.read_bytes()
    assert opened(again, found.sha256).sha256 == found.sha256


def test_numpy_reads_it_too(model: Path) -> None:
    with np.load(model, allow_pickle=False) as found:
        assert (found["weights"] == ARRAYS["weights"]).all()


def test_another_content_is_refused_where_a_digest_is_known(model: Path) -> None:
    with pytest.raises(InputError, match=r"has been changed: its sha256 is [0-9a-f]{64}, and the run began with 0"):
        opened(model, "0" * 64)


def test_a_write_that_fails_leaves_the_earlier_file(model: Path) -> None:
    before = model.read_bytes()
    with pytest.raises(TypeError):
        archive.write(model, "test", {"not": object()}, ARRAYS)
    with pytest.raises(InputError, match="cannot be written"):
        archive.write(model / "below", "test", {}, ARRAYS)
    assert model.read_bytes() == before and list(model.parent.iterdir()) == [model]


class Bomb:
    """Would make a file where it was unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return Path.touch, (self.path,)


def test_pickles_are_never_loaded(model: Path, tmp_path: Path) -> None:
    mark = tmp_path / "went off"
    bomb = np.array([[Bomb(mark)]], dtype=object)
    packed(model, members_of(model) | {"weights.npy": npy(bomb, allow_pickle=True)})
    with pytest.raises(InputError, match=r"no test model of Millpond: weights\.npy has type \|O"):
        opened(model)
    assert not mark.exists()


WRONG: dict[str, tuple[dict[str, bytes | None], str]] = {
    "type": ({"bias.npy": npy(np.ones(2, "<f8"))}, "bias.npy has type <f8"),
    "byte order": ({"bias.npy": npy(np.ones(2, ">f4"))}, "bias.npy has type >f4"),
    "dimensions": ({"bias.npy": npy(np.ones((2, 1), "<f4"))}, "bias.npy has type <f4 and 2 dimensions"),
    "order": ({"weights.npy": npy(np.asfortranarray(ARRAYS["weights"]))}, "weights.npy has type"),
    "missing": ({"bias.npy": None}, "holds none, weights and not bias, none, weights"),
    "one more": ({"code.npy": npy(np.ones(1))}, "holds bias, code, none, weights"),
    "no metadata": ({"metadata.npy": None}, "holds bias, none, weights"),
    "other kind": ({"metadata.npy": npy(np.frombuffer(b'{"kind": "other"}', "u1"))}, "says kind 'other'"),
    "deep": ({"metadata.npy": npy(np.frombuffer(b"[" * 100_000, "u1"))}, "its metadata is no JSON"),
    "large": ({"metadata.npy": npy(np.zeros(2 << 20, "u1"))}, "its metadata has 2097152 bytes"),
    "huge header": ({"bias.npy": header(" " * 60_000 + "{}")}, "no header of npy version 1.0 within 1024 bytes"),
    "version": ({"bias.npy": b"\x93NUMPY\x02\x00" + bytes(200)}, "no header of npy version 1.0"),
    "short": ({"bias.npy": b"\x93NUMPY"}, "bias.npy has no header"),
    "code": ({"bias.npy": header("__import__('os').abort()")}, "bias.npy: its header describes no plain array"),
    "nest": ({"bias.npy": header("(" * 900)}, "bias.npy: its header describes no plain array"),
    "unhashable": ({"bias.npy": header("{[]: 1}")}, "bias.npy: its header describes no plain array"),
    "more than there is": (
        {"bias.npy": header("{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000,)}") + bytes(8)},
        "does not have the bytes of its shape (1000000000000,)",
    ),
    "less than there is": (
        {"bias.npy": header("{'descr': '<f4', 'fortran_order': False, 'shape': (1,)}") + bytes(8)},
        "does not have the bytes of its shape (1,)",
    ),
    "negative": (
        {"bias.npy": header("{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}") + bytes(8)},
        "bias.npy: its header describes no plain array",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_no_model_has_is_refused(model: Path, case: str) -> None:
    changes, message = WRONG[case]
    members: dict[str, bytes | None] = {**members_of(model), **changes}
    packed(model, {name: data for name, data in members.items() if data is not None})
    with pytest.raises(InputError) as refused:
        opened(model)
    assert message in str(refused.value) and str(model) in str(refused.value)


def test_what_is_no_archive_is_refused(model: Path, tmp_path: Path) -> None:
    packed(model, members_of(model), zipfile.ZIP_DEFLATED)
    with pytest.raises(InputError, match="compressed or encrypted"):
        opened(model)
    packed(model, {f"{n}.npy": b"" for n in range(100)})
    with pytest.raises(InputError, match="holds 100 members"):
        opened(model)
    for data in (b"", b"PK\x05\x06", b"a text" * 100):
        model.write_bytes(data)
        with pytest.raises(InputError, match="not a readable model file"):
            opened(model)
    for path in (tmp_path, tmp_path / "nothing"):
        with pytest.raises(InputError, match="not a readable model file"):
            opened(path)


def test_any_damaged_byte_is_found_or_does_not_matter(model: Path) -> None:
    whole = model.read_bytes()
    refused = 0
    for place in range(0, len(whole), 7):
        model.write_bytes(whole[:place] + bytes([whole[place] ^ 0x41]) + whole[place + 1 :])
        try:
            found = opened(model)
        except InputError:
            refused += 1
            continue
        assert all((found.arrays[name] == array).all() for name, array in ARRAYS.items()), place
    for size in range(0, len(whole), 31):
        model.write_bytes(whole[:size])
        with pytest.raises(InputError):
            opened(model)
    assert refused > 50
