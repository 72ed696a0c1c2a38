"""Curate: `web.pages` → `corpus.candidates`, `corpus.documents`, `corpus.rejects`, `corpus.duplicates`.

    millpond curate --config run.toml
    spark-submit curate/job.py --config run.toml --lake lake

One pass over each page computes its text, every signal and its MinHash signature, and writes the candidate in the
same task. Decisions are column expressions over the candidates: the first rule that fails rejects a page, then
exact and near duplicates go. A run replaces what earlier runs produced; its result depends on the pages and the
configuration alone, not on partitions, order or machine speed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from millpond import faults
from millpond.config import load
from millpond.curate.candidates import Candidates
from millpond.curate.config import CurateConfig
from millpond.curate.dedup import find_duplicates
from millpond.curate.rules import Rule, failing_sql, rules_digest, rules_for
from millpond.errors import LakeError
from millpond.lake import Lake
from millpond.ledger import Ledger
from millpond.progress import spark_bar
from millpond.publish import Mode, Outcome, Run
from millpond.quality.gate import gate
from millpond.schemas import CANDIDATES, DOCUMENTS, DUPLICATES, PAGES, REJECTS
from millpond.spark import read_files, session, write_table, write_tables
from millpond.stage import job_main

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


def curate(lake: Lake, config: CurateConfig) -> Outcome:
    """Curate the released pages into a released corpus.

    Raises:
        LakeError: there are no pages.
        AuditError: the result was refused; the corpus is as it was.
    """
    snapshot = lake.tables().get(PAGES.name)
    if snapshot is None:
        raise LakeError(f"{lake.uri} has no pages yet: run `millpond ingest` first")
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


def _candidates(pages: DataFrame, config: CurateConfig, folder: Path) -> list:
    def split(batches: Iterator[pa.RecordBatch]) -> Iterator[tuple[str, pa.RecordBatch]]:
        with Candidates(config) as candidates:
            for batch in batches:
                yield CANDIDATES.name, candidates.batch(batch)

    return write_tables(pages, {CANDIDATES.name: folder}, split).entries[CANDIDATES.name]


def _decide(run: Run, spark: SparkSession, files: Sequence[str], config: CurateConfig) -> None:
    """Write documents, rejects and duplicates, and the ledger over them."""
    from pyspark.sql import functions as f

    rules = rules_for(config)
    candidates = read_files(spark, CANDIDATES.name, files)
    verdict = candidates.withColumn("failed", f.expr(_verdict_sql(rules)))
    survivors = verdict.where("failed is null")
    duplicates = find_duplicates(
        survivors.select("doc_id", "text", "text_digest", "minhash"), config.dedup
    ).localCheckpoint()
    clusters = duplicates.groupBy("keeper_id").agg(f.count("*").alias("copies"))
    documents = (
        survivors.join(duplicates.select("doc_id"), "doc_id", "left_anti")
        .join(clusters.withColumnRenamed("keeper_id", "doc_id"), "doc_id", "left")
        .withColumn("cluster_id", f.col("doc_id"))
        .withColumn("cluster_size", f.coalesce("copies", f.lit(0)) + 1)
        .withColumn("rules", f.lit(rules_digest(config)))
    )
    rejects = verdict.where("failed is not null").select(
        "doc_id",
        "url",
        "failed.stage",
        "failed.reason",
        "failed.rule",
        "failed.value",
        "failed.threshold",
        "text_bytes",
    )
    removed = duplicates.join(survivors.select("doc_id", "url", "text_bytes"), "doc_id").withColumn(
        "cluster_id", f.col("keeper_id")
    )
    for spec, rows in ((DOCUMENTS, documents), (REJECTS, rejects), (DUPLICATES, removed)):
        folder = run.lake.data_folder(spec.name)
        ordered = rows.select(*spec.schema.names).repartition(_parts(spark), "doc_id").sortWithinPartitions("doc_id")
        run.stage_files(spec.name, write_table(ordered, spec.name, folder), Mode.REPLACE)
    _account(run.ledger, candidates, rejects, removed)


def _parts(spark: SparkSession) -> int:
    return spark.sparkContext.defaultParallelism


def _verdict_sql(rules: Sequence[Rule]) -> str:
    """SQL for the first thing wrong with a candidate, as a struct; null where nothing is."""
    cases = [
        "when outcome <> 'ok' then named_struct('stage', 'extract', 'reason', outcome, 'rule', outcome, "
        "'value', cast(null as double), 'threshold', cast(null as double))"
    ]
    cases += [
        f"when {failing_sql(rule)} then named_struct('stage', 'filter', 'reason', '{rule.reason}', "
        f"'rule', '{rule.name}', 'value', cast({rule.column} as double), "
        f"'threshold', cast({rule.threshold} as double))"
        for rule in rules
    ]
    return f"case {' '.join(cases)} end"


def _account(ledger: Ledger, candidates: DataFrame, rejects: DataFrame, duplicates: DataFrame) -> None:
    """The ledger of a run, summed over the rows it wrote."""
    from pyspark.sql import functions as f

    steps = ("body_bytes", "decoded_bytes", "extracted_bytes", "normalised_bytes", "text_bytes")
    total = candidates.agg(f.count("*").alias("rows"), *(f.sum(name).alias(name) for name in steps)).first()
    if total is None:
        raise LakeError("curate wrote no candidates")
    ledger.add("documents", "in", total["rows"])
    ledger.add("bytes", "in", total["body_bytes"] or 0)
    for step, before, after in zip(
        ("decode", "extract", "normalise", "line_rules"), steps, steps[1:], strict=False
    ):
        ledger.add("bytes", "transformed", (total[before] or 0) - (total[after] or 0), step)
    left_rows, left_bytes = total["rows"], total["text_bytes"] or 0
    for entry, reason, frame in (("rejected", "reason", rejects), ("duplicate", "kind", duplicates)):
        for row in frame.groupBy(reason).agg(f.count("*").alias("n"), f.sum("text_bytes").alias("b")).collect():
            ledger.add("documents", entry, row["n"], row[reason])
            if row["b"]:
                ledger.add("bytes", "removed", row["b"], row[reason])
            left_rows -= row["n"]
            left_bytes -= row["b"] or 0
    ledger.add("documents", "out", left_rows)
    ledger.add("bytes", "out", left_bytes)


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point of spark-submit."""
    job_main("curate", arguments, lambda lake, path, overrides: curate(lake, load(CurateConfig, path, "curate", overrides)))


if __name__ == "__main__":
    main()
