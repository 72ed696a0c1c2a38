"""`millpond mix`, `millpond export corpus` and `millpond compact`: tables chosen from, handed on and rewritten."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

from millpond.cli import output
from millpond.compact import CompactConfig
from millpond.compact import compact as compact_tables
from millpond.config import load
from millpond.curate.export.job import Choice, export_corpus
from millpond.curate.mix.config import MixConfig
from millpond.curate.mix.job import mix as mix_documents
from millpond.curate.mix.job import summary
from millpond.lake import Lake
from millpond.quality.gate import gate


def mix(lake: Lake, config: Path | None, overrides: Iterable[str]) -> None:
    """Publish a mixture and show what it has of each component, beside what was asked for."""
    settings = load(MixConfig, config, "mix", overrides)
    outcome = mix_documents(lake, settings)
    found = [asdict(share) for share in summary(lake, settings)]
    if output.is_json():
        output.value(vars(outcome) | {"components": found})
        return
    output.outcome(outcome)
    output.table(list(found[0]), [list(share.values()) for share in found])


def export(lake: Lake, folder: Path, choice: Choice) -> None:
    """Write the corpus to a folder and show what is there."""
    written = export_corpus(lake, folder, choice)
    if output.is_json():
        output.value({"folder": str(folder), "splits": [asdict(split) for split in written.splits]})
        return
    output.line(f"{folder}: README.md and")
    columns = ("split", "shards", "rows", "bytes", "file_bytes")
    output.table(columns, [[getattr(split, column) for column in columns] for split in written.splits])


def compact(lake: Lake, tables: Sequence[str], target_bytes: int) -> None:
    """Compact tables and show how many files they have now."""
    config = CompactConfig(tables=tuple(tables), target_bytes=target_bytes)
    outcome, done = compact_tables(lake, config, gate(lake))
    found = [asdict(table) for table in done]
    if output.is_json():
        output.value({"release": outcome and outcome.release, "tables": found})
    elif outcome is None:
        output.line("compact: nothing to do, no table has more than one small file")
    else:
        output.outcome(outcome)
        output.table(list(found[0]), [list(table.values()) for table in found])
