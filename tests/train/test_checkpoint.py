from __future__ import annotations

import json
import logging
import os
import pickle  # noqa: TID251 - the attack under test
import re
import resource
import shutil
from pathlib import Path

import pytest
import torch

from millpond import durable
from millpond.errors import CheckpointError
from millpond.train.checkpoint import MANIFEST, Checkpoints, verify
from millpond.train.parallel import World


def tensors(value: float) -> dict[str, torch.Tensor]:
    return {"model.a": torch.full((3, 4), value), "optimizer.state.a.step": torch.tensor(value)}


def names(folder: Path) -> list[str]:
    """What lies in a folder."""
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def checkpoints(world: World, tmp_path: Path) -> Checkpoints:
    """Checkpoints of step 10 and 20, holding their step in each tensor."""
    made = Checkpoints(tmp_path / "checkpoints", world, keep=2)
    for step in (10, 20):
        made.save(step, tensors(step), {"note": "x"})
    return made


def restored(checkpoints: Checkpoints) -> float | None:
    """What loading the newest valid checkpoint gives."""
    path = checkpoints.latest()
    if path is None:
        return None
    into = tensors(-1)
    meta = checkpoints.load(path, into)
    (value,) = {float(number) for tensor in into.values() for number in tensor.flatten()}
    assert meta == {"step": value, "note": "x"}
    return value


def test_round_trip_keeps_the_newest(checkpoints: Checkpoints) -> None:
    assert restored(checkpoints) == 20
    checkpoints.save(30, tensors(30), {"note": "x"})
    assert restored(checkpoints) == 30
    assert names(checkpoints.folder) == ["step-00000020", "step-00000030"]


