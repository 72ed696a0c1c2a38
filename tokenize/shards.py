"""Token shards on disk: one bucket of documents in; tar shards, their indices and the lineage rows out.

The format stands in `millpond.shard`; `webdataset` writes the tars. A shard is written under a temporary
name, flushed to disk and renamed, its index after it: a shard with an index is whole, and is never replaced by
another. The same documents and settings give the same bytes, so a task that runs twice, or at two places at
once, does no harm.
"""

from __future__ import annotations

import hashlib
import io
import mmap
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from types import TracebackType
from typing import Literal, NamedTuple, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from webdataset.writer import TarWriter

from millpond import durable, schemas
from millpond.errors import ShardError
from millpond.shard import Samples, ShardIndex, Tokens, index_path, region_digest
from millpond.tokenize.config import TokenizeConfig
from millpond.tokenize.encode import Encoder
from millpond.tokenize.pack import Ints, Layout, Packer, places

Split = Literal["train", "validation", "test"]

BATCH_CHARACTERS = 1 << 20  # encoded at once: enough to keep all cores busy, little enough to hold in memory
TAR_BLOCK = 512
ARRAY_HEADER = 128  # of a two-dimensional array in the .npy format, version 1
TAR_END = 20 * TAR_BLOCK  # a tar is filled up to a multiple of this


class Document(NamedTuple):
    """A document of a bucket; a mixture may hold it in several copies."""

    doc_id: str
    text: str
    copy: int = 0


@dataclass(frozen=True)
class Written:
    """What one bucket became."""

    shards: pa.Table
    """Rows of tokens.shards."""
    documents: pa.Table
    """Rows of tokens.documents."""
    empty: tuple[Document, ...]
    """Documents without tokens (`Reason.NO_TOKENS`)."""


def write_bucket(
    documents: Iterable[Document],
    encoder: Encoder,
    config: TokenizeConfig,
    folder: Path,
    split: Split,
    bucket: int,
    corpus_snapshot: int | None = None,
) -> Written:
    """Encode, pack and write the documents of one bucket, in the order given.

    Shards are named `{split}-{bucket:05d}-{sequence:03d}.tar`, without tokens there is none; `folder` is named after
    the tokenization, and the lake calls a shard by both names.
    """
    layout = layout_of(config, encoder)
    stream = _Stream(encoder, layout)
    samples = stream.samples(documents)
    indices: list[ShardIndex] = []
    for first in samples:
        name = f"{split}-{bucket:05d}-{len(indices):03d}.tar"
        with ShardWriter(folder, name, split, encoder, layout) as shard:
            for sample, padding in chain([first], islice(samples, layout.samples_per_shard - 1)):
                shard.add(sample, padding)
            indices.append(shard.commit())
    table = stream.document_rows([index.name for index in indices], split)
    return Written(_shard_rows(indices, table, folder, corpus_snapshot), table, tuple(stream.empty))


