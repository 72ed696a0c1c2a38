"""The frontier of a crawl: its log of events in the lake, read for the next round and continued by each.

Of an address (see `traps.url_key`) the event of the last round counts; what became of it, before that it was found.
Its tries are counted anew once it is decided on. A round takes what is due, shallow addresses first; among equals the
digest of the address decides, which mixes a site's parts, so that an endless one cannot crowd out the rest.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import duckdb
import pyarrow as pa

from millpond.datafile import DataFileEntry, TableWriter
from millpond.duck import connect, scan
from millpond.ingest.config import SiteConfig
from millpond.ingest.crawl.events import Events
from millpond.ingest.crawl.plan import Host, Item, Round
from millpond.ingest.crawl.robots import MAX_AGE, RobotsFile
from millpond.ingest.page import reject_row
from millpond.lake import Lake, Release
from millpond.reasons import Reason
from millpond.schemas import FRONTIER, WEB_REJECTS

#: Addresses of one round, over all hosts.
ROUND_LIMIT = 200_000

_NULLABLE = pa.schema([field.with_nullable(True) for field in FRONTIER.schema])
_COLUMNS = ", ".join(FRONTIER.schema.names)

_STATE = """
    create temp table state as
    select *, bool_or(tries > 0) over (partition by url_key) as asked
    from events where state not in ('host', 'robots')
    qualify row_number() over (
        partition by url_key order by round desc, state = 'known' and verdict is null, seen_at desc
    ) = 1;
    create temp table hosts as
    select host, next_fetch_at as free_at, tries as failures, if(next_fetch_at is null, verdict, null) as given_up
    from events where state = 'host'
    qualify row_number() over (partition by host order by round desc, seen_at desc) = 1;
"""

#: Addresses that may be asked for, sooner or later. One that was never asked for counts against the limits.
_OPEN = """
    create temp table open as
    select s.* replace (if(s.state = 'known', s.tries, 0) as tries),
        h.given_up, coalesce(h.failures, 0) as failures, h.free_at,
        s.state = 'known' and not s.asked and h.given_up is null as fresh,
        h.given_up is not null or (
            coalesce(s.next_fetch_at, $now) <= if(s.state = 'known', $now, $began)
            and coalesce(h.free_at, $now) <= $soon
        ) as due
    from state s left join hosts h using (host)
    where s.state = 'known' or (s.next_fetch_at is not null and h.given_up is null);
"""

_ASKED = """
    create temp table asked as select host, count(*) as pages from state where asked group by host;
"""

_SELECT = f"""
    with due as (
        select o.*, row_number() over (partition by host, fresh order by depth, url_key) as place,
            $host_pages - coalesce(a.pages, 0) as room
        from open o left join asked a using (host) where due
    ), fitting as (
        select *, row_number() over (partition by host order by depth, url_key) as turn from due
        where not fresh or place <= room
    ), taken as (
        select *, row_number() over (partition by fresh order by depth, url_key) as rank from fitting
        where turn <= $round_pages or given_up is not null
    )
    select * from taken where not fresh or rank <= $pages - (select coalesce(sum(pages), 0) from asked)
    order by depth, url_key limit {ROUND_LIMIT}
"""

_NEXT = """
    select min(greatest(coalesce(next_fetch_at, free_at), coalesce(free_at, next_fetch_at)))
    from open o left join asked a using (host)
    where not due and state = 'known' and (not fresh or (
        coalesce(a.pages, 0) < $host_pages and (select coalesce(sum(pages), 0) from asked) < $pages
    ))
