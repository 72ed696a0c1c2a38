"""The frontier: what a round takes, and what its end adds, each address once and within the limits."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pyarrow.parquet as pq
import pytest

from millpond.datafile import write_rows
from millpond.ingest.config import SiteConfig
from millpond.ingest.crawl import events
from millpond.ingest.crawl.closing import Closed, close
from millpond.ingest.crawl.events import Events
from millpond.ingest.crawl.frontier import Frontier, Selection
from millpond.ingest.crawl.plan import Item, Round
from millpond.ingest.crawl.traps import url_key
from millpond.lake import Lake, Release
from millpond.schemas import FRONTIER

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


def item(path: str, host: str = "h", **fields: Any) -> Item:
    url = f"http://{host}{path}"
    return Item(**{"url": url, "url_key": url_key(url), "depth": 0, "found": "link", **fields})


class Log:
    """A frontier's log, written without a lake around it."""

    def __init__(self, folder: Path, **limits: Any) -> None:
        self.folder = folder
        self.config = SiteConfig.model_validate(limits)
        self.events = Events("c", 1)
        self.rows: list[dict[str, Any]] = []

    def data_folder(self, table: str) -> str:
        return str(self.folder / table)

    def files(self, table: str, snapshot: int) -> list[str]:
        return [entry.path for entry in write_rows(table, self.data_folder(table), self.rows)]

    def frontier(self) -> Frontier:
        tables = {FRONTIER.name: 1} if self.rows else {}
        release = Release(1, NOW, "r", "ingest", "d", tables)
        return Frontier(cast(Lake, self), release, "c", self.config)

    def known(self, *paths: str, host: str = "h", ago: float = 60.0, **fields: Any) -> None:
        for path in paths:
            at = NOW - timedelta(seconds=ago)
            self.rows.append(self.events.of(item(path, host, **fields), at, events.KNOWN))

    def event(
        self, path: str, state: str, verdict: str | None, host: str = "h", ago: float = 30.0, **fields: Any
    ) -> None:
        at = NOW - timedelta(seconds=ago)
        self.rows.append(self.events.of(item(path, host), at, state, **{"tries": 1, "verdict": verdict, **fields}))

    def select(self, *seeds: Item) -> Selection:
        return self.frontier().select(NOW, seeds, NOW)

    def selected(self, *seeds: Item) -> dict[str, set[str]]:
        return {h.host: {i.url.removeprefix(f"http://{h.host}") for i in h.items} for h in self.select(*seeds).hosts}

    def close(self, *rows: dict[str, Any], seeds: tuple[Item, ...] = ()) -> tuple[Closed, list[Any], list[Any]]:
        raw = write_rows(FRONTIER.name, self.folder / "raw", list(rows))
        plan = Round(crawl="c", lake="l", number=2, tasks=1, started_at=NOW, seeds=(), new_seeds=seeds)
        closed = close(self.frontier(), plan, [entry.path for entry in raw])
        added, rejects = (
            [row for entry in entries for row in pq.read_table(entry.path).to_pylist()]
            for entries in (closed.frontier, closed.rejects)
        )
        return closed, added, rejects


