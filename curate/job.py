"""Curate: `web.pages` → `corpus.candidates`, `corpus.documents`, `corpus.rejects`, `corpus.duplicates`.

    millpond curate --config run.toml
    spark-submit curate/job.py --config run.toml --lake lake

One pass over each page computes its text, every signal and its MinHash signature, and writes the candidate in the
same task. Decisions are column expressions over the candidates: the first rule that fails rejects a page, then
exact and near duplicates go. A run replaces what earlier runs produced; its result depends on the pages and the
configuration alone, not on partitions or order. Machine speed matters in one case, a fault of the machine: a page
that runs into the wall clock twice is recorded as `extract_timeout`.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from millpond import faults
from millpond.config import load
from millpond.curate.candidates import PAGE_COLUMNS, Candidates
from millpond.curate.config import CurateConfig
from millpond.curate.dedup import find_duplicates
from millpond.curate.models.scores import Scores
from millpond.curate.presets import rules_for
from millpond.curate.rules import rules_digest, sql_case
from millpond.datafile import DataFileEntry
from millpond.errors import LakeError
from millpond.lake import Lake
from millpond.ledger import Entry, Ledger
from millpond.progress import spark_bar
from millpond.publish import Mode, Outcome, Run
from millpond.quality.gate import gate
from millpond.schemas import CANDIDATES, DOCUMENTS, DUPLICATES, PAGES, REJECTS, TableSpec
from millpond.spark import read_files, session, write_table, write_tables
from millpond.stage import Work, job_main

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

#: Steps between the byte counts of a candidate, in order.
STEPS = ("decode", "extract", "normalise", "line_rules")


def curate(lake: Lake, config: CurateConfig) -> Outcome:
    """Curate the released pages into a released corpus.

    Raises:
        LakeError: there are no pages.
        InputError: a model file is missing, damaged or foreign.
        AuditError: the result was refused; the corpus is as it was.
    """
    snapshot = lake.tables().get(PAGES.name)
    if snapshot is None:
        raise LakeError(f"{lake.uri} has no pages yet: run `millpond ingest` first")
    Scores(config)  # a model file that cannot be used is said here, not by a worker
    run = Run(lake, "curate", config, {PAGES.name: snapshot})
    if release := run.released(standing=True):
        return run.unchanged(release)
    faults.point("before-data")
    spark = session("millpond curate")
    with spark_bar("extract", spark):
        pages = read_files(spark, PAGES.name, lake.files(PAGES.name, snapshot))
        candidates = _candidates(pages, config, lake.data_folder(CANDIDATES.name))
    run.stage_files(CANDIDATES.name, candidates, Mode.REPLACE)
    with spark_bar("decide", spark):
        _decide(run, spark, [entry.path for entry in candidates], config)
    with spark_bar("audit", spark):
        release = run.publish(gate(lake))
    return run.done(release, "documents")


def _candidates(pages: DataFrame, config: CurateConfig, folder: Path) -> list[DataFileEntry]:
    def split(batches: Iterator[pa.RecordBatch]) -> Iterator[tuple[str, pa.RecordBatch]]:
        with Candidates(config) as candidates:
            for batch in batches:
                yield CANDIDATES.name, candidates.batch(batch)

    return write_tables(pages.select(*PAGE_COLUMNS), {CANDIDATES.name: folder}, split).entries[CANDIDATES.name]


def _decide(run: Run, spark: SparkSession, files: Sequence[str], config: CurateConfig) -> None:
    """Write documents, rejects and duplicates, and the ledger over them."""
    from pyspark.sql import functions as f

    rules = rules_for(config)
    candidates = read_files(spark, CANDIDATES.name, files)
    extracted = f.col("outcome") == "ok"
    verdict = candidates.withColumns(
        {
            "stage": f.when(extracted, f.lit("filter")).otherwise(f.lit("extract")),
            "rule": f.when(extracted, f.expr(sql_case(rules, "rule"))).otherwise(f.col("outcome")),
            "reason": f.when(extracted, f.expr(sql_case(rules, "reason"))).otherwise(f.col("outcome")),
            "value": f.when(extracted, f.expr(sql_case(rules, "value"))),
            "threshold": f.when(extracted, f.expr(sql_case(rules, "threshold"))),
        }
    )
    # Decided once, without the texts; what is kept reads its text again, where it lies.
    decided = verdict.select(
        "doc_id", "url", "text_bytes", "text_digest", "minhash", "stage", "rule", "reason", "value", "threshold"
    ).localCheckpoint()
    survivors = decided.where("rule is null")
    duplicates = find_duplicates(survivors, candidates.select("doc_id", "text"), config.dedup).localCheckpoint()
    clusters = duplicates.groupBy("keeper_id").agg(f.count("*").alias("copies"))
    documents = (
        verdict.where("rule is null")
        .join(duplicates.select("doc_id"), "doc_id", "left_anti")
        .join(clusters.withColumnRenamed("keeper_id", "doc_id"), "doc_id", "left")
        .withColumn("cluster_id", f.col("doc_id"))
        .withColumn("cluster_size", f.coalesce("copies", f.lit(0)) + 1)
        .withColumn("rules", f.lit(rules_digest(rules)))
    )
    rejects = decided.where("rule is not null")
    removed = duplicates.join(survivors.select("doc_id", "url", "text_bytes"), "doc_id").withColumn(
        "cluster_id", f.col("keeper_id")
    )
    written = {}
    for spec, rows in ((DOCUMENTS, documents), (REJECTS, rejects), (DUPLICATES, removed)):
        folder = run.lake.data_folder(spec.name)
        ordered = (
            rows.select(*spec.schema.names).repartition(_parts(spark), "doc_id").sortWithinPartitions(*spec.sort_by)
        )
        entries = write_table(ordered, spec.name, folder)
        run.stage_files(spec.name, entries, Mode.REPLACE)
        written[spec.name] = read_files(spark, spec.name, [entry.path for entry in entries])
    _account(run.ledger, candidates, written)


def _parts(spark: SparkSession) -> int:
    return spark.sparkContext.defaultParallelism


def _account(ledger: Ledger, candidates: DataFrame, written: Mapping[str, DataFrame]) -> None:
    """The ledger of a run, summed over the rows it wrote."""
    from pyspark.sql import functions as f

    steps = ("body_bytes", "decoded_bytes", "extracted_bytes", "normalised_bytes", "text_bytes")
    sums = (f.coalesce(f.sum(name), f.lit(0)).alias(name) for name in steps)
    [total] = candidates.agg(f.count("*").alias("rows"), *sums).collect()
    ledger.add("documents", "in", total["rows"])
    ledger.add("bytes", "in", total["body_bytes"])
    for step, before, after in zip(STEPS, steps, steps[1:], strict=False):
        ledger.add("bytes", "transformed", total[before] - total[after], step)
    lines: tuple[tuple[TableSpec, Entry, Entry, Column], ...] = (
        (DOCUMENTS, "out", "out", f.lit("")),
        (REJECTS, "rejected", "removed", f.col("reason")),
        (DUPLICATES, "duplicate", "removed", f.col("kind")),
    )
    for spec, counted, weighed, reason in lines:
        grouped = written[spec.name].groupBy(reason.alias("why"))
        for row in grouped.agg(f.count("*").alias("n"), f.sum("text_bytes").alias("size")).collect():
            ledger.add("documents", counted, row["n"], row["why"])
            if row["size"]:
                ledger.add("bytes", weighed, row["size"], row["why"])


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point of spark-submit."""

    def prepare(options: argparse.Namespace) -> Work:
        config = load(CurateConfig, options.config, "curate", options.set)
        return lambda lake: curate(lake, config)

    job_main("curate", arguments, prepare)


if __name__ == "__main__":
    main()
