"""Fetching one address over HTTP within firm bounds, many at a time.

Bounds that httpx itself does not give: one deadline for the whole fetch (its time-outs are per read), a cap on
the bytes taken from the wire, and no connection to a private address. The name is resolved here and the
connection made to the very address that was judged, so a name that resolves differently a moment later gains
nothing. That needs httpx's engine, httpcore, whose network backend can be replaced. Redirects are answers like
others here, and bodies stay encoded.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from types import TracebackType
from typing import Any, Self

import httpcore

from millpond.ingest.config import SiteConfig
from millpond.ingest.page import clean_text
from millpond.patience import seconds_asked
from millpond.reasons import Reason

_ACCEPT = "text/html,application/xhtml+xml,text/plain;q=0.9,*/*;q=0.1"
_UNREACHED = (httpcore.ConnectError, httpcore.ConnectTimeout, socket.gaierror)
_FAILURES = (
    httpcore.TimeoutException,
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.ProxyError,
    httpcore.UnsupportedProtocol,
    OSError,
)

Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server answered, its body still encoded."""

    url: str
    status: int
    phrase: str
    """The reason phrase of the status line."""
    headers: Headers
    """As they came, repeated ones and all."""
    body: bytes
    fetched_at: datetime
    ip: str | None = None
    """The address that was connected to."""
    truncated: str | None = None
    """Why the body is not whole: `length`, `time` or `disconnect`, as WARC-Truncated has it."""

    def header(self, name: str) -> str | None:
        """Values of a header joined with commas; None where there is none."""
        values = self.all_of(name)
        return ", ".join(values) if values else None

    @property
    def location(self) -> str | None:
        """Where it redirects to; bytes beyond ASCII are UTF-8, as browsers take them, or else Latin-1."""
        value = self.header("location")
        try:
            return value and value.encode("latin-1").decode()
        except UnicodeError:
            return value

    @property
    def retry_after(self) -> float | None:
        """Seconds after which the server wants to be asked again; None where it does not say."""
        return seconds_asked(self.header("retry-after") or "", self.fetched_at)

    def all_of(self, name: str) -> list[str]:
        """Values of a header, one for each time it was sent."""
        return [value for key, value in self.headers if key.lower() == name]


@dataclass(frozen=True, slots=True)
class Failure:
    """A fetch without an answer."""

    url: str
    reason: Reason
    detail: str
    fetched_at: datetime
    down: bool = False
    """Whether the host could not be reached at all."""
    silent: bool = False
    """Whether the host was reached and the time ran out before it answered."""
    final: bool = False
    """Whether asking again would not help: the address may not be connected to, or is none."""
    retry_after: float | None = None
    """Seconds after which the server wants to be asked again, where it said so."""


