"""The write-audit-publish gate: everything that must hold before a batch may be seen.

Every new file must have its table's columns. For each table of the batch that has a suite, Great Expectations judges
the new files; then the gate checks what Great Expectations does not: that every expectation really ran and on as many
rows as were written, that a table's key is unique over all a reader would see, what the stage itself checks, and that
the ledger, counted again, balances. The results become rows of `ops.audits`; Data Docs stay in the run's folder, also
(and above all) when the batch is refused.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb

from millpond import durable
from millpond.duck import connect
from millpond.errors import AuditError, LedgerError
from millpond.lake import Lake
from millpond.publish import Audit, Batch
from millpond.quality import balance
from millpond.quality.files import misfits
from millpond.quality.gx import great_expectations
from millpond.quality.rows import audit_row
from millpond.quality.suites import SUITES, Suite, columns, expectations
from millpond.schemas import OPS_LEDGER, TABLES

log = logging.getLogger(__name__)

#: What is kept of an expectation's result, by the name it is shown under.
_SEEN = {"observed": "observed_value", "unexpected": "unexpected_count", "nulls": "missing_count"}

#: Up to this many rows the suite's columns are judged in the driver by pandas; above, by Spark where they lie.
IN_MEMORY_ROWS = 1_000_000


def gate(lake: Lake, *checks: Audit) -> Audit:
    """The audit to hand to `Run.publish`; `checks` are a stage's own, and return what they saw as audit rows."""
    return lambda batch: Gate(lake.run_folder(batch.run_id), checks).judge(batch)


class Gate:
    """Judges one batch and keeps a page of the verdict in `folder`."""

    def __init__(self, folder: Path, checks: Sequence[Audit] = ()) -> None:
        self.folder = folder
        self.checks = checks

    def judge(self, batch: Batch) -> list[dict[str, Any]]:
        """Audit rows of a batch that passed.

        Raises:
            AuditError: an expectation failed or did not run; names table, expectation and what was seen.
            LedgerError: nothing but the ledger is wrong: the counts do not add up.
        """
        rows = [_columns_match(table, files) for table, files in sorted(batch.new.items())]
        self._refuse(rows)  # what follows reads these files
        suites = [SUITES[table] for table in sorted(batch.new) if table in SUITES]
        if suites:
            rows += self._expectations(batch, suites)
        rows += [
            _unique_key(table, files) for table, files in sorted(batch.whole.items()) if files and TABLES[table].key
        ]
        rows += [row for check in self.checks for row in check(batch)]
        rows.append(_ledger_balances(batch))
        self._refuse(rows)
        return rows

    def _refuse(self, rows: Sequence[dict[str, Any]]) -> None:
        """Keep the rows, and raise if one has failed."""
        self._write(rows)
        failed = [row for row in rows if not row["success"]]
        audits = [row for row in failed if row["table"] != OPS_LEDGER.name]
        said = [_sentence(audits)] if audits else []
        said += [row["observed"] for row in failed if row["table"] == OPS_LEDGER.name]
        if said:
            docs = f" and {page}" if (page := self.folder / "data_docs" / "index.html").exists() else ""
            error = AuditError if audits else LedgerError
            raise error(f"{'; '.join(said)}; nothing was published; see {self.folder / 'audit.json'}{docs}")

    def _write(self, rows: Sequence[dict[str, Any]]) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        durable.write_bytes(self.folder / "audit.json", json.dumps(list(rows), indent=2, default=str).encode() + b"\n")

    def _expectations(self, batch: Batch, suites: Sequence[Suite]) -> list[dict[str, Any]]:
        context = _context(self.folder / "data_docs")
        rows: list[dict[str, Any]] = []
        for suite in suites:
            rows += _judge_suite(context, suite, batch.new[suite.table])
        context.build_data_docs()
        return rows


def _context(docs: Path) -> Any:
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
    gx = great_expectations()
    logging.getLogger("great_expectations").setLevel(logging.ERROR)
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    backend = {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(docs)}
    context.delete_data_docs_site("local_site")
    context.add_data_docs_site(
        "local_site",
        {
            "class_name": "SiteBuilder",
            "store_backend": backend,
            "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"},
        },
    )
    return context


