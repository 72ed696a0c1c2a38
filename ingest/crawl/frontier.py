"""The frontier of a crawl: its log of events in the lake, read for the next round; `closing` continues it.

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

from millpond.duck import connect, scan
from millpond.ingest.config import SiteConfig
from millpond.ingest.crawl.events import Events
from millpond.ingest.crawl.plan import Host, Item
from millpond.ingest.crawl.robots import MAX_AGE, RobotsFile
from millpond.lake import Lake, Release
from millpond.schemas import FRONTIER

#: Addresses of one round, over all hosts.
ROUND_LIMIT = 200_000

_NULLABLE = pa.schema([field.with_nullable(True) for field in FRONTIER.schema])
COLUMNS = ", ".join(FRONTIER.schema.names)

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


class Frontier:
    """The frontier of one crawl as a release has it."""

    def __init__(self, lake: Lake, release: Release | None, crawl: str, config: SiteConfig) -> None:
        self.lake = lake
        self.crawl = crawl
        self.config = config
        has = release is not None and FRONTIER.name in release.tables
        self._files = lake.files(FRONTIER.name, release.tables[FRONTIER.name]) if has and release else []

    @contextmanager
    def opened(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection with the log as table `events`, and what it says of addresses and hosts as `state`, `hosts`."""
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
        with self.opened() as connection:
            [(last, pages)] = connection.execute(
                "select coalesce(max(round), 0), count(*) filter (verdict = 'page') from events"
            ).fetchall()
            seeds = connection.execute("select url from state where found = 'seed' order by url").fetchall()
            counts = connection.execute("select state, verdict, count(*) from state group by all").fetchall()
        return Summary(int(last), [url for (url,) in seeds], int(pages), {(s, v): n for s, v, n in counts})

    def new_seeds(self, seeds: Iterable[Item]) -> tuple[Item, ...]:
        """Those of some start addresses that are not known yet."""
        with self.opened() as connection:
            known = {key for (key,) in connection.execute("select url_key from state").fetchall()}
        return tuple({item.url_key: item for item in seeds if item.url_key not in known}.values())

    def select(self, now: datetime, seeds: Sequence[Item], began: datetime) -> Selection:
        """What the next round is to fetch; `seeds` are known from now on.

        A page is fetched again only if it was old enough when the command began, which thus ends.
        """
        limits = self.config
        soon = now + timedelta(seconds=limits.max_crawl_delay_seconds)
        budget = {"host_pages": limits.max_host_pages, "pages": limits.max_pages}
        with self.opened() as connection:
            connection.register("seeds", self.rows(seeds, 0, now))
            connection.execute(f"insert into state select {COLUMNS}, false from seeds")
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

    def rows(self, seeds: Sequence[Item], number: int, at: datetime) -> pa.Table:
        """Events by which start addresses become known in a round."""
        events = Events(self.crawl, number)
        rows = [events.found(item.url, at, item.depth, item.found) for item in seeds]
        return pa.Table.from_pylist(rows, schema=_NULLABLE)


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
