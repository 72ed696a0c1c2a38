"""Ingest: WARC files, text tables or a site → `web.pages`, `web.rejects`, `web.frontier`.

    millpond ingest warc crawl-*.warc.gz
    spark-submit ingest/job.py --config run.toml --lake lake crawl-*.warc.gz

Files are read by Spark tasks, a part of a file each, which write the pages they find and return manifests; a site is
crawled from one process, since politeness allows one connection. A page the lake already has is not added
again: it becomes a reject that says so. Nothing found in an input is left uncounted.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from millpond import faults, storage
from millpond.config import load
from millpond.datafile import DataFileEntry, TableWriter
from millpond.duck import connect
from millpond.errors import InputError
from millpond.ingest.config import IngestConfig
from millpond.ingest.crawl import crawl_site
from millpond.ingest.datasets import with_datasets
from millpond.ingest.page import RowBatcher, reject_row
from millpond.ingest.revisits import resolve
from millpond.ingest.tasks import TABLE_OF, FilesRead, discard, read_files
from millpond.inputs import expand, identify
from millpond.lake import Lake, Release
from millpond.progress import bar, spark_bar
from millpond.publish import Mode, Outcome, Run
from millpond.quality.gate import gate
from millpond.reasons import Reason
from millpond.schemas import FRONTIER, PAGES, TABLES, WEB_REJECTS
from millpond.spark import session
from millpond.stage import Work, job_main

#: The tables that ingest writes.
TABLES_WRITTEN = (PAGES.name, WEB_REJECTS.name, FRONTIER.name)


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
    return publish_pages(run, read)


def identities(files: Sequence[str]) -> dict[str, str]:
    """What the content of each input file is known by, shown while it is found out."""
    with bar("identify") as shown:
        known: dict[str, str] = {}
        for file, identity in identify(files):
            known[file] = identity
            shown.update(len(known), len(files))
        return known


def ingest_site(lake: Lake, url: str, config: IngestConfig) -> Outcome:
    """Crawl one host from `url` on, politely, and ingest its pages.

    Raises:
        InputError: the address or robots.txt does not allow a crawl.
    """
    # A crawl with a name is done once; one without is a visit of its own.
    visit = config.crawl or datetime.now(UTC).isoformat()
    run = Run(lake, "ingest", config, {"site": url, "crawl": visit})
    if release := run.released(standing=False):
        return run.unchanged(release)
    faults.point("before-data")
    records = 0
    with ExitStack() as stack:
        writers = {t: stack.enter_context(TableWriter(t, lake.data_folder(t))) for t in TABLES_WRITTEN}
        batchers = {table: RowBatcher(TABLES[table].schema, config.batch_bytes) for table in TABLES_WRITTEN}
        shown = stack.enter_context(bar("crawl"))
        for kind, row in crawl_site(url, config, progress=shown.update):
            if kind == "file":
                records += row["records"]
            elif batch := batchers[TABLE_OF[kind]].add(row):
                writers[TABLE_OF[kind]].write(batch)
        for table, batcher in batchers.items():
            if batch := batcher.flush():
                writers[table].write(batch)
    return publish_pages(run, FilesRead({table: writer.entries for table, writer in writers.items()}, records, 0, {}))


def publish_pages(run: Run, read: FilesRead) -> Outcome:
    """Publish what was read: the pages that the lake does not have yet, and a reject for everything else.

    Raises:
        InputError: there is no page at all; nothing is published, and the files are removed.
    """
    lake, entries, records = run.lake, read.entries, read.records
    if not entries[PAGES.name]:
        known = _by_reason(entries[WEB_REJECTS.name], "records")
        reasons = ", ".join(f"{reason} {n:,}" for reason, n in sorted(known.items()))
        why = _first_detail(entries[WEB_REJECTS.name]) if records == 1 else ""
        discard(entry for files in entries.values() for entry in files)
        names = [run.inputs["site"]] if "site" in run.inputs else list(run.inputs)
        place = names[0] if len(names) == 1 else f"{len(names)} files"
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
        run.ledger.add_all("records", "rejected", _by_reason(staged[WEB_REJECTS.name], "records"))
        if read.bytes:  # of tables of texts there are only rows
            run.ledger.add("bytes", "in", read.bytes)
            run.ledger.add("bytes", "out", _sum(pages, "source_length"))
            run.ledger.add_all("bytes", "rejected", _by_reason(staged[WEB_REJECTS.name], "length"))
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


def _sum(entries: Sequence[DataFileEntry], column: str) -> int:
    if not entries:
        return 0
    rows = storage.dataset([entry.path for entry in entries]).to_table(columns=[column])
    return int(pc.sum(rows[column]).as_py() or 0)


def _by_reason(entries: Sequence[DataFileEntry], column: str) -> dict[str, int]:
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


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point of spark-submit."""

    def prepare(options: argparse.Namespace) -> Work:
        config = load(IngestConfig, options.config, "ingest", options.set)
        files = expand(with_datasets(options.paths, config.text))
        return lambda lake: ingest_files(lake, files, config)

    job_main("ingest", arguments, prepare, paths=True)


if __name__ == "__main__":
    main()
