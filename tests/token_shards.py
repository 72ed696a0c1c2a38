"""Token shards for tests: real ones, written by the tokenize stage, small and made of numbered text."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

from millpond.shard_set import ShardSet
from millpond.tokenize.config import TokenizeConfig
from millpond.tokenize.encode import Encoder
from millpond.tokenize.shards import Document, Written, write_bucket
from millpond.tokenize.training import train

CONTEXT = 32


@cache
def byte_encoder() -> Encoder:
    """A vocabulary of 256 bytes and the end-of-text token: one token a byte."""
    return Encoder(train([], vocab_size=257))


def config(**changes: object) -> TokenizeConfig:
    """Short rows and small samples, so that a few kilobytes make many of both."""
    values: dict[str, object] = {"context_length": CONTEXT, "rows_per_sample": 4, **changes}
    return TokenizeConfig.from_mapping(values, "test")


def numbered(name: str, count: int) -> list[Document]:
    """`count` documents whose texts all differ, of 1 to some 100 tokens."""
    return [Document(f"{name}-{n}", f"{name} document {n}. " + "word " * (n * 7 % 17)) for n in range(count)]


def write_shards(folder: Path, documents: Sequence[int] = (40, 9, 23), split: str = "train") -> list[Written]:
    """One bucket, and so one shard, for each number of documents."""
    return [
        write_bucket(numbered(f"{split}{bucket}", count), byte_encoder(), config(), folder, split, bucket)  # type: ignore[arg-type]
        for bucket, count in enumerate(documents)
    ]


def shard_set(folder: Path, documents: Sequence[int] = (40, 9, 23)) -> ShardSet:
    """A written training set, opened."""
    write_shards(folder, documents)
    return ShardSet.of_folder(folder, "train")