"""

#: What a round found, each address once and only if it is new, with what keeps it out.
_NEW = f"""
    create temp table raw as select * from {{scan}};
    create temp table decided as
    select * from raw
    where not (state = 'known' and verdict is null) and not coalesce(starts_with(verdict, 'limit: '), false);
    create temp table new as
    with found as (
        select {_COLUMNS} from seeds union all
        select {_COLUMNS} from raw
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
class Summary:
    """A crawl as it stands."""

    round: int
    """The last one that was released; 0 before the first."""
    seeds: list[str]
    pages: int
    """Added to the lake by all its rounds."""
    counts: dict[tuple[str, str | None], int]
    """Addresses by state and verdict."""


@dataclass(frozen=True)
class Selection:
    """What is due, and when anything will be where nothing is."""

    hosts: tuple[Host, ...]
    next_at: datetime | None


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


class Frontier:
    """The frontier of one crawl as a release has it."""

    def __init__(self, lake: Lake, release: Release | None, crawl: str, config: SiteConfig) -> None:
        self.lake = lake
        self.crawl = crawl
        self.config = config
        has = release is not None and FRONTIER.name in release.tables
        self._files = lake.files(FRONTIER.name, release.tables[FRONTIER.name]) if has and release else []

    @contextmanager
    def _opened(self) -> Iterator[duckdb.DuckDBPyConnection]:
        with connect() as connection:
            source = scan(self._files) if self._files else "none"
            none = _NULLABLE.empty_table()
            connection.register("none", none)
            connection.execute("set timezone = 'UTC'")
            connection.execute(f"create temp table events as select * from {source} where crawl = ?", [self.crawl])
            connection.execute(_STATE)
            yield connection

    def summary(self) -> Summary:
        """What the log says as a whole."""
        with self._opened() as connection:
            [(last, pages)] = connection.execute(
                "select coalesce(max(round), 0), count(*) filter (verdict = 'page') from events"
            ).fetchall()
            seeds = connection.execute("select url from state where found = 'seed' order by url").fetchall()
            counts = connection.execute("select state, verdict, count(*) from state group by all").fetchall()
        return Summary(int(last), [url for (url,) in seeds], int(pages), {(s, v): n for s, v, n in counts})

    def new_seeds(self, seeds: Iterable[Item]) -> tuple[Item, ...]:
        """Those of some start addresses that are not known yet."""
        with self._opened() as connection:
            known = {key for (key,) in connection.execute("select url_key from state").fetchall()}
        return tuple({item.url_key: item for item in seeds if item.url_key not in known}.values())

    def select(self, now: datetime, seeds: Sequence[Item], began: datetime) -> Selection:
        """What the next round is to fetch; `seeds` are known from now on.

        A page is fetched again only if it was old enough when the command began, which thus ends.
        """
        limits = self.config
        soon = now + timedelta(seconds=limits.max_crawl_delay_seconds)
        budget = {"host_pages": limits.max_host_pages, "pages": limits.max_pages}
        with self._opened() as connection:
            connection.register("seeds", self._rows(seeds, 0, now))
            connection.execute(f"insert into state select {_COLUMNS}, false from seeds")
            connection.execute(_OPEN, {"now": now, "soon": soon, "began": began})
            connection.execute(_ASKED)
            rows = _dicts(connection.execute(_SELECT, {**budget, "round_pages": limits.round_pages}))
            if not rows:
                [(due,)] = connection.execute(_NEXT, budget).fetchall()
                return Selection((), due)
            robots = connection.execute(
                "select host, url, robots, seen_at from events where state = 'robots' and seen_at > ? "
                "qualify row_number() over (partition by url order by round desc, seen_at desc) = 1",
                [now - MAX_AGE],
            ).fetchall()
        files: dict[str, dict[str, RobotsFile]] = {}
        for host, url, text, at in robots:
            files.setdefault(host, {})[url.removesuffix("/robots.txt")] = RobotsFile(text=text, at=at)
        hosts: dict[str, list[dict[str, Any]]] = {}
        for row in rows:
            hosts.setdefault(row["host"], []).append(row)
        return Selection(tuple(_host(name, each, files.get(name, {})) for name, each in hosts.items()), None)

    def close(self, round_: Round, raw: Sequence[str]) -> Closed:
        """Make what a round's tasks wrote of the frontier part of it: new addresses once, limits applied."""
        limits = self.config
        with self._opened() as connection:
            connection.register("seeds", self._rows(round_.new_seeds, round_.number, round_.started_at))
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
            with TableWriter(WEB_REJECTS.name, self.lake.data_folder(WEB_REJECTS.name)) as rejects:
                while some := refused.fetchmany(10_000):
                    _write(rejects, [self._limit(file, detail, url=url) for url, detail in some])
                [(past,)] = connection.execute("select count(*) from new where past").fetchall()
                if past:
                    detail = f"links past max_known = {limits.max_known}"
                    _write(rejects, [self._limit(file, detail, records=past)])
            with TableWriter(FRONTIER.name, self.lake.data_folder(FRONTIER.name)) as frontier:
                for batch in connection.sql(f"select {_COLUMNS} from kept order by url_key").to_arrow_reader(10_000):
                    frontier.write(batch)
        by_verdict = {(state, verdict): n for state, verdict, n in counts}
        return Closed(frontier.entries, rejects.entries, by_verdict, found, trouble)

    def _rows(self, seeds: Sequence[Item], number: int, at: datetime) -> pa.Table:
        events = Events(self.crawl, number)
        rows = [events.found(item.url, at, item.depth, item.found) for item in seeds]
        return pa.Table.from_pylist(rows, schema=_NULLABLE)

    def _limit(self, file: str, detail: str, *, url: str | None = None, records: int = 1) -> dict[str, Any]:
        return reject_row(file=file, reason=Reason.LIMIT, detail=detail, crawl=self.crawl, url=url, records=records)


def _write(writer: TableWriter, rows: list[dict[str, Any]]) -> None:
    writer.write(pa.RecordBatch.from_pylist(rows, schema=WEB_REJECTS.schema))


def _dicts(result: duckdb.DuckDBPyConnection) -> list[dict[str, Any]]:
    names = [column[0] for column in result.description or ()]
    return [dict(zip(names, row, strict=True)) for row in result.fetchall()]


def _host(name: str, rows: list[dict[str, Any]], robots: dict[str, RobotsFile]) -> Host:
    fields = Item.model_fields
    return Host(
        host=name,
        items=tuple(Item(**{key: row[key] for key in fields if key in row}) for row in rows),
        not_before=rows[0]["free_at"],
        failures=rows[0]["failures"],
        given_up=rows[0]["given_up"],
        robots=robots,
    )
