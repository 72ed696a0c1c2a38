"""From what came of a fetch to rows: one page or one reject, what is known of its address now, what it links to."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from millpond.ingest import charset
from millpond.ingest.config import SiteConfig
from millpond.ingest.crawl import events
from millpond.ingest.crawl.events import Events
from millpond.ingest.crawl.fetch import Answer, Failure
from millpond.ingest.crawl.journal import Kept
from millpond.ingest.crawl.links import PageLinks, canonical_url, page_links
from millpond.ingest.crawl.plan import Item
from millpond.ingest.crawl.robots import product
from millpond.ingest.crawl.scope import Scope
from millpond.ingest.crawl.signals import (
    IMAGES_ONLY,
    reserved_by_directives,
    reserved_by_header,
    robots_directives,
)
from millpond.ingest.crawl.sitemaps import read_sitemap
from millpond.ingest.crawl.traps import trap, url_key
from millpond.ingest.http_body import decode_body, parse_content_type
from millpond.ingest.page import Rejected, Row, page_row, reject_row
from millpond.reasons import Reason

_HTML = ("text/html", "application/xhtml+xml")
_REDIRECTS = (301, 302, 303, 307, 308)


@dataclass(frozen=True)
class Decider:
    """Decides on fetched addresses of one task.

    Args:
        place: where the task's WARC file will lie; pages and rejects point there.
    """

    config: SiteConfig
    events: Events
    scope: Scope
    crawl: str
    place: str

    @property
    def robot(self) -> str:
        """The product name of the user agent, which robots.txt and robots directives know us by."""
        return product(self.config.user_agent)

    def decide(self, item: Item, kept: Kept, reserved: list[str]) -> list[Row]:
        """Rows for a fetched address; `reserved` is what robots.txt said of its use."""
        found = _Found(list(reserved))
        fields: dict[str, Any] = {"tries": item.tries + 1, "next_fetch_at": self._again(item, kept.result.fetched_at)}
        answer = kept.result if isinstance(kept.result, Answer) else None
        if answer is not None:
            fields |= {"etag": answer.header("etag"), "last_modified": answer.header("last-modified")}
        rows: list[Row] = []
        at = kept.result.fetched_at
        try:
            page = self._page(item, kept, found)
            rows.append(("page", page))
            fields["payload_digest"] = page["payload_digest"]
            fields["next_fetch_at"] = self._after(at)
            state, verdict = events.FETCHED, events.PAGE
        except _Respelled as other:
            fields |= {"verdict": events.DEFERRED, "next_fetch_at": at, "etag": item.etag}
            fields |= {"last_modified": item.last_modified}
            return [("frontier", self.events.of(other.item, at, events.KNOWN, **fields))]
        except Rejected as problem:
            rows.append(self.reject(item, problem.reason, problem.detail, kept))
            state, verdict = (events.FETCHED if answer else events.FAILED), str(problem.reason)
        fields["reservation"] = "; ".join(dict.fromkeys(found.reserved)) or None
        rows.append(("frontier", self.events.of(item, at, state, verdict=verdict, **fields)))
        rows.extend(("frontier", row) for row in self._links(item, kept, found))
        if found.past:
            said = f"links past max_page_links = {self.config.max_page_links} of {item.url}"
            reason, records = Reason.LIMIT, found.past
            row = reject_row(file=self.place, reason=reason, detail=said, crawl=self.crawl, records=records)
            rows.append(("reject", row))
        return rows

    def refuse(self, item: Item, state: str, reason: Reason, detail: str, at: datetime, **fields: Any) -> list[Row]:
        """Rows for an address that is decided on without a fetch."""
        fields["next_fetch_at"] = self._again(item, at)
        event = self.events.of(item, at, state, verdict=str(reason), **fields)
        return [self.reject(item, reason, detail, None), ("frontier", event)]

    def reject(self, item: Item, reason: Reason, detail: str, kept: Kept | None) -> Row:
        """The reject of an address; it points to the answer, where there was one."""
        offset, length = (kept.offset, kept.length) if kept else (None, None)
        row = reject_row(
            file=self.place,
            reason=reason,
            detail=detail,
            crawl=self.crawl,
            offset=offset,
            length=length,
            url=item.url,
        )
        return "reject", row

    def _after(self, at: datetime) -> datetime | None:
        age = self.config.refetch_seconds
        return None if age is None else at + timedelta(seconds=age)

    def _again(self, item: Item, at: datetime) -> datetime | None:
        """When what has been a page, or is a sitemap, is asked for again, whatever came of it this time."""
        return self._after(at) if item.payload_digest or item.found == events.SITEMAP else None

    def _links(self, item: Item, kept: Kept, found: _Found) -> Iterator[dict[str, Any]]:
        for url, depth, how, redirects in found.links:
            if url in self.scope:
                limit = trap(url, depth, self.config)
                yield self.events.found(url, kept.result.fetched_at, depth, how, redirects=redirects, limit=limit)

    def _page(self, item: Item, kept: Kept, found: _Found) -> dict[str, Any]:
        answer = kept.result
        if isinstance(answer, Failure):
            raise Rejected(answer.reason, answer.detail)
        if answer.status == 304 and (item.etag or item.last_modified):
            raise Rejected(Reason.NOT_MODIFIED, "304: as it was when it was fetched before")
        if answer.status in _REDIRECTS:
            raise Rejected(Reason.REDIRECT, self._redirect(item, answer, found))
        if answer.status != 200:
            raise Rejected(Reason.HTTP_STATUS, str(answer.status))
        if answer.truncated == "length":
            raise Rejected(Reason.TOO_LARGE, f"body of more than {self.config.max_body_bytes} bytes")
        if answer.truncated:
            ended = "time ran out" if answer.truncated == "time" else "connection ended"
            raise Rejected(Reason.FETCH_FAILED, f"the {ended} after {len(answer.body)} bytes of the body")
        if item.found == events.SITEMAP:
            raise Rejected(Reason.NOT_A_PAGE, self._sitemap(item, answer, found))
        media_type, label = parse_content_type(answer.header("content-type"))
        if media_type not in self.config.media_types:
            raise Rejected(Reason.NOT_A_PAGE, media_type or "no Content-Type")
        body = self._body(answer)
        codec = charset.decide(body, label)
        said = PageLinks(())
        if media_type in _HTML:
            said = page_links(body.decode(codec, "replace"), answer.url, self.robot, self.config.max_page_links)
        tags = answer.all_of("x-robots-tag")
        directives = said.directives.union(*(robots_directives(tag, self.robot) for tag in tags))
        if not directives & {"nofollow", "none"}:
            found.links += [(url, item.depth + 1, events.LINK, 0) for url in said.links]
            found.past = said.past
        found.reserved += [*reserved_by_directives(directives), *said.reserved]
        for name in ("tdm-reservation", "content-usage", "content-signal"):
            found.reserved += reserved_by_header(name, answer.header(name))
        if directives & {"noindex", "none"}:
            raise Rejected(Reason.ROBOTS, "the page asks not to be indexed")
        if self.is_reserved(found.reserved):
            raise Rejected(Reason.RESERVED, "; ".join(dict.fromkeys(found.reserved)))
        if item.payload_digest == hashlib.sha256(body).hexdigest():
            raise Rejected(Reason.DUPLICATE_PAGE, "as it was when it was fetched before")
        return page_row(
            url=answer.url,
            fetched_at=answer.fetched_at,
            status=answer.status,
            content_type=media_type,
            body=body,
            charset=codec,
            crawl=self.crawl,
            source_file=self.place,
            source_offset=kept.offset or 0,
            source_length=kept.length,
        )

    def is_reserved(self, reserved: list[str]) -> bool:
        """Whether what was said keeps a text out."""
        return self.config.obey_reservations and any(said != IMAGES_ONLY for said in reserved)

    def _body(self, answer: Answer) -> bytes:
        return decode_body(
            answer.body,
            transfer_encoding=None,
            content_encoding=answer.header("content-encoding"),
            limit=self.config.max_body_bytes,
        )

    def _redirect(self, item: Item, answer: Answer, found: _Found) -> str:
        target = canonical_url(answer.location, answer.url) if answer.location else None
        if target is None:
            return f"{answer.status} without an address to go to"
        if target not in self.scope:
            return f"{answer.status} to another host, not followed: {target}"
        if item.redirects >= self.config.max_redirects:
            return f"{answer.status} not followed after {item.redirects} redirects: {target}"
        if target != item.url and url_key(target) == item.url_key:
            raise _Respelled(item.model_copy(update={"url": target, "redirects": item.redirects + 1}))
        found.links.append((target, item.depth, events.REDIRECT, item.redirects + 1))
        return f"{answer.status} to {target}"

    def _sitemap(self, item: Item, answer: Answer, found: _Found) -> str:
        sitemap = read_sitemap(self._body(answer), self.config.max_body_bytes)
        found.links += [(url, item.depth + 1, events.LINK, 0) for url in sitemap.pages]
        found.links += [(url, item.depth + 1, events.SITEMAP, 0) for url in sitemap.sitemaps]
        return f"a sitemap of {len(sitemap.pages) + len(sitemap.sitemaps)} addresses"


class _Respelled(Exception):
    """A redirect to another spelling of the same address, by which it is to be asked for from now on."""

    def __init__(self, item: Item) -> None:
        self.item = item


class _Found:
    """What an answer says beside its text, kept also where it gives no page."""

    def __init__(self, reserved: list[str]) -> None:
        self.reserved = reserved
        self.links: list[tuple[str, int, str, int]] = []
        """Address, depth, how it was found, redirects that led there."""
        self.past = 0
        """Links that are too many."""
