"""What one Spark task of a round does: visits to many hosts at a time, in one event loop.

The rows come out as they are made; while they are written the loop rests, so that no more of them are held than a few
pages of each host.
"""

from __future__ import annotations

import asyncio
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from millpond.ingest.config import IngestConfig
from millpond.ingest.crawl import events
from millpond.ingest.crawl.decide import Decider
from millpond.ingest.crawl.events import Events
from millpond.ingest.crawl.fetch import Fetcher, user_agent
from millpond.ingest.crawl.journal import Journal
from millpond.ingest.crawl.plan import Round
from millpond.ingest.crawl.scope import Scope
from millpond.ingest.crawl.turns import TURNS, Turns
from millpond.ingest.crawl.visit import Visit
from millpond.ingest.page import Row
from millpond.ingest.tasks import tables_of

_WAITING = 8


@dataclass(frozen=True)
class Work:
    """What the tasks of a round share.

    Args:
        folder: of the crawl, which all tasks see.
        archive: folder or URL where the WARC files will lie.
        owner: token of the driver.
    """

    folder: str
    archive: str
    owner: str
    round: Round
    config: IngestConfig


def fetch_tables(batches: Iterator[pa.RecordBatch], work: Work) -> Iterator[tuple[str, pa.RecordBatch]]:
    """Inside a task: batches of each table from the tasks of the round whose numbers come in."""
    numbers = (number for batch in batches for number in batch["id"].to_pylist())
    return tables_of((row for number in numbers for row in fetch(work, number)), work.config.batch_bytes)


def fetch(work: Work, number: int) -> Generator[Row, None, None]:
    """Rows of one task of a round; an address that several pages link to comes once for each depth."""
    folder = Path(work.folder)
    path = work.round.warc(folder, number)
    about = {
        "software": work.config.site.user_agent,
        "format": "WARC File Format 1.1",
        "isPartOf": work.round.crawl,
        "robots": "obey",
        "http-header-user-agent": user_agent(work.config.site),
    }
    depths: dict[str, int] = {}
    with Journal(path, work.owner, about) as journal, asyncio.Runner() as runner:
        rows: asyncio.Queue[list[Row]] = asyncio.Queue(_WAITING)
        crawl = runner.get_loop().create_task(_visit_all(work, number, journal, rows))
        try:
            while (made := runner.run(_next(rows, crawl))) is not None:
                for kind, row in made:
                    if kind == "frontier" and _is_found(row):
                        if depths.get(row["url_key"], row["depth"] + 1) <= row["depth"]:
                            continue
                        depths[row["url_key"]] = row["depth"]
                    yield kind, row
        finally:
            crawl.cancel()  # where the rows are not wanted to the end; from above, so that each part ends its own
            runner.run(asyncio.wait((crawl,)))


def _is_found(row: dict[str, object]) -> bool:
    """Whether an event says that an address was found, and not what became of one."""
    verdict = row["verdict"]
    return (row["state"] == events.KNOWN and verdict is None) or str(verdict).startswith(events.LIMIT)


async def _next(rows: asyncio.Queue[list[Row]], crawl: asyncio.Task[None]) -> list[Row] | None:
    """The rows made next; None when the crawl has ended, and its error if it ended with one."""
    waiting = asyncio.ensure_future(rows.get())
    await asyncio.wait((waiting, crawl), return_when=asyncio.FIRST_COMPLETED)
    if waiting.done():
        return waiting.result()
    waiting.cancel()
    if not rows.empty():
        return rows.get_nowait()
    await crawl
    return None


async def _visit_all(work: Work, number: int, journal: Journal, rows: asyncio.Queue[list[Row]]) -> None:
    task = work.round.read_task(Path(work.folder), number)
    place = f"{work.archive}/{journal.path.name}"
    site, name = work.config.site, work.round.crawl
    decider = Decider(site, Events(name, work.round.number), Scope(work.round.seeds, site), name, place)
    free = asyncio.Semaphore(max(1, site.hosts_at_once // work.round.tasks))
    with Turns(Path(work.folder) / TURNS) as turns:
        async with Fetcher(site) as fetcher, asyncio.TaskGroup() as group:
            for host in sorted(task.hosts, key=lambda host: -len(host.items)):
                visit = Visit(host, site, fetcher, journal, turns, decider, rows.put)
                group.create_task(_when_free(free, visit))


async def _when_free(free: asyncio.Semaphore, visit: Visit) -> None:
    async with free:
        await visit.run()
