"""Fetching one address over HTTP within firm bounds.

Bounds that httpx itself does not give: one deadline for the whole fetch (its time-outs are per read), a cap on
the bytes taken from the wire, and no connection to a private address. The name is resolved here and the
connection made to the very address that was judged, so a name that resolves differently a moment later gains
nothing. That needs httpx's engine, httpcore, whose network backend can be replaced. Redirects are answers like
others here, and bodies stay encoded.
"""

from __future__ import annotations

import ipaddress
import socket
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

import httpcore

from millpond.ingest.config import SiteConfig
from millpond.ingest.page import Rejected
from millpond.reasons import Reason

_ACCEPT = "text/html,application/xhtml+xml,text/plain;q=0.9,*/*;q=0.1"
_FAILURES = (
    httpcore.TimeoutException,
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.ProxyError,
    httpcore.UnsupportedProtocol,
    OSError,
    UnicodeError,
)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server answered, its body still encoded."""

    url: str
    status: int
    headers: dict[str, str]
    """By name in lower case; repeated headers joined with commas."""
    body: bytes
    fetched_at: datetime


#: A way to fetch an address, cut at so many bytes where a number is given; see `Fetcher.get`.
Get = Callable[[str, int | None], Answer]


class Fetcher:
    """Fetches over one connection at a time; a context manager that closes it."""

    def __init__(self, config: SiteConfig) -> None:
        self._config = config
        self._clock = _Deadline(config.timeout_seconds)
        backend = _GuardedBackend(self._clock, config.allow_private)
        # A kept connection may be closed by the server just when it is used again: the page would be lost.
        self._pool = httpcore.ConnectionPool(max_connections=1, max_keepalive_connections=0, network_backend=backend)
        self._headers: list[tuple[bytes | str, bytes | str]] = [
            ("User-Agent", user_agent(config)),
            ("Accept", _ACCEPT),
            ("Accept-Encoding", "gzip, deflate, br, zstd"),
        ]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.close()

    def get(self, url: str, max_bytes: int | None = None) -> Answer:
        """Fetch `url`; redirects are not followed.

        Args:
            url: a canonical http or https address.
            max_bytes: cut the body there, instead of refusing one longer than the configuration allows.

        Raises:
            Rejected: no whole answer within the limits of time or the address is refused (fetch_failed), or one
                that is too long (too_large).
        """
        limit = self._config.max_body_bytes if max_bytes is None else max_bytes
        fetched_at = datetime.now(UTC)
        self._clock.start()
        try:
            with self._pool.stream("GET", url, headers=self._headers) as response:
                pieces: list[bytes] = []
                size = 0
                for piece in response.iter_stream():
                    size += len(piece)
                    pieces.append(piece)
                    if size > limit:
                        break
                headers: dict[str, str] = {}
                for name, value in response.headers:
                    key, text = name.decode("latin-1").lower(), value.decode("latin-1")
                    headers[key] = f"{headers[key]}, {text}" if key in headers else text
                status = response.status
        except _Refused as error:
            raise Rejected(Reason.FETCH_FAILED, str(error)) from error
        except _FAILURES as error:
            detail = str(error) or type(error).__name__
            raise Rejected(Reason.FETCH_FAILED, f"{type(error).__name__}: {detail}") from error
        if size > limit and max_bytes is None:
            raise Rejected(Reason.TOO_LARGE, f"body of more than {limit} bytes")
        return Answer(url, status, headers, b"".join(pieces)[:limit], fetched_at)


def user_agent(config: SiteConfig) -> str:
    """The User-Agent header: name and version, and whom to contact."""
    return f"{config.user_agent} (+{config.contact})" if config.contact else config.user_agent


def is_loopback(host: str) -> bool:
    """Whether a host name means this machine and no other."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def is_public(address: str) -> bool:
    """Whether an IP address is one of the open internet, also the one it stands for (v4-mapped, 6to4, Teredo)."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    inner: Iterable[ipaddress.IPv4Address | None] = ()
    if isinstance(ip, ipaddress.IPv6Address):
        inner = (ip.ipv4_mapped, ip.sixtofour, ip.teredo[1] if ip.teredo else None)
    return all(one.is_global and not one.is_multicast for one in (ip, *inner) if one is not None)


class _Refused(OSError):
    """A host that resolves to nothing but addresses that may not be connected to."""


class _Deadline:
    """Time left of the present fetch."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._end = 0.0

    def start(self) -> None:
        self._end = time.monotonic() + self._seconds

    def left(self) -> float:
        left = self._end - time.monotonic()
        if left <= 0:
            raise httpcore.ReadTimeout(f"not finished after {self._seconds:g} s")
        return left


class _GuardedBackend(httpcore.NetworkBackend):
    """Connects to public addresses, and to others for the hosts named; everything within the deadline."""

    def __init__(self, clock: _Deadline, allow_private: Iterable[str]) -> None:
        self._inner = httpcore.SyncBackend()
        self._clock = clock
        self._allowed = {name.lower().strip("[]") for name in allow_private}

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        name = host.strip("[]")
        found = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)
        addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
        usable = [a for a in addresses if name in self._allowed or is_public(a)]
        if not usable:
            where = f"{name} is at {', '.join(addresses)}, not a public address"
            raise _Refused(f'{where}: allow it with site.allow_private=["{name}"]')
        failure: Exception = OSError(f"{name} has no address")
        for address in usable:
            try:
                stream = self._inner.connect_tcp(address, port, self._clock.left(), local_address, socket_options)
                return _TimedStream(stream, self._clock)
            except httpcore.ConnectError as error:
                failure = error
        raise failure


class _TimedStream(httpcore.NetworkStream):
    """A connection whose every operation gets the time that is left of the whole fetch."""

    def __init__(self, inner: httpcore.NetworkStream, clock: _Deadline) -> None:
        self._inner = inner
        self._clock = clock

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, self._clock.left())

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, self._clock.left())

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: Any, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        stream = self._inner.start_tls(ssl_context, server_hostname, self._clock.left())
        return _TimedStream(stream, self._clock)

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)
