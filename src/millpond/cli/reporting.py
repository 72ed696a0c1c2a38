"""`millpond report`: the page about corpus, training and evaluation."""

from __future__ import annotations

from pathlib import Path

from millpond.curate.presets import PRESETS
from millpond.curate.rules import sql_case
from millpond.errors import LakeError
from millpond.eval.report import build_report, write_report
from millpond.eval.sql import connect, run
from millpond.lake import Lake
from millpond.schemas import TRAIN_RUNS
from millpond.trained import find_run

#: The preset every corpus is measured against in its report, whatever rules it was made with.
YARDSTICK = "fineweb"


def make_report(
    lake: Lake,
    to: Path | None,
    title: str = "Millpond report",
    notes: tuple[str, ...] = (),
    train_run: str | None = None,
) -> Path:
    """Write the report of the newest release and return where it is; `train_run` is as for `find_run`.

    Raises:
        LakeError: nothing has been published yet.
    """
    if lake.release() is None:
        raise LakeError(f"{lake.uri}: nothing has been published yet; `millpond ingest` comes first")
    path = to or lake.root / "report.html"
    connection = connect(lake)
    reason = sql_case(PRESETS[YARDSTICK].rules, "reason")
    dropped = run(
        connection,
        f"select reason, count(*) from (select {reason} as reason from corpus.candidates where outcome = 'ok') "
        "where reason is not null group by 1 order by 2 desc, 1",
    )
    would_drop = {str(name): int(pages) for name, pages in dropped.rows}
    trained = find_run(lake, train_run).name if TRAIN_RUNS.name in lake.tables() else None
    html = build_report(
        connection, title=title, notes=notes, would_drop=would_drop, preset=YARDSTICK, train_run=trained
    )
    return write_report(html, path).resolve()
