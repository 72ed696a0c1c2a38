"""Millpond's side of the comparison: ingest WARC files, curate them, publish both; one fresh process a run.

    python -m benchmarks.millpond_side --lake FOLDER --report FILE.json [--extractor resiliparse] WARC...

The same two functions that `millpond ingest warc` and `millpond curate` call, with the seconds of their parts
beside them: Spark's start, and what each stage shows as its progress. `gate` is the part of `audit` in which
expectations, keys and the ledger are judged; the rest of it is publishing.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import benchmarks.from_tests  # noqa: F401
from spark_events import event_settings, shuffled_bytes

import millpond.curate.job as curate_job
import millpond.ingest.job as ingest_job
import millpond.ingest.publish as ingest_publish
from millpond.curate.config import CurateConfig
from millpond.curate.times import Times
from millpond.ingest.config import IngestConfig
from millpond.lake import Lake
from millpond.progress import silence
from millpond.publish import Audit, Batch
from millpond.spark import session

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


class Clock:
    """Seconds by name."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def time(self, name: str) -> Iterator[None]:
        """Add the time the block takes."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start


@contextmanager
def watched(reading: ModuleType, publishing: ModuleType, stage: str, clock: Clock) -> Iterator[None]:
    """Time a stage as a whole, each part that it shows progress for, and its audits; by the modules that do them."""
    shown: Callable[[str, SparkSession], Any] = reading.spark_bar
    gate: Callable[..., Audit] = publishing.gate

    @contextmanager
    def timed_bar(title: str, spark: SparkSession) -> Iterator[None]:
        with clock.time(f"{stage}: {title}"), shown(title, spark):
            yield

    def timed_gate(lake: Lake, *checks: Audit) -> Audit:
        audit = gate(lake, *checks)

        def judge(batch: Batch) -> Sequence[dict[str, Any]]:
            with clock.time(f"{stage}: gate"):
                return audit(batch)

        return judge

    with ExitStack() as stack:
        stack.enter_context(patch.object(reading, "spark_bar", timed_bar))
        stack.enter_context(patch.object(publishing, "gate", timed_gate))
        stack.enter_context(clock.time(stage))
        yield


def main() -> None:
    """Run both stages and write the report."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--lake", required=True)
    parser.add_argument("--report", required=True, type=Path)
    parser.add_argument("--extractor", help="instead of the default one")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("warcs", nargs="+")
    options = parser.parse_args()
    silence()
    clock = Clock()
    settings = {"extract": {"extractor": options.extractor}} if options.extractor else {}
    config = CurateConfig.from_mapping(settings, "benchmark")
    events = options.report.with_name("events")
    events.mkdir()
    with clock.time("start"):
        spark = session("millpond benchmark", {"spark.master": f"local[{options.workers}]", **event_settings(events)})
    lake = Lake.open(options.lake)
    with watched(ingest_job, ingest_publish, "ingest", clock):
        ingested = ingest_job.ingest_files(lake, options.warcs, IngestConfig())
    with watched(curate_job, curate_job, "curate", clock):
        curated = curate_job.curate(lake, config)
    spark.stop()  # the log of its events is whole
    steps = Times.read(lake.run_folder(curated.run_id))
    report = {
        "seconds": clock.seconds,
        "steps": {} if steps is None else steps.seconds,
        "shuffled_bytes": shuffled_bytes(events),
        "driver_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "documents": {"pages": ingested.counts, "documents": curated.counts},
        "kept": curated.counts.get("out", 0),
        "extractor": config.extract.extractor,
    }
    options.report.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
