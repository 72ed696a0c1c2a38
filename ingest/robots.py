"""robots.txt of one site, by RFC 9309.

An answer 2xx is parsed, up to five redirects are followed (to other hosts too), 4xx and more redirects than
that mean there are no rules; 5xx, and no answer at all, mean the whole site is off limits. Rules are matched by
protego; what it does not do itself is done here: a byte order mark is removed, and no more than the first
500 KiB are read.
"""

from __future__ import annotations

from dataclasses import dataclass

from protego import Protego

from millpond.errors import InputError
from millpond.ingest.fetch import Get
from millpond.ingest.http_body import decode_body
from millpond.ingest.links import canonical_url, origin
from millpond.ingest.page import Rejected

_MAX_BYTES = 500 << 10
_MAX_REDIRECTS = 5


@dataclass(frozen=True, slots=True)
class Robots:
    """The rules of a site for one robot."""

    rules: Protego
    robot: str

    @classmethod
    def parse(cls, content: bytes, robot: str) -> Robots:
        """Rules from the bytes of a robots.txt; `robot` is the product name of the user agent."""
        text = content[:_MAX_BYTES].decode("utf-8-sig", "replace")
        return cls(Protego.parse(text), robot)

    def allows(self, url: str) -> bool:
        """Whether the rules let us fetch `url`; robots.txt itself always."""
        return url == f"{origin(url)}/robots.txt" or self.rules.can_fetch(url, self.robot)

    @property
    def crawl_delay(self) -> float:
        """Seconds the site wants between requests; 0 where it does not say."""
        return self.rules.crawl_delay(self.robot) or 0.0


def fetch_robots(get: Get, site: str, robot: str) -> Robots:
    """Fetch and read the rules of the site at `site` (scheme, host and port).

    Raises:
        InputError: the site is off limits because its rules cannot be had at present.
    """
    url = f"{site}/robots.txt"
    for _ in range(_MAX_REDIRECTS + 1):
        try:
            answer = get(url, _MAX_BYTES)
        except Rejected as error:
            raise InputError(f"{url} cannot be fetched ({error.detail}), so the site is off limits") from error
        if answer.status >= 500:
            raise InputError(f"{url} answers {answer.status}, so the site is off limits: try again later")
        if 200 <= answer.status < 300:
            return Robots.parse(_content(url, answer.body, answer.headers.get("content-encoding")), robot)
        location = answer.headers.get("location")
        target = canonical_url(location, url) if location else None
        if not 300 <= answer.status < 400 or target is None:
            break
        url = target
    return Robots.parse(b"", robot)


def _content(url: str, body: bytes, encoding: str | None) -> bytes:
    try:
        return decode_body(body, transfer_encoding=None, content_encoding=encoding, limit=16 * _MAX_BYTES)
    except Rejected as error:
        raise InputError(f"{url} cannot be read ({error.detail}), so the site is off limits") from error
