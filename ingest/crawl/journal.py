"""What one task of a round has fetched, on disk before anything is made of it: a WARC file, and a log beside it.

    crawls/NAME/00003-0001-TOKEN.warc.gz   what was answered: the archive
    crawls/NAME/00003-0001-TOKEN.log       one line of JSON before each fetch and one after it

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

from millpond import durable
from millpond.errors import InputError, MillpondError
from millpond.ingest.crawl import archive
from millpond.ingest.crawl.fetch import Answer, Failure, Headers
from millpond.reasons import Reason

_ATTEMPTS = 2


class Superseded(MillpondError):
    """Another driver has taken the crawl over or the round is released: this task belongs to none."""


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

    Raises:
        Superseded: on entering it, the crawl has another driver or the round is released.
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
        try:
            self._check_owner()
            if self.path.exists() and not self.log_path.exists():
                raise Superseded(f"{self.path}: its log is gone, so its round is released and nothing is added to it")
        except BaseException:
            self._lock.close()
            raise
        self._read_log()
        self._log = self.log_path.open("ab")
        if self.path.exists():
            os.truncate(self.path, max((entry["end"] for entry in self._kept.values()), default=0))
        self._warc = self.path.open("ab")
        if not self._kept:
            self._append(archive.info_record(self.path.name, self._about))
            # The record is the log's first entry, so that nothing before it is ever cut off.
            self._note_kept({"kept": "", "end": self._warc.tell()})
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._guard:
            os.fsync(self._warc.fileno())
            os.fsync(self._log.fileno())
            for file in (self._warc, self._log, self._lock):
                file.close()

    @property
    def log_path(self) -> Path:
        """The log beside the WARC file."""
        return _log_of(self.path)

    @property
    def resumed(self) -> bool:
        """Whether an earlier attempt has fetched anything."""
        return bool(self._started)

    def kept(self, url: str) -> Kept | None:
        """What an earlier fetch of an address brought, in this attempt or one before; None where there was none.

        Raises:
            InputError: the log and the WARC file do not belong together.
        """
        entry = self._kept.get(url)
        if entry is None:
            began = self._started[url]
            if began < _ATTEMPTS:
                return None
            detail = f"given up: {began} attempts ended while it was fetched"
            return Kept(Failure(url, Reason.FETCH_FAILED, detail, datetime.now(UTC)))
        if "failure" in entry:
            fields = entry["failure"]
            at = datetime.fromisoformat(fields["fetched_at"])
            return Kept(Failure(**{**fields, "reason": Reason(fields["reason"]), "fetched_at": at}))
        with self.path.open("rb") as file:
            file.seek(entry["offset"])
            answer = archive.read_answer(file.read(entry["length"]))
        if answer.url != url:
            where = f"{self.path}: the record at {entry['offset']} is of {answer.url}, and by its log of {url}"
            raise InputError(f"{where}: remove both files, and the crawl fetches again what was in them")
        return Kept(answer, entry["offset"], entry["length"])

    def begin(self, url: str) -> None:
        """Write down that a fetch is about to begin.

        Raises:
            Superseded: the crawl has another driver.
        """
        self._check_owner()
        self._started[url] += 1
        self._note({"begun": url})

    def keep(self, result: Answer | Failure, sent: Headers) -> Kept:
        """Write down what came of a fetch, with the headers that were sent."""
        with self._guard:
            if isinstance(result, Failure):
                fields = {**asdict(result), "fetched_at": result.fetched_at.isoformat()}
                self._note_kept({"kept": result.url, "end": self._warc.tell(), "failure": fields})
                return Kept(result)
            records, length = archive.answer_records(result, sent)
            offset = self._warc.tell()
            self._append(records)
            end = self._warc.tell()
            self._note_kept({"kept": result.url, "end": end, "offset": offset, "length": length})
        return Kept(result, offset, length)

    def _check_owner(self) -> None:
        if read_owner(self.path.parent) != self._owner:
            raise Superseded(f"{self.path}: another driver goes on with this crawl")

    def _append(self, data: bytes | memoryview) -> None:
        self._warc.write(data)
        self._warc.flush()

    def _note(self, entry: dict[str, Any]) -> None:
        self._log.write(json.dumps(entry).encode() + b"\n")
        self._log.flush()

    def _note_kept(self, entry: dict[str, Any]) -> None:
        self._note(entry)
        self._kept[entry["kept"]] = entry

    def _read_log(self) -> None:
        """Take in the whole lines whose records are there, and erase the others: they must not be believed later."""
        data = self.log_path.read_bytes() if self.log_path.exists() else b""
        size = self.path.stat().st_size if self.path.exists() else 0
        believed = b""
        for line in BytesIO(data[: data.rfind(b"\n") + 1]):
            entry = json.loads(line)
            if "begun" in entry:
                self._started[entry["begun"]] += 1
            elif entry["end"] <= size:
                self._kept[entry["kept"]] = entry
            else:  # a machine that lost its power may have kept the log and not the records
                continue
            believed += line
        if believed != data:
            durable.write_bytes(self.log_path, believed)


@dataclass(frozen=True, slots=True)
class Record:
    """Where the answer from an address lies in a WARC file, and the request behind it."""

    url: str
    """Empty for the `warcinfo` record, which the file begins with."""
    offset: int
    length: int
    end: int
    """Where the request ends."""


def records_of(warc: Path) -> list[Record]:
    """All that a task's WARC file holds, by the log beside it, in the order in which it came."""
    records = []
    for line in _log_of(warc).read_bytes().splitlines():
        entry = json.loads(line)
        if "kept" in entry and "failure" not in entry:
            offset, end = entry.get("offset", 0), entry["end"]
            records.append(Record(entry["kept"], offset, entry.get("length", end), end))
    return records


class KeptCount:
    """How many fetches a task's journal holds, counted while it grows; reads each line once."""

    def __init__(self, path: Path) -> None:
        self._log = _log_of(path)
        self._read = self._count = 0

    def now(self) -> int:
        """The count so far."""
        if self._log.exists():
            with self._log.open("rb") as log:
                log.seek(self._read)
                data = log.read()
            whole = data[: data.rfind(b"\n") + 1]
            self._read += len(whole)
            self._count += sum(bool(json.loads(line).get("kept")) for line in whole.splitlines())
        return self._count


def _log_of(warc: Path) -> Path:
    return warc.with_suffix("").with_suffix(".log")


def read_owner(folder: Path) -> str:
    """The token of the driver that a crawl's folder belongs to."""
    return (folder / "owner").read_text()
