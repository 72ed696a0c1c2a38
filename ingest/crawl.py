"""A polite crawl of one host → pages, counted rejects, and what is known of each of its addresses.

Output: tagged rows, see `millpond.ingest.page`. Addresses are fetched in order of depth, then of spelling, so
an unchanged site is fetched in the same order each time. An address that was decided on is a page or one
reject: refused by robots.txt, a redirect, another status, another media type, a failure. Those left over when a
limit is reached are one reject that counts them. Links to other hosts, and robots.txt itself, are no records.

Politeness: robots.txt and `nofollow` are obeyed, one request at a time, the delay between the starts of two
requests is never shorter than the site asks for, and after an answer 429 or 503 the time its Retry-After names
is waited for, then the same address is asked for again, up to three times. A longer wait than the longest delay
that is accepted is cut to that, and the address is rejected.
"""

from __future__ import annotations

import hashlib
import heapq
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

from millpond.errors import InputError
from millpond.ingest import charset
from millpond.ingest.config import IngestConfig
from millpond.ingest.fetch import Answer, Fetcher, Get, is_loopback
from millpond.ingest.http_body import decode_body, parse_content_type
from millpond.ingest.links import PageLinks, canonical_url, origin, page_links, robots_directives
from millpond.ingest.page import Rejected, Row, page_row, reject_row, to_utc
from millpond.ingest.robots import Robots, fetch_robots
from millpond.reasons import Reason

_HTML = ("text/html", "application/xhtml+xml")
_REDIRECTS = (301, 302, 303, 307, 308)
_ASKED_AGAIN = 3


def crawl_site(
    url: str, config: IngestConfig, *, progress: Callable[[int, int], None] = lambda done, known: None
) -> Iterator[Row]:
    """Crawl the host of `url`, from `url` on.

    Args:
        url: an http or https address.
        config: limits and politeness in `config.site`; the crawl's name.
        progress: called after each address with how many are decided on and how many are known.

    Raises:
        InputError: the address is no web address, nobody to contact is named, or robots.txt forbids the site.
    """
    start = canonical_url(url)
    if start is None:
        raise InputError(f"{url!r} is not an http or https address: write it as https://host/path")
    host = urlsplit(start).hostname or ""
    if not config.site.contact and not is_loopback(host):
        raise InputError(f"ingest.site.contact is empty: name a web or e-mail address before crawling {host}")
    with Fetcher(config.site) as fetcher:
        yield from _Crawl(start, config, fetcher.get, progress).run()


