"""A token shard as a file: its index, and verified random access to its rows.

A shard is a plain tar that `webdataset` reads: each member `NNNNNN.npy` is one sample, a NumPy array of
shape (rows, context_length). Beside `name.tar` lies `name.index.json`, a `ShardIndex`: where each sample's
array data starts, its shape and a digest, so that rows are read in any order from a memory map and damage
is found before a sample is handed out.

Format, version 1:

- All samples hold `rows_per_sample` rows, the last one at most that many. Only the last row of a shard may
  end in padding, which is `eos_id`; `tokens` counts what is not padding.
- A sample's region runs from its tar header to the next sample's (the last one's to the end of the file), so
  every byte of the tar belongs to one region. `digest` is the first half of the region's sha256: a flipped
  byte in a header, in the array or in the tar's trailer is found when that sample is first asked for.
- The index carries a digest of itself. The tar's size is checked at opening, its samples as they are read.

Nothing is unpickled: rows are views of the mapped bytes at the places the index names. Bytes are checked
once per opening; a map cannot notice a file that is changed in place or cut short while it is open.
"""

from __future__ import annotations

import hashlib
import json
import mmap
from pathlib import Path
from typing import Annotated, Any, BinaryIO, Literal, Self, TypeAlias

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from millpond.config import digest_of
from millpond.errors import ShardError

Tokens: TypeAlias = npt.NDArray[np.unsignedinteger[Any]]
Ints: TypeAlias = npt.NDArray[np.int64]

SPLITS = ("train", "validation", "test")
TAR_SUFFIX, INDEX_SUFFIX = ".tar", ".index.json"

Count = Annotated[int, Field(ge=0, lt=2**48)]
Positive = Annotated[int, Field(ge=1, lt=2**48)]


def token_dtype(vocab_size: int) -> Literal["uint16", "uint32"]:
    """The narrowest dtype that holds every id of a vocabulary."""
    return "uint16" if vocab_size <= 1 << 16 else "uint32"


def region_digest(region: bytes | memoryview) -> str:
    """Digest of one sample's region of the tar: 32 hex digits, the first half of its sha256."""
    return hashlib.sha256(region).hexdigest()[:32]


class Samples(BaseModel):
    """The samples of one shard, by column; sample k is member `%06d.npy` % k."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    start: Annotated[list[Count], Field(min_length=1)]
    """Byte at which the sample's region (its tar header) starts."""
    offset: list[Count]
    """Byte at which its array data starts."""
    rows: list[Positive]
    tokens: list[Positive]
    digest: list[Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]]


