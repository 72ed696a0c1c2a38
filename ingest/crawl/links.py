"""Addresses in one spelling, and the links and robots directives of an HTML page.

The page is scanned tag by tag, always forward: time grows with the page's length whatever is in it.
"""

from __future__ import annotations

import html
import ipaddress
import math
import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import unquote, urljoin, urlsplit

from millpond.ingest.crawl.signals import reserved_by_header, robots_directives

_PORTS = {"http": 80, "https": 443}
_BLANK = "".join(map(chr, range(33)))
_BACKSLASHES = re.compile(r"[^?#]*")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_STRIPPED = str.maketrans("", "", "\t\n\r")
_ESCAPE = re.compile(r"%([0-9A-Fa-f]{2})")
_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
#: ASCII that stands in a path or query as it is; everything else is percent-encoded as UTF-8.
_PLAIN = _UNRESERVED | frozenset("!$&'()*+,;=:@/%[]?")
_HOST = re.compile(r"[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?|\[[0-9a-f:.]+\]")

_TAG = re.compile(r"<(/?)([A-Za-z][^\t\n\f\r />]*)")
_ATTRIBUTE = re.compile(
    r"[\t\n\f\r /]*(?:(>)|([^\t\n\f\r />][^\t\n\f\r />=]*)"
    r"(?:[\t\n\f\r ]*=[\t\n\f\r ]*(?:\"([^\"]*)\"|'([^']*)'|([^\t\n\f\r >\"'][^\t\n\f\r >]*)|(?=>)))?)"
)
#: Elements whose content is text, whatever it looks like.
_RAW_TEXT = frozenset(("script", "style", "textarea", "title", "xmp", "iframe", "noembed", "noframes"))


@dataclass(frozen=True, slots=True)
class PageLinks:
    """What a page says about where to go on."""

    links: tuple[str, ...]
    """Canonical addresses of its followable links, in the page's order, each once."""
    directives: frozenset[str] = frozenset()
    """Its robots directives for all robots and ours, in lower case."""
    reserved: tuple[str, ...] = ()
    """Reservations it makes in a `<meta>` of their own."""
    past: int = 0
    """How many links follow after as many as are taken."""


def canonical_url(url: str, base: str | None = None) -> str | None:
    """`url`, resolved against `base`, in one spelling; None where it is no http(s) address.

    Lower case for scheme and host (IDNA), no default port, no dot segments, no fragment, no user; escapes in
    upper case and only where needed (RFC 3986, section 6.2.2). The query stays as it is; `traps.url_key` is what
    tells whether two addresses are one page's.
    """
    url = _BACKSLASHES.sub(
        lambda before: before[0].replace("\\", "/"), url.strip(_BLANK).translate(_STRIPPED), count=1
    )
    try:
        parts = urlsplit(urljoin(base, url) if base else url)
        port, host = parts.port, parts.hostname or ""
    except ValueError:
        return None
    if parts.scheme not in _PORTS or not host:
        return None
    name = _one_spelling(host)
    if name is None or not _HOST.fullmatch(name):
        return None
    host = name + ("" if port in (None, _PORTS[parts.scheme]) else f":{port}")
    query = f"?{_escaped(parts.query)}" if parts.query else ""
    path = _without_dots(_escaped(parts.path).replace("?", "%3F"))
    return f"{parts.scheme}://{host}{path}{query}"


def _one_spelling(host: str) -> str | None:
    """A host name in ASCII, an IP address in its usual form; None where it is neither."""
    try:
        if ":" in host:
            return f"[{ipaddress.IPv6Address(host)}]"
        host = unquote(host, errors="strict").lower().rstrip(".")
        host = host if host.isascii() else host.encode("idna").decode("ascii")
        # Browsers and resolvers read a name whose last part is a number as an IPv4 address, hexadecimal and all.
        return socket.inet_ntoa(socket.inet_aton(host)) if _NUMBER.fullmatch(host.rpartition(".")[2]) else host
    except (ValueError, OSError):
        return None


def origin(url: str) -> str:
    """Scheme, host and port of a canonical address, as the address spells them."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _escaped(text: str) -> str:
    text = _ESCAPE.sub(_tidy_escape, text)
    if all(c in _PLAIN for c in text):
        return text
    return "".join(
        c if c in _PLAIN else "".join(f"%{byte:02X}" for byte in c.encode("utf-8", "replace")) for c in text
    )


def _tidy_escape(match: re.Match[str]) -> str:
    character = chr(int(match[1], 16))
    return character if character in _UNRESERVED else f"%{match[1].upper()}"


def _without_dots(path: str) -> str:
    kept: list[str] = []
    segments = path.split("/")[1:]
    for segment in segments:
        if segment == "..":
            del kept[-1:]
        elif segment != ".":
            kept.append(segment)
    if segments and segments[-1] in (".", ".."):
        kept.append("")
    return "/" + "/".join(kept)


def page_links(text: str, url: str, robot: str, limit: float = math.inf) -> PageLinks:
    """Links and robots directives of the HTML page `text` at `url`; `robot` is our name in lower case.

    Links that say nofollow are not among them, nor those past the first `limit`. `<base href>` counts.
    """
    found: dict[str, None] = {}
    base, based = url, False
    directives: set[str] = set()
    reserved: list[str] = []
    past = 0
    for name, attributes in _tags(text):
        if name in ("a", "area"):
            if "href" not in attributes or "nofollow" in attributes.get("rel", "").lower().split():
                continue
            if len(found) >= limit:
                past += 1
            elif target := canonical_url(attributes["href"], base):
                found[target] = None
        elif name == "base" and "href" in attributes and not based:
            base, based = canonical_url(attributes["href"], url) or url, True
        elif name == "meta":
            kind, content = attributes.get("name", "").strip().lower(), attributes.get("content", "")
            if kind in ("robots", robot):
                directives |= robots_directives(content, robot)
            elif kind == "tdm-reservation":
                reserved += reserved_by_header(kind, content)
    return PageLinks(tuple(found), frozenset(directives), tuple(reserved), past)


def _tags(text: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Start tags with their attributes (names in lower case, values unescaped, first of a name wins)."""
    position = 0
    while (position := text.find("<", position)) >= 0:
        if text.startswith("<!--", position):
            end = text.find("-->", position + 4)
            if end < 0:
                return
            position = end + 3
            continue
        tag = _TAG.match(text, position)
        if tag is None:
            position += 1
            continue
        attributes: dict[str, str] = {}
        position = tag.end()
        while True:
            match = _ATTRIBUTE.match(text, position)
            if match is None:  # the text ends inside the tag, which then is none
                return
            position = match.end()
            if match[1]:
                break
            value = match[3] or match[4] or match[5] or ""
            attributes.setdefault(match[2].lower(), value)
        name = tag[2].lower()
        if not tag[1]:
            yield name, {key: html.unescape(value) for key, value in attributes.items()}
            if name in _RAW_TEXT:
                closing = re.compile(f"</{name}", re.I).search(text, position)
                if closing is None:
                    return
                position = closing.start()
