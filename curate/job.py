"""Curate: `web.pages` → `corpus.candidates`, `corpus.documents`, `corpus.rejects`, `corpus.duplicates`.

    millpond curate --config run.toml
    spark-submit curate/job.py --config run.toml --lake lake
    millpond curate recut --set rules.thresholds.min_word_count=100
    spark-submit curate/job.py --recut --set dedup.threshold=0.8

One pass over each page computes its text, every signal and its MinHash signature, and writes the candidate in the
same task; `decide` says what becomes of each candidate. A run replaces what earlier runs produced; its result depends
on the pages and the configuration alone, not on partitions or order. Machine speed matters in one case, a fault of
the machine: a page that runs into the wall clock twice is recorded as `extract_timeout`.

A recut reads no page: it decides again over the released candidates, and publishes the documents, rejects and
duplicates that a run over all pages under its configuration would. (One exception: with fewer values in a signature
than are stored other pairs may be compared.) With `incremental` pages that have a candidate are not extracted
again, and the result depends also on the documents published before: see `CurateConfig.incremental`.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from millpond import faults, splits
from millpond.config import load
from millpond.curate.audit import CorpusAudit
from millpond.curate.blocklists.blocked import Blocklists
from millpond.curate.candidates import PAGE_COLUMNS, Candidates
from millpond.curate.config import CurateConfig
from millpond.curate.decide import decide
from millpond.curate.dedup.scratch import Scratch
from millpond.curate.eval_sets import read_examples
from millpond.curate.models.scores import Scores
from millpond.curate.stored import Stored, candidates_to_recut, recut_config
from millpond.curate.times import Times
from millpond.datafile import DataFileEntry
from millpond.errors import LakeError
from millpond.lake import Lake, Release
from millpond.progress import note, spark_bar
from millpond.publish import Mode, Outcome, Run
from millpond.quality.gate import gate
from millpond.quality.removals import RemovalCaps
from millpond.schemas import CANDIDATES, CONTAMINATION, DOCUMENTS, PAGES
from millpond.spark import read_files, session, split_files, write_tables
from millpond.stage import Work, job_main

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

#: Stages the files of a run's candidates where they are new, given the release it builds on; returns all to decide on.
#: What that takes goes into the times.
Source = Callable[[Run, CurateConfig, Release | None, Times], list[str]]
Batches = Iterator[pa.RecordBatch]


def curate(lake: Lake, config: CurateConfig) -> Outcome:
    """Curate the released pages into a released corpus.

    Raises:
        LakeError: there are no pages; or an incremental run found candidates of other pages than it reads.
        ConfigError: an incremental run found candidates that were made with other settings.
        InputError: a model, evaluation file or blocklist is missing, damaged or foreign.
        AuditError: the result was refused; the corpus is as it was.
    """
    snapshot = lake.tables().get(PAGES.name)
    if snapshot is None:
        raise LakeError(f"{lake.uri} has no pages yet: run `millpond ingest` first")
    Scores(config)  # a model file that cannot be used is said here, not by a worker
    run = Run(lake, "curate", config, {PAGES.name: snapshot})
    if config.incremental:
        return _publish(run, _Corpus(config, _new_candidates, (CANDIDATES.name, DOCUMENTS.name)))
    return _publish(run, _Corpus(config, _all_candidates, ()))


def recut(lake: Lake, config: CurateConfig) -> Outcome:
    """Decide again over the released candidates; no page is read.

    Raises:
        LakeError: there are no candidates, or another run replaced them meanwhile.
        ConfigError: `config` asks for other candidates.
        InputError: an evaluation file or blocklist is missing, damaged or foreign.
        AuditError: the result was refused; the corpus is as it was.
    """
    stored = candidates_to_recut(lake)
    stored.check(config)
    run = Run(lake, "curate", config, {CANDIDATES.name: stored.snapshot})
    depends_on = (CANDIDATES.name, DOCUMENTS.name) if config.incremental else (CANDIDATES.name,)
    return _publish(run, _Corpus(config, _same_candidates, depends_on))


@dataclass
class _Corpus:
    """Makes what a run publishes, and makes it again where another run has replaced what it depends on."""

    config: CurateConfig
    source: Source
    depends_on: tuple[str, ...]
    """Tables of the release that the result depends on, besides the run's inputs."""
    made_on: dict[str, int] | None = None
    """Those it was made on, by the snapshots that first had their rows."""
    candidates: list[str] = field(default_factory=list)
    times: Times = field(default_factory=Times)

    def __call__(self, run: Run, base: Release | None) -> None:
        """Write and stage what follows `base`; a `Rebase`."""
        if not self.config.decontaminate.sets and base and CONTAMINATION.name in base.tables:
            run.stage_files(CONTAMINATION.name, [], Mode.REPLACE)  # it tells of another corpus
        found = {name: base.tables[name] for name in self.depends_on if base and name in base.tables}
        rows = {name: run.lake.origin(name, snapshot) for name, snapshot in found.items()}
        before = self.made_on
        if rows == before:
            return
        if before is None or before.get(CANDIDATES.name) != rows.get(CANDIDATES.name):
            self.candidates = self.source(run, self.config, base, self.times)
        run.follows = found
        run.ledger.clear()
        documents = found.get(DOCUMENTS.name)
        published = None if documents is None else run.lake.files(DOCUMENTS.name, documents)
        with _stage("decide", self.times) as spark:
            decide(run, spark, self.candidates, self.config, published)
        self.times.write(run.lake.run_folder(run.run_id))  # before any release: one that is killed then has these
        self.made_on = rows


