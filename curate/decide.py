"""Decide: what becomes of each candidate → `corpus.documents`, `corpus.rejects`, `corpus.duplicates`, the ledger.

Candidates are read, never changed. In this order: the first blocklist that holds its address, or else the first rule
that fails, rejects a candidate; so does text of an evaluation set; of the others copies go (of an address, of a text,
near ones); what is kept then loses the text that other documents hold too, and a document that loses all of it is
rejected. Neither rules nor copies are judged again after that, so a shortened text may be under a rule's bound, or
equal to another. The result depends on the candidates, the configuration and, in an incremental run, on the documents
that are published, not on partitions or order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from millpond.curate.blocklists.blocked import with_blocklists
from millpond.curate.config import CurateConfig
from millpond.curate.decontaminate import held_examples, rejected
from millpond.curate.dedup.config import DedupConfig
from millpond.curate.dedup.find import COLUMNS, find_duplicates
from millpond.curate.dedup.lines import shortened
from millpond.curate.dedup.rank import ranked
from millpond.curate.dedup.scratch import Scratch
from millpond.curate.dedup.spans import without_spans
from millpond.curate.presets import rules_for
from millpond.curate.rules import Rule, rules_digest, sql_verdict
from millpond.ledger import Entry, Ledger
from millpond.publish import Mode, Run
from millpond.reasons import Reason
from millpond.schemas import CANDIDATES, CONTAMINATION, DOCUMENTS, DUPLICATES, REJECTS, TableSpec
from millpond.spark import read_files, write_table

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

#: Steps between the byte counts of a candidate, in order.
STEPS = ("decode", "extract", "normalise", "line_rules", "mask")
#: The step in which kept documents lose what stands in other documents, too.
REPEATED = "repeated_text"


@dataclass(frozen=True)
class _Cut:
    """What a step took out of kept documents, and why a document goes of which it left nothing."""

    changed: DataFrame
    """rank, text and text_digest of the documents that lose something."""
    rule: str
    reason: Reason
    threshold: float


def decide(
    run: Run, spark: SparkSession, files: Sequence[str], config: CurateConfig, published: Sequence[str] | None = None
) -> None:
    """Write and stage documents, rejects and duplicates of the candidates in `files`, and the ledger over them.

    The documents in the files `published` come first among copies.
    """
    rules = rules_for(config)
    said = sql_verdict(rules)
    candidates = read_files(spark, CANDIDATES.name, files)
    judged = with_blocklists(candidates, config.blocklists) if config.blocklists else candidates
    first = None if published is None else read_files(spark, DOCUMENTS.name, published).select("doc_id")
    with Scratch(run.lake.run_folder(run.run_id) / "scratch") as scratch:
        verdict = ranked(_judged(judged, said), config.dedup, first)
        if config.decontaminate.sets:
            held = held_examples(verdict.where("rule is null"), config.decontaminate, scratch)
            verdict = rejected(verdict, held, config.decontaminate)
            _write(run, spark, CONTAMINATION, held)
        # Decided once, without the texts; what is kept reads its text again, where it lies.
        decided = scratch.keep(verdict.select(*COLUMNS, "text_bytes", *said, "rank", "scope", "published"))
        survivors = decided.where("rule is null")
        texts = ranked(candidates, config.dedup, first).select("rank", "text")
        duplicates = scratch.keep(find_duplicates(survivors, texts, config.dedup, scratch))
        kept = verdict.where("rule is null").join(duplicates.select("doc_id"), "doc_id", "left_anti")
        rejects = decided.where("rule is not null")
        for step in _cuts(config.dedup):
            cut = step(kept, scratch)
            kept = _cut(kept, cut)
            gone = scratch.keep(_emptied(cut, survivors, duplicates))
            kept, duplicates = (rows.join(gone, "doc_id", "left_anti") for rows in (kept, duplicates))
            rejects = rejects.unionByName(_rejected(survivors.join(gone, "doc_id"), cut))
        written = {}
        for spec, rows in (
            (DOCUMENTS, _documents(kept, duplicates, rules)),
            (REJECTS, rejects),
            (DUPLICATES, _removed(duplicates, survivors)),
        ):
            written[spec.name] = _write(run, spark, spec, rows)
        _account(run.ledger, candidates, written)


def _judged(candidates: DataFrame, said: Mapping[str, str]) -> DataFrame:
    """Candidates with what is said of rejects (`sql_verdict`)."""
    from pyspark.sql import functions as f

    return candidates.withColumns({name: f.expr(sql) for name, sql in said.items()})


def _cuts(config: DedupConfig) -> Iterator[Callable[[DataFrame, Scratch], _Cut]]:
    """The steps that the configuration asks for; each sees what those before it left."""
    lines = config.lines
    if lines.unit != "off":
        rule, threshold = f"{lines.unit}.max_documents", float(lines.max_documents)
        yield lambda kept, scratch: _Cut(shortened(kept, lines, scratch), rule, Reason.LINE, threshold)
    spans = config.spans
    if spans.enabled:
        least = float(spans.min_length)
        yield lambda kept, scratch: _Cut(without_spans(kept, spans, scratch), "spans.min_length", Reason.SPAN, least)


def _cut(kept: DataFrame, cut: _Cut) -> DataFrame:
    """Documents with what a step left of them."""
    from pyspark.sql import functions as f

    changed = cut.changed.withColumnsRenamed({"text": "left", "text_digest": "left_digest"})
    return (
        kept.join(changed, "rank", "left")
        .withColumns(
            {
                "text": f.coalesce("left", "text"),
                "text_digest": f.coalesce("left_digest", "text_digest"),
                "text_bytes": f.octet_length(f.coalesce("left", "text")).cast("long"),
            }
        )
        .drop("left", "left_digest")
    )


def _emptied(cut: _Cut, survivors: DataFrame, duplicates: DataFrame) -> DataFrame:
    """`doc_id` of the documents that a step left nothing of, and of their copies, which go with them."""
    emptied = cut.changed.where("text = ''").join(survivors, "rank").select("doc_id")
    keepers = emptied.withColumnRenamed("doc_id", "keeper_id")
    return emptied.unionByName(duplicates.join(keepers, "keeper_id").select("doc_id"))


def _rejected(gone: DataFrame, cut: _Cut) -> DataFrame:
    from pyspark.sql import functions as f

    said = {"stage": "dedup", "rule": cut.rule, "reason": cut.reason, "threshold": cut.threshold}
    return gone.withColumns({name: f.lit(value) for name, value in said.items()})


def _documents(kept: DataFrame, duplicates: DataFrame, rules: Iterable[Rule]) -> DataFrame:
    from pyspark.sql import functions as f

    clusters = duplicates.groupBy(f.col("keeper_id").alias("doc_id")).agg(f.count("*").alias("copies"))
    return (
        kept.join(clusters, "doc_id", "left")
        .withColumn("cluster_id", f.col("doc_id"))
        .withColumn("cluster_size", f.coalesce("copies", f.lit(0)) + 1)
        .withColumn("rules", f.lit(rules_digest(rules)))
    )


def _removed(duplicates: DataFrame, survivors: DataFrame) -> DataFrame:
    from pyspark.sql import functions as f

    return duplicates.join(survivors.select("doc_id", "url", "text_bytes"), "doc_id").withColumn(
        "cluster_id", f.col("keeper_id")
    )


def _write(run: Run, spark: SparkSession, spec: TableSpec, rows: DataFrame) -> DataFrame:
    """Write and stage rows of a table; what is read of the result comes from its files."""
    ordered = (
        rows.select(*spec.schema.names)
        .repartition(spark.sparkContext.defaultParallelism, "doc_id")
        .sortWithinPartitions(*spec.sort_by)
    )
    entries = write_table(ordered, spec.name, run.lake.data_folder(spec.name))
    run.stage_files(spec.name, entries, Mode.REPLACE)
    return read_files(spark, spec.name, [entry.path for entry in entries])


def _account(ledger: Ledger, candidates: DataFrame, written: Mapping[str, DataFrame]) -> None:
    """The ledger of a run, summed over the rows it wrote; one query, since each query has a start-up of its own."""
    from pyspark.sql import functions as f

    def sums(spec: TableSpec, rows: DataFrame, reason: str | None, columns: Sequence[str]) -> DataFrame:
        """One row for the table, or for each reason: `count` rows, and the sum of each column in `sizes`."""
        grouped = rows.groupBy(*([reason] if reason else [])).agg(
            f.count("*").alias("count"),
            f.array(*(f.coalesce(f.sum(column), f.lit(0)) for column in columns)).alias("sizes"),
        )
        said = f.col(reason) if reason else f.lit("")
        return grouped.select(f.lit(spec.name).alias("table"), said.alias("reason"), "count", "sizes")

    steps = ("body_bytes", "decoded_bytes", "extracted_bytes", "normalised_bytes", "cleaned_bytes", "text_bytes")
    whole = candidates.select("doc_id", f.col("text_bytes").alias("before"))
    kept = written[DOCUMENTS.name].join(whole, "doc_id", "left").withColumn("lost", f.expr("before - text_bytes"))
    lines = (
        sums(CANDIDATES, candidates, None, steps)
        .union(sums(DOCUMENTS, kept, None, ("text_bytes", "lost")))
        .union(sums(REJECTS, written[REJECTS.name], "reason", ("text_bytes",)))
        .union(sums(DUPLICATES, written[DUPLICATES.name], "kind", ("text_bytes",)))
    )
    entries: dict[str, tuple[Entry, Entry]] = {
        CANDIDATES.name: ("in", "in"),
        DOCUMENTS.name: ("out", "out"),
        REJECTS.name: ("rejected", "removed"),
        DUPLICATES.name: ("duplicate", "removed"),
    }
    for table, reason, count, sizes in lines.collect():
        counted, weighed = entries[table]
        ledger.add("documents", counted, count, reason)
        if sizes[0] or not reason:
            ledger.add("bytes", weighed, sizes[0], reason)
        if table == CANDIDATES.name:
            for step, before, after in zip(STEPS, sizes, sizes[1:], strict=False):
                ledger.add("bytes", "transformed", before - after, step)
        if table == DOCUMENTS.name:
            ledger.add("bytes", "transformed", sizes[1], REPEATED)
