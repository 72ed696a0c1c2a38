"""Mix: `corpus.documents` → `corpus.mixture`: which documents a training corpus is made of, and how often each.

    millpond mix --config run.toml

A mixture names documents, it does not copy them. Every document of the corpus is in it or in `corpus.mixture_rejects`
with a reason: no component selects it, a cap, or it was not sampled. A run replaces the mixture before it.
"""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from millpond import faults
from millpond.curate.mix.config import MixConfig
from millpond.curate.mix.plan import shares
from millpond.curate.mix.selection import Selection
from millpond.datafile import TableWriter
from millpond.duck import connect, scan
from millpond.errors import ConfigError, LakeError
from millpond.lake import Lake
from millpond.ledger import Ledger
from millpond.publish import Mode, Outcome, Run
from millpond.quality.gate import gate
from millpond.reasons import Reason
from millpond.schemas import CANDIDATES, DOCUMENTS, MIXTURE, MIXTURE_REJECTS


@dataclass(frozen=True)
class Share:
    """One component of a mixture, for people."""

    component: str
    documents: int
    """Distinct ones."""
    rows: int
    """Documents with their repeats."""
    bytes: int
    """Of text, with repeats."""
    wanted: float
    """Share of the mixture in the configuration's unit."""
    got: float
    max_copies: int


def mix(lake: Lake, config: MixConfig) -> Outcome:
    """Publish the mixture that a configuration asks for.

    Raises:
        LakeError: there is no corpus.
        ConfigError: a component has no documents, or too few for its weight.
        AuditError: the result was refused; the mixture is as it was.
    """
    snapshots = {
        name: snapshot for name, snapshot in lake.tables().items() if name in (DOCUMENTS.name, CANDIDATES.name)
    }
    if DOCUMENTS.name not in snapshots:
        raise LakeError(f"{lake.uri} has no corpus yet: run `millpond curate` first")
    run = Run(lake, "mix", config, snapshots)
    if release := run.released(standing=True):
        return run.unchanged(release)
    faults.point("before-data")
    files = {name: lake.files(name, snapshot) for name, snapshot in snapshots.items()}
    with connect() as connection:
        _write(run, config, Selection(connection, files[DOCUMENTS.name], files[CANDIDATES.name], config))
    return run.done(run.publish(gate(lake)), "documents")


def summary(lake: Lake, config: MixConfig, snapshot: int | None = None) -> list[Share]:
    """What a mixture (the released one by default) has of each component, in the configuration's order."""
    with connect() as connection:
        rows = connection.execute(
            "select component, count(*), sum(copies)::bigint, sum(copies * text_bytes)::bigint, max(copies) "
            f"from {scan(lake.files(MIXTURE.name, snapshot))} group by 1"
        ).fetchall()
    found = {name: (documents, copies, size, most) for name, documents, copies, size, most in rows}
    amount = 2 if config.unit == "bytes" else 1
    total = sum(counts[amount] for counts in found.values())
    return [
        Share(name, *found[name][:3], float(wanted), found[name][amount] / total, found[name][3])
        for name, wanted in shares(config.components).items()
        if name in found
    ]


def _write(run: Run, config: MixConfig, selection: Selection) -> None:
    """Write and stage the mixture and what is not in it, and the ledger over both."""
    writers = {
        spec.name: TableWriter(spec.name, run.lake.data_folder(spec.name)) for spec in (MIXTURE, MIXTURE_REJECTS)
    }
    empty = {component.name for component in config.components}
    with writers[MIXTURE.name] as mixture, writers[MIXTURE_REJECTS.name] as rejects:
        for batch in selection.rows():
            taken = pc.greater(batch["copies"], 0)
            chosen, left = batch.filter(taken), batch.filter(pc.invert(taken))
            reasons = _reasons(left)
            mixture.write(chosen)
            rejects.write(left.append_column("reason", reasons))
            _account(run.ledger, chosen, left, reasons)
            empty.difference_update(pc.unique(chosen["component"]).to_pylist())
    if empty:
        raise ConfigError(
            f"component {min(empty)!r} would have no document: its share of the mixture is less than half of its "
            "first one; give it more weight, or the mixture a larger size"
        )
    for name, writer in writers.items():
        run.stage_files(name, writer.entries, Mode.REPLACE)


def _reasons(left: pa.RecordBatch) -> pa.Array:
    alone = pc.is_null(left["component"])
    capped = pc.is_valid(left["cap"])
    return pc.case_when(
        pc.make_struct(alone, capped),
        pa.scalar(Reason.NO_COMPONENT.value),
        pa.scalar(Reason.CAP.value),
        pa.scalar(Reason.NOT_SAMPLED.value),
    )


def _account(ledger: Ledger, chosen: pa.RecordBatch, left: pa.RecordBatch, reasons: pa.Array) -> None:
    once, copies = _sum(chosen["text_bytes"]), _sum(pc.multiply(chosen["copies"], chosen["text_bytes"]))
    ledger.add("documents", "in", len(chosen) + len(left))
    ledger.add("documents", "out", len(chosen))
    ledger.add("bytes", "in", once + _sum(left["text_bytes"]))
    ledger.add("bytes", "out", copies)
    ledger.add("bytes", "transformed", once - copies, "repeat")
    grouped = pa.table({"reason": reasons, "size": left["text_bytes"]}).group_by("reason")
    for row in grouped.aggregate([("size", "sum"), ("size", "count")]).to_pylist():
        ledger.add("documents", "rejected", row["size_count"], row["reason"])
        ledger.add("bytes", "removed", row["size_sum"], row["reason"])


def _sum(values: pa.Array) -> int:
    return int(pc.sum(values).as_py() or 0)
