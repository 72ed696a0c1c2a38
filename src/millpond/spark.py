"""The Spark session, and how stages read and write tables through it.

Nothing here names a master: `spark-submit` decides, with its `spark-defaults.conf`; under plain Python it is
`local[*]` on loopback. Tables are read as plain Parquet from the lake's file plan (JVM reader, columns
pruned) and written by tasks that return manifests of the files they made.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from millpond import splits, storage
from millpond.datafile import DataFileEntry, TableWriter
from millpond.errors import MillpondError, require
from millpond.java import ADVICE, find_java
from millpond.schemas import TABLES

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.types import StructType


@dataclass(frozen=True)
class Written:
    """What the tasks of a job wrote."""

    entries: dict[str, list[DataFileEntry]]
    notes: list[dict[str, Any]]

    @classmethod
    def together(cls, parts: Iterable[Written], tables: Iterable[str]) -> Written:
        """What several wrote, as one."""
        whole = cls({table: [] for table in tables}, [])
        for part in parts:
            whole.notes.extend(part.notes)
            for table, entries in part.entries.items():
                whole.entries[table].extend(entries)
        return whole


MANIFEST_SCHEMA = "task int, entry string"
LOG_SETTINGS = Path(__file__).with_name("log4j2.properties")

_DEFAULTS = {
    # Arrow batches bounded in bytes, not only in rows: one row may be a 20 MB page.
    "spark.sql.execution.arrow.maxRecordsPerBatch": "2000",
    "spark.sql.execution.arrow.maxBytesPerBatch": str(8 << 20),
    "spark.sql.execution.arrow.pyspark.enabled": "true",
    "spark.sql.session.timeZone": "UTC",
    # Small enough that a laptop's few files still spread over its cores.
    "spark.sql.files.maxPartitionBytes": str(16 << 20),
    "spark.sql.files.openCostInBytes": "0",
    "spark.sql.adaptive.coalescePartitions.minPartitionSize": "1MB",
    "spark.python.worker.faulthandler.enabled": "true",
}
_LOCAL = {
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.driver.memory": "4g",
    "spark.sql.shuffle.partitions": "8",
}


def session(name: str, settings: Mapping[str, str] | None = None) -> SparkSession:
    """The running Spark session, or a new one; settings given by the launcher win over Millpond's defaults.

    Raises:
        MissingExtraError: pyspark is not installed.
        MillpondError: no Java 17 or newer was found.
    """
    require("pyspark", "spark")
    from pyspark import SparkConf, SparkContext
    from pyspark.sql import SparkSession

    active = SparkSession.getActiveSession()
    if active is not None:
        return active
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    os.environ.setdefault("PYSPARK_DRIVER_PYTHON", sys.executable)
    if (java := find_java()) is None:
        raise MillpondError(f"{ADVICE}; `millpond doctor` shows what is there")
    os.environ["JAVA_HOME"] = str(java[0])
    os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    if "PYSPARK_GATEWAY_PORT" in os.environ:  # under spark-submit the JVM runs already and knows its settings
        SparkContext._ensure_initialized()
    launcher = SparkConf()
    defaults = {**_DEFAULTS, **(settings or {})}
    if not launcher.contains("spark.master"):
        warehouse = Path(os.environ.get("TMPDIR", "/tmp")) / f"millpond-warehouse-{os.getuid()}"
        quiet = f"-Dlog4j2.configurationFile={LOG_SETTINGS.as_uri()}"
        defaults = {
            **_LOCAL,
            "spark.master": "local[*]",
            "spark.driver.extraJavaOptions": quiet,
            "spark.sql.warehouse.dir": str(warehouse),
            **defaults,
        }
    chosen = {key: value for key, value in defaults.items() if not launcher.contains(key)}
    if SparkContext._gateway is None:
        _start_jvm(chosen)
    builder = SparkSession.builder.appName(name)
    for key, value in chosen.items():
        builder = builder.config(key, value)
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    return spark


def _start_jvm(settings: Mapping[str, str]) -> None:
    """Start Spark's JVM so that what it writes to stderr comes through here."""
    from pyspark import SparkConf, SparkContext
    from pyspark.errors import PySparkRuntimeError
    from pyspark.java_gateway import launch_gateway

    reading, writing = os.pipe()
    threading.Thread(target=_relay, args=(reading,), name="spark-stderr", daemon=True).start()
    try:
        conf = SparkConf(loadDefaults=False).setAll(list(settings.items()))
        with _interrupt_later():
            gateway = launch_gateway(conf, {"stderr": writing})  # type: ignore[no-untyped-call]
    except PySparkRuntimeError as error:
        raise MillpondError(f"Spark did not start with {os.environ['JAVA_HOME']}; it says why above") from error
    finally:
        os.close(writing)
    SparkContext._ensure_initialized(gateway=gateway)