def _judge_suite(context: Any, suite: Suite, files: Sequence[str]) -> list[dict[str, Any]]:
    gx = great_expectations()
    floor = great_expectations("expectations").ExpectTableRowCountToBeBetween
    written = _count(files)
    if written == 0:
        return [audit_row(suite.table, "row_floor", "", suite.floor == 0, "0 rows", f"at least {suite.floor}")]
    built = [floor(min_value=max(suite.floor, 1)), *expectations(suite)]
    asset, frame = _frame(context, suite, files, columns(suite, built), written)
    named = context.suites.add(gx.ExpectationSuite(suite.table, expectations=built))
    definition = context.validation_definitions.add(
        gx.ValidationDefinition(name=suite.table, data=asset.add_batch_definition_whole_dataframe("new"), suite=named)
    )
    outcome = definition.run(batch_parameters={"dataframe": frame})
    if len(outcome.results) != len(built):
        raise AuditError(
            f"{suite.table}: {len(built)} expectations were asked for and {len(outcome.results)} ran; "
            "nothing was published"
        )
    return [_result_row(suite.table, result, written) for result in outcome.results]


def _frame(context: Any, suite: Suite, files: Sequence[str], wanted: dict[str, str], rows: int) -> tuple[Any, Any]:
    selected = ", ".join(f'{sql} as "{name}"' for name, sql in wanted.items())
    if rows <= IN_MEMORY_ROWS:
        with connect() as connection:
            frame = connection.execute(f"select {selected} from read_parquet(?)", [list(files)]).df()
        return context.data_sources.add_pandas(suite.table).add_dataframe_asset("files"), frame
    from millpond.spark import read_files, session

    view = read_files(session("millpond audit"), suite.table, files)
    frame = view.selectExpr(*(f"{sql} as {name}".replace('"', "`") for name, sql in wanted.items()))
    return context.data_sources.add_spark(suite.table).add_dataframe_asset("files"), frame


def _count(files: Sequence[str]) -> int:
    if not files:
        return 0
    with connect() as connection:
        row = connection.execute("select count(*) from read_parquet(?)", [list(files)]).fetchone()
    return int(row[0]) if row else 0


def _result_row(table: str, result: Any, written: int) -> dict[str, Any]:
    """One audit row; an expectation that raised, or looked at other than the rows written, has failed."""
    settings = dict(result.expectation_config.kwargs)
    settings.pop("batch_id", None)
    column = settings.pop("column", None) or "/".join(
        str(settings.pop(key)) for key in ("column_A", "column_B") if key in settings
    )
    seen = result.result.get("element_count", written)
    raised = _exception(result.exception_info)
    observed = {
        name: result.result[key]
        for name, key in _SEEN.items()
        if isinstance(result.result.get(key), int | float | str)
    }
    if len(examples := list(result.result.get("partial_unexpected_list", ()))):
        observed["such_as"] = [str(example)[:80] for example in examples[:3]]
    if raised is not None:
        observed = {"did_not_run": raised}
    # Great Expectations passes an all-null column; a column whose values are judged may not be null.
    complete = not observed.get("nulls") and seen == written
    success = bool(result.success) and raised is None and complete
    return audit_row(
        table,
        result.expectation_config.type,
        column,
        success,
        json.dumps(observed | {"rows": seen}, default=str),
        json.dumps(settings, default=str),
    )


def _exception(info: Mapping[str, Any]) -> str | None:
    """What an expectation raised, if it did; Great Expectations nests it by metric when a metric raised it."""
    if "raised_exception" in info:
        return str(info.get("exception_message")) if info["raised_exception"] else None
    return next((found for part in info.values() if (found := _exception(part)) is not None), None)


def _columns_match(table: str, files: Sequence[str]) -> dict[str, Any]:
    wrong = misfits(table, files)
    return audit_row(table, "columns_match_the_table", "", not wrong, wrong[0] if wrong else "every file", "")


def _unique_key(table: str, files: Sequence[str]) -> dict[str, Any]:
    key = TABLES[table].key
    names = ", ".join(f'"{name}"' for name in key)
    with connect() as connection:
        twice = connection.execute(
            f"select {names}, count(*) from read_parquet(?) group by {names} having count(*) > 1 limit 1",
            [list(files)],
        ).fetchone()
    observed = f"{twice[:-1]} is there {twice[-1]} times" if twice else "no key twice"
    return audit_row(table, "key_is_unique", "/".join(key), twice is None, observed, "")


def _ledger_balances(batch: Batch) -> dict[str, Any]:
    try:
        observed, balances = f"{balance.check(batch)} lines", True
    except LedgerError as error:
        observed, balances = str(error), False
    except duckdb.Error as error:  # of what audits refuse, too
        observed, balances = f"{batch.stage}: the ledger cannot be counted again: {error}", False
    return audit_row(OPS_LEDGER.name, "ledger_balances", "", balances, observed, "")


def _sentence(failed: Sequence[dict[str, Any]]) -> str:
    first = failed[0]
    column = f" on {first['column']}" if first["column"] else ""
    more = f" (and {len(failed) - 1} more)" if len(failed) > 1 else ""
    return f"{first['table']}: {first['expectation']}{column} failed, seen {first['observed']}{more}"
