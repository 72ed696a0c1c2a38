"""The end of a round: what its tasks wrote of the frontier goes into the log, new addresses once and within limits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from millpond.datafile import DataFileEntry, TableWriter
from millpond.duck import scan
from millpond.ingest.crawl.frontier import COLUMNS, Frontier
from millpond.ingest.crawl.plan import Round
from millpond.ingest.page import reject_row
from millpond.reasons import Reason
from millpond.schemas import FRONTIER, WEB_REJECTS

#: What a round found, each address once and only if it is new, with what keeps it out.
_NEW = f"""
    create temp table raw as select * from {{scan}};
    create temp table decided as
    select * from raw
    where not (state = 'known' and verdict is null) and not coalesce(starts_with(verdict, 'limit: '), false);
    create temp table new as
    with found as (
        select {COLUMNS} from seeds union all
        select {COLUMNS} from raw
        where (state = 'known' and verdict is null) or starts_with(verdict, 'limit: ')
    ), once as (
        select *, split_part(url, '?', 1) as path, contains(url, '?') and state = 'known' as variant from found
        where url_key not in (select url_key from state)
            and url_key not in (select url_key from decided where state not in ('host', 'robots'))
        qualify row_number() over (
            partition by url_key order by state = 'refused', depth, redirects, found = 'link', url, seen_at
        ) = 1
    ), variants as (
        select split_part(url, '?', 1) as path, count(*) as n from state where contains(url, '?') group by 1
    )
    select once.* exclude (path, variant, limited) replace (
            if(limited, 'refused', once.state) as state,
            if(limited, 'limit: more than max_query_variants = ' || $variants || ' of one path', verdict) as verdict
        ),
        row_number() over (order by depth, url_key) + (select count(*) from state) > $known as past
    from (
        select once.*, variant and coalesce(n, 0)
            + row_number() over (partition by path, variant order by url_key) > $variants as limited
        from once left join variants using (path)
    ) as once;
"""


@dataclass(frozen=True)
class Closed:
    """What a round adds to the lake beside its pages, and what it counts."""

    frontier: list[DataFileEntry]
    rejects: list[DataFileEntry]
    counts: dict[tuple[str, str], int]
    """Addresses by state and verdict, decided on or put back."""
    found: int
    """New addresses to go on with."""
    trouble: str | None
    """What one of the hosts that failed had to say."""


def close(frontier: Frontier, round_: Round, raw: Sequence[str]) -> Closed:
    """Make what a round's tasks wrote of the frontier part of it: new addresses once, limits applied."""
    limits = frontier.config
    with frontier.opened() as connection:
        connection.register("seeds", frontier.rows(round_.new_seeds, round_.number, round_.started_at))
        connection.execute(
            _NEW.format(scan=scan(raw)), {"variants": limits.max_query_variants, "known": limits.max_known}
        )
        connection.execute(
            "create temp table kept as select * from decided union all "
            "select * exclude (past) replace (if(state = 'refused', 'limit', verdict) as verdict) "
            "from new where not past"
        )
        counts = connection.execute(
            "select state, verdict, count(*) from kept where state in ('fetched', 'refused', 'failed') "
            "or verdict = 'deferred' group by all"
        ).fetchall()
        [(found,)] = connection.execute(
            "select count(*) from kept where state = 'known' and verdict is null"
        ).fetchall()
        [(trouble,)] = connection.execute("select min(verdict) from kept where state = 'host'").fetchall()
        refused = connection.execute(
            "select url, substr(verdict, 8) from new where state = 'refused' and not past order by url"
        )
        file = f"round {round_.number}"
        with TableWriter(WEB_REJECTS.name, frontier.lake.data_folder(WEB_REJECTS.name)) as rejects:
            while some := refused.fetchmany(10_000):
                _write(rejects, [_limit(frontier.crawl, file, detail, url=url) for url, detail in some])
            [(past,)] = connection.execute("select count(*) from new where past").fetchall()
            if past:
                detail = f"links past max_known = {limits.max_known}"
                _write(rejects, [_limit(frontier.crawl, file, detail, records=past)])
        with TableWriter(FRONTIER.name, frontier.lake.data_folder(FRONTIER.name)) as events:
            for batch in connection.sql(f"select {COLUMNS} from kept order by url_key").to_arrow_reader(10_000):
                events.write(batch)
    by_verdict = {(state, verdict): n for state, verdict, n in counts}
    return Closed(events.entries, rejects.entries, by_verdict, found, trouble)


def _limit(crawl: str, file: str, detail: str, *, url: str | None = None, records: int = 1) -> dict[str, Any]:
    return reject_row(file=file, reason=Reason.LIMIT, detail=detail, crawl=crawl, url=url, records=records)


def _write(writer: TableWriter, rows: list[dict[str, Any]]) -> None:
    writer.write(pa.RecordBatch.from_pylist(rows, schema=WEB_REJECTS.schema))
