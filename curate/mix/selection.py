"""Which documents a mixture takes, in SQL: component, caps, and copies of every document of the corpus.

Documents are taken in the order of a hash of their ids and the seed, so the result does not depend on files or order,
and a document keeps its place when others come or go. It is DuckDB's work rather than Spark's: only ids, sizes and the
columns that components select by are read, about a hundred bytes a document; a running sum over a component, which is
one partition in any engine, spills to disk here; and nothing has to be started. The text is never touched.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import duckdb
import pyarrow as pa

from millpond.curate.mix.config import Cap, Component, MixConfig
from millpond.curate.mix.plan import Part, plan
from millpond.duck import scan

_ROWS = 100_000
#: A document's amount, by unit.
_AMOUNT = {"bytes": "text_bytes", "documents": "1"}


class Selection:
    """The documents of a corpus and what a mixture does with each, from the files of both tables.

    `connection` is a database of its own: it keeps tables there.
    """

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        documents: Sequence[str],
        candidates: Sequence[str],
        config: MixConfig,
    ) -> None:
        self.config = config
        self._connection = connection
        self._assign(documents, candidates)
        for component in config.components:
            for cap in component.caps:
                self._bound(component, cap)

    def available(self) -> dict[str, int]:
        """How much of each component its caps leave, in the configuration's unit."""
        rows = self._connection.execute(
            f"select component, sum({_AMOUNT[self.config.unit]})::bigint from selected "
            "where component is not null and cap is null group by 1"
        ).fetchall()
        return dict(rows)

    def rows(self) -> Iterator[pa.RecordBatch]:
        """Every document by `doc_id`: component (null for none), cap it is over (null for none), copies (0 for a
        document that is not in the mixture) and text_bytes.

        Raises:
            ConfigError: a component is empty, or too small for its share.
        """
        parts = plan(self.config.components, self.available(), self.config.size, self.config.unit)
        self._connection.execute("create or replace table parts (component varchar, passes bigint, rest bigint)")
        self._connection.executemany("insert into parts values ($1, $2, $3)", [_fields(part) for part in parts])
        # The last document of a part pass is taken if at least half of it is still inside.
        result = self._connection.sql(f"""
            select doc_id, component, cap, text_bytes, case
                when component is null or cap is not null then 0
                when 2 * upto - amount <= 2 * rest then passes + 1 else passes end::bigint as copies
            from (
                select *, {_AMOUNT[self.config.unit]} as amount, sum(amount) over (
                    partition by component, cap is null order by place, doc_id rows unbounded preceding) as upto
                from selected
            ) left join parts using (component) order by doc_id
        """)
        yield from result.to_arrow_reader(_ROWS)

    def _assign(self, documents: Sequence[str], candidates: Sequence[str]) -> None:
        cases: list[str] = []
        values: dict[str, str | list[str]] = {}
        for number, component in enumerate(self.config.components):
            conditions = ["true"]
            if component.sources:
                conditions.append(
                    f"(coalesce(list_contains($sources{number}, registered_domain), false) "
                    f"or coalesce(list_contains($sources{number}, crawl), false) or coalesce(list_bool_or("
                    f"list_transform($sources{number}, lambda source: starts_with(source_file, source))), false))"
                )
                values[f"sources{number}"] = list(component.sources)
            for column, chosen in (("language", component.languages), ("page_type", component.page_types)):
                if chosen:
                    conditions.append(f"list_contains(${column}{number}, {column})")
                    values[f"{column}{number}"] = list(chosen)
            cases.append(f"when {' and '.join(conditions)} then $name{number}")
            values[f"name{number}"] = component.name
        self._connection.execute(
            f"""
            create table selected as
            select doc_id, text_bytes, registered_domain, source_file, crawl, language, page_type,
                md5($seed || ':' || doc_id) as place, case {" ".join(cases)} end as component, null::varchar as cap
            from {scan(documents)} left join (select doc_id, crawl from {scan(candidates)}) using (doc_id)
            """,
            {**values, "seed": str(self.config.seed)},
        )

    def _bound(self, component: Component, cap: Cap) -> None:
        """Mark what is over a cap, in the order in which documents are taken; one that is over it alone goes first."""
        self._connection.execute(
            f"""
            create table bounded as select * exclude (number, size) replace (case
                when component = $name and cap is null
                    and (text_bytes > $bytes or number > $documents or size > $bytes) then $by else cap
                end as cap)
            from (
                select *, count(*) filter (text_bytes <= $bytes) over ordered as number,
                    sum(text_bytes) filter (text_bytes <= $bytes) over ordered as size from selected
                window ordered as (
                    partition by component, cap is null, {", ".join(cap.by)}
                    order by place, doc_id rows unbounded preceding)
            )
            """,
            {
                "name": component.name,
                "by": ", ".join(cap.by),
                "documents": cap.documents or 1 << 62,
                "bytes": cap.bytes or 1 << 62,
            },
        )
        self._connection.execute("drop table selected; alter table bounded rename to selected")


def _fields(part: Part) -> tuple[str, int, int]:
    return part.component, part.passes, part.rest
