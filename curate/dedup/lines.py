"""Lines or paragraphs that stand in many documents: what all but the first of them lose.

A unit is a line, or a paragraph (what stands between empty lines); units are equal if their words are, whatever
their case and spacing. A unit that more than `max_documents` documents of a scope hold stays in the one of smallest
rank, as often as it stands there, and goes from all others. Units of one document alone are never touched, and none
is cut.

As CCNet does with paragraphs (Wenzek et al. 2020, arXiv 1911.00359), with a count of documents as threshold.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, Literal

import pyarrow as pa
import xxhash

from millpond.curate.dedup.config import LinesConfig
from millpond.curate.dedup.scratch import Scratch
from millpond.curate.normalise import WIDE_GAP

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

Unit = Literal["lines", "paragraphs"]
_BREAKS: dict[Unit, str] = {"lines": "\n", "paragraphs": "\n\n"}


def unit_digests(text: str, unit: Unit) -> list[bytes | None]:
    """A 128-bit digest of each unit of a text, in order; None for one without words."""
    units = (" ".join(part.lower().split()) for part in text.split(_BREAKS[unit]))
    return [xxhash.xxh3_128_digest(part.encode("utf-8", "surrogatepass")) if part else None for part in units]


def without_units(text: str, unit: Unit, gone: Collection[bytes]) -> str:
    """A text without the units of these digests; empty if no words are left."""
    between = _BREAKS[unit]
    parts = zip(text.split(between), unit_digests(text, unit), strict=True)
    left = between.join(part for part, digest in parts if digest not in gone)
    return WIDE_GAP.sub("\n\n", left).strip("\n") if left.strip() else ""


def shortened(documents: DataFrame, config: LinesConfig, scratch: Scratch) -> DataFrame:
    """What `documents` (rank, scope, text) lose: rank, text and text_digest of those that lose something."""
    from pyspark.sql import functions as f

    unit: Unit = "paragraphs" if config.unit == "paragraphs" else "lines"

    def digests(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            found = [
                (rank, scope, digest)
                for rank, scope, text in zip(*(column.to_pylist() for column in batch.columns), strict=True)
                for digest in {digest for digest in unit_digests(text, unit) if digest is not None}
            ]
            columns = zip(*found, strict=True) if found else ([], [], [])
            types = (pa.string(), pa.string(), pa.binary())
            arrays = [pa.array(column, kind) for column, kind in zip(columns, types, strict=True)]
            yield pa.RecordBatch.from_arrays(arrays, names=["rank", "scope", "digest"])

    def cut(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            rows = zip(batch["text"].to_pylist(), batch["gone"].to_pylist(), strict=True)
            texts = [without_units(text, unit, set(gone)) for text, gone in rows]
            sums = [hashlib.sha256(text.encode()).hexdigest() for text in texts]
            yield pa.RecordBatch.from_arrays(
                [batch["rank"], pa.array(texts, pa.string()), pa.array(sums, pa.string())],
                names=["rank", "text", "text_digest"],
            )

    units = scratch.keep(
        documents.select("rank", "scope", "text").mapInArrow(digests, "rank string, scope string, digest binary")
    )
    repeated = (
        units.groupBy("scope", "digest")
        .agg(f.min("rank").alias("first"), f.count("*").alias("documents"))
        .where(f.col("documents") > config.max_documents)
    )
    gone = units.join(repeated, ["scope", "digest"]).where("rank <> first")
    lost = gone.groupBy("rank").agg(f.collect_list("digest").alias("gone"))
    rows = documents.select("rank", "text").join(lost, "rank")
    return scratch.keep(rows.mapInArrow(cut, "rank string, text string, text_digest string"))
