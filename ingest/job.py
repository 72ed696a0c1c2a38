"""Ingest: WARC files and text tables → `web.pages`, `web.rejects`.

    millpond ingest warc crawl-*.warc.gz
    spark-submit ingest/job.py --config run.toml --lake lake crawl-*.warc.gz

Files are read by Spark tasks, a part of a file each, which write the pages they find and return manifests. A page
the lake already has is not added again: it becomes a reject that says so. Nothing found in an input is left uncounted.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from millpond import faults
from millpond.config import load
from millpond.ingest.config import IngestConfig
from millpond.ingest.datasets import with_datasets
from millpond.ingest.publish import TABLES_WRITTEN, publish_pages
from millpond.ingest.tasks import read_files
from millpond.inputs import expand, identify
from millpond.lake import Lake
from millpond.progress import bar, spark_bar
from millpond.publish import Outcome, Run
from millpond.spark import session
from millpond.stage import Work, job_main


def ingest_files(lake: Lake, files: Sequence[str], config: IngestConfig) -> Outcome:
    """Ingest WARC files and text tables (told apart by suffix), given as `millpond.inputs.expand` names them.

    Raises:
        InputError: a file is missing, a folder, unreadable, empty or not what its name says; nothing is published.
    """
    known = identities(files)
    run = Run(lake, "ingest", config, known)
    if release := run.released(standing=False):
        return run.unchanged(release)
    faults.point("before-data")
    spark = session("millpond ingest")
    with spark_bar("read", spark):
        read = read_files(spark, known, config, {table: lake.data_folder(table) for table in TABLES_WRITTEN})
    return publish_pages(run, read)


def identities(files: Sequence[str]) -> dict[str, str]:
    """What the content of each input file is known by, shown while it is found out."""
    with bar("identify") as shown:
        known: dict[str, str] = {}
        for file, identity in identify(files):
            known[file] = identity
            shown.update(len(known), len(files))
        return known


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point of spark-submit."""

    def prepare(options: argparse.Namespace) -> Work:
        config = load(IngestConfig, options.config, "ingest", options.set)
        files = expand(with_datasets(options.paths, config.text))
        return lambda lake: ingest_files(lake, files, config)

    job_main("ingest", arguments, prepare, paths=True)


if __name__ == "__main__":
    main()