class ShardIndex(BaseModel):
    """What stands in `name.index.json`; an instance is consistent in itself."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True)

    version: Literal[1] = 1
    shard: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*\.tar$", max_length=200)]
    """File name of the tar, in the index's own folder."""
    tokenization: Annotated[str, Field(min_length=1, max_length=200)]
    """Which tokenization made it, also after it was copied elsewhere: other ones have shards of the same file name."""
    split: Literal["train", "validation", "test"]
    size: Positive
    """Bytes of the tar."""
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    context_length: Positive
    rows_per_sample: Positive
    dtype: Literal["uint16", "uint32"]
    """Little-endian on disk."""
    vocab_size: Annotated[int, Field(ge=1, le=2**32)]
    eos_id: Count
    tokenizer_digest: str
    samples: Samples

    @property
    def name(self) -> str:
        """What the lake calls it: `tokenization/shard`."""
        return f"{self.tokenization}/{self.shard}"

    @property
    def numpy_dtype(self) -> np.dtype[np.unsignedinteger[Any]]:
        return np.dtype(self.dtype).newbyteorder("<")

    @property
    def rows(self) -> int:
        """Rows (contexts) of all samples."""
        return sum(self.samples.rows)

    @property
    def tokens(self) -> int:
        """Tokens of documents, their end-of-text tokens included, padding not."""
        return sum(self.samples.tokens)

    @property
    def padding(self) -> int:
        """Tokens that fill the last row."""
        return self.rows * self.context_length - self.tokens

    def region(self, sample: int) -> tuple[int, int]:
        """Where a sample's region of the tar starts and ends."""
        starts = self.samples.start
        return starts[sample], starts[sample + 1] if sample + 1 < len(starts) else self.size

    def verify(self, sample: int, region: bytes | memoryview, where: str) -> None:
        """Compare the bytes of a sample's region, from the tar called `where`, with its digest.

        Raises:
            ShardError: they were changed, or hold an impossible id.
        """
        start, end = self.region(sample)
        if region_digest(region) != self.samples.digest[sample]:
            raise ShardError(
                f"{where}: sample {sample} (bytes {start} to {end}) is damaged: "
                "its digest is not the one in the index; copy the shard again or write it again"
            )
        largest = self.rows_in(sample, region).max()
        if largest >= self.vocab_size:
            raise ShardError(f"{where}: sample {sample} holds id {largest}, vocab_size is {self.vocab_size}")

    def rows_in(self, sample: int, region: bytes | memoryview) -> Tokens:
        """The rows of a sample in the bytes of its region: shape (rows, context_length), a view."""
        rows, skipped = self.samples.rows[sample], self.samples.offset[sample] - self.samples.start[sample]
        tokens = np.frombuffer(region, self.numpy_dtype, rows * self.context_length, skipped)
        return tokens.reshape(rows, self.context_length)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        columns = self.samples
        count, item = len(columns.start), self.numpy_dtype.itemsize
        if any(len(c) != count for c in (columns.offset, columns.rows, columns.tokens, columns.digest)):
            raise ValueError("the columns of samples differ in length")
        if self.eos_id >= self.vocab_size or self.dtype != token_dtype(self.vocab_size):
            raise ValueError(f"eos_id {self.eos_id} or {self.dtype} does not fit vocab_size {self.vocab_size}")
        if columns.start[0] != 0:
            raise ValueError("the first sample does not start at byte 0")
        ends = [*columns.start[1:], self.size]
        for k, (start, offset, end, rows) in enumerate(
            zip(columns.start, columns.offset, ends, columns.rows, strict=True)
        ):
            size = rows * self.context_length * item
            if not start <= offset <= offset + size <= end or offset % item:
                raise ValueError(f"sample {k}: {size} bytes at {offset} do not lie in its region {start}..{end}")
        full, last = self.rows_per_sample, columns.rows[-1]
        if last > full or any(rows != full for rows in columns.rows[:-1]):
            raise ValueError(f"every sample but the last must have {full} rows")
        tokens = [rows * self.context_length for rows in columns.rows]
        if columns.tokens[:-1] != tokens[:-1] or not 0 <= tokens[-1] - columns.tokens[-1] < self.context_length:
            raise ValueError("only the last row of a shard may have padding")
        return self

    def to_json(self) -> bytes:
        """The index file's bytes; equal indices give equal bytes."""
        body = self.model_dump(mode="json")
        return json.dumps({"digest": digest_of(body), **body}, separators=(",", ":")).encode() + b"\n"

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read and check an index file.

        Raises:
            ShardError: the file is missing, damaged, inconsistent or belongs to another shard.
        """
        try:
            content = path.read_bytes()
        except OSError as error:
            raise ShardError(f"{path}: not a readable shard index: {error}; write the shard again") from error
        return cls.parse(content, str(path))

    @classmethod
    def parse(cls, content: bytes, where: str) -> Self:
        """Check the content of the index file that is called `where`, a path or a URL.

        Raises:
            ShardError: it is damaged, inconsistent or belongs to another shard.
        """
        try:
            body = json.loads(content)
            if not isinstance(body, dict):
                raise ValueError("it holds no JSON object")
            if body.pop("digest", None) != digest_of(body):
                raise ValueError("its content does not match its own digest")
            index = cls.model_validate(body)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(str(part) for part in first["loc"]) or "index"
            raise ShardError(f"{where}: not a usable shard index: {place}: {first['msg']}") from error
        except (ValueError, RecursionError) as error:
            raise ShardError(f"{where}: not a readable shard index: {error}; write the shard again") from error
        if index_path(Path(), index.shard).name != where.rpartition("/")[2]:
            raise ShardError(f"{where}: it describes {index.shard!r}, not the tar beside it of the same name")
        return index


def index_path(folder: Path, shard: str) -> Path:
    """Where the index of the tar named `shard` lies."""
    return folder / (shard.removesuffix(TAR_SUFFIX) + INDEX_SUFFIX)


class Shard:
    """One shard, mapped into memory. Arrays handed out are read-only views that keep the map alive."""

    def __init__(self, index: ShardIndex, tar: BinaryIO, where: str) -> None:
        """Map the open file `tar`, which errors call `where`; it may be closed or removed afterwards.

        Raises:
            ShardError: the tar cannot be mapped, or the two do not belong together.
        """
        self.index, self.where = index, where
        try:
            self._map = mmap.mmap(tar.fileno(), 0, access=mmap.ACCESS_READ)
        except (OSError, ValueError) as error:
            raise ShardError(f"{where}: cannot be opened as a shard: {error}") from error
        if len(self._map) != index.size:
            raise ShardError(f"{where}: has {len(self._map)} bytes, not {index.size} as indexed; copy it again")
        dtype = index.numpy_dtype
        self._tokens: Tokens = np.frombuffer(self._map, dtype, count=index.size // dtype.itemsize)
        self._first = np.array(index.samples.offset) // dtype.itemsize
        self._rows = np.array(index.samples.rows)
        self._context = index.context_length
        self._checked = np.zeros(len(self._rows), dtype=bool)

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open the shard of the index file `path`.

        Raises:
            ShardError: the index or the tar is missing, damaged, or the two do not belong together.
        """
        index = ShardIndex.read(path)
        tar = path.with_name(index.shard)
        try:
            with tar.open("rb") as file:
                return cls(index, file, str(tar))
        except OSError as error:
            raise ShardError(f"{tar}: cannot be opened as a shard: {error}") from error

    def __len__(self) -> int:
        """Number of samples."""
        return len(self._rows)

    def rows(self, sample: int) -> Tokens:
        """The rows of one sample: shape (rows, context_length), a view.

        Raises:
            ShardError: there is no such sample, or its bytes are not those that were written.
        """
        self.check(sample)
        count = self._rows[sample]
        first = self._first[sample]
        return self._tokens[first : first + count * self._context].reshape(count, self._context)

    def gather(self, samples: Ints, rows: Ints, out: Tokens, places: Ints) -> None:
        """Copy many rows at once: `out[places[i]]` becomes row `rows[i]` of sample `samples[i]`.

        Raises:
            ShardError: there is no such row, or its sample's bytes are not those that were written.
        """
        if samples.min() < 0 or samples.max() >= len(self) or not self._checked[samples].all():
            for sample in np.unique(samples).tolist():
                self.check(sample)
        if ((rows < 0) | (rows >= self._rows[samples])).any():
            raise ShardError(f"{self.where}: rows were asked for that their samples do not have")
        windows = np.lib.stride_tricks.sliding_window_view(self._tokens, self._context)
        out[places] = windows[self._first[samples] + rows * self._context]

    def valid_tokens(self, sample: int) -> int:
        """Tokens of a sample that are not padding; padding stands at the end of its last row."""
        return self.index.samples.tokens[sample]

    def check(self, sample: int) -> None:
        """Compare a sample's region with its digest, the first time it is asked for.

        Raises:
            ShardError: there is no such sample, its bytes were changed, or it holds an impossible id.
        """
        if not 0 <= sample < len(self._checked):
            raise ShardError(f"{self.where}: has {len(self)} samples, no sample {sample}")
        if self._checked[sample]:
            return
        start, end = self.index.region(sample)
        with memoryview(self._map) as view, view[start:end] as region:
            self.index.verify(sample, region, self.where)
        self._checked[sample] = 1
