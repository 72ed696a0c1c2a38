"""Which lists hold a candidate's address: a column in Spark, a table in DuckDB, by one matcher.

Blocked pages are extracted all the same, and rejected only when candidates are decided on. So every page that came
stands in `corpus.candidates`; `millpond curate recut` applies a list that is new, or brings back what an older one
dropped, without reading a page; and what a list costs in text, and which rules would have dropped the same, can be
counted. The price is the extraction of pages that go: where a list is certain, do not fetch what it holds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa

from millpond.curate.blocklists.keys import page_keys
from millpond.curate.blocklists.lists import Blocklist
from millpond.curate.fields import InputFile
from millpond.curate.rules import BLOCKLISTS

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

_LISTS = pa.list_(pa.string())
#: Addresses that DuckDB hands over at a time.
_ROWS = 10_000


class Blocklists:
    """All lists of a run.

    Raises:
        InputError: a file is missing, has changed, or is no list.
    """

    def __init__(self, files: Mapping[str, InputFile]) -> None:
        self.by_name = {name: Blocklist.read(file) for name, file in files.items()}
        self._lists = {file.sha256: self.by_name[name] for name, file in sorted(files.items())}

    def holding(self, urls: pa.Array) -> pa.Array:
        """The digests of the lists that hold each address; null where none does."""
        found: dict[int, list[str]] = {}
        for keys in page_keys(urls):
            for digest, entries in self._lists.items():
                for row in entries.holds(keys).tolist():
                    found.setdefault(row, []).append(digest)
        return pa.array([found.get(row) for row in range(len(urls))] if found else [None] * len(urls), _LISTS)


def with_blocklists(candidates: DataFrame, files: Mapping[str, InputFile]) -> DataFrame:
    """Candidates with the column `blocklists`, which the rules of lists look at.

    Raises:
        InputError: a file is missing, has changed, or is no list.
    """
    from pyspark.sql import functions as f
    from pyspark.sql.pandas.functions import arrow_udf

    shared = candidates.sparkSession.sparkContext.broadcast(Blocklists(files))

    def holding(urls: pa.Array) -> pa.Array:
        return shared.value.holding(urls)

    # The stub asks for a function type; given one, the call warns that type hints are preferred.
    column = arrow_udf(holding, "array<string>")  # type: ignore[call-overload]
    return candidates.withColumn(BLOCKLISTS, column(f.col("url")))


def hold_blocked(connection: duckdb.DuckDBPyConnection, candidates: str, files: Mapping[str, InputFile]) -> None:
    """Make a table `blocked` (doc_id, blocklists) of those `candidates` (a table) that a list holds.

    Raises:
        InputError: a file is missing, has changed, or is no list.
    """
    lists = Blocklists(files)
    schema = pa.schema([("doc_id", pa.string()), (BLOCKLISTS, _LISTS)])
    found = []
    for batch in connection.sql(f"SELECT doc_id, url FROM {candidates}").to_arrow_reader(_ROWS):
        held = lists.holding(batch["url"])
        rows = pa.RecordBatch.from_arrays([batch["doc_id"].cast(pa.string()), held], schema=schema)
        found.append(rows.filter(held.is_valid()))
    connection.from_arrow(pa.Table.from_batches(found, schema)).create("blocked")