def later(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def test_the_newest_event_counts(tmp_path: Path) -> None:
    log = Log(tmp_path)
    log.known("/a", "/b", "/c", "/d")
    log.event("/a", events.FETCHED, events.PAGE)
    log.event("/b", events.REFUSED, "robots")
    log.event("/c", events.KNOWN, events.DEFERRED, next_fetch_at=later(-1))
    log.rows.append({**log.events.found("http://h/other", NOW, 0, "link"), "crawl": "another"})
    assert log.selected() == {"h": {"/c", "/d"}}
    assert log.frontier().summary().counts == {
        ("fetched", "page"): 1,
        ("refused", "robots"): 1,
        ("known", "deferred"): 1,
        ("known", None): 1,
    }


def test_rounds_count_before_clocks(tmp_path: Path) -> None:
    log = Log(tmp_path)
    log.known("/a", ago=-500.0)  # by a clock that is ahead, and in the same round
    log.event("/a", events.REFUSED, "robots", ago=500.0)
    log.event("/b", events.FETCHED, events.PAGE, ago=-500.0)
    log.events = Events("c", 2)
    log.event("/b", events.KNOWN, events.DEFERRED, ago=500.0)
    log.rows.append(log.events.of_host("h", later(-900), later(9), 3, "later round"))
    log.rows.append(Events("c", 1).of_host("h", NOW, None, 4, "earlier round"))
    [host] = log.select().hosts
    assert [i.url for i in host.items] == ["http://h/b"] and (host.failures, host.given_up) == (3, None)


def test_tries_begin_anew_once_an_address_is_decided_on(tmp_path: Path) -> None:
    log = Log(tmp_path, max_pages=1)
    log.event("/page", events.FETCHED, events.PAGE, tries=3, next_fetch_at=later(-1))
    [host] = log.select().hosts
    assert host.items[0].tries == 0
    log.event("/page", events.KNOWN, events.DEFERRED, ago=9.0, tries=0)  # put back, and no new page for all that
    log.known("/other")
    assert log.selected() == {"h": {"/page"}}
    log.event("/page", events.KNOWN, events.DEFERRED, ago=5.0, tries=2)
    [host] = log.select().hosts
    assert host.items[0].tries == 2


def test_shallow_ones_first_within_the_budgets(tmp_path: Path) -> None:
    log = Log(tmp_path, round_pages=3, max_pages=7, max_host_pages=5)
    log.known(*(f"/deep/{n}" for n in range(9)), depth=2)
    log.known("/1", "/2", depth=1)
    log.known(*(f"/{n}" for n in range(9)), host="g", depth=3)
    log.event("/done", events.FETCHED, events.PAGE)
    chosen = log.select().hosts
    assert sum(len(host.items) for host in chosen) == 6  # of seven, one was asked for
    assert {h.host: [i.depth for i in h.items] for h in chosen} == {"h": [1, 1, 2], "g": [3, 3, 3]}
    log.config = log.config.model_copy(update={"max_host_pages": 2})
    assert {h: len(paths) for h, paths in log.selected().items()} == {"h": 1, "g": 2}
    log.config = log.config.model_copy(update={"max_pages": 1})
    assert log.select() == Selection((), None)


def test_what_is_not_due_waits(tmp_path: Path) -> None:
    log = Log(tmp_path, max_crawl_delay_seconds=10.0)
    log.event("/again", events.FETCHED, events.PAGE, next_fetch_at=later(500))
    log.event("/put-back", events.KNOWN, events.DEFERRED, next_fetch_at=later(300))
    log.known("/left-alone", host="g")
    log.rows.append(log.events.of_host("g", NOW, later(100), 2, "fetch_failed: refused"))
    assert log.select() == Selection((), later(100))
    log.rows[-1]["next_fetch_at"] = later(9)  # soon enough for the task to wait
    [host] = log.select().hosts
    assert (host.host, host.failures, host.not_before) == ("g", 2, later(9))
    log.rows[0]["next_fetch_at"] = later(-1)
    assert log.selected() == {"g": {"/left-alone"}, "h": {"/again"}}


def test_all_addresses_of_a_dead_host_are_taken_at_once(tmp_path: Path) -> None:
    log = Log(tmp_path, round_pages=2, max_pages=3)
    log.known(*(f"/{n}" for n in range(9)), host="dead")
    log.known(*(f"/{n}" for n in range(9)))
    log.event("/page", events.FETCHED, events.PAGE, host="dead", next_fetch_at=later(-1))
    log.rows.append(log.events.of_host("dead", NOW, None, 4, "fetch_failed: gone"))
    assert {host.host: len(host.items) for host in log.select().hosts} == {"dead": 9, "h": 2}
    assert {host.host: host.given_up for host in log.select().hosts} == {"dead": "fetch_failed: gone", "h": None}


def test_rules_stay_fresh_for_a_day(tmp_path: Path) -> None:
    log = Log(tmp_path)
    log.known("/a")
    for hours, text in ((30, "older"), (23, "old"), (2, "new")):
        log.rows.append(log.events.of_rules("http://h/robots.txt", text, NOW - timedelta(hours=hours)))
    log.rows.append(log.events.of_rules("https://h/robots.txt", "stale", NOW - timedelta(hours=25)))
    beside = "http://h/.well-known/tdmrep.json"
    log.rows.append(log.events.of_rules(beside, "[]", NOW - timedelta(hours=2)))
    [host] = log.select().hosts
    assert {site: file.text for site, file in host.robots.items()} == {"http://h": "new", beside: "[]"}


def test_new_seeds_are_known_from_now_on(tmp_path: Path) -> None:
    log = Log(tmp_path)
    seed = item("/", found="seed")
    assert log.frontier().new_seeds([seed, seed]) == (seed,)
    assert log.selected(seed) == {"h": {"/"}}
    log.event("/", events.FETCHED, events.PAGE)
    assert log.frontier().new_seeds([seed]) == ()


def test_an_address_is_added_once_and_as_near_as_it_was_found(tmp_path: Path) -> None:
    log = Log(tmp_path)
    log.known("/old")
    found = [
        log.events.found(f"http://h{path}", NOW, depth, "link")
        for path, depth in (("/new", 3), ("/new", 2), ("/old", 1))
    ]
    found += [log.events.found(f"http://h{path}", NOW, 2, "link") for path in ("/q?b=1&a=2", "/q?a=2&b=1")]
    decided = log.events.of(item("/old"), NOW, events.FETCHED, verdict=events.PAGE, tries=1)
    host = log.events.of_host("h", NOW, NOW, 0, None)
    closed, added, rejects = log.close(
        *found, decided, host, seeds=(item("/seed", found="seed"), item("/old", found="seed"))
    )
    assert sorted((row["url"], row["depth"]) for row in added if row["state"] == "known") == [
        ("http://h/new", 2),
        ("http://h/q?a=2&b=1", 2),
        ("http://h/seed", 0),
    ]
    assert len(added) == 5 and not rejects and closed.counts == {("fetched", "page"): 1}


def test_limits_are_rejects_counted_once(tmp_path: Path) -> None:
    log = Log(tmp_path, max_query_variants=4, max_known=20)
    log.known("/cal?d=0", "/cal?d=1")
    found = [log.events.found(f"http://h/cal?d={n}", NOW, 2, "link") for n in range(9)]
    found += [log.events.found(f"http://h/a/a/a/{n}", NOW, 2, "link", limit="repeats") for n in (1, 1, 2)]
    closed, added, rejects = log.close(*found)
    assert sum(row["state"] == "known" for row in added) == 2
    assert closed.counts == {("refused", "limit"): 5 + 2}
    assert all(row["verdict"] == "limit" for row in added if row["state"] == "refused")
    assert sorted(row["detail"] for row in rejects) == 5 * ["more than max_query_variants = 4 of one path"] + 2 * [
        "repeats"
    ]
    log.rows += added
    closed, added, rejects = log.close(*found)
    assert not added and not rejects and not closed.counts


@pytest.mark.parametrize("limit", [3, 5])
def test_no_more_addresses_are_remembered_than_allowed(tmp_path: Path, limit: int) -> None:
    log = Log(tmp_path, max_known=limit)
    log.known("/1", "/2")
    found = [log.events.found(f"http://h/new/{n}", NOW, n, "link") for n in range(6)]
    _, added, rejects = log.close(*found)
    assert sorted(row["depth"] for row in added) == list(range(limit - 2))
    [reject] = rejects
    assert (
        reject["records"] == 6 - (limit - 2) and reject["url"] is None and f"max_known = {limit}" in reject["detail"]
    )
