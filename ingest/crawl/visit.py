"""One host's share of a round: robots.txt, then its addresses one after the other, with the delay it wants.

An address ends as a page, as one reject, or is put back as known: when its host cannot be reached, asks to come again
later, or is left before its turn. A host that fails again and again is given up, and with it its addresses.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

from millpond.ingest.config import SiteConfig
from millpond.ingest.crawl import events, tdmrep
from millpond.ingest.crawl.decide import Decider
from millpond.ingest.crawl.fetch import Answer, Failure, Fetcher, may_be_sent
from millpond.ingest.crawl.journal import Journal, Kept
from millpond.ingest.crawl.links import origin
from millpond.ingest.crawl.plan import Host, Item
from millpond.ingest.crawl.robots import MAX_AGE, MAX_BYTES, Robots, RobotsFile, fetch_beside, fetch_robots
from millpond.ingest.crawl.tdmrep import TdmFile
from millpond.ingest.crawl.turns import Turns
from millpond.ingest.page import Row, host_of
from millpond.reasons import Reason

Emit = Callable[[list[Row]], Awaitable[None]]


class Visit:
    """One visit to one host."""

    def __init__(
        self,
        host: Host,
        config: SiteConfig,
        fetcher: Fetcher,
        journal: Journal,
        turns: Turns,
        decider: Decider,
        emit: Emit,
    ) -> None:
        self.host = host
        self.config = config
        self.fetcher = fetcher
        self.journal = journal
        self.turns = turns
        self.decider = decider
        self.emit = emit
        self.delay = config.delay_seconds
        self.failures = host.failures
        self.given_up = host.given_up
        self.trouble: str | None = None
        """The reason and detail of the host's last failure."""
        self.left_until: datetime | None = None
        """Until when the host is left alone; None while it is being visited."""
        self._rules: dict[str, tuple[RobotsFile, Robots]] = {}
        self._reserved: dict[str, tuple[RobotsFile, TdmFile]] = {}

    async def run(self) -> None:
        """Decide on every address of the host, or put it back."""
        name, now = self.host.host, datetime.now(UTC)
        if self.host.not_before:
            self.turns.pause(name, (self.host.not_before - now).total_seconds())
        if self.journal.resumed:  # the attempt before may have asked a moment ago
            longest = max(
                (Robots(r.text, self.decider.robot).crawl_delay for r in self.host.robots.values()), default=0
            )
            self.turns.pause(name, max(self.delay, longest))
        for item in self.host.items:
            await self.emit(await self._decide(item))
        if self.host.given_up is None:
            next_at = None if self.given_up else self.left_until or self.turns.next_at(name)
            event = self.decider.events.of_host(name, datetime.now(UTC), next_at, self.failures, self.trouble)
            await self.emit([("frontier", event)])

    async def _decide(self, item: Item) -> list[Row]:
        now = datetime.now(UTC)
        if self.given_up is not None:
            reason, _, detail = self.given_up.partition(": ")
            return self.decider.refuse(item, events.FAILED, Reason(reason), detail, now)
        if self.left_until is not None:
            return self._put_back(item, now, self.left_until)
        rules = await self._robots(origin(item.url))
        if isinstance(rules, Failure):
            self._failed(rules)
            return await self._decide(item)
        wish = rules.crawl_delay
        if wish > self.config.max_crawl_delay_seconds:
            longest = f"ingest.site.max_crawl_delay_seconds = {self.config.max_crawl_delay_seconds:g}"
            detail = f"robots.txt asks for {wish:g} s between requests, more than {longest}"
            return self.decider.refuse(item, events.REFUSED, Reason.ROBOTS, detail, now)
        if not rules.allows(item.url):
            return self.decider.refuse(item, events.REFUSED, Reason.ROBOTS, "disallowed by robots.txt", now)
        self.delay = max(self.config.delay_seconds, wish)
        reserved = [*rules.reservations.of(item.url), *(await self._tdm_file(origin(item.url), rules)).of(item.url)]
        if self.decider.is_reserved(reserved) and item.found != events.SITEMAP:
            said = "; ".join(reserved)
            return self.decider.refuse(item, events.REFUSED, Reason.RESERVED, said, now, reservation=said)
        kept = await self._get(item.url, headers=_conditions(item))
        return await self._judge(item, kept, reserved)

    async def _judge(self, item: Item, kept: Kept, reserved: list[str]) -> list[Row]:
        result = kept.result
        if isinstance(result, Failure):
            if result.down or result.silent:
                self._failed(result)
            if result.down:  # whether the address is there is not known yet
                return await self._decide(item)
            return self.decider.decide(item, kept, reserved)
        self.failures = 0
        if result.status in (429, 503):
            wait = min(result.retry_after or self._backoff(item.tries), self.config.max_retry_seconds)
            until = result.fetched_at + timedelta(seconds=wait)
            left = (until - datetime.now(UTC)).total_seconds()
            self.turns.pause(self.host.host, left)
            if left > self.config.max_crawl_delay_seconds:
                self.left_until = until
            if item.tries + 1 < self.config.max_tries:
                return self._put_back(item.model_copy(update={"tries": item.tries + 1}), result.fetched_at, until)
        return await asyncio.to_thread(self.decider.decide, item, kept, reserved)

    def _put_back(self, item: Item, at: datetime, until: datetime) -> list[Row]:
        fields = {"verdict": events.DEFERRED, "etag": item.etag, "last_modified": item.last_modified}
        return [("frontier", self.decider.events.of(item, at, events.KNOWN, next_fetch_at=until, **fields))]

    def _failed(self, failure: Failure) -> None:
        """Count a failure of the host, and leave it for now or give it up."""
        self.failures += 1
        self.trouble = f"{failure.reason}: {failure.detail}"
        if failure.final:
            self.given_up = self.trouble
        elif self.failures >= self.config.max_tries:
            self.trouble = f"{failure.reason}: host given up after {self.failures} failures: {failure.detail}"
            self.given_up = self.trouble
        elif failure.down:
            wait = max(self._backoff(self.failures - 1), failure.retry_after or 0.0)
            self.left_until = failure.fetched_at + timedelta(seconds=min(wait, self.config.max_retry_seconds))

    def _backoff(self, failures: int) -> float:
        return min(self.config.retry_seconds * 2.0**failures, self.config.max_retry_seconds)

    async def _robots(self, site: str) -> Robots | Failure:
        known = self._rules.get(site)
        if known and known[0].is_fresh(datetime.now(UTC)):
            return known[1]
        planned = self.host.robots.get(site)
        fetch = planned is None or not planned.is_fresh(datetime.now(UTC))
        found = await fetch_robots(self._answer, site) if planned is None or fetch else planned
        if isinstance(found, Failure):
            return found
        robots = Robots(found.text, self.decider.robot)
        if fetch:
            rows = [self.decider.events.of_rules(f"{site}/robots.txt", found.text, found.at)]
            if self.config.sitemaps:
                named = [url for url in robots.sitemaps if url in self.decider.scope]
                rows += [self.decider.events.found(url, found.at, 0, events.SITEMAP) for url in named]
            await self.emit([("frontier", row) for row in rows])
            self.turns.pause(self.host.host, min(robots.crawl_delay, self.config.max_crawl_delay_seconds))
        self._rules[site] = found, robots
        return robots

    async def _tdm_file(self, site: str, robots: Robots) -> TdmFile:
        known = self._reserved.get(site)
        if known and known[0].is_fresh(datetime.now(UTC)):
            return known[1]
        url = site + tdmrep.PATH
        if not self.config.tdmrep or not robots.allows(url):
            return TdmFile("")
        found = self.host.robots.get(url)
        if found is None or not found.is_fresh(datetime.now(UTC)):
            found = await fetch_beside(self._answer, url)
            await self.emit([("frontier", self.decider.events.of_rules(url, found.text, found.at))])
        self._reserved[site] = found, TdmFile(found.text)
        return self._reserved[site][1]

    async def _answer(self, url: str) -> Answer | Failure:
        return (await self._get(url, max_bytes=MAX_BYTES, max_age=MAX_AGE)).result

    def _kept(self, url: str, max_age: timedelta | None) -> Kept | None:
        kept = self.journal.kept(url)
        old = kept and max_age is not None and datetime.now(UTC) - kept.result.fetched_at >= max_age
        return None if old else kept

    async def _get(
        self,
        url: str,
        *,
        max_bytes: int | None = None,
        headers: dict[str, str] | None = None,
        max_age: timedelta | None = None,
    ) -> Kept:
        """Fetch an address when it is its turn, unless it has been fetched; `max_age` is how long that counts."""
        if (kept := self._kept(url, max_age)) is not None:
            return kept
        async with self.turns.at(host_of(url) or "", self.delay):
            if (kept := self._kept(url, max_age)) is not None:
                return kept
            self.journal.begin(url)
            result = await self.fetcher.get(url, max_bytes=max_bytes, headers=headers)
            sent = (*self.fetcher.headers, *(headers or {}).items())
            return await asyncio.to_thread(self.journal.keep, result, sent)


def _conditions(item: Item) -> dict[str, str]:
    """Headers that ask for the page only if it has changed."""
    said = {"If-None-Match": item.etag, "If-Modified-Since": item.last_modified}
    return {name: value for name, value in said.items() if value and may_be_sent(value)}