@contextmanager
def _interrupt_later() -> Iterator[None]:
    """Let Ctrl-C wait for the end of the block: a gateway given up while it starts leaves its JVM running for good."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    pressed: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, frame: pressed.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if pressed:
        raise KeyboardInterrupt


def _relay(stderr: int) -> None:
    """Pass on what the JVM writes, but for the line that it writes at every start."""
    with open(stderr, errors="replace") as lines:
        for line in lines:
            if not line.startswith("WARNING: Using incubator modules:"):
                sys.stderr.write(line)


def read_files(spark: SparkSession, table: str, files: Iterable[str]) -> DataFrame:
    """A DataFrame over data files of a table; an empty one with the table's columns where there are none."""
    paths = list(files)
    if not paths:
        return spark.createDataFrame([], spark_schema(table))
    if not storage.is_url(paths[0]):
        return spark.read.schema(spark_schema(table)).parquet(*paths)
    # Spark's own reader would need a cluster's Hadoop connector and its settings beside the catalog's.
    numbers, parts = split_files(spark, paths)
    warehouses = storage.adopted()

    def rows(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        storage.adopt(warehouses)
        for number in (number for batch in batches for number in batch["id"].to_pylist()):
            yield from splits.read(parts[number], TABLES[table].schema.names)

    return numbers.mapInArrow(rows, spark_schema(table))


def split_files(spark: SparkSession, files: Iterable[str]) -> tuple[DataFrame, list[splits.Split]]:
    """Splits of data files for tasks to read (`millpond.splits.read`), and rows of their numbers (`id`), one a task.

    Spark's own settings hold: `spark.sql.files.maxPartitionBytes` and `minPartitionNum`.
    """
    settings = spark._jsparkSession.sessionState().conf()  # numbers, whatever unit they were given in
    least = settings.filesMinPartitionNum()
    tasks = least.get() if least.isDefined() else spark.sparkContext.defaultParallelism
    parts = splits.plan(files, tasks, settings.filesMaxPartitionBytes())
    return spark.range(0, len(parts), 1, len(parts)), parts


def spark_schema(table: str) -> StructType:
    """The table's columns as a Spark schema, all nullable as Spark reads them."""
    from pyspark.sql.pandas.types import from_arrow_schema

    nullable = [field.with_nullable(True) for field in TABLES[table].schema]
    return from_arrow_schema(pa.schema(nullable))


#: From a task's batches to `(table, batch)` pairs; a pair of an unknown table is a note for the driver.
Split = Callable[[Iterator[pa.RecordBatch]], Iterator[tuple[str, pa.RecordBatch]]]


def write_tables(rows: DataFrame, folders: Mapping[str, str], split: Split) -> Written:
    """Let each task turn its partition into rows of one or more tables and write their data files.

    `split` runs inside the task, so a wide table is computed and written without another trip through the
    JVM. Only what successful attempts return reaches the driver: manifests, and rows of tables that have no
    folder here, which come back as plain dicts.
    """
    return Written.together(write_by_task(rows, folders, split).values(), folders)


def write_by_task(rows: DataFrame, folders: Mapping[str, str], split: Split) -> dict[int, Written]:
    """As `write_tables`, told apart by the number of the partition; one that gave nothing is not named."""
    targets = dict(folders)
    warehouses = storage.adopted()

    def write(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        from pyspark import TaskContext

        storage.adopt(warehouses)
        context = TaskContext.get()
        task = context.partitionId() if context else 0
        notes: list[str] = []
        with ExitStack() as stack:
            writers = {table: stack.enter_context(TableWriter(table, folder)) for table, folder in targets.items()}
            for table, batch in split(batches):
                if table in writers:
                    writers[table].write(batch)
                else:
                    notes += [json.dumps({"note": table, **row}) for row in batch.to_pylist()]
        entries = [entry.to_json() for writer in writers.values() for entry in writer.entries] + notes
        yield pa.RecordBatch.from_pydict(
            {"task": pa.array([task] * len(entries), pa.int32()), "entry": pa.array(entries, pa.string())}
        )

    written: dict[int, Written] = {}
    for row in rows.mapInArrow(write, MANIFEST_SCHEMA).collect():
        one = written.setdefault(row.task, Written({table: [] for table in targets}, []))
        fields = json.loads(row.entry)
        if "note" in fields:
            one.notes.append(fields)
        else:
            entry = DataFileEntry.from_json(row.entry)
            one.entries[entry.table].append(entry)
    return dict(sorted(written.items()))


def write_table(rows: DataFrame, table: str, folder: str) -> list[DataFileEntry]:
    """Let each task write its partition of `rows` as data files of `table`."""

    def split(batches: Iterator[pa.RecordBatch]) -> Iterator[tuple[str, pa.RecordBatch]]:
        return ((table, batch) for batch in batches)

    return write_tables(rows, {table: folder}, split).entries[table]
