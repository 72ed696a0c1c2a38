"""Export: the released corpus or a mixture of it → a folder that `datasets.load_dataset` reads.

    millpond export corpus my-corpus --max-shard-bytes 500000000

The folder appears when it is whole, shards and dataset card, or not at all; the lake is only read. The same release
gives the same files.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from millpond import durable
from millpond.curate.export.card import Facts, card
from millpond.curate.export.shards import Exported, export_schema, write_shards
from millpond.curate.mix.config import MixConfig
from millpond.curate.mix.job import Share, summary
from millpond.errors import InputError, LakeError
from millpond.lake import Lake
from millpond.made import Made, check_mixture, made, same_rows
from millpond.schemas import DOCUMENTS, MIXTURE, SHARDS, TOKEN_DOCUMENTS

#: Of text, uncompressed: what the Hugging Face Hub's own tools aim at.
SHARD_BYTES = 500_000_000


@dataclass(frozen=True)
class Choice:
    """What is exported, and how."""

    mixture: bool = False
    """The released mixture, with its repeats, rather than every document once."""
    splits: Sequence[str] = ()
    """Splits as tokenization drew them; none exports all documents as `train`."""
    max_shard_bytes: int = SHARD_BYTES
    """Bytes of text of a shard."""
    license: str | None = None
    """For the card, as the Hub names licenses; left out, the card names none."""


def export_corpus(lake: Lake, folder: Path, choice: Choice) -> Exported:
    """Write the released corpus to a new or empty folder.

    Raises:
        LakeError: there is no corpus, mixture or tokenization, or it is of another corpus than the released one.
        InputError: the folder holds something, cannot be written, or a split has no documents.
    """
    release = lake.release()
    if release is None or DOCUMENTS.name not in release.tables:
        raise LakeError(f"{lake.uri} has no corpus yet: run `millpond curate` first")
    _check_folder(folder)
    tables = [DOCUMENTS.name]
    if choice.mixture:
        check_mixture(lake, release.tables)
        tables.append(MIXTURE.name)
    if choice.splits:
        _check_splits(lake, release.tables, tables)
        tables.append(TOKEN_DOCUMENTS.name)
    files = {table: lake.files(table, release.tables[table]) for table in tables}
    folder = folder.resolve()
    partial = durable.temporary(folder)
    try:
        partial.mkdir(parents=True)
        written = write_shards(partial, files, choice.splits, choice.max_shard_bytes)
        if empty := sorted({*choice.splits} - {split.split for split in written.splits}):
            raise InputError(f"split {empty[0]!r} has no documents; splits are drawn by `millpond tokenize`")
        mixture = made(lake, MIXTURE.name, release.tables[MIXTURE.name]) if choice.mixture else None
        facts = Facts(
            name=folder.name.encode("utf-8", "replace").decode(),
            license=choice.license,
            release=release.number,
            corpus=made(lake, DOCUMENTS.name, release.tables[DOCUMENTS.name]),
            splits=written.splits,
            schema=export_schema(choice.mixture),
            languages=written.languages,
            domains=written.domains,
            mixture=mixture,
            shares=_shares(lake, mixture, release.tables) if mixture else (),
        )
        (partial / "README.md").write_text(card(facts), encoding="utf-8")
        durable.commit(partial, folder)
    except OSError as error:
        raise InputError(f"{folder}: cannot be written: {error.strerror or error}") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return written


def _check_folder(folder: Path) -> None:
    try:
        if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
            return
    except OSError as error:
        raise InputError(f"{folder}: cannot be read: {error.strerror or error}") from error
    raise InputError(f"{folder}: give a new or an empty folder: this one holds something")


def _shares(lake: Lake, mixture: Made, tables: dict[str, int]) -> list[Share]:
    config = MixConfig.from_mapping(mixture.config, "the mixture")
    return summary(lake, config, tables[MIXTURE.name])


def _check_splits(lake: Lake, tables: dict[str, int], exported: Sequence[str]) -> None:
    if SHARDS.name not in tables:
        raise LakeError(f"{lake.uri} has no splits yet: `millpond tokenize` draws them")
    inputs = made(lake, SHARDS.name, tables[SHARDS.name]).inputs
    of = [name for name in (DOCUMENTS.name, MIXTURE.name) if name in inputs]
    if not all(name in exported and same_rows(lake, name, inputs[name], tables[name]) for name in of):
        raise LakeError(
            f"{lake.uri}: the splits are of another corpus, or of a mixture, than what is exported: "
            "run `millpond tokenize` again"
        )
