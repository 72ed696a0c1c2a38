"""Curate: `web.pages` → `corpus.candidates`, `corpus.documents`, `corpus.rejects`, `corpus.duplicates`.

    millpond curate --config run.toml
    spark-submit curate/job.py --config run.toml --lake lake

One pass over each page computes its text, every signal and its MinHash signature, and writes the candidate in the
same task. Decisions are column expressions over the candidates: the first rule that fails rejects a page, then copies
go: of an address, of a text, near ones, and lines that many documents repeat. A run replaces what earlier runs
produced; its result depends on the pages and the configuration alone, not on partitions or order. Machine speed
matters in one case, a fault of the machine: a page that runs into the wall clock twice is recorded as
`extract_timeout`.
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
from millpond.curate.config import CurateConfig, DedupConfig
from millpond.curate.dedup.find import COLUMNS, find_duplicates
from millpond.curate.dedup.lines import shortened
from millpond.curate.dedup.rank import ranked
from millpond.curate.dedup.scratch import Scratch
from millpond.curate.models.scores import Scores
from millpond.curate.presets import rules_for
from millpond.curate.rules import rules_digest, sql_case
from millpond.datafile import DataFileEntry
from millpond.errors import LakeError
from millpond.lake import Lake
from millpond.ledger import Entry, Ledger
from millpond.progress import note, spark_bar
from millpond.publish import Mode, Outcome, Run
from millpond.quality.gate import gate
from millpond.quality.removals import RemovalCaps
from millpond.reasons import Reason
from millpond.schemas import CANDIDATES, DOCUMENTS, DUPLICATES, PAGES, REJECTS, TableSpec
from millpond.spark import read_files, session, write_table, write_tables
from millpond.stage import Work, job_main

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

#: Steps between the byte counts of a candidate, in order.
STEPS = ("decode", "extract", "normalise", "line_rules", "mask")
#: The step in which kept documents lose what stands in other documents, too.
REPEATED = "repeated_lines"


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
    if config.dedup.near:
        note(config.dedup.banding.describe())
    with spark_bar("decide", spark):
        _decide(run, spark, [entry.path for entry in candidates], config)
    with spark_bar("audit", spark):
        dedup = config.dedup
        caps = RemovalCaps(dedup.max_cluster_share, dedup.max_removed_share, dedup.judged_from)
        release = run.publish(gate(lake, caps))
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
    with Scratch(run.lake.run_folder(run.run_id) / "scratch") as scratch:
        _write(run, spark, candidates, verdict, rules_digest(rules), config.dedup, scratch)


def _write(
    run: Run,
    spark: SparkSession,
    candidates: DataFrame,
    verdict: DataFrame,
    rules: str,
    config: DedupConfig,
    scratch: Scratch,
) -> None:
    """Find duplicates among what the rules keep, and write the three tables."""
    from pyspark.sql import functions as f

    # Decided once, without the texts; what is kept reads its text again, where it lies.
    verdict = ranked(verdict, config)
    columns = ("text_bytes", "stage", "rule", "reason", "value", "threshold", "rank", "scope")
    decided = scratch.keep(verdict.select(*COLUMNS, *columns))
    survivors = decided.where("rule is null")
    texts = ranked(candidates, config).select("rank", "text")
    duplicates = scratch.keep(find_duplicates(survivors, texts, config, scratch))
    kept = verdict.where("rule is null").join(duplicates.select("doc_id"), "doc_id", "left_anti")
    rejects = decided.where("rule is not null")
    if config.lines.unit != "off":
        changed = shortened(kept, config.lines, scratch).withColumnsRenamed(
            {"text": "left", "text_digest": "left_digest"}
        )
        kept = kept.join(changed, "rank", "left").withColumns(
            {
                "text": f.coalesce("left", "text"),
                "text_digest": f.coalesce("left_digest", "text_digest"),
                "text_bytes": f.octet_length(f.coalesce("left", "text")).cast("long"),
            }
        )
        # Copies of a document that loses all its text go with it.
        emptied = changed.where("left = ''").join(survivors, "rank").select("doc_id")
        gone = scratch.keep(
            emptied.unionByName(
                duplicates.join(emptied.withColumnRenamed("doc_id", "keeper_id"), "keeper_id").select("doc_id")
            )
        )
        kept, duplicates = (rows.join(gone, "doc_id", "left_anti") for rows in (kept, duplicates))
        lines = {"stage": "dedup", "rule": f"{config.lines.unit}.max_documents", "reason": Reason.LINE}
        rejects = rejects.unionByName(
            survivors.join(gone, "doc_id").withColumns(
                {name: f.lit(value) for name, value in lines.items()}
                | {"threshold": f.lit(float(config.lines.max_documents))}
            )
        )
    clusters = duplicates.groupBy("keeper_id").agg(f.count("*").alias("copies"))
    documents = (
        kept.join(clusters.withColumnRenamed("keeper_id", "doc_id"), "doc_id", "left")
        .withColumn("cluster_id", f.col("doc_id"))
        .withColumn("cluster_size", f.coalesce("copies", f.lit(0)) + 1)
        .withColumn("rules", f.lit(rules))
    )
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

    steps = ("body_bytes", "decoded_bytes", "extracted_bytes", "normalised_bytes", "cleaned_bytes", "text_bytes")
    sums = (f.coalesce(f.sum(name), f.lit(0)).alias(name) for name in steps)
    [total] = candidates.agg(f.count("*").alias("rows"), *sums).collect()
    ledger.add("documents", "in", total["rows"])
    ledger.add("bytes", "in", total["body_bytes"])
    for step, before, after in zip(STEPS, steps, steps[1:], strict=False):
        ledger.add("bytes", "transformed", total[before] - total[after], step)
    whole = candidates.select("doc_id", f.col("text_bytes").alias("before"))
    [lost] = written[DOCUMENTS.name].join(whole, "doc_id").agg(f.sum(f.col("before") - f.col("text_bytes"))).collect()
    ledger.add("bytes", "transformed", lost[0] or 0, REPEATED)
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
