"""Documents → Parquet shards in the layout of Hugging Face datasets: `data/train-00000-of-00003.parquet`.

Rows are in the order of `doc_id`, which is a digest, so neighbours have nothing in common; repeats of a document stand
side by side. A first pass over ids and sizes cuts that order into shards of about equal bytes of text; then each shard
is written by itself, from the row groups that can hold its ids. Memory is that of one shard without repeats, and the
same corpus gives the same files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from millpond.duck import connect, scan
from millpond.schemas import DOCUMENTS, MIXTURE, TOKEN_DOCUMENTS

#: Columns that say where this machine found a page, or repeat another: they stay in the lake.
_LEFT_OUT = ("cluster_id", "rules", "source_file", "source_offset", "source_length")
#: A row group has so many documents, or so many bytes of text and a document more.
_ROW_GROUP = 1000
_ROW_GROUP_BYTES = 64 << 20
_LARGEST = 20
_TRAIN = "train"


@dataclass(frozen=True)
class Written:
    """One split as it was written."""

    split: str
    shards: int
    rows: int
    bytes: int
    """In memory, as Arrow counts them."""
    file_bytes: int


@dataclass(frozen=True)
class Groups:
    """Exported rows by one column."""

    largest: Sequence[tuple[str, int, int]]
    """Value, rows and bytes of text, the largest first."""
    count: int
    """Of all groups."""


@dataclass(frozen=True)
class Exported:
    """What was written, and what it holds."""

    splits: Sequence[Written]
    """Those that have documents."""
    domains: Groups
    languages: Groups


@dataclass(frozen=True)
class _Shard:
    split: str
    number: int
    shards: int
    first: str
    last: str


def export_schema(mixture: bool) -> pa.Schema:
    """The columns of an exported corpus; those of a mixture name the component."""
    fields = [field for field in DOCUMENTS.schema if field.name not in _LEFT_OUT]
    return pa.schema([*fields, *([MIXTURE.schema.field("component")] if mixture else [])])


def write_shards(
    folder: Path, files: Mapping[str, Sequence[str]], splits: Sequence[str], max_shard_bytes: int
) -> Exported:
    """Write the documents of a corpus below `folder`.

    Args:
        files: table → data files: of `corpus.documents`, and of `corpus.mixture` if that is what is exported.
        splits: names of splits of `tokens.documents`, of which the files are then needed; none writes all
            documents as `train`.
        max_shard_bytes: of text, uncompressed; a shard has up to one document more, with its repeats.
    """
    schema = export_schema(MIXTURE.name in files)
    (folder / "data").mkdir(parents=True)
    written = []
    with connect() as connection:
        connection.execute("set TimeZone = 'UTC'")
        _choose(connection, files, splits, max_shard_bytes)
        for split, shards in _planned(connection, splits).items():
            parts = [_write(connection, shard, schema, files[DOCUMENTS.name], folder / "data") for shard in shards]
            rows, size, on_disk = (sum(each) for each in zip(*parts, strict=True))
            written.append(Written(split, len(shards), rows, size, on_disk))
        return Exported(written, *(_grouped(connection, column) for column in ("registered_domain", "language")))


def _choose(
    connection: duckdb.DuckDBPyConnection, files: Mapping[str, Sequence[str]], splits: Sequence[str], most: int
) -> None:
    """Each exported document with its split, copies, component and shard."""
    copies, component, mixed = "1", "null::varchar", ""
    values: dict[str, int | list[str]] = {"most": most}
    if MIXTURE.name in files:
        copies, component = "copies", "component"
        mixed = f"join (select doc_id, copies, component from {scan(files[MIXTURE.name])}) using (doc_id)"
    split, drawn = f"'{_TRAIN}'", ""
    if splits:
        split = "split"
        drawn = (
            f"join (select doc_id, any_value(split) as split from {scan(files[TOKEN_DOCUMENTS.name])} "
            "where list_contains($splits, split) group by 1) using (doc_id)"
        )
        values["splits"] = list(splits)
    connection.execute(
        f"""
        create table chosen as
        select *, greatest(1, (total + $most - 1) // $most)::bigint as shards,
            ((upto - amount) * shards // total)::bigint as shard
        from (
            select *, sum(amount) over (partition by split)::bigint as total,
                sum(amount) over (partition by split order by doc_id rows unbounded preceding) as upto
            from (
                select doc_id, {split} as split, {copies} as copies, {component} as component,
                    registered_domain, language, copies * text_bytes as amount
                from {scan(files[DOCUMENTS.name])} {mixed} {drawn}
            )
        )
        """,
        values,
    )


def _planned(connection: duckdb.DuckDBPyConnection, splits: Sequence[str]) -> dict[str, list[_Shard]]:
    """The shards of each split; a document larger than a shard leaves the numbers it covers out."""
    rows = connection.execute(
        "select split, shard, min(doc_id), max(doc_id) from chosen group by 1, 2 order by 1, 2"
    ).fetchall()
    found: dict[str, list[tuple[str, str]]] = {name: [] for name in splits or (_TRAIN,)}
    for split, _, first, last in rows:
        found[split].append((first, last))
    return {
        split: [_Shard(split, n, len(bounds), *both) for n, both in enumerate(bounds)]
        for split, bounds in found.items()
        if bounds
    }


def _grouped(connection: duckdb.DuckDBPyConnection, column: str) -> Groups:
    rows = connection.execute(
        f"select coalesce({column}, 'unknown'), sum(copies)::bigint, sum(amount)::bigint, count(*) over () "
        f"from chosen group by 1 order by 3 desc, 1 limit {_LARGEST}"
    ).fetchall()
    return Groups([row[:3] for row in rows], rows[0][3] if rows else 0)


def _write(
    connection: duckdb.DuckDBPyConnection, shard: _Shard, schema: pa.Schema, documents: Sequence[str], folder: Path
) -> tuple[int, int, int]:
    """Write one shard; returns its rows, their bytes in memory and the file's size."""
    names = ", ".join(f'"{name}"' for name in schema.names)
    selected = connection.sql(
        f"""
        select {names}, copies from {scan(documents)} join (
            select doc_id, component, copies from chosen where split = $split
        ) using (doc_id) where doc_id between $first and $last order by doc_id
        """,
        params={"split": shard.split, "first": shard.first, "last": shard.last},
    )
    path = folder / f"{shard.split}-{shard.number:05d}-of-{shard.shards:05d}.parquet"
    rows = size = 0
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for batch in selected.to_arrow_reader(_ROW_GROUP):
            found = pa.Table.from_batches([batch]).select(schema.names)
            for part in _repeated(batch["copies"].to_numpy(), batch["text_bytes"].to_numpy()):
                group = found.take(part).cast(schema)
                writer.write_table(group)
                rows, size = rows + group.num_rows, size + group.nbytes
    return rows, size, path.stat().st_size


def _repeated(copies: npt.NDArray[np.int64], sizes: npt.NDArray[np.int64]) -> list[npt.NDArray[np.intp]]:
    """The rows of each row group: every document as often as it has copies."""
    rows = np.repeat(np.arange(len(copies)), copies)
    return np.split(rows, np.flatnonzero(np.diff(np.cumsum(sizes[rows]) // _ROW_GROUP_BYTES)) + 1)
