"""What an address shows of itself that speaks for an endless site, and the one address behind its variants."""

from __future__ import annotations

import hashlib
import re
from urllib.parse import urlsplit

from w3lib.url import canonicalize_url

from millpond.ingest.config import SiteConfig

_NAMES = "jsessionid|phpsessid|aspsessionid[a-z]*|sessionid|session_id|oscsid|zenid|cfid|cftoken"
#: Where a session's id stands: behind a semicolon, as a folder of ASP.NET's, in the query.
_SESSION = re.compile(rf";(?:{_NAMES})=[^/;?#]*|/\(S\([^/()]*\)\)(?=/)", re.I)
_SESSION_QUERY = re.compile(rf"(?:{_NAMES})(?:=|$)", re.I)


def url_key(url: str) -> str:
    """What addresses of one page share: 32 hex digits, of a canonical address without session ids.

    The order of the query's arguments does not count, nor how its spaces are spelled. What is fetched is the address
    as the site spells it.
    """
    head, mark, query = url.partition("?")
    head = _SESSION.sub("", head)
    if mark:
        query = "&".join(part for part in query.split("&") if not _SESSION_QUERY.match(part))
    return hashlib.blake2b(canonicalize_url(f"{head}?{query}").encode(), digest_size=16).hexdigest()


def trap(url: str, depth: int, limits: SiteConfig) -> str | None:
    """The limit that keeps an address from being fetched; None where there is none."""
    if len(url) > limits.max_url_chars:
        return f"longer than max_url_chars = {limits.max_url_chars}"
    if depth > limits.max_depth:
        return f"deeper than max_depth = {limits.max_depth}"
    segments = [segment for segment in urlsplit(url).path.split("/") if segment]
    if len(segments) > limits.max_path_segments:
        return f"more than max_path_segments = {limits.max_path_segments}"
    if _repeats(segments, limits.max_segment_repeats + 1):
        return f"the same segments more than max_segment_repeats = {limits.max_segment_repeats} times in a row"
    return None


def _repeats(segments: list[str], times: int) -> bool:
    """Whether a run of segments stands there so many times in a row."""
    for length in range(1, len(segments) // times + 1):
        for start in range(len(segments) - length * times + 1):
            if segments[start : start + length] * times == segments[start : start + length * times]:
                return True
    return False
