"""What one task of a round has fetched, on disk before anything is made of it: a WARC file, and a log beside it.

    crawls/NAME/00003-0001.warc.gz   what was answered: the archive
    crawls/NAME/00003-0001.log       one line of JSON before each fetch and one after it

A task that runs again, after whatever death, reads here what was answered and does not ask for it again. Of a line or
a record that was cut short nothing is used: the file is cut back to the last whole one and goes on from there. An
address whose fetch two attempts have begun and not ended is given up. A lock makes one attempt of a task wait for the
end of another; a line `owner` in the crawl's folder makes the tasks of a dead driver stop when another takes over.
"""

from __future__ import annotations

import fcntl
import json
import os
import threading
from collections import Counter
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from millpond.errors import MillpondError
from millpond.ingest.crawl import archive
from millpond.ingest.crawl.fetch import Answer, Failure, Headers
from millpond.reasons import Reason

_ATTEMPTS = 2


class Superseded(MillpondError):
    """Another driver has taken the crawl over, and this task belongs to none."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What became of a fetch, and where its record lies in the WARC file; a failure has none."""

    result: Answer | Failure
    offset: int | None = None
    length: int | None = None


class Journal:
    """The journal of one task; a context manager that holds the task's lock.

    Args:
        path: of the WARC file, which is made where it is missing.
        owner: token of the driver this task belongs to.
        about: what the WARC file's `warcinfo` record says.
    """

    def __init__(self, path: Path, owner: str, about: dict[str, str]) -> None:
        self.path = path
        self._owner, self._about = owner, about
        self._kept: dict[str, dict[str, Any]] = {}
        self._started: Counter[str] = Counter()
        self._guard = threading.Lock()  # records are written by another thread than the event loop's

    def __enter__(self) -> Self:
        self._lock = self.path.with_suffix("").with_suffix(".lock").open("w")
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        self._log = self.log_path.open("ab+")
        self._read_log()
        if self.path.exists():
            os.truncate(self.path, max((entry["end"] for entry in self._kept.values()), default=0))
        self._warc = self.path.open("ab")
        if not self._kept:
            self._append(archive.info_record(self.path.name, self._about))
            # The record is the log's first entry, so that nothing before it is ever cut off.
            self._note({"kept": "", "end": self._warc.tell()})
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._guard:
            os.fsync(self._warc.fileno())
            for file in (self._warc, self._log, self._lock):
                file.close()

    @property
    def log_path(self) -> Path:
        """The log beside the WARC file."""
        return self.path.with_suffix("").with_suffix(".log")

    @property
    def resumed(self) -> bool:
        """Whether an earlier attempt has fetched anything."""
        return bool(self._started)

    def kept(self, url: str) -> Kept | None:
        """What an earlier fetch of an address brought; None where there was none."""
        entry = self._kept.get(url)
        if entry is None:
            began = self._started[url]
            if began < _ATTEMPTS:
                return None
            detail = f"given up: {began} attempts ended while it was fetched"
            return Kept(Failure(url, Reason.FETCH_FAILED, detail, datetime.now(UTC)))
        if "failure" in entry:
            fields = entry["failure"]
            at = datetime.fromisoformat(fields.pop("fetched_at"))
            return Kept(Failure(**{**fields, "reason": Reason(fields["reason"]), "fetched_at": at}))
        with self.path.open("rb") as file:
            file.seek(entry["offset"])
            data = file.read(entry["length"])
        return Kept(archive.read_answer(data), entry["offset"], entry["length"])

    def begin(self, url: str) -> None:
        """Write down that a fetch is about to begin.

        Raises:
            Superseded: the crawl has another driver.
        """
        if read_owner(self.path.parent) != self._owner:
            raise Superseded(f"{self.path}: another driver goes on with this crawl")
        self._started[url] += 1
        self._note({"begun": url})

    def keep(self, result: Answer | Failure, sent: Headers) -> Kept:
        """Write down what came of a fetch, with the headers that were sent."""
        with self._guard:
            if isinstance(result, Failure):
                fields = {**asdict(result), "fetched_at": result.fetched_at.isoformat()}
                self._note({"kept": result.url, "end": self._warc.tell(), "failure": fields})
                return Kept(result)
            response, request = archive.answer_records(result, sent)
            offset = self._warc.tell()
            self._append(response + request)
            self._note({"kept": result.url, "end": self._warc.tell(), "offset": offset, "length": len(response)})
        return Kept(result, offset, len(response))

    def _append(self, data: bytes) -> None:
        self._warc.write(data)
        self._warc.flush()

    def _note(self, entry: dict[str, Any]) -> None:
        self._log.write(json.dumps(entry).encode() + b"\n")
        self._log.flush()

    def _read_log(self) -> None:
        """Take in the whole lines, and cut off what follows them."""
        self._log.seek(0)
        data = self._log.read()
        whole = data.rfind(b"\n") + 1
        self._log.truncate(whole)
        size = self.path.stat().st_size if self.path.exists() else 0
        for line in BytesIO(data[:whole]):
            entry = json.loads(line)
            if "begun" in entry:
                self._started[entry["begun"]] += 1
            elif entry["end"] <= size:  # a machine that lost its power may have kept the log and not the records
                self._kept[entry["kept"]] = entry


def read_owner(folder: Path) -> str:
    """The token of the driver that a crawl's folder belongs to."""
    return (folder / "owner").read_text()
