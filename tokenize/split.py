"""Which split and bucket a document belongs to, and its place in the order: a pure function of its id.

One hash decides everything: `order_key` is the sha256 of "seed:doc_id". Its first 13 hex digits pick the
split, the next 13 the bucket, and the whole key orders a bucket. A further copy of a document, n = 1 and on, has
"seed:doc_id#n" for bucket and order, and the split of the first: what is trained on is never validated on. So neither
partitions nor input order matter, and documents keep their split and bucket when others come or go. Spark and DuckDB
compute the same with the expressions that `sql` builds.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Literal

from millpond.shard import SPLITS

DIGITS = 13  # hex digits of a decision: 52 bits, exact in a signed 64-bit integer and in a double

Dialect = Literal["spark", "duckdb"]
_SHA256 = {"spark": "sha2({}, 256)", "duckdb": "sha256({})"}
_FROM_HEX = {"spark": "CAST(conv({}, 16, 10) AS BIGINT)", "duckdb": "CAST('0x' || {} AS BIGINT)"}


def order_key(doc_id: str, seed: int, copy: int = 0) -> str:
    """A copy's hash: 64 hex digits. Within a bucket documents are sorted by (order_key, doc_id, copy)."""
    return hashlib.sha256((f"{seed}:{doc_id}" + (f"#{copy}" if copy else "")).encode()).hexdigest()


def split_of(key: str, fractions: Sequence[float]) -> str:
    """The split of a document whose first copy has this order key; `fractions`: train, validation, test."""
    for name, limit in _limits(fractions):
        if key[:DIGITS] < limit:
            return name
    return _last(fractions)


def bucket_of(key: str, buckets: int) -> int:
    """The bucket, 0 … buckets - 1, of a copy with this order key; independent of its split."""
    return int(key[DIGITS : 2 * DIGITS], 16) % buckets


def sql(
    doc_id: str, copy: str, seed: int, fractions: Sequence[float], buckets: int, dialect: Dialect
) -> tuple[str, str, str]:
    """SQL expressions (order_key, split, bucket) over the columns or expressions `doc_id` and `copy`.

    `bucket` is a BIGINT, the others are strings; all equal what the functions of this module return.
    """
    of_document = _SHA256[dialect].format(f"concat('{seed:d}:', {doc_id})")
    further = f"CASE WHEN {copy} = 0 THEN '' ELSE concat('#', {copy}) END"
    key = _SHA256[dialect].format(f"concat('{seed:d}:', {doc_id}, {further})")
    head = f"substr({of_document}, 1, {DIGITS})"
    tail = f"substr({key}, {1 + DIGITS}, {DIGITS})"
    cases = " ".join(f"WHEN {head} < '{limit}' THEN '{name}'" for name, limit in _limits(fractions))
    last = f"'{_last(fractions)}'"
    split = f"CASE {cases} ELSE {last} END" if cases else last
    return key, split, f"{_FROM_HEX[dialect].format(tail)} % {buckets:d}"


def sampled(key: str, share: float) -> str:
    """SQL condition on an order key that so large a share of all copies meets, whatever their split and bucket."""
    limit = round(share * 16**DIGITS)
    return f"substr({key}, {1 + 2 * DIGITS}, {DIGITS}) < '{limit:0{DIGITS}x}'" if limit < 16**DIGITS else "true"


def _limits(fractions: Sequence[float]) -> list[tuple[str, str]]:
    """Splits but the last with the hex digits their keys stay below; such digits compare as text."""
    limits, total = [], 0.0
    for name, fraction in zip(SPLITS, fractions, strict=True):
        total += fraction
        if fraction and name != _last(fractions):
            limits.append((name, f"{min(round(total * 16**DIGITS), 16**DIGITS - 1):0{DIGITS}x}"))
    return limits


def _last(fractions: Sequence[float]) -> str:
    """The last split that gets any document: it takes what the limits before it leave."""
    return [name for name, fraction in zip(SPLITS, fractions, strict=True) if fraction][-1]