def test_one_flipped_bit_in_any_file_is_found(checkpoints: Checkpoints, tmp_path: Path) -> None:
    path = checkpoints.folder / "step-00000020"
    files = names(path)
    assert files == [".metadata", "__0_0.distcp", MANIFEST, "meta.json"]
    for name in files:
        content = (path / name).read_bytes()
        for at in sorted({0, 1, len(content) // 3, len(content) // 2, len(content) - 1}):
            for bit in (0x01, 0x20, 0x80):
                damaged = bytearray(content)
                damaged[at] ^= bit
                (path / name).write_bytes(damaged)
                with pytest.raises(CheckpointError):
                    verify(path)
        with pytest.raises(CheckpointError, match=name):
            verify(path)
        (path / name).write_bytes(content)
    verify(path)


@pytest.mark.parametrize("name", [".metadata", "__0_0.distcp", MANIFEST, "meta.json"])
@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "missing", "symlink"])
def test_damage_is_named_and_the_earlier_checkpoint_used(
    checkpoints: Checkpoints, caplog: pytest.LogCaptureFixture, name: str, damage: str
) -> None:
    file = checkpoints.folder / "step-00000020" / name
    content = bytearray(file.read_bytes())
    if damage == "flip":
        content[len(content) // 2] ^= 4
        file.write_bytes(content)
    elif damage == "cut":
        file.write_bytes(content[: len(content) // 2])
    elif damage == "empty":
        file.write_bytes(b"")
    else:
        file.unlink()
        if damage == "symlink":
            file.symlink_to(checkpoints.folder / "step-00000010" / name)
    fresh = Checkpoints(checkpoints.folder, checkpoints.world, keep=2)
    with pytest.raises(CheckpointError, match=re.escape(f"step-00000020/{name}: is ")):
        fresh.load(file.parent, tensors(0))
    with caplog.at_level(logging.WARNING):
        assert restored(fresh) == 10
    assert "step-00000020" in caplog.text
    fresh.save(20, tensors(21), {"note": "x"})  # takes the damaged one's place
    verify(checkpoints.folder / "step-00000020")


def test_no_code_runs_from_a_foreign_metadata(checkpoints: Checkpoints, tmp_path: Path) -> None:
    canary = tmp_path / "canary"

    class Evil:
        def __reduce__(self) -> tuple[object, ...]:
            return os.mkdir, (str(canary),)

    metadata = checkpoints.folder / "step-00000020" / ".metadata"
    metadata.write_bytes(pickle.dumps(Evil()))
    fresh = Checkpoints(checkpoints.folder, checkpoints.world, keep=2)
    with pytest.raises(CheckpointError, match=r"\.metadata: is damaged"):
        fresh.load(metadata.parent, tensors(0))
    assert restored(fresh) == 10
    assert not canary.exists()
    pickle.loads(metadata.read_bytes())
    assert canary.exists()  # the attack works where nothing is verified


def test_mixed_up_checkpoints_are_refused(checkpoints: Checkpoints) -> None:
    one, two = checkpoints.folder / "step-00000010", checkpoints.folder / "step-00000020"
    shutil.copytree(one, checkpoints.folder / "step-00000030")  # an older state under a newer name
    with pytest.raises(CheckpointError, match="belongs to step 10"):
        verify(checkpoints.folder / "step-00000030")
    shutil.copyfile(one / MANIFEST, two / MANIFEST)  # an older manifest beside newer tensors
    with pytest.raises(CheckpointError, match="is damaged"):
        verify(two)
    (one / "extra").write_text("x")
    with pytest.raises(CheckpointError, match="extra: is not in the manifest"):
        verify(one)
    assert restored(Checkpoints(checkpoints.folder, checkpoints.world, keep=2)) is None


def test_leftovers_are_swept(checkpoints: Checkpoints) -> None:
    shutil.copytree(checkpoints.folder / "step-00000020", checkpoints.folder / ".tmp-step-00000030")
    assert restored(checkpoints) == 20
    assert names(checkpoints.folder) == ["step-00000010", "step-00000020"]


def test_tensors_of_another_model_are_refused(checkpoints: Checkpoints) -> None:
    path = checkpoints.folder / "step-00000020"
    with pytest.raises(CheckpointError, match="does not fit this model"):
        checkpoints.load(path, {**tensors(0), "model.b": torch.zeros(1)})
    with pytest.raises(CheckpointError, match="does not fit this model"):
        checkpoints.load(path, {**tensors(0), "model.a": torch.zeros(5, 5)})


def test_manifest_with_valid_digest_but_hostile_shape_is_refused(checkpoints: Checkpoints) -> None:
    manifest = checkpoints.folder / "step-00000020" / MANIFEST
    for content in (
        "[" * 100_000,
        "[]",
        "{}",
        '{"files": 3, "digest": ""}',
        json.dumps(None),
        "\ud800".encode("utf-8", "surrogatepass"),
    ):
        manifest.write_bytes(content if isinstance(content, bytes) else content.encode())
        with pytest.raises(CheckpointError, match=MANIFEST):
            verify(manifest.parent)


@pytest.mark.parametrize("step", ["mkdir", "commit", "remove"])
def test_whatever_the_disk_refuses_is_one_error(
    checkpoints: Checkpoints, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    owner, name = {"mkdir": (Path, "mkdir"), "commit": (durable, "commit"), "remove": (Checkpoints, "_remove")}[step]
    monkeypatch.setattr(owner, name, refuse)
    with pytest.raises(CheckpointError, match=r"cannot be .*No space left on device") as raised:
        checkpoints.save(30, tensors(30), {"note": "x"})
    assert "\n" not in str(raised.value)
    monkeypatch.undo()
    assert restored(checkpoints) == (30 if step == "remove" else 20)


def test_a_full_disk_leaves_the_earlier_checkpoints(checkpoints: Checkpoints) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))  # writing more fails, as on a full disk
    try:
        with pytest.raises(CheckpointError, match="cannot be written") as raised:
            checkpoints.save(30, {**tensors(30), "model.b": torch.zeros(100_000)}, {"note": "x"})
        assert "\n" not in str(raised.value)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert restored(checkpoints) == 20
    assert names(checkpoints.folder) == ["step-00000010", "step-00000020"]
