"""Ingest: WARC files and text tables → `web.pages`, `web.rejects`.

    millpond ingest warc crawl-*.warc.gz
    spark-submit ingest/job.py --config run.toml --lake lake crawl-*.warc.gz

Files are read by Spark tasks, a part of a file each, which write the pages they find and return manifests. A page
the lake already has is not added again: it becomes a reject that says so. Nothing found in an input is left uncounted.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from millpond import faults, storage
from millpond.config import load
from millpond.datafile import DataFileEntry, TableWriter
from millpond.duck import connect
from millpond.errors import InputError
from millpond.ingest.config import IngestConfig
from millpond.ingest.datasets import with_datasets
from millpond.ingest.page import reject_row
from millpond.ingest.revisits import resolve
from millpond.ingest.tasks import discard, read_files
from millpond.inputs import expand, identify
from millpond.lake import Lake, Release
from millpond.progress import bar, spark_bar
from millpond.publish import Mode, Outcome, Run
from millpond.quality.gate import gate
from millpond.reasons import Reason
from millpond.schemas import PAGES, WEB_REJECTS
from millpond.spark import session
from millpond.stage import Work, job_main

#: The tables that ingest writes.
TABLES_WRITTEN = (PAGES.name, WEB_REJECTS.name)


def ingest_files(lake: Lake, paths: Sequence[str], config: IngestConfig) -> Outcome:
    """Ingest WARC files and text tables (told apart by suffix) named by paths and glob patterns.

    Raises:
        InputError: a path is missing, a folder, unreadable, empty or not what its name says; nothing is published.
    """
    files = identities(expand(with_datasets(paths, config.text)))
    run = Run(lake, "ingest", config, files)
    if release := run.released(standing=False):
        return run.unchanged(release)
    faults.point("before-data")
    spark = session("millpond ingest")
    with spark_bar("read", spark):
        read = read_files(spark, files, config, {table: lake.data_folder(table) for table in TABLES_WRITTEN})
    return publish_pages(run, read.entries, read.records)


def identities(files: Sequence[str]) -> dict[str, str]:
    """What the content of each input file is known by, shown while it is found out."""
    with bar("identify") as shown:
        known: dict[str, str] = {}
        for file, identity in identify(files):
            known[file] = identity
            shown.update(len(known), len(files))
        return known


def publish_pages(run: Run, entries: dict[str, list[DataFileEntry]], records: int) -> Outcome:
    """Publish what was read: the pages that the lake does not have yet, and a reject for everything else.

    Raises:
        InputError: there is no page at all; nothing is published, and the files are removed.
    """
    lake = run.lake
    if not entries[PAGES.name]:
        reasons = ", ".join(f"{reason} {n:,}" for reason, n in sorted(_by_reason(entries[WEB_REJECTS.name]).items()))
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
        run.ledger.add_all("records", "rejected", _by_reason(staged[WEB_REJECTS.name]))

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


def _by_reason(entries: Sequence[DataFileEntry]) -> dict[str, int]:
    if not entries:
        return {}
    rows = storage.dataset([entry.path for entry in entries]).to_table(columns=["reason", "records"])
    counts = rows.group_by("reason").aggregate([("records", "sum")])
    return dict(zip(counts["reason"].to_pylist(), counts["records_sum"].to_pylist(), strict=True))


def _first_detail(entries: Sequence[DataFileEntry]) -> str:
    rows = storage.dataset([entry.path for entry in entries]).head(1, columns=["detail"])
    return f": {rows['detail'][0]}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point of spark-submit."""

    def prepare(options: argparse.Namespace) -> Work:
        config = load(IngestConfig, options.config, "ingest", options.set)
        files = expand(with_datasets(options.paths, config.text))
        return lambda lake: ingest_files(lake, files, config)

    job_main("ingest", arguments, prepare, paths=True)


if __name__ == "__main__":
    main()