def layout_of(config: TokenizeConfig, encoder: Encoder) -> Layout:
    """The stage's layout; a shard holds as many samples as fit into `shard_max_bytes`, at least one."""
    data = config.sample_rows * config.context_length * encoder.dtype.itemsize
    member = TAR_BLOCK + -(-(ARRAY_HEADER + data) // TAR_BLOCK) * TAR_BLOCK
    samples = max(1, (config.shard_max_bytes - TAR_END) // member)
    return Layout(config.context_length, config.sample_rows, samples)


class ShardWriter:
    """Writes one shard. `commit` makes it visible; leaving the `with` block without that leaves nothing."""

    def __init__(self, folder: Path, name: str, split: Split, encoder: Encoder, layout: Layout) -> None:
        self._target, self._split, self._encoder, self._layout = folder / name, split, encoder, layout
        self._rows: list[int] = []
        self._padding = 0
        folder.mkdir(parents=True, exist_ok=True)
        self._partial = durable.temporary(self._target)
        self._file = self._partial.open("xb")
        self._tar = TarWriter(self._file, user="", group="", mtime=0, encoder=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._tar.close()
        finally:
            self._file.close()
            self._partial.unlink(missing_ok=True)

    def add(self, sample: Tokens, padding: int = 0) -> None:
        """Append a sample of shape (rows, context_length), its last `padding` tokens being filling."""
        little_endian = sample.astype(sample.dtype.newbyteorder("<"), copy=False)
        array = io.BytesIO()
        np.lib.format.write_array(array, little_endian, version=(1, 0), allow_pickle=False)
        self._tar.write({"__key__": f"{len(self._rows):06d}", "npy": array.getvalue()})
        self._rows.append(len(sample))
        self._padding = padding

    def commit(self) -> ShardIndex:
        """Close the tar, read it back for its index, and give both their names.

        A whole shard that lies there with the same content is kept; a tar without an index, or a damaged one, is not.

        Raises:
            ShardError: a shard of that name lies there with another content.
        """
        self._tar.close()
        self._file.flush()
        index = self._index()
        path = index_path(self._target.parent, index.shard)
        written = index.to_json()
        if path.exists():
            if path.read_bytes() != written:
                raise ShardError(
                    f"{path}: holds another content than is written now, by another version of a library or after "
                    "damage: choose another seed, or remove the folder if no release needs it"
                )
            if _sha256(self._target) == index.sha256:
                return index
        durable.commit(self._partial, self._target)
        durable.write_bytes(path, written)
        return index

    def _index(self) -> ShardIndex:
        vocabulary, context = self._encoder.vocabulary, self._layout.context_length
        sizes = [rows * context * self._encoder.dtype.itemsize for rows in self._rows]
        tokens = [rows * context for rows in self._rows]
        tokens[-1] -= self._padding
        with tarfile.open(self._partial) as tar:
            members = tar.getmembers()
        start = [member.offset for member in members]
        with (
            self._partial.open("rb") as file,
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content,
            memoryview(content) as view,
        ):
            size, sha256 = len(view), hashlib.sha256(view).hexdigest()
            ends = [*start[1:], size]
            digests = [region_digest(view[first:end]) for first, end in zip(start, ends, strict=True)]
        return ShardIndex(
            shard=self._target.name,
            tokenization=self._target.parent.name,
            split=self._split,
            size=size,
            sha256=sha256,
            context_length=context,
            rows_per_sample=self._layout.rows_per_sample,
            dtype=self._encoder.dtype_name,
            vocab_size=vocabulary.size,
            eos_id=vocabulary.eos_id,
            tokenizer_digest=vocabulary.digest,
            samples=Samples(
                start=start,
                offset=[m.offset_data + m.size - data for m, data in zip(members, sizes, strict=True)],
                rows=self._rows,
                tokens=tokens,
                digest=digests,
            ),
        )


class _Stream:
    """Encodes and packs documents as samples are asked for, and remembers where each document went."""

    def __init__(self, encoder: Encoder, layout: Layout) -> None:
        self._encoder, self._layout = encoder, layout
        self._doc_ids: list[str] = []
        self._copies: list[int] = []
        self._lengths: list[int] = []
        self._unknown: list[Ints] = []  # places in the stream
        self._tokens = 0
        self.empty: list[Document] = []

    def samples(self, documents: Iterable[Document]) -> Iterator[tuple[Tokens, int]]:
        """Samples, each with the number of tokens at its end that are padding."""
        packer = Packer(self._layout, self._encoder.vocabulary.eos_id, self._encoder.dtype)
        for batch in _batches(documents):
            encoded = self._encoder.batch([document.text for document in batch])
            for document, ids in zip(batch, encoded, strict=True):
                if len(ids):
                    self._doc_ids.append(document.doc_id)
                    self._copies.append(document.copy)
                    self._lengths.append(len(ids) + 1)
                    if self._encoder.unknown_id is not None:
                        self._unknown.append(self._tokens + np.flatnonzero(ids == self._encoder.unknown_id))
                    self._tokens += self._lengths[-1]
                    yield from ((sample, 0) for sample in packer.add(ids))
                else:
                    self.empty.append(document._replace(text=""))
        if (last := packer.finish()) is not None:
            yield last

    def document_rows(self, shards: list[str], split: Split) -> pa.Table:
        """Rows of tokens.documents, in order; `shards` are the names of all shards that were written."""
        where = places(np.array(self._lengths, np.int64), self._layout)
        unknown = np.concatenate([np.empty(0, np.int64), *self._unknown])
        columns = {
            "doc_id": pa.array(self._doc_ids, pa.string()).take(pa.array(where.document)),
            "copy": np.array(self._copies, np.int64)[where.document],
            "part": where.part,
            "shard": pa.array(shards, pa.string()).take(pa.array(where.shard)),
            "split": pa.repeat(split, len(where.part)),
            "sample": where.sample,
            "row": where.row,
            "offset": where.offset,
            "length": where.length,
            "unknown": np.searchsorted(unknown, where.first + where.length) - np.searchsorted(unknown, where.first),
        }
        schema = schemas.TOKEN_DOCUMENTS.schema
        return pa.table({name: pa.array(columns[name]).cast(schema.field(name).type) for name in schema.names}, schema)


def _shard_rows(indices: list[ShardIndex], documents: pa.Table, folder: Path, corpus_snapshot: int | None) -> pa.Table:
    first_parts = documents.filter(pc.equal(documents["part"], 0))["shard"].value_counts().to_pylist()
    begun = {count["values"]: count["counts"] for count in first_parts}
    rows = [
        {
            "shard": index.name,
            "split": index.split,
            "path": str(folder / index.shard),
            "bytes": index.size,
            "sha256": index.sha256,
            "samples": len(index.samples.start),
            "rows": index.rows,
            "tokens": index.tokens,
            "padding": index.padding,
            "documents": begun.get(index.name, 0),  # that begin in it
            "context_length": index.context_length,
            "tokenizer_digest": index.tokenizer_digest,
            "corpus_snapshot": corpus_snapshot,
        }
        for index in indices
    ]
    return pa.Table.from_pylist(rows, schemas.SHARDS.schema)


def _batches(documents: Iterable[Document]) -> Iterator[list[Document]]:
    batch, characters = [], 0
    for document in documents:
        batch.append(document)
        characters += len(document.text)
        if characters >= BATCH_CHARACTERS:
            yield batch
            batch, characters = [], 0
    if batch:
        yield batch


def _sha256(path: Path) -> str | None:
    """Of a file, or None where there is none."""
    if not path.is_file():
        return None
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
