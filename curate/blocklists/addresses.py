"""Addresses in one spelling, a column at a time: host and path of what a page or a line of a list says.

Left out are what does not change which page is meant: scheme, user, port and fragment, upper case in the host, dots
around it, and slashes at the end of the path. Other names than ASCII ones are in IDNA 2003, as in `web.pages`; IPv6
addresses are in brackets in their shortest form; signs beyond ASCII in path and query are percent-encoded as UTF-8.
Path and query are otherwise as they stand, upper and lower case alike.
"""

from __future__ import annotations

import ipaddress
import string
from urllib.parse import quote

import pyarrow as pa
import pyarrow.compute as pc

_HOST = r"\[[0-9A-Fa-f:.]+\]|[^/?#:@\[\]\s]+"
#: A port may be empty only behind a scheme, which otherwise were a host.
_ADDRESS = (
    rf"(?s)^(?:(?:[A-Za-z][A-Za-z0-9+.-]*:)?//(?:[^/?#]*@)?(?P<host>{_HOST})(?::[0-9]*)?|(?P<bare>{_HOST})(?::[0-9]+)?)"
    r"(?P<path>/[^?#]*)?(?P<query>\?[^#]*)?(?:#.*)?$"
)
#: A name whose last label is no number, or an IPv4 address.
_NAME = r"(?:[a-z0-9_-]+\.)*[0-9]*[a-z_-][a-z0-9_-]*|(?:[0-9]{1,3}\.){3}[0-9]{1,3}"
NAME = f"^(?:{_NAME})$"
HOST = rf"^(?:{_NAME}|\[[0-9a-f:.]+\])$"
_NOTHING = pa.scalar("", pa.large_string())


def parsed(texts: pa.Array) -> tuple[pa.Array, pa.Array]:
    """Host, and path with query, of each of `texts` (large strings); the host is empty where a text has none."""
    parts = pc.extract_regex(pc.utf8_trim_whitespace(texts), _ADDRESS)
    host, bare, path, query = (
        pc.fill_null(pc.struct_field(parts, name), "") for name in ("host", "bare", "path", "query")
    )
    host = pc.ascii_lower(pc.binary_join_element_wise(host, bare, _NOTHING))
    rest = pc.binary_join_element_wise(pc.utf8_rtrim(path, "/"), query, _NOTHING)
    plain = pc.and_(pc.string_is_ascii(host), pc.string_is_ascii(rest))
    unusual = pc.or_(pc.invert(plain), pc.starts_with(host, "["))
    if pc.any(unusual).as_py():
        given = zip(host.filter(unusual).to_pylist(), rest.filter(unusual).to_pylist(), strict=True)
        hosts, rests = zip(*(_in_ascii(*each) for each in given), strict=True)
        host = pc.replace_with_mask(host, unusual, pa.array(hosts, host.type))
        rest = pc.replace_with_mask(rest, unusual, pa.array(rests, rest.type))
    return pc.utf8_trim(host, "."), rest


def _in_ascii(host: str, rest: str) -> tuple[str, str]:
    try:
        if host.startswith("["):
            host = f"[{ipaddress.IPv6Address(host[1:-1])}]"
        else:
            host = host.strip(".").encode("idna").decode("ascii").lower()
    except ValueError:  # no IPv6 address, or no name that IDNA allows
        host = ""
    return host, quote(rest, safe=string.punctuation)
