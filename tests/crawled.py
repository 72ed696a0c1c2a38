"""One task of a crawl's round, done in this process on real servers, and what came of it; the laws already checked."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from millpond.datafile import write_rows
from millpond.ingest.config import IngestConfig, SiteConfig
from millpond.ingest.crawl.account import account
from millpond.ingest.crawl.closing import Closed
from millpond.ingest.crawl.plan import Host, Item, Round, Task
from millpond.ingest.crawl.task import Work, fetch
from millpond.ingest.crawl.traps import url_key
from millpond.ingest.page import RowBatcher
from millpond.ledger import Ledger
from millpond.schemas import FRONTIER, PAGES, WEB_REJECTS


class Served(Protocol):
    """A site as the crawler knows it."""

    @property
    def host(self) -> str: ...

    @property
    def url(self) -> str: ...


class Crawled:
    """What came of one task that was to fetch some paths of some sites."""

    def __init__(
        self,
        folder: Path,
        servers: Served | Sequence[Served],
        paths: Sequence[str] = ("/",),
        items: dict[str, dict[str, Any]] | None = None,
        host: dict[str, Any] | None = None,
        stop_after: int | None = None,
        moved: dict[str, str] | None = None,
        **settings: Any,
    ) -> None:
        self.servers = list(servers) if isinstance(servers, Sequence) else [servers]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "owner").write_text("me")
        usual = {
            "tdmrep": False,
            "delay_seconds": 0.0,
            "timeout_seconds": 5.0,
            "allow_private": [s.host for s in self.servers],
        }
        config = IngestConfig(site=SiteConfig.model_validate({**usual, **settings}))
        hosts = tuple(
            Host(
                host=server.host,
                items=tuple(
                    Item(url=url, url_key=url_key(url), **{"depth": 0, "found": "seed", **(items or {}).get(path, {})})
                    for path in paths
                    for url in [server.url + path]
                ),
                **(host or {}),
            )
            for server in self.servers
        )
        seeds = tuple(server.url + "/" for server in self.servers)
        plan = Round(
            crawl="test",
            lake="l",
            token="t",  # a stopped round is gone on with by its own plan
            number=1,
            tasks=1,
            started_at=datetime.now(UTC),
            seeds=seeds,
            new_seeds=(),
        )
        plan.write(folder, [Task(hosts=hosts)])
        rows = []
        self.arrived: dict[str, float] = {}
        """When the page or the reject of an address came out, on the clock of the access logs."""
        made = fetch(Work(str(folder), str(folder), "me", plan, config), 0)
        for tagged in made:
            rows.append(tagged)
            if tagged[0] != "frontier" and tagged[1]["url"]:
                self.arrived[tagged[1]["url"]] = time.monotonic()
            if len(rows) == stop_after:
                made.close()
        self.pages = [row for tag, row in rows if tag == "page"]
        self.rejects = [row for tag, row in rows if tag == "reject"]
        self.events = [row for tag, row in rows if tag == "frontier"]
        for spec, found in ((PAGES, self.pages), (WEB_REJECTS, self.rejects), (FRONTIER, self.events)):
            batcher = RowBatcher(spec.schema)
            for row in found:
                batcher.add(row)
        if stop_after is None:
            asked = Counter((moved or {}).get(item.url, item.url) for each in hosts for item in each.items)
            put_back = [row["url"] for row in self.events if row["verdict"] == "deferred"]
            decided = [row["url"] for row in (*self.pages, *self.rejects)]
            assert Counter([*decided, *put_back]) == asked
            ended = [
                row["url"]
                for row in self.events
                if row["state"] in ("fetched", "refused", "failed") and row["tries"] + 1
            ]
            assert Counter(ended) >= Counter(decided)
            self._balance(folder, plan, [item for each in hosts for item in each.items])

    def _balance(self, folder: Path, plan: Round, selected: list[Item]) -> None:
        """Whether the ledger of the round has every fetch, record and byte."""
        tables = {PAGES.name: self.pages, WEB_REJECTS.name: self.rejects, FRONTIER.name: self.events}
        data = str(folder / "data")
        entries = {table: write_rows(table, data, rows) if rows else [] for table, rows in tables.items()}
        counts = Counter(
            (row["state"], row["verdict"])
            for row in self.events
            if row["state"] in ("fetched", "refused", "failed") or row["verdict"] == "deferred"
            if not row["verdict"].startswith("limit: ")
        )
        self.ledger = Ledger("ingest")
        closed = Closed(frontier=entries[FRONTIER.name], rejects=[], counts=counts, found=0, trouble=None)
        account(self.ledger, plan, folder, selected, closed, entries)
        self.ledger.check()

    @staticmethod
    def path(url: str) -> str:
        return urlsplit(url)._replace(scheme="", netloc="").geturl()

    @property
    def paths(self) -> list[str]:
        return [self.path(row["url"]) for row in self.pages]

    @property
    def why(self) -> dict[str, str]:
        return {self.path(row["url"]): row["reason"] for row in self.rejects}

    @property
    def put_back(self) -> dict[str, dict[str, Any]]:
        return {self.path(row["url"]): row for row in self.events if row["verdict"] == "deferred"}

    @property
    def found(self) -> dict[str, dict[str, Any]]:
        return {
            self.path(row["url"]): row for row in self.events if row["state"] == "known" and row["verdict"] is None
        }

    @property
    def host(self) -> dict[str, Any]:
        [event] = [row for row in self.events if row["state"] == "host"]
        return event
