"""Curate: `web.pages` → `corpus.candidates`, `corpus.documents`, `corpus.rejects`, `corpus.duplicates`.

    millpond curate --config run.toml
    spark-submit curate/job.py --config run.toml --lake lake

One pass over each page computes its text, every signal and its MinHash signature, and writes the candidate in the
same task; `decide` says what becomes of each candidate. A run replaces what earlier runs produced; its result depends
on the pages and the configuration alone, not on partitions or order. Machine speed matters in one case, a fault of
the machine: a page that runs into the wall clock twice is recorded as `extract_timeout`.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from millpond import faults
from millpond.config import load
from millpond.curate.audit import CorpusAudit
from millpond.curate.candidates import PAGE_COLUMNS, Candidates
from millpond.curate.config import CurateConfig
from millpond.curate.decide import decide
from millpond.curate.eval_sets import read_examples
from millpond.curate.models.scores import Scores
from millpond.datafile import DataFileEntry
from millpond.errors import LakeError
from millpond.lake import Lake
from millpond.progress import note, spark_bar
from millpond.publish import Mode, Outcome, Run
from millpond.quality.gate import gate
from millpond.quality.removals import RemovalCaps
from millpond.schemas import CANDIDATES, PAGES
from millpond.spark import read_files, session, write_tables
from millpond.stage import Work, job_main

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def curate(lake: Lake, config: CurateConfig) -> Outcome:
    """Curate the released pages into a released corpus.

    Raises:
        LakeError: there are no pages.
        InputError: a model or evaluation file is missing, damaged or foreign.
        AuditError: the result was refused; the corpus is as it was.
    """
    snapshot = lake.tables().get(PAGES.name)
    if snapshot is None:
        raise LakeError(f"{lake.uri} has no pages yet: run `millpond ingest` first")
    Scores(config)  # a model file that cannot be used is said here, not by a worker
    for _ in read_examples(config.decontaminate.sets):
        pass  # nor an evaluation file after all pages are read
    run = Run(lake, "curate", config, {PAGES.name: snapshot})
    if release := run.released(standing=True):
        return run.unchanged(release)
    faults.point("before-data")
    spark = session("millpond curate")
    with spark_bar("extract", spark):
        pages = read_files(spark, PAGES.name, lake.files(PAGES.name, snapshot))
        candidates = _candidates(pages, config, lake.data_folder(CANDIDATES.name))
    run.stage_files(CANDIDATES.name, candidates, Mode.REPLACE)
    if config.dedup.near:
        note(config.dedup.banding.describe())
    with spark_bar("decide", spark):
        decide(run, spark, [entry.path for entry in candidates], config)
    with spark_bar("audit", spark):
        dedup = config.dedup
        caps = RemovalCaps(dedup.max_cluster_share, dedup.max_removed_share, dedup.judged_from)
        release = run.publish(gate(lake, caps, CorpusAudit.against_released(lake, config)))
    return run.done(release, "documents")


def _candidates(pages: DataFrame, config: CurateConfig, folder: Path) -> list[DataFileEntry]:
    def split(batches: Iterator[pa.RecordBatch]) -> Iterator[tuple[str, pa.RecordBatch]]:
        with Candidates(config) as candidates:
            for batch in batches:
                yield CANDIDATES.name, candidates.batch(batch)

    return write_tables(pages.select(*PAGE_COLUMNS), {CANDIDATES.name: folder}, split).entries[CANDIDATES.name]


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point of spark-submit."""

    def prepare(options: argparse.Namespace) -> Work:
        config = load(CurateConfig, options.config, "curate", options.set)
        return lambda lake: curate(lake, config)

    job_main("curate", arguments, prepare)


if __name__ == "__main__":
    main()
