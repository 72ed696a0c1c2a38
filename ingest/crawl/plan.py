"""What a round is to fetch, written down before it begins: one file for each task, and last of all the round's own.

A round that was begun and not released is done by its plan, whatever has changed since.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from uuid import uuid4

from pydantic import BaseModel, ConfigDict, Field

from millpond import durable
from millpond.ingest.crawl.robots import RobotsFile
from millpond.ingest.page import registered_domain


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True)


class Item(_Part):
    """One address to decide on."""

    url: str
    url_key: str
    depth: int
    found: str
    """How it became known: seed, link, redirect or sitemap."""
    redirects: int = 0
    tries: int = 0
    etag: str | None = None
    last_modified: str | None = None
    payload_digest: str | None = None


class Host(_Part):
    """One host's share of a round."""

    host: str
    items: tuple[Item, ...]
    not_before: datetime | None = None
    failures: int = 0
    """In a row, up to now."""
    given_up: str | None = None
    """Why nothing is fetched from it any more."""
    robots: dict[str, RobotsFile] = {}
    """By site (scheme, host and port), those still fresh; files beside a robots.txt by their address."""


class Task(_Part):
    """What one task fetches."""

    hosts: tuple[Host, ...]


class Round(_Part):
    """One round of a crawl."""

    crawl: str
    lake: str
    """The warehouse of the lake it is to be released in."""
    token: str = Field(default_factory=lambda: uuid4().hex[:16])
    """A random one in the names of its WARC files: no other round of any lake or driver has the same."""
    number: int
    tasks: int
    started_at: datetime
    seeds: tuple[str, ...]
    """All of the crawl's, which are its scope."""
    new_seeds: tuple[Item, ...]
    """Those that the frontier does not know yet."""

    def warc(self, folder: Path, task: int) -> Path:
        """The WARC file of a task."""
        return folder / f"{self.number:05}-{task:04}-{self.token}.warc.gz"

    def plan(self, folder: Path, task: int) -> Path:
        """The file that says what a task is to fetch."""
        return folder / f"{self.number:05}-{task:04}.plan"

    @property
    def selected(self) -> str:
        """Name of the round's own file."""
        return f"{self.number:05}.round"

    def write(self, folder: Path, tasks: Sequence[Task]) -> None:
        """Write the plan down; from then on the round has begun."""
        for number, task in enumerate(tasks):
            durable.write_bytes(self.plan(folder, number), task.model_dump_json().encode())
        durable.write_bytes(folder / self.selected, self.model_dump_json().encode())

    def read_task(self, folder: Path, task: int) -> Task:
        """What a task is to fetch."""
        return Task.model_validate_json(self.plan(folder, task).read_bytes())


def begun(folder: Path, number: int) -> Round | None:
    """The round of a number, where its plan is written."""
    path = folder / f"{number:05}.round"
    return Round.model_validate_json(path.read_bytes()) if path.exists() else None


def share(hosts: Sequence[Host], tasks: int) -> list[Task]:
    """Spread hosts over tasks evenly, those of one registered domain together: their robots.txt may be shared."""
    domains: dict[str, list[Host]] = {}
    for host in hosts:
        domains.setdefault(registered_domain(host.host), []).append(host)
    parts: list[list[Host]] = [[] for _ in range(min(tasks, len(domains)))]
    sizes = [0] * len(parts)
    for domain in sorted(domains, key=lambda name: (-sum(len(host.items) for host in domains[name]), name)):
        least = sizes.index(min(sizes))
        parts[least] += domains[domain]
        sizes[least] += sum(len(host.items) for host in domains[domain])
    return [Task(hosts=tuple(part)) for part in parts]
