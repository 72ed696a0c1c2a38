"""Tokenize: `corpus.documents` → tar shards, `tokens.shards`, `tokens.documents`, `tokens.rejects`.

    millpond tokenize --config run.toml
    spark-submit tokenize/job.py --config run.toml --lake lake

Documents are split and ordered by a seeded hash of their id, into a number of buckets that is fixed before
anything is encoded; a task writes whole buckets. So the bytes of every shard depend on the documents and the
configuration alone. Shards lie in `shards/<tokenization>` of the lake, a digest of what decides their bytes, with
the tokenizer beside them.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from importlib import metadata
from itertools import groupby
from pathlib import Path
from typing import cast

import pyarrow as pa
from tokenizers import Tokenizer

from millpond import faults
from millpond.config import digest_of, load
from millpond.duck import connect
from millpond.errors import LakeError
from millpond.lake import Lake
from millpond.progress import bar, spark_bar
from millpond.publish import Mode, Outcome, Run
from millpond.quality.gate import gate
from millpond.reasons import Reason
from millpond.schemas import DOCUMENTS, SHARDS, TOKEN_DOCUMENTS, TOKEN_REJECTS
from millpond.shard import ShardIndex
from millpond.spark import read_files, session, write_tables
from millpond.stage import Work, job_main
from millpond.tokenize import split, vocabulary
from millpond.tokenize.config import TokenizeConfig
from millpond.tokenize.encode import Encoder
from millpond.tokenize.shards import Split, write_bucket
from millpond.tokenize.vocabulary import Vocabulary

_TABLES = (SHARDS.name, TOKEN_DOCUMENTS.name, TOKEN_REJECTS.name)
_BATCH_ROWS = 1000


def tokenize(lake: Lake, config: TokenizeConfig) -> Outcome:
    """Turn the released corpus into released shards.

    Raises:
        LakeError: there is no corpus.
        ConfigError: a given tokenizer is not usable.
    """
    snapshot = lake.tables().get(DOCUMENTS.name)
    if snapshot is None:
        raise LakeError(f"{lake.uri} has no corpus yet: run `millpond curate` first")
    given = vocabulary.load(config.tokenizer, config.eos_token) if config.tokenizer else None
    inputs = {DOCUMENTS.name: snapshot, "tokenizer": given.digest if given else None}
    run = Run(lake, "tokenize", config, inputs)
    if release := run.released(standing=True):
        return run.unchanged(release)
    faults.point("before-data")
    files = lake.files(DOCUMENTS.name, snapshot)
    words = given or _train(files, config)
    folder = lake.root / "shards" / _identity(files, words, config)
    words.save(folder / "tokenizer")
    config.write(folder / "config.json")
    _write(run, words, files, folder, config, snapshot)
    release = run.publish(gate(lake))
    return run.done(release, "tokens")


def _identity(files: Sequence[str], words: Vocabulary, config: TokenizeConfig) -> str:
    """What tells a tokenization from others, in any lake: its texts, vocabulary, settings and the code that writes."""
    query = "select count(*), bit_xor(md5_number(doc_id || text_digest))::varchar from read_parquet(?)"
    with connect() as connection:
        texts = connection.execute(query, [list(files)]).fetchone()
    writers = {name: metadata.version(name) for name in ("tokenizers", "webdataset")}
    writers["shard index"] = str(ShardIndex.model_fields["version"].default)
    identity = {"texts": texts, "tokenizer": words.digest, "config": config.digest(), "writers": writers}
    return digest_of(identity)[:16]


def _train(files: Sequence[str], config: TokenizeConfig) -> Vocabulary:
    """Train a vocabulary on the documents of the training split."""
    _, in_split, _ = split.sql("doc_id", config.seed, config.fractions, config.buckets, "duckdb")
    with bar("vocabulary") as shown, connect() as connection:
        [(total,)] = connection.execute("select count(*) from read_parquet(?)", [list(files)]).fetchall()
        query = f"select text from read_parquet($files) where {in_split} = 'train'"
        reader = connection.sql(query, params={"files": list(files)}).to_arrow_reader(_BATCH_ROWS)

        def texts() -> Iterator[str]:
            done = 0
            for batch in reader:
                yield from batch["text"].to_pylist()
                done += batch.num_rows
                shown.update(done, total)

        return vocabulary.train(texts(), config.vocab_size, config.min_frequency)


def _write(
    run: Run, words: Vocabulary, files: Sequence[str], folder: Path, config: TokenizeConfig, snapshot: int
) -> None:
    """Write all buckets as Spark tasks, stage their rows and account for every document and token."""
    from pyspark.sql import functions as f

    spark = session("millpond tokenize")
    key, in_split, bucket = split.sql("doc_id", config.seed, config.fractions, config.buckets, "spark")
    documents = read_files(spark, DOCUMENTS.name, files).select(
        "doc_id",
        "text",
        f.expr(key).alias("key"),
        f.expr(in_split).alias("split"),
        f.expr(bucket).alias("bucket"),
    )
    placed = documents.repartition(config.buckets, "split", "bucket").sortWithinPartitions(
        "split", "bucket", "key", "doc_id"
    )
    written_tokenizer, eos_token = words.tokenizer.to_str(), words.eos_token

    def encode(batches: Iterator[pa.RecordBatch]) -> Iterator[tuple[str, pa.RecordBatch]]:
        encoder = Encoder(Vocabulary(Tokenizer.from_str(written_tokenizer), eos_token))
        for (name, number), rows in groupby(_rows(batches), key=lambda row: (row[2], row[3])):
            texts = ((doc_id, text) for doc_id, text, _, _ in rows)
            written = write_bucket(texts, encoder, config, folder, cast(Split, name), number, snapshot)
            rejects = pa.table(
                {"doc_id": written.empty, "reason": [str(Reason.NO_TOKENS)] * len(written.empty)},
                schema=TOKEN_REJECTS.schema,
            )
            for table, found in zip(_TABLES, (written.shards, written.documents, rejects), strict=True):
                yield from ((table, batch) for batch in found.to_batches())

    with spark_bar("encode", spark):
        written = write_tables(placed, {table: run.lake.data_folder(table) for table in _TABLES}, encode)
    for table, entries in written.entries.items():
        run.stage_files(table, entries, Mode.REPLACE)
    _account(run, {table: [entry.path for entry in entries] for table, entries in written.entries.items()}, files)


def _rows(batches: Iterator[pa.RecordBatch]) -> Iterator[tuple[str, str, str, int]]:
    for batch in batches:
        columns = (batch[name].to_pylist() for name in ("doc_id", "text", "split", "bucket"))
        yield from zip(*columns, strict=True)


def _account(run: Run, written: dict[str, list[str]], files: Sequence[str]) -> None:
    with connect() as connection:

        def number(sql: str, paths: Sequence[str]) -> int:
            row = connection.execute(f"select {sql} from read_parquet(?)", [list(paths)]).fetchone() if paths else None
            return int(row[0] or 0) if row else 0

        ledger = run.ledger
        ledger.add("documents", "in", number("count(*)", files))
        ledger.add("documents", "out", number("count(distinct doc_id)", written[TOKEN_DOCUMENTS.name]))
        if empty := number("count(*)", written[TOKEN_REJECTS.name]):
            ledger.add("documents", "rejected", empty, Reason.NO_TOKENS)
        ledger.add("tokens", "in", number("sum(length)", written[TOKEN_DOCUMENTS.name]))
        ledger.add("tokens", "out", number("sum(tokens)", written[SHARDS.name]))


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point of spark-submit."""

    def prepare(options: argparse.Namespace) -> Work:
        config = load(TokenizeConfig, options.config, "tokenize", options.set)
        return lambda lake: tokenize(lake, config)

    job_main("tokenize", arguments, prepare)


if __name__ == "__main__":
    main()
