"""E-mail and IP addresses.

E-mail: what stands around an `@`, with the characters that mailboxes have in use (a practical part of RFC 5321),
and a domain whose last label is letters. `logo@2x.png` is a file. IP: whatever the standard library reads as an
address, where it is not part of a longer number, and no version.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator

from millpond.curate.privacy.span import FILLERS, Span, before, blanked

_LATIN = "A-Za-z0-9\u00c0-\u024f\u0370-\u03ff\u0400-\u04ff"
_LOCAL_SIGNS = "._%+'-"
_LOCAL = re.compile(rf"[{_LATIN}{re.escape(_LOCAL_SIGNS)}]+$")
_LOCAL_MOST = 64
_DOMAIN = re.compile(rf"@([{_LATIN}-]{{1,63}}(?:\.[{_LATIN}-]{{1,63}}){{1,8}})(?![{_LATIN}{FILLERS}])(?=(@?))")
_TOP_LEVEL = re.compile(r"(?:xn--[a-z0-9-]{2,59}|[^\W\d_]{2,24})(?![^\W_])", re.IGNORECASE)
_FILES = frozenset(("png", "jpg", "jpeg", "gif", "svg", "webp", "bmp", "ico", "css", "js", "json", "html", "php"))

_V4_HINT = re.compile(r"\.[0-9]{1,3}\.[0-9]{1,3}(?![0-9])")
_V4 = re.compile(r"(?<![0-9A-Za-z_.])[0-9]{1,3}(?:\.[0-9]{1,3}){3}" + rf"(?![0-9A-Za-z_{FILLERS}]|\.[0-9{FILLERS}])")
_V6_HINT = re.compile(r":[0-9A-Fa-f]{0,4}:")
_V6 = re.compile(
    r"(?:[0-9A-Fa-f]{0,4}:){2,7}(?:[0-9A-Fa-f]{0,4}|[0-9]{1,3}(?:\.[0-9]{1,3}){3})" + rf"(?![0-9A-Za-z_:{FILLERS}])"
)
_VERSION = re.compile(r"(?:\bv|\bver|\bversion|\brelease|\bbuild|\bsection|\bfirmware)[.:]?\s*$")
_DIGITS = frozenset("0123456789")
_HEX = frozenset("0123456789abcdefABCDEF")


def emails(work: str) -> Iterator[Span]:
    """E-mail addresses, in order."""
    last, top = 0, None
    for match in _DOMAIN.finditer(work):
        sign = match.start()
        local = _LOCAL.search(work, max(last, sign - _LOCAL_MOST), sign)
        if local is None or local[0][-1] == ".":
            continue
        name = local[0].lstrip(_LOCAL_SIGNS)
        labels = match[1].split(".")
        if match[2] and len(labels) > 2:  # `a@b.com.c@d.com`: the last label is of the next address
            labels.pop()
        while len(labels) > 1 and (top := _TOP_LEVEL.match(labels[-1])) is None:
            labels.pop()
        if not name or len(labels) < 2 or top is None or top[0].lower() in _FILES or labels[0][0] == "-":
            continue
        last = sign + 1 + len(".".join(labels[:-1])) + 1 + top.end()
        yield Span(sign - len(name), last, "email", "email")


def ip_addresses(work: str, *, public_only: bool) -> list[Span]:
    """IP addresses of both versions, in order."""
    found = list(_v6(work, public_only))
    if found:  # one of version 6 may end in one of version 4
        work = blanked(work, found)
    return sorted([*found, *_v4(work, public_only)])


def _v4(work: str, public_only: bool) -> Iterator[Span]:
    last = 0
    for hint in _V4_HINT.finditer(work):
        start = hint.start()
        while start > max(last, hint.start() - 3) and work[start - 1] in _DIGITS:
            start -= 1
        match = _V4.match(work, start)
        if match is None or start < last:
            continue
        try:
            address = ipaddress.IPv4Address(match[0])
        except ValueError:
            continue
        if (public_only and not _public(address)) or _VERSION.search(before(work, start)):
            continue
        last = match.end()
        yield Span(start, last, "ip_address", "ip_v4")


def _v6(work: str, public_only: bool) -> Iterator[Span]:
    last = 0
    for hint in _V6_HINT.finditer(work):
        start = hint.start()
        while start > max(last, hint.start() - 5) and work[start - 1] in _HEX:
            start -= 1
        match = _V6.match(work, start)
        if match is None or start < last or (start and (work[start - 1].isalnum() or work[start - 1] in "_:.")):
            continue
        try:
            address = ipaddress.IPv6Address(match[0])
        except ValueError:
            continue
        if (public_only and not _public(address)) or ("::" in match[0] and not _assigned(address)):
            continue
        last = match.end()
        yield Span(start, last, "ip_address", "ip_v6")


def _public(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """Whether a machine somewhere may have it: no mask, no network of a house, no multicast."""
    return address.is_global and not address.is_multicast


def _assigned(address: ipaddress.IPv6Address) -> bool:
    """Whether it lies in a range in use: a name in a program such as `add::face` does not."""
    return address.packed[0] >> 5 == 1 or (address.is_private and not address.is_unspecified)
