"""Publishing what was read from files: each page once, each reject by its reason, records and bytes in the ledger."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from millpond import storage
from millpond.datafile import DataFileEntry, TableWriter
from millpond.duck import connect
from millpond.errors import InputError
from millpond.ingest.page import reject_row
from millpond.ingest.revisits import resolve
from millpond.ingest.tasks import FilesRead, discard
from millpond.lake import Lake, Release
from millpond.publish import Mode, Outcome, Run
from millpond.quality.gate import gate
from millpond.reasons import Reason
from millpond.schemas import PAGES, WEB_REJECTS

#: The tables that are written.
TABLES_WRITTEN = (PAGES.name, WEB_REJECTS.name)


def publish_pages(run: Run, read: FilesRead) -> Outcome:
    """Publish what was read: the pages that the lake does not have yet, and a reject for everything else.

    Raises:
        InputError: there is no page at all; nothing is published, and the files are removed.
    """
    lake, entries, records = run.lake, read.entries, read.records
    if not entries[PAGES.name]:
        known = sums_by_reason(entries[WEB_REJECTS.name], "records")
        reasons = ", ".join(f"{reason} {n:,}" for reason, n in sorted(known.items()))
        why = _first_detail(entries[WEB_REJECTS.name]) if records == 1 else ""
        discard(entry for files in entries.values() for entry in files)
        place = next(iter(run.inputs)) if len(run.inputs) == 1 else f"{len(run.inputs)} files"
        raise InputError(f"{place}: no page was found in {records:,} records ({reasons}){why}; nothing was published")

    def drop_known(run: Run, base: Release | None) -> None:
        """Stage the pages the released table does not have, and account for all of them."""
        known = lake.files(PAGES.name, base.tables.get(PAGES.name)) if base and PAGES.name in base.tables else []
        pages, repeats = _without_known(lake, entries[PAGES.name], known)
        staged = {**entries, PAGES.name: pages}
        originals = [*known, *(entry.path for entry in pages)]
        rejects = resolve(entries[WEB_REJECTS.name], originals, lake.data_folder(WEB_REJECTS.name))
        staged[WEB_REJECTS.name] = [*rejects, *_reject_repeats(lake, repeats)]
        for table, files in staged.items():
            run.stage_files(table, files, Mode.APPEND)
        run.ledger.clear()
        run.ledger.add("records", "in", records)
        run.ledger.add("records", "out", sum(entry.rows for entry in pages))
        run.ledger.add_all("records", "rejected", sums_by_reason(staged[WEB_REJECTS.name], "records"))
        run.ledger.add("bytes", "in", read.bytes)
        run.ledger.add("bytes", "out", sum_of(pages, "source_length"))
        run.ledger.add_all("bytes", "rejected", sums_by_reason(staged[WEB_REJECTS.name], "length"))
        run.ledger.add_all("bytes", "transformed", {name: n for name, n in read.unclaimed.items() if n})

    release = run.publish(gate(lake), rebase=drop_known)
    return run.done(release, "records")


def _without_known(
    lake: Lake, entries: Sequence[DataFileEntry], known: Sequence[str]
) -> tuple[list[DataFileEntry], list[dict[str, Any]]]:
    """Page files without pages that are `known` or come twice; only files that hold such pages are rewritten."""
    if not entries:
        return [], []
    new = [entry.path for entry in entries]
    with connect() as connection:
        connection.execute("create table known(page_id varchar)")
        if known:
            connection.execute("insert into known select page_id from read_parquet(?)", [list(known)])
        connection.execute(
            """
            create table repeats as
            select filename, file_row_number, page_id, url, source_file, source_offset, source_length, crawl
            from (
                select *, row_number() over (partition by page_id order by source_file, source_offset) as copy
                from read_parquet(?, filename = true, file_row_number = true)
            ) where copy > 1 or page_id in (select page_id from known)
            """,
            [new],
        )
        repeats = connection.sql("select * from repeats").to_arrow_table().to_pylist()
        touched = {row["filename"] for row in repeats}
        kept = [entry for entry in entries if entry.path not in touched]
        for path in sorted(touched):
            reader = connection.sql(
                "select p.* exclude (file_row_number) from read_parquet($path, file_row_number = true) p "
                "anti join (select * from repeats where filename = $path) r using (file_row_number) "
                "order by file_row_number",
                params={"path": path},
            ).to_arrow_reader(1000)
            with TableWriter(PAGES.name, lake.data_folder(PAGES.name)) as writer:
                for batch in reader:
                    writer.write(batch)
            kept += writer.entries
    return kept, repeats


def _reject_repeats(lake: Lake, repeats: Sequence[dict[str, Any]]) -> list[DataFileEntry]:
    rows = [
        reject_row(
            file=row["source_file"],
            offset=row["source_offset"],
            length=row["source_length"],
            url=row["url"],
            reason=Reason.DUPLICATE_PAGE,
            detail=row["page_id"],
            crawl=row["crawl"],
        )
        for row in repeats
    ]
    if not rows:
        return []
    batch = pa.RecordBatch.from_pylist(rows, schema=WEB_REJECTS.schema)
    with TableWriter(WEB_REJECTS.name, lake.data_folder(WEB_REJECTS.name)) as writer:
        writer.write(batch)
    return writer.entries


def sum_of(entries: Sequence[DataFileEntry], column: str) -> int:
    """The sum of a column."""
    if not entries:
        return 0
    rows = storage.dataset([entry.path for entry in entries]).to_table(columns=[column])
    return int(pc.sum(rows[column]).as_py() or 0)


def sums_by_reason(entries: Sequence[DataFileEntry], column: str) -> dict[str, int]:
    """Sums of a column of rejects; without reasons for which there is nothing."""
    if not entries:
        return {}
    rows = storage.dataset([entry.path for entry in entries]).to_table(columns=["reason", column])
    sums = rows.group_by("reason").aggregate([(column, "sum")])
    found = zip(sums["reason"].to_pylist(), sums[f"{column}_sum"].to_pylist(), strict=True)
    return {reason: amount for reason, amount in found if amount}


def _first_detail(entries: Sequence[DataFileEntry]) -> str:
    rows = storage.dataset([entry.path for entry in entries]).head(1, columns=["detail"])
    return f": {rows['detail'][0]}"
