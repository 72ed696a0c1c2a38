"""`millpond report`: the page about corpus, training and evaluation."""

from __future__ import annotations

from pathlib import Path

from millpond.errors import LakeError
from millpond.lake import Lake


def make_report(lake: Lake, to: Path | None, title: str = "Millpond report", notes: tuple[str, ...] = ()) -> Path:
    """Write the report of the newest release and return where it is.

    Raises:
        LakeError: nothing has been published yet.
    """
    from millpond.eval.report import build_report, write_report
    from millpond.eval.sql import connect

    if lake.release() is None:
        raise LakeError(f"{lake.uri}: nothing has been published yet; `millpond ingest` comes first")
    path = to or lake.root / "report.html"
    write_report(build_report(connect(lake), title=title, notes=notes), path)
    return path.resolve()
