"""Addresses of a sitemap: XML, RSS, Atom or plain text, as it is or in gzip; sitemaps of sitemaps too.

What is parsed is bounded first, in bytes; of its addresses 50,000 count, as sitemaps.org has it. Document types and
entities end the parsing.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice

from usp.objects.sitemap import AbstractIndexSitemap, AbstractSitemap, InvalidSitemap
from usp.tree import sitemap_from_str

from millpond.ingest.charset import byte_order_mark
from millpond.ingest.crawl.links import canonical_url
from millpond.ingest.http_body import decode_body
from millpond.ingest.page import Rejected
from millpond.reasons import Reason

MAX_ADDRESSES = 50_000
_GZIP = b"\x1f\x8b"

# The parser logs each of its steps, and a broken sitemap of somebody's is no news of ours.
logging.getLogger("usp").setLevel(logging.CRITICAL)


@dataclass(frozen=True, slots=True)
class Sitemap:
    """Canonical addresses that a sitemap names."""

    pages: tuple[str, ...]
    sitemaps: tuple[str, ...]


def read_sitemap(body: bytes, limit: int) -> Sitemap:
    """Read a sitemap of at most `limit` bytes, inflated.

    Raises:
        Rejected: it is none (not_a_page), broken gzip (body_encoding) or too large (too_large).
    """
    if body.startswith(_GZIP):
        body = decode_body(body, transfer_encoding=None, content_encoding="gzip", limit=limit)
    tree = sitemap_from_str(body.decode(byte_order_mark(body) or "utf-8", "replace").lstrip())
    if isinstance(tree, InvalidSitemap):
        raise Rejected(Reason.NOT_A_PAGE, f"no sitemap: {tree.reason}")
    inner: list[AbstractSitemap] = list(tree.sub_sitemaps) if isinstance(tree, AbstractIndexSitemap) else []
    pages = () if inner else (page.url for page in tree.all_pages())
    return Sitemap(_canonical(pages), _canonical(each.url for each in inner))


def _canonical(urls: Iterable[str]) -> tuple[str, ...]:
    found = (canonical_url(url) for url in islice(urls, MAX_ADDRESSES))
    return tuple(dict.fromkeys(url for url in found if url))
