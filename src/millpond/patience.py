"""Repeating what fails on another machine, until it is done or it is clear that it will not be.

What passes is waited for: 403, 408, 425, 429 and 5xx answers, time-outs and cut connections, with waits that double,
or as long as the server asks for with `Retry-After`. A host that asks for patience is left alone by every thread of
the process. What does not pass ends in one `InputError` that names the file.
"""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, NoReturn, TypeVar
from urllib.parse import urlsplit

from millpond.errors import InputError

log = logging.getLogger(__name__)

Result = TypeVar("Result")

#: With so many bytes since its last fault a connection counts as sound again.
_PROGRESS = 1 << 20
#: Answers that may pass. 403 is among them: Amazon's and Common Crawl's servers say it to those who ask too often.
_PASSING = frozenset((403, 408, 425, 429, 500, 502, 503, 504, 509, 529))
#: Faults without a status that may pass: what connections raise in the libraries below fsspec.
_CUT = frozenset(("ClientError", "HTTPClientError", "TransportError", "RequestException", "HTTPException"))
#: Queries are left out of messages: an address that a server sends on to may be signed.
_QUERY = re.compile(r"\?[^\s'\"]*")


@dataclass(frozen=True)
class Patience:
    """How long a failing read is repeated."""

    tries: int = 9
    """Repeats in a row without progress."""
    brief: int = 3
    """Of a read that is forbidden, or from a host without an address: most often that does not pass."""
    first_seconds: float = 0.5
    """The first wait; each next one is twice as long."""
    longest_seconds: float = 60.0
    """No wait is longer, unless the server asks for it."""
    total_seconds: float = 600.0
    """From the first fault in a row to giving up."""
    stall_seconds: float = 60.0
    """A connection over which nothing comes for so long is cut."""


PATIENCE = Patience()


class Changed(Exception):
    """The file is another than the one that was opened."""


#: Hosts that asked for patience, and until when they get it.
_quiet: dict[str, float] = {}


class Repeats:
    """Repeats what fails on one file, until it is done or patience is at its end."""

    def __init__(self, url: str, patience: Patience) -> None:
        self.url = url
        self.patience = patience
        self.stop = threading.Event()
        self._host = urlsplit(url).netloc
        self._faults, self._since, self._read = 0, 0.0, 0

    def progress(self, size: int) -> None:
        """So many bytes have come."""
        self._read += size
        if self._read >= _PROGRESS:
            self._faults, self._read = 0, 0

    def until_done(self, action: Callable[[], Result]) -> Result:
        """What `action` returns.

        Raises:
            InputError: it fails for good, or too often.
        """
        while True:
            if self.stop.wait(max(0.0, _quiet.get(self._host, 0.0) - time.monotonic())):
                raise InputError(f"{self.url}: was closed while it was read")
            try:
                return action()
            except InputError:
                raise
            except Exception as error:  # each filesystem has its own
                self._wait_or_raise(error)

    def _wait_or_raise(self, error: Exception) -> None:
        status, asked = status_of(error)
        said = _one_line(error, status)
        if status == 416:
            raise InputError(f"{self.url}: has not the bytes that were asked for: it is shorter") from error
        if isinstance(error, Changed) or status == 412:
            raise InputError(f"{self.url}: changed while it was read ({said}): run it again") from error
        if isinstance(error, FileNotFoundError | IsADirectoryError) or status in (404, 410):
            kind = "is a folder, not a file" if isinstance(error, IsADirectoryError) else "no such file"
            raise InputError(f"{self.url}: {kind}") from error
        if not may_pass(error, status) or self.stop.is_set():
            self._refuse(said, error)
        now = time.monotonic()
        if not self._faults:
            self._since, self._read = now, 0
        self._faults += 1
        patience = self.patience
        rarely = status == 403 or (status is None and _names(error) & {"gaierror", "ClientConnectorDNSError"})
        if self._faults > (patience.brief if rarely else patience.tries):
            self._refuse(f"{said}, {self._faults} times in a row", error)
        wait = asked if asked is not None else 0.0
        wait = max(wait, min(patience.first_seconds * 2 ** (self._faults - 1), patience.longest_seconds))
        if now + wait - self._since > patience.total_seconds:
            asks = f", and the server asks to wait {asked:.0f} s" if asked else ""
            self._refuse(f"{said}, for {now - self._since:.0f} s{asks}", error)
        if status in (429, 503):
            _quiet[self._host] = max(_quiet.get(self._host, 0.0), now + wait)
        log.info("%s: %s; again in %.1f s", self.url, said, wait)
        self.stop.wait(wait)

    def _refuse(self, said: str, error: Exception) -> NoReturn:
        raise InputError(f"{self.url}: cannot be read: {said}") from error


def repeated(url: str, action: Callable[[], Result], patience: Patience = PATIENCE) -> Result:
    """What `action` on the filesystem of `url` returns, repeated like a read.

    Raises:
        InputError: it fails for good, or too often.
    """
    return Repeats(url, patience).until_done(action)


def may_pass(error: Exception, status: int | None) -> bool:
    """Whether it makes sense to ask again."""
    if status is not None:
        return status in _PASSING
    if isinstance(error, PermissionError):
        return False
    return isinstance(error, OSError | EOFError | TimeoutError) or bool(_names(error) & _CUT)


def status_of(error: BaseException) -> tuple[int | None, float | None]:
    """HTTP status behind an error of any filesystem, and how many seconds the server asks to wait."""
    seen: BaseException | None = error
    while seen is not None:
        answer = getattr(seen, "response", None)
        headers = getattr(seen, "headers", None) or getattr(answer, "headers", None) or {}
        numbers = [getattr(seen, "status", None), getattr(answer, "status_code", None)]
        if not type(seen).__module__.startswith("aiohttp"):  # there a code is what was wrong with an answer
            numbers.append(getattr(seen, "code", None))
        if isinstance(answer, dict):  # botocore
            about = answer.get("ResponseMetadata", {})
            numbers.append(about.get("HTTPStatusCode"))
            headers = about.get("HTTPHeaders", {})
        for number in numbers:
            if str(number).isdecimal() and 300 <= int(str(number)) < 600:
                return int(str(number)), _retry_after(headers)
        seen = seen.__cause__ or seen.__context__
    return None, None


def _retry_after(headers: Any) -> float | None:
    text = next((str(value) for name, value in headers.items() if name.lower() == "retry-after"), "")
    return seconds_asked(text, datetime.now(UTC))


def seconds_asked(retry_after: str, at: datetime) -> float | None:
    """Seconds to wait from `at` on, as a Retry-After header says by a number or a date; None where it says neither."""
    text = retry_after.strip()
    if text.isdecimal():
        return float(text)
    with suppress(ValueError, OverflowError):
        when = parsedate_to_datetime(text)
        when = when if when.tzinfo else when.replace(tzinfo=UTC)
        return max(0.0, (when - at).total_seconds())
    return None


def _names(error: Exception) -> set[str]:
    chain: list[BaseException] = [error]
    while (cause := chain[-1].__cause__ or chain[-1].__context__) is not None:
        chain.append(cause)
    return {kind.__name__ for each in chain for kind in type(each).__mro__}


def _one_line(error: Exception, status: int | None) -> str:
    said = _QUERY.sub("?…", " ".join(str(error).split()))[:300] or type(error).__name__
    return said if status is None or str(status) in said else f"HTTP status {status}, {said}"
