"""Documents to rows: one stream of tokens, an end-of-text token after each document, cut every context.

A `Packer` turns the stream into samples of `rows_per_sample` rows; nothing is dropped, and only the last row
of the stream is filled up. Where a document lies follows from the lengths alone: `places` computes it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from millpond.shard import Tokens

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Layout:
    """How a stream of tokens is cut: into rows, samples of rows, shards of samples."""

    context_length: int
    rows_per_sample: int
    samples_per_shard: int

    @property
    def sample_tokens(self) -> int:
        return self.context_length * self.rows_per_sample


@dataclass(frozen=True)
class Places:
    """Where documents lie, one entry a part: a document has a part in each row that it touches."""

    document: Ints
    """Number of the document in the stream."""
    part: Ints
    shard: Ints
    """Number of the shard within the stream."""
    sample: Ints
    row: Ints
    offset: Ints
    length: Ints
    first: Ints
    """Place of its first token in the stream."""


def places(lengths: Ints, layout: Layout) -> Places:
    """Where the documents of a stream lie; `lengths` are their tokens, the end-of-text token included."""
    context = layout.context_length
    end = np.cumsum(lengths)
    begin = end - lengths
    parts = (end - 1) // context - begin // context + 1
    document = np.repeat(np.arange(len(lengths)), parts)
    part = np.arange(len(document)) - np.repeat(np.cumsum(parts) - parts, parts)
    row = begin[document] // context + part  # within the stream
    first = np.maximum(begin[document], row * context)
    last = np.minimum(end[document], (row + 1) * context)
    sample = row // layout.rows_per_sample
    return Places(
        document=document,
        part=part,
        shard=sample // layout.samples_per_shard,
        sample=sample % layout.samples_per_shard,
        row=row % layout.rows_per_sample,
        offset=first - row * context,
        length=last - first,
        first=first,
    )


class Packer:
    """Cuts a stream of documents into samples: arrays of shape (rows_per_sample, context_length)."""

    def __init__(self, layout: Layout, eos_id: int, dtype: np.dtype[np.unsignedinteger[Any]]) -> None:
        self._layout = layout
        self._eos = np.array([eos_id], dtype)
        self._sample = np.full(layout.sample_tokens, eos_id, dtype)
        self._filled = 0

    def add(self, ids: Tokens) -> list[Tokens]:
        """Append a document and its end-of-text token; returns the samples that are full now."""
        full = []
        for tokens in (ids, self._eos):
            done = 0
            while done < len(tokens):
                taken = tokens[done : done + len(self._sample) - self._filled]
                self._sample[self._filled : self._filled + len(taken)] = taken
                self._filled += len(taken)
                done += len(taken)
                if self._filled == len(self._sample):
                    full.append(self._take(self._layout.rows_per_sample))
        return full

    def finish(self) -> tuple[Tokens, int] | None:
        """The last sample, of as many rows as it needs, and the padding in the last; None if none is open."""
        if not self._filled:
            return None
        rows = -(-self._filled // self._layout.context_length)
        padding = rows * self._layout.context_length - self._filled
        return self._take(rows), padding

    def _take(self, rows: int) -> Tokens:
        sample = self._sample.reshape(-1, self._layout.context_length)[:rows]
        self._sample = np.full_like(self._sample, self._eos[0])
        self._filled = 0
        return sample