class _Crawl:
    """One crawl: the frontier, the clock between requests, and the counts."""

    def __init__(self, start: str, config: IngestConfig, get: Get, progress: Callable[[int, int], None]) -> None:
        self.start = start
        self.crawl = config.crawl
        self.config = config.site
        self.get = get
        self.progress = progress
        self.site = origin(start)
        self.robot = self.config.user_agent.partition("/")[0].strip()
        self.delay = self.config.delay_seconds
        self.next_start = 0.0
        # Addresses to decide on: depth, address, redirects that led there.
        self.queue: list[tuple[int, str, int]] = [(0, start, 0)]
        # Digests of the addresses decided on or queued, and of those that will not be fetched with the limit they
        # pass: the site has a say in how many there are and how long.
        self.known = {_digest(start)}
        self.beyond: dict[bytes, str] = {}
        self.past_known = 0
        self.requests = 0
        self.decided = 0
        self.bytes = 0

    def run(self) -> Iterator[Row]:
        robots = fetch_robots(self._get, self.site, self.robot)
        if robots.crawl_delay > self.config.max_crawl_delay_seconds:
            raise InputError(
                f"{self.site}/robots.txt asks for {robots.crawl_delay:g} s between requests, more than "
                f"ingest.site.max_crawl_delay_seconds = {self.config.max_crawl_delay_seconds:g}"
            )
        if robots.crawl_delay > self.delay:
            self.next_start += robots.crawl_delay - self.delay
            self.delay = robots.crawl_delay
        while self.queue and self.requests < self.config.max_pages:
            depth, url, redirects = heapq.heappop(self.queue)
            yield from self._decide(robots, depth, url, redirects)
            self.progress(self.decided, self.decided + len(self.queue))
        yield from self._left_over()
        yield "file", {"file": self.start, "records": self.decided, "bytes": self.bytes}

    def _decide(self, robots: Robots, depth: int, url: str, redirects: int) -> Iterator[Row]:
        self.decided += 1
        answer: Answer | None = None
        before = self.requests
        try:
            if not robots.allows(url):
                raise Rejected(Reason.ROBOTS, "disallowed by robots.txt")
            answer = self._fetch(url)
            page, links = self._page(answer, depth, redirects)
        except Rejected as problem:
            number = before if self.requests > before else None
            yield "reject", self._reject(problem.reason, problem.detail, url, number)
            state = "refused" if problem.reason == Reason.ROBOTS else "fetched" if answer else "failed"
            yield "frontier", self._frontier(url, depth, state, answer, problem.reason, self.requests - before)
            return
        yield "page", page
        yield "frontier", self._frontier(url, depth, "fetched", answer, "page", self.requests - before)
        for link in links:
            self._add(link, depth + 1, 0)

    def _fetch(self, url: str) -> Answer:
        """The answer for an address; the last one, where the site asks to come again later."""
        longest = self.config.max_crawl_delay_seconds
        left = min(1 + _ASKED_AGAIN, self.config.max_pages - self.requests)
        while True:
            left -= 1
            self.requests += 1
            answer = self._get(url, None)
            self.bytes += len(answer.body)
            wait = _retry_after(answer)
            if wait is None:
                return answer
            self.next_start = max(self.next_start, time.monotonic() + min(wait, longest))
            if wait > longest or not left:
                return answer

    def _page(self, answer: Answer, depth: int, redirects: int) -> tuple[dict[str, Any], tuple[str, ...]]:
        """The page an answer holds, and the links to follow from it."""
        if answer.status in _REDIRECTS:
            raise Rejected(Reason.REDIRECT, self._redirect(answer, depth, redirects))
        if answer.status != 200:
            raise Rejected(Reason.HTTP_STATUS, str(answer.status))
        media_type, label = parse_content_type(answer.headers.get("content-type"))
        if media_type not in self.config.media_types:
            raise Rejected(Reason.NOT_A_PAGE, media_type or "no Content-Type")
        body = decode_body(
            answer.body,
            transfer_encoding=None,
            content_encoding=answer.headers.get("content-encoding"),
            limit=self.config.max_body_bytes,
        )
        codec = charset.decide(body, label)
        wishes = PageLinks((), True, True)
        if media_type in _HTML:
            wishes = page_links(body.decode(codec, "replace"), answer.url, self.robot.lower())
        tags = robots_directives(answer.headers.get("x-robots-tag", ""), self.robot.lower())
        links = wishes.links if wishes.follow and not tags & {"nofollow", "none"} else ()
        if not wishes.index or tags & {"noindex", "none"}:
            for link in links:
                self._add(link, depth + 1, 0)
            raise Rejected(Reason.ROBOTS, "the page asks not to be indexed")
        page = page_row(
            url=answer.url,
            fetched_at=answer.fetched_at,
            status=answer.status,
            content_type=media_type,
            body=body,
            charset=codec,
            crawl=self.crawl,
            source_file=self.start,
            source_offset=self.requests - 1,
            source_length=len(answer.body),
        )
        return page, links

    def _redirect(self, answer: Answer, depth: int, redirects: int) -> str:
        """Follow a redirect within the host; say what became of it."""
        location = answer.headers.get("location")
        target = canonical_url(location, answer.url) if location else None
        if target is None:
            return f"{answer.status} without an address to go to"
        if origin(target) != self.site:
            return f"{answer.status} to another host, not followed: {target}"
        if redirects >= self.config.max_redirects:
            return f"{answer.status} not followed after {redirects} redirects: {target}"
        self._add(target, depth, redirects + 1)
        return f"{answer.status} to {target}"

    def _add(self, url: str, depth: int, redirects: int) -> None:
        """Take an address into the frontier, if it is of this site and new."""
        key = _digest(url)
        if origin(url) != self.site or key in self.known:
            return
        if key not in self.beyond and len(self.known) + len(self.beyond) >= self.config.max_known:
            self.past_known += 1
        elif len(url) > self.config.max_url_chars:
            self.beyond[key] = f"longer than max_url_chars = {self.config.max_url_chars}"
        elif depth > self.config.max_depth:
            self.beyond[key] = f"deeper than max_depth = {self.config.max_depth}"
        else:
            self.beyond.pop(key, None)
            self.known.add(key)
            heapq.heappush(self.queue, (depth, url, redirects))

    def _left_over(self) -> Iterator[Row]:
        counts = Counter(self.beyond.values())
        counts[f"links past max_known = {self.config.max_known}"] = self.past_known
        counts[f"max_pages = {self.config.max_pages} reached"] = len(self.queue)
        for detail, count in sorted(counts.items()):
            if count:
                self.decided += count
                yield "reject", self._reject(Reason.LIMIT, detail, records=count)

    def _get(self, url: str, max_bytes: int | None) -> Answer:
        """Fetch when the next request may start."""
        time.sleep(max(0.0, self.next_start - time.monotonic()))
        self.next_start = time.monotonic() + self.delay
        return self.get(url, max_bytes)

    def _reject(
        self, reason: Reason, detail: str, url: str | None = None, number: int | None = None, records: int = 1
    ) -> dict[str, Any]:
        return reject_row(
            file=self.start,
            reason=reason,
            detail=detail,
            crawl=self.crawl,
            offset=number,
            url=url,
            records=records,
        )

    def _frontier(
        self, url: str, depth: int, state: str, answer: Answer | None, verdict: str, tries: int
    ) -> dict[str, Any]:
        headers = answer.headers if answer else {}
        return {
            "crawl": self.crawl,
            "seen_at": answer.fetched_at if answer else datetime.now(UTC),
            "url": url,
            "host": urlsplit(url).hostname,
            "depth": depth,
            "state": state,
            "next_fetch_at": None,
            "etag": headers.get("etag"),
            "last_modified": headers.get("last-modified"),
            "tries": tries,
            "verdict": str(verdict),
        }


def _digest(url: str) -> bytes:
    return hashlib.blake2b(url.encode(), digest_size=16).digest()


def _retry_after(answer: Answer) -> float | None:
    """Seconds to wait before the same address is asked for again; None where the answer does not say so."""
    value = answer.headers.get("retry-after", "").strip()
    if answer.status not in (429, 503):
        return None
    if value.isdecimal():
        return float(value)
    try:
        date = to_utc(parsedate_to_datetime(value))
    except (ValueError, OverflowError):
        return None
    return max(0.0, (date - datetime.now(UTC)).total_seconds()) if date else None
