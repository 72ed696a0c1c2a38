"""Tokenize: `corpus.documents` or its mixture → tar shards, `tokens.shards`, `tokens.documents`, `tokens.rejects`.

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
from millpond.lake import Lake
from millpond.progress import bar, spark_bar
from millpond.publish import Mode, Outcome, Run
from millpond.quality.gate import gate
from millpond.reasons import Reason
from millpond.schemas import DOCUMENTS, SHARDS, TOKEN_DOCUMENTS, TOKEN_REJECTS
from millpond.shard import ShardIndex
from millpond.spark import session, write_tables
from millpond.stage import Work, job_main
from millpond.tokenize import split, training, vocabulary
from millpond.tokenize.config import TokenizeConfig
from millpond.tokenize.corpus import Corpus
from millpond.tokenize.encode import Encoder
from millpond.tokenize.shards import Document, Split, write_bucket
from millpond.tokenize.vocabulary import Vocabulary

_TABLES = (SHARDS.name, TOKEN_DOCUMENTS.name, TOKEN_REJECTS.name)
_BATCH_ROWS = 1000


def tokenize(lake: Lake, config: TokenizeConfig) -> Outcome:
    """Turn the released corpus, or its mixture, into released shards.

    Raises:
        LakeError: there is no corpus, or no mixture of it.
        ConfigError: a given tokenizer is not usable.
    """
    corpus = Corpus.released(lake, config.corpus)
    given = vocabulary.load(config.tokenizer, config.eos_token) if config.tokenizer else None
    run = Run(lake, "tokenize", config, {**corpus.snapshots, "tokenizer": given.digest if given else None})
    if release := run.released(standing=True):
        return run.unchanged(release)
    faults.point("before-data")
    words = given or _train(corpus, config)
    folder = lake.root / "shards" / _identity(corpus, words, config)
    words.save(folder / "tokenizer")
    config.write(folder / "config.json")
    _write(run, words, corpus, folder, config)
    release = run.publish(gate(lake))
    return run.done(release, "tokens")


def _identity(corpus: Corpus, words: Vocabulary, config: TokenizeConfig) -> str:
    """What tells a tokenization from others, in any lake: its texts, vocabulary, settings and the code that writes."""
    texts = "count(*), bit_xor(md5_number(doc_id || text_digest || copy))::varchar"
    with connect() as connection:
        found = connection.execute(f"select {texts} from ({corpus.sql()})").fetchone()
    writers = {name: metadata.version(name) for name in ("tokenizers", "webdataset")}
    writers["shard index"] = str(ShardIndex.model_fields["version"].default)
    identity = {"texts": found, "tokenizer": words.digest, "config": config.digest(), "writers": writers}
    return digest_of(identity)[:16]


def _train(corpus: Corpus, config: TokenizeConfig) -> Vocabulary:
    """Train a vocabulary on the training split, or a sample of it."""
    key, in_split, _ = split.sql("doc_id", "copy", config.seed, config.fractions, config.buckets, "duckdb")
    chosen = f"({corpus.sql()}) where {in_split} = 'train'"
    with bar("vocabulary") as shown, connect() as connection:
        [(size,)] = connection.execute(f"select sum(text_bytes) from {chosen}").fetchall()
        chosen += f" and {split.sampled(key, config.training_bytes / max(1, size or 0))}"
        [(total,)] = connection.execute(f"select count(*) from {chosen}").fetchall()
        reader = connection.sql(f"select text from {chosen}").to_arrow_reader(_BATCH_ROWS)

        def texts() -> Iterator[str]:
            done = 0
            for batch in reader:
                yield from batch["text"].to_pylist()
                done += batch.num_rows
                shown.update(done, total)

        return training.train(texts(), config.vocab_size, config.min_frequency, config.model)


def _write(run: Run, words: Vocabulary, corpus: Corpus, folder: Path, config: TokenizeConfig) -> None:
    """Write all buckets as Spark tasks, stage their rows and account for every document and token."""
    from pyspark.sql import functions as f

    spark = session("millpond tokenize")
    key, in_split, bucket = split.sql("doc_id", "copy", config.seed, config.fractions, config.buckets, "spark")
    documents = corpus.frame(spark).select(
        "doc_id",
        "text",
        "copy",
        f.expr(key).alias("key"),
        f.expr(in_split).alias("split"),
        f.expr(bucket).alias("bucket"),
    )
    placed = documents.repartition(config.buckets, "split", "bucket").sortWithinPartitions(
        "split", "bucket", "key", "doc_id", "copy"
    )
    snapshot = corpus.snapshots[DOCUMENTS.name]
    written_tokenizer, eos_token = words.tokenizer.to_str(), words.eos_token

    def encode(batches: Iterator[pa.RecordBatch]) -> Iterator[tuple[str, pa.RecordBatch]]:
        encoder = Encoder(Vocabulary(Tokenizer.from_str(written_tokenizer), eos_token))
        for (name, number), rows in groupby(_rows(batches), key=lambda row: row[1:]):
            texts = (document for document, _, _ in rows)
            written = write_bucket(texts, encoder, config, folder, cast(Split, name), number, snapshot)
            rejects = pa.table(
                {
                    "doc_id": [document.doc_id for document in written.empty],
                    "copy": [document.copy for document in written.empty],
                    "reason": [str(Reason.NO_TOKENS)] * len(written.empty),
                },
                schema=TOKEN_REJECTS.schema,
            )
            for table, found in zip(_TABLES, (written.shards, written.documents, rejects), strict=True):
                yield from ((table, batch) for batch in found.to_batches())

    with spark_bar("encode", spark):
        written = write_tables(placed, {table: run.lake.data_folder(table) for table in _TABLES}, encode)
    for table, entries in written.entries.items():
        run.stage_files(table, entries, Mode.REPLACE)
    _account(run, {table: [entry.path for entry in entries] for table, entries in written.entries.items()}, corpus)


def _rows(batches: Iterator[pa.RecordBatch]) -> Iterator[tuple[Document, str, int]]:
    for batch in batches:
        columns = (batch[name].to_pylist() for name in ("doc_id", "text", "copy", "split", "bucket"))
        for doc_id, text, copy, in_split, bucket in zip(*columns, strict=True):
            yield Document(doc_id, text, copy), in_split, bucket


def _account(run: Run, written: dict[str, list[str]], corpus: Corpus) -> None:
    with connect() as connection:

        def number(sql: str, paths: Sequence[str]) -> int:
            row = connection.execute(f"select {sql} from read_parquet(?)", [list(paths)]).fetchone() if paths else None
            return int(row[0] or 0) if row else 0

        ledger = run.ledger
        copies = ("count(*)", corpus.documents) if corpus.mixture is None else ("sum(copies)", corpus.mixture)
        ledger.add("documents", "in", number(*copies))
        ledger.add("documents", "out", number("count(distinct (doc_id, copy))", written[TOKEN_DOCUMENTS.name]))
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
