"""Checkpoints: directories that are whole and verified, or do not count.

`<folder>/step-00000100/` holds the tensors as written by `torch.distributed.checkpoint` (`.metadata` and
`*.distcp`), `meta.json` (step, loader state, …) and `manifest.json` (size and sha256 of each other file). It
is written under a temporary name, synced, and renamed: the rename is the commit. `.metadata` is a pickle, so
every byte is compared with the manifest before anything is loaded. The digests find damage and mix-ups; who
can write a matching manifest can write a checkpoint.

All methods of `Checkpoints` are collective: every process calls them, and all return or raise alike. Tensors
may be saved and loaded by different numbers of processes.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import shutil
from pathlib import Path
from typing import Any

import torch
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.state_dict_loader import load as load_tensors
from torch.distributed.checkpoint.state_dict_saver import save as save_tensors

from millpond import durable, faults
from millpond.config import digest_of
from millpond.errors import CheckpointError
from millpond.train.parallel import World

log = logging.getLogger(__name__)

META, MANIFEST, TEMPORARY = "meta.json", "manifest.json", ".tmp-"


class Checkpoints:
    """The checkpoints of one run."""

    def __init__(self, folder: Path, world: World, keep: int) -> None:
        """`keep` newest checkpoints survive a save."""
        self.folder, self.world, self.keep = folder, world, keep
        self._verified: set[Path] = set()

    def save(self, step: int, tensors: dict[str, torch.Tensor], meta: dict[str, Any]) -> Path:
        """Write, commit and verify the checkpoint of `step`, then remove those beyond `keep`.

        Raises:
            CheckpointError: it cannot be written, or reads back otherwise than written.
        """
        final = self.folder / f"step-{step:08d}"
        partial = self.folder / f"{TEMPORARY}{final.name}"
        with self.world.alike(CheckpointError, f"{partial}: cannot be written"):
            if self.world.is_main:
                shutil.rmtree(partial, ignore_errors=True)
                partial.mkdir(parents=True)
                (partial / META).write_bytes(_canonical({**meta, "step": step}))
        try:
            save_tensors(tensors, checkpoint_id=partial)
        except CheckpointException as error:
            raise CheckpointError(f"{partial}: cannot be written: {_first_line(error)}") from error
        faults.point("checkpoint-written")
        files = self._digests(partial)
        with self.world.alike(CheckpointError, f"{final}: cannot be written"):
            if self.world.is_main:
                (partial / MANIFEST).write_bytes(_canonical({"digest": digest_of(files), "files": files}))
                if final.exists():  # damaged, or this run would have gone on from it
                    self._remove(final)
                durable.commit(partial, final)
        faults.point("checkpoint-committed")
        self.verify(final)
        with self.world.alike(CheckpointError, f"{self.folder}: cannot be cleaned up"):
            if self.world.is_main:
                for old in [path for path in _committed(self.folder) if path <= final][: -self.keep]:
                    self._remove(old)
        return final

    def latest(self) -> Path | None:
        """The newest valid checkpoint, or None; invalid ones are logged, unfinished ones swept away.

        Raises:
            CheckpointError: an unfinished one cannot be removed.
        """
        with self.world.alike(CheckpointError, f"{self.folder}: cannot be cleaned up"):
            if self.world.is_main:
                for leftover in self.folder.glob(f"{TEMPORARY}*"):
                    shutil.rmtree(leftover)
        seen: list[Path] = self.world.gather(_committed(self.folder))[0]
        for path in reversed(seen):
            try:
                self.verify(path)
            except CheckpointError as error:
                if self.world.is_main:
                    log.warning("checkpoint skipped: %s", error)
            else:
                return path
        return None

    def verify(self, path: Path) -> None:
        """Compare every byte of a checkpoint with its manifest; each process reads its share of the files.

        Raises:
            CheckpointError: a file is damaged, missing or not listed; the message names it.
        """
        with self.world.alike(CheckpointError, f"{path}: cannot be read"):
            verify(path, share=(self.world.rank, self.world.size))
        self._verified.add(path)

    def load(self, path: Path, tensors: dict[str, torch.Tensor]) -> dict[str, Any]:
        """Load a checkpoint, verified now if it was not yet, into `tensors` in place; returns its meta data.

        Raises:
            CheckpointError: it is damaged, or holds other tensors.
        """
        if path not in self._verified:
            self.verify(path)
        try:
            load_tensors(tensors, checkpoint_id=path)
        except CheckpointException as error:
            raise CheckpointError(f"{path}: does not fit this model: {_first_line(error)}") from error
        return read_meta(path)

    def _digests(self, folder: Path) -> dict[str, dict[str, Any]]:
        """Size and sha256 of every file by name; processes share the reading."""
        names = self.world.gather(_file_names(folder))[0]
        with self.world.alike(CheckpointError, f"{folder}: cannot be read back"):
            mine = {name: _describe(folder / name) for name in names[self.world.rank :: self.world.size]}
        found = {name: entry for part in self.world.gather(mine) for name, entry in part.items()}
        return {name: found[name] for name in names}

    def _remove(self, path: Path) -> None:
        """Delete a checkpoint; a kill half-way leaves a temporary name, not half a checkpoint."""
        doomed = path.with_name(f"{TEMPORARY}{path.name}-old")
        shutil.rmtree(doomed, ignore_errors=True)
        path.rename(doomed)
        shutil.rmtree(doomed)


def verify(path: Path, share: tuple[int, int] = (0, 1)) -> None:
    """Check one checkpoint directory; with `share` (part, parts) hash only that part of its files.

    Raises:
        CheckpointError: a file is damaged, missing or not listed; the message names it.
    """
    names = _file_names(path)
    for name in names:
        if not (path / name).is_file() or (path / name).is_symlink():
            raise CheckpointError(f"{path / name}: is not a plain file; use an earlier checkpoint")
    try:
        raw = (path / MANIFEST).read_bytes()
        manifest = json.loads(raw)
        files = manifest["files"]
        sound = raw == _canonical(manifest) and isinstance(files, dict) and manifest["digest"] == digest_of(files)
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise CheckpointError(f"{path / MANIFEST}: is not readable as a manifest: {error}") from error
    if not sound:
        raise CheckpointError(f"{path / MANIFEST}: is damaged, its content does not match its own digest")
    present = set(names) - {MANIFEST}
    for name in sorted(present ^ files.keys()):
        state = "is not in the manifest" if name in present else "is missing"
        raise CheckpointError(f"{path / name}: {state}; use an earlier checkpoint")
    part, parts = share
    for name in sorted(files)[part::parts]:
        try:
            found = _describe(path / name)
        except OSError as error:
            raise CheckpointError(f"{path / name}: is not readable: {error}") from error
        if found != files[name]:
            raise CheckpointError(
                f"{path / name}: is damaged, it is not what the manifest says; use an earlier checkpoint"
            )
    if path.name != f"step-{read_meta(path)['step']:08d}":
        raise CheckpointError(f"{path / META}: belongs to step {read_meta(path)['step']}; rename it back")


def read_meta(path: Path) -> dict[str, Any]:
    """The meta data of a checkpoint.

    Raises:
        CheckpointError: `meta.json` is missing or not a JSON object with a step.
    """
    try:
        meta: dict[str, Any] = json.loads((path / META).read_bytes())
        int(meta["step"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise CheckpointError(f"{path / META}: is not readable: {error}") from error
    return meta


def _committed(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("step-*") if re.fullmatch(r"step-\d{8}", path.name))


def _file_names(folder: Path) -> list[str]:
    """Everything below a folder that is not a folder itself, links included."""
    found = (path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir())
    return sorted(path.relative_to(folder).as_posix() for path in found)


def _describe(path: Path) -> dict[str, Any]:
    """Size and sha256 of a file."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return {"sha256": digest, "size": os.fstat(file.fileno()).st_size}


def _canonical(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, indent=1).encode() + b"\n"


def _first_line(error: CheckpointException) -> str:
    """What went wrong on the first process it went wrong on, without the tracebacks."""
    return str(next(iter(error.failures.values()))[0]).partition("\n")[0]
