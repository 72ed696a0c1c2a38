"""Rows of `web.frontier`: what happened to one address, or to one host."""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Any

from millpond.ingest.crawl.plan import Item
from millpond.ingest.crawl.traps import url_key
from millpond.ingest.page import host_of
from millpond.reasons import Reason
from millpond.schemas import FRONTIER

#: States of addresses, and of events that concern a host.
KNOWN, FETCHED, REFUSED, FAILED = "known", "fetched", "refused", "failed"
HOST, ROBOTS = "host", "robots"
#: How an address became known.
SEED, LINK, REDIRECT, SITEMAP = "seed", "link", "redirect", "sitemap"
#: Verdicts that are no reasons: it became a page; it was selected and put back.
PAGE, DEFERRED = "page", "deferred"
#: What the verdict of an address begins with that a limit keeps out, until the round is closed.
LIMIT = f"{Reason.LIMIT}: "

_EMPTY: dict[str, Any] = dict.fromkeys(FRONTIER.schema.names)


class Events:
    """Makes the events of one round."""

    def __init__(self, crawl: str, number: int) -> None:
        self._fields = {**_EMPTY, "crawl": crawl, "round": number}

    def of(self, item: Item, seen_at: datetime, state: str, **fields: Any) -> dict[str, Any]:
        """An event of a selected address."""
        return {
            **self._fields,
            "seen_at": seen_at,
            "url": item.url,
            "url_key": item.url_key,
            "host": host_of(item.url),
            "depth": item.depth,
            "state": state,
            "found": item.found,
            "redirects": item.redirects,
            "tries": item.tries,
            "payload_digest": item.payload_digest,
            **fields,
        }

    def found(
        self, url: str, seen_at: datetime, depth: int, how: str, *, redirects: int = 0, limit: str | None = None
    ) -> dict[str, Any]:
        """An event of an address that was found, and of the limit that keeps it from being fetched."""
        state, verdict = (KNOWN, None) if limit is None else (REFUSED, f"{LIMIT}{limit}")
        item = Item(url=url, url_key=url_key(url), depth=depth, found=how, redirects=redirects)
        return self.of(item, seen_at, state, verdict=verdict)

    def of_host(
        self, host: str, seen_at: datetime, not_before: datetime | None, failures: int, why: str | None
    ) -> dict[str, Any]:
        """An event of a whole host: when it may be asked next, its failures in a row, the last of them.

        A host that may not be asked any more is given up.
        """
        key = hashlib.blake2b(f"//{host}".encode(), digest_size=16).hexdigest()
        place = {"url": f"//{host}", "url_key": key, "host": host}
        said = {"next_fetch_at": not_before, "tries": failures, "verdict": why}
        return {**self._fields, **place, **said, "seen_at": seen_at, "state": HOST}

    def of_rules(self, url: str, text: str, at: datetime) -> dict[str, Any]:
        """An event of a robots.txt, or of a file beside it, that was fetched."""
        place = {"url": url, "url_key": url_key(url), "host": host_of(url)}
        return {**self._fields, **place, "seen_at": at, "state": ROBOTS, "robots": text}