def _publish(run: Run, corpus: _Corpus) -> Outcome:
    if release := run.released(standing=True):
        return run.unchanged(release)
    for _ in read_examples(corpus.config.decontaminate.sets):
        pass  # an evaluation file that cannot be used is said before all pages are read
    for name, entries in Blocklists(corpus.config.blocklists).by_name.items():
        note(f"blocklists.{name}: {entries.describe()}")
    faults.point("before-data")
    dedup = corpus.config.dedup
    if dedup.near:
        note(dedup.banding.describe())
    corpus(run, run.lake.release())
    with _stage("audit", corpus.times):
        caps = RemovalCaps(dedup.max_cluster_share, dedup.max_removed_share, dedup.judged_from)
        audit = gate(run.lake, caps, CorpusAudit.against_released(run.lake, corpus.config))
        release = run.publish(audit, corpus)
    corpus.times.write(run.lake.run_folder(run.run_id))
    return run.done(release, "documents")


@contextmanager
def _stage(name: str, times: Times) -> Iterator[SparkSession]:
    """Show a stage of the run and take its time; Spark's start is no part of it."""
    spark = session("millpond curate")
    with times.stage(name), spark_bar(name, spark):
        yield spark


def _all_candidates(run: Run, config: CurateConfig, base: Release | None, times: Times) -> list[str]:
    """Every page is extracted."""
    with _stage("extract", times) as spark:
        numbers, parts = split_files(spark, _pages(run))
        entries = _extracted(numbers, lambda batches: _read(parts, batches), config, run, times)
    run.stage_files(CANDIDATES.name, entries, Mode.REPLACE)
    return [entry.path for entry in entries]


def _same_candidates(run: Run, config: CurateConfig, base: Release | None, times: Times) -> list[str]:
    """No page is read."""
    snapshot = run.inputs[CANDIDATES.name]
    released = base.tables.get(CANDIDATES.name) if base else None
    if released is None or run.lake.origin(CANDIDATES.name, released) != run.lake.origin(CANDIDATES.name, snapshot):
        raise LakeError("another run has replaced the candidates while this one decided over them: run it again")
    return run.lake.files(CANDIDATES.name, snapshot)


def _new_candidates(run: Run, config: CurateConfig, base: Release | None, times: Times) -> list[str]:
    """Pages without a candidate are extracted; a release has candidates of exactly the pages that were read."""
    from pyspark.sql import functions as f

    lake = run.lake
    stored = Stored.released(lake, base)
    if stored is None:
        return _all_candidates(run, config, base, times)
    stored.check(config, extend=True)
    paths, held = _pages(run), lake.files(CANDIDATES.name, stored.snapshot)
    with Scratch(lake.run_folder(run.run_id) / "scratch") as scratch, _stage("extract", times) as spark:
        pages = read_files(spark, PAGES.name, paths).select("page_id", f.col("_metadata.file_name").alias("file"))
        known = read_files(spark, CANDIDATES.name, held).select(f.col("doc_id").alias("page_id"))
        if strange := known.join(pages, "page_id", "left_anti").take(1):
            raise LakeError(
                f"{strange[0].page_id} has a candidate and is none of the pages of this run: another run has read "
                "newer pages, or pages are gone; run it again, and if that does not help without `incremental`"
            )
        new = scratch.keep(pages.join(known, "page_id", "left_anti"))
        # Bodies are read only from files that hold a new page.
        names = {row.file for row in new.select("file").distinct().collect()}
        bodies = read_files(spark, PAGES.name, [path for path in paths if Path(path).name in names])
        wanted = bodies.join(new.select("page_id"), "page_id", "left_semi").select(*PAGE_COLUMNS)
        entries = _extracted(wanted, lambda batches: batches, config, run, times)
    run.stage_files(CANDIDATES.name, entries, Mode.APPEND)
    return [*held, *(entry.path for entry in entries)]


def _pages(run: Run) -> list[str]:
    return run.lake.files(PAGES.name, run.inputs[PAGES.name])


def _read(parts: Sequence[splits.Split], numbers: Batches) -> Batches:
    """Inside a task: the pages of the splits whose numbers come in."""
    for batch in numbers:
        for number in batch["id"].to_pylist():
            yield from splits.read(parts[number], PAGE_COLUMNS)


def _extracted(
    rows: DataFrame, pages: Callable[[Batches], Batches], config: CurateConfig, run: Run, times: Times
) -> list[DataFileEntry]:
    """Write the candidates of the pages that `pages` makes of a task's rows."""

    def split(batches: Batches) -> Iterator[tuple[str, pa.RecordBatch]]:
        candidates = Candidates(config)
        for batch in pages(batches):
            yield CANDIDATES.name, candidates.batch(batch)
        yield "times", candidates.times.note()

    folders = {CANDIDATES.name: run.lake.data_folder(CANDIDATES.name)}
    written = write_tables(rows, folders, split)
    times.merge(written.notes)
    return written.entries[CANDIDATES.name]


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point of spark-submit."""

    def prepare(options: argparse.Namespace) -> Work:
        if options.recut:
            return lambda lake: recut(lake, recut_config(lake, options.config, options.set))
        config = load(CurateConfig, options.config, "curate", options.set)
        return lambda lake: curate(lake, config)

    job_main("curate", arguments, prepare, flags={"recut": "decide again over the candidates that are there"})


if __name__ == "__main__":
    main()