class Fetcher:
    """Fetches addresses; an asynchronous context manager that closes its connections."""

    def __init__(self, config: SiteConfig) -> None:
        self._config = config
        # A kept connection may be closed by the server just when it is used again: the page would be lost.
        self._backend = _GuardedBackend(config)
        self._pool = httpcore.AsyncConnectionPool(
            max_connections=config.hosts_at_once, max_keepalive_connections=0, network_backend=self._backend
        )
        self.headers: Headers = (
            ("User-Agent", user_agent(config)),
            ("Accept", _ACCEPT),
            ("Accept-Encoding", "gzip, deflate, br, zstd"),
        )
        """Sent with every request."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._pool.aclose()
        self._backend.close()

    async def get(
        self, url: str, *, max_bytes: int | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer | Failure:
        """Fetch `url`; redirects are not followed.

        Args:
            url: a canonical http or https address.
            max_bytes: where the body is cut, if not where the configuration says.
            headers: sent beside the usual ones; see `may_be_sent`.
        """
        limit = self._config.max_body_bytes if max_bytes is None else max_bytes
        fetched_at = datetime.now(UTC)
        head: tuple[int, str, Headers, str | None] | None = None
        body = bytearray()
        truncated, detail = None, ""
        try:
            async with (
                asyncio.timeout(self._config.timeout_seconds),
                self._pool.stream("GET", url, headers=_encoded([*self.headers, *(headers or {}).items()])) as response,
            ):
                head = _head(response)
                async for piece in response.aiter_stream():
                    body += piece
                    if len(body) > limit:
                        del body[limit:]
                        truncated = "length"
                        break
        except TimeoutError:
            truncated, detail = "time", f"not finished after {self._config.timeout_seconds:g} s"
        except (AddressRefused, UnicodeError) as error:
            return Failure(url, Reason.FETCH_FAILED, str(error), fetched_at, final=True)
        except _UNREACHED as error:
            return Failure(url, Reason.FETCH_FAILED, _said(error), fetched_at, down=True)
        except _FAILURES as error:
            truncated, detail = "disconnect", _said(error)
        if head is None:
            return Failure(url, Reason.FETCH_FAILED, detail, fetched_at, silent=truncated == "time")
        status, phrase, received, ip = head
        return Answer(url, status, phrase, received, bytes(body), fetched_at, ip, truncated)


def _head(response: httpcore.Response) -> tuple[int, str, Headers, str | None]:
    headers = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in response.headers)
    phrase = response.extensions.get("reason_phrase", b"").decode("latin-1")
    peer = response.extensions["network_stream"].get_extra_info("server_addr")
    return response.status, phrase, headers, str(peer[0]) if peer else None


def may_be_sent(value: str) -> bool:
    """Whether a header can have a value, which somebody else chose: Latin-1 without control characters."""
    return value.isprintable() and all(ord(c) < 256 for c in value)


def _encoded(headers: Iterable[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    return [(name.encode("ascii"), value.encode("latin-1")) for name, value in headers]


def _said(error: Exception) -> str:
    return clean_text(f"{type(error).__name__}: {error}".removesuffix(": "))


def user_agent(config: SiteConfig) -> str:
    """The User-Agent header: name and version, and whom to contact."""
    return f"{config.user_agent} (+{config.contact})" if config.contact else config.user_agent


def is_loopback(host: str) -> bool:
    """Whether a host name or address means this machine and no other."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def is_public(address: str) -> bool:
    """Whether an IP address is one of the open internet, and so is one it stands for (v4-mapped, NAT64, 6to4, …)."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    inner: Iterable[ipaddress.IPv4Address | None] = ()
    if isinstance(ip, ipaddress.IPv6Address):
        inner = (ip.ipv4_mapped, ip.sixtofour, ip.teredo[1] if ip.teredo else None, _embedded(ip))
    return all(one.is_global and not one.is_multicast for one in (ip, *inner) if one is not None)


def _embedded(ip: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address in the last 32 bits of an address behind NAT64's prefix or the old v4-compatible one."""
    if ip in _NAT64 or ip in _COMPATIBLE:
        return ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    return None


_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_COMPATIBLE = ipaddress.IPv6Network("::/96")


class AddressRefused(OSError):
    """A host at no address that may be connected to."""


class _GuardedBackend(httpcore.AsyncNetworkBackend):
    """Connects to public addresses, and to others for the hosts named."""

    def __init__(self, config: SiteConfig) -> None:
        self._inner = httpcore.AnyIOBackend()
        self._seconds = min(config.connect_seconds, config.timeout_seconds)
        self._allowed = {name.lower().strip("[]") for name in config.allow_private}
        self._contact = bool(config.contact)
        # A resolver cannot be interrupted: with threads of its own, a dead one delays nothing but its host.
        self._resolvers = ThreadPoolExecutor(config.hosts_at_once, "resolve")

    def close(self) -> None:
        """Wait for no name any more."""
        self._resolvers.shutdown(wait=False, cancel_futures=True)

    async def _addresses(self, name: str, port: int) -> list[str]:
        resolve = partial(socket.getaddrinfo, name, port, type=socket.SOCK_STREAM)
        try:
            async with asyncio.timeout(self._seconds):
                found = await asyncio.get_running_loop().run_in_executor(self._resolvers, resolve)
        except TimeoutError:
            raise httpcore.ConnectTimeout(f"{name} not resolved after {self._seconds:g} s") from None
        return list(dict.fromkeys(str(entry[4][0]) for entry in found))

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        name = host.strip("[]")
        addresses = await self._addresses(name, port)
        usable = [a for a in addresses if name in self._allowed or is_public(a)]
        if not usable:
            where = f"{name} is at {', '.join(addresses)}, not a public address"
            raise AddressRefused(f'{where}: allow it with site.allow_private=["{name}"]')
        if not self._contact and not all(is_loopback(a) for a in usable):
            raise AddressRefused(f"{name} is at {usable[0]}, outside this machine: name ingest.site.contact")
        failure: Exception = OSError(f"{name} has no address")
        for address in usable:
            try:
                return await self._inner.connect_tcp(address, port, self._seconds, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure
