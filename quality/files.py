"""Whether data files are what their table says: its columns, in its order, of its types, and no others.

Readers take every file of a table by the schema of one; a column more, or of another type, would show much later, as
an error or as nulls in somebody's query.
"""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from millpond import storage
from millpond.datafile import file_schema
from millpond.schemas import TABLES


def misfits(table: str, files: Sequence[str]) -> list[str]:
    """A sentence for each file that is not as `table` says."""
    wanted = file_schema(TABLES[table])
    return [f"{path}: {said}" for path in files if (said := _difference(wanted, path))]


def _difference(wanted: pa.Schema, path: str) -> str:
    try:
        found = pq.read_schema(storage.open_file(path))
    except (OSError, pa.ArrowException) as error:
        return f"not a readable Parquet file: {error}"
    if extra := [name for name in found.names if name not in wanted.names]:
        return f"column {extra[0]} is none of the table's"
    if missing := [name for name in wanted.names if name not in found.names]:
        return f"column {missing[0]} is missing"
    if often := [name for name in wanted.names if found.names.count(name) > 1]:
        return f"column {often[0]} is there {found.names.count(often[0])} times"
    if changed := [field for field in wanted if not found.field(field.name).equals(field)]:
        return f"column {changed[0].name} is {_kind(found.field(changed[0].name))}, not {_kind(changed[0])}"
    return "" if found.names == wanted.names else "its columns are in another order"


def _kind(field: pa.Field) -> str:
    return f"{field.type}{'' if field.nullable else ' not null'}"
