"""Crawl sites politely, in rounds → `web.pages`, `web.rejects`, `web.frontier`, and WARC files.

    millpond ingest site https://example.org/ --set site.contact=me@example.org
    spark-submit ingest/crawl/job.py --config run.toml --lake lake https://example.org/ https://example.net/

A round is one Spark job: the driver selects what is due from the released frontier, each task fetches from many hosts
at a time, and pages, rejects and frontier are released together. It can be killed at any instant: the same command
goes on where it was, and what was fetched and not released yet is read from the round's journal instead of being
fetched again. A crawl has one driver at a time. Every selected address ends as a page, as one reject, or stays known.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import AbstractContextManager, suppress
from datetime import UTC, datetime
from pathlib import Path

from millpond import faults, storage
from millpond.config import load
from millpond.datafile import DataFileEntry
from millpond.errors import InputError, LakeError
from millpond.ingest.config import IngestConfig, SiteConfig
from millpond.ingest.crawl import archive, events
from millpond.ingest.crawl.account import account
from millpond.ingest.crawl.closing import Closed, close
from millpond.ingest.crawl.fetch import is_loopback
from millpond.ingest.crawl.folder import OWN, files_of, only_driver, tidy
from millpond.ingest.crawl.frontier import Frontier
from millpond.ingest.crawl.journal import KeptCount
from millpond.ingest.crawl.links import canonical_url
from millpond.ingest.crawl.plan import Item, Round, begun, share
from millpond.ingest.crawl.task import Work, fetch_tables
from millpond.ingest.crawl.traps import url_key
from millpond.ingest.page import host_of
from millpond.ingest.tasks import TABLE_OF, discard
from millpond.inputs import refuse_secrets
from millpond.lake import Lake, Release
from millpond.progress import Bar, followed, note
from millpond.publish import Mode, Outcome, Run
from millpond.quality.gate import gate
from millpond.schemas import FRONTIER, PAGES, WEB_REJECTS
from millpond.spark import session, write_tables
from millpond.stage import Work as StageWork
from millpond.stage import job_main

_UNSAFE = re.compile(r"[^A-Za-z0-9.-]+")


def crawl_sites(lake: Lake, urls: Sequence[str], config: IngestConfig) -> Outcome:
    """Crawl from some addresses on until nothing is due, and ingest the pages round by round.

    A crawl is known by its name, `ingest.crawl` or one made of the addresses; what it has fetched it does not fetch
    again, unless `refetch_seconds` says so.

    Raises:
        InputError: an address is none, nobody to contact is named, another process does this crawl, or it found no
            page at all.
    """
    return _Crawl(lake, seed_items(urls, config.site), config).run()


def seed_items(urls: Sequence[str], config: SiteConfig) -> list[Item]:
    """The addresses to start from.

    Raises:
        InputError: one is no web address, or lies outside this machine and nobody to contact is named.
    """
    items = []
    for url in urls:
        start = canonical_url(url)
        if start is None:
            raise InputError(f"{url!r} is not an http or https address: write it as https://host/path")
        host = host_of(start) or ""
        if not config.contact and not is_loopback(host.strip("[]")):
            raise InputError(f"ingest.site.contact is empty: name a web or e-mail address before crawling {host}")
        items.append(Item(url=start, url_key=url_key(start), depth=0, found=events.SEED))
    if not items:
        raise InputError("no address to start from")
    return items


def crawl_name(seeds: Sequence[Item]) -> str:
    """The name of a crawl that was given none: its host, or of several the first and a digest of all."""
    hosts = sorted({item.url.split("/")[2] for item in seeds})
    digest = hashlib.sha256("\n".join(hosts).encode()).hexdigest()
    return hosts[0] if len(hosts) == 1 else f"{hosts[0]}-and-{len(hosts) - 1}-more-{digest[:8]}"


class _Crawl:
    """One crawl as one driver does it."""

    def __init__(self, lake: Lake, seeds: Sequence[Item], config: IngestConfig) -> None:
        refuse_secrets(config.site.archive or "")
        self.lake = lake
        self.seeds = seeds
        self.config = config
        self.name = config.crawl or crawl_name(seeds)
        if not self.name.strip("."):
            raise InputError(f"ingest.crawl = {self.name!r} names no folder of its own: use letters or digits")
        digest = hashlib.sha256(self.name.encode()).hexdigest()
        name = _UNSAFE.sub("_", self.name)
        name = name if name == self.name else f"{name}-{digest[:8]}"
        if storage.is_url(lake.warehouse) and config.site.folder is None:
            raise InputError(f"{lake.uri} is in object storage: name a local folder for crawls, ingest.site.folder")
        self.folder = Path(config.site.folder or lake.root / "crawls").absolute() / name
        self.archive = f"{archive.absolute(config.site.archive or f'{lake.warehouse}/crawls')}/{name}"
        self.counts: Counter[str] = Counter()
        self.began = datetime.now(UTC)

    def run(self) -> Outcome:
        """Round after round."""
        last: Outcome | None = None
        with only_driver(self.folder, self.name, self.lake.warehouse) as owner:
            while (round_ := self._next()) is not None:
                last = self._round(round_, owner)
                self.counts.update(last.counts)
        summary = self._frontier(self.lake.release()).summary()
        if not summary.pages:
            said = ", ".join(
                f"{verdict or state} {n:,}" for (state, verdict), n in sorted(summary.counts.items(), key=str)
            )
            raise InputError(f"{self._place}: no page was found ({said}); web.rejects has the details")
        self._say_what_is_left(summary.counts)
        if last is not None:
            return Outcome(last.stage, last.run_id, last.release, unchanged=False, counts=dict(self.counts))
        newest = next(r for r in reversed(self.lake.releases()) if r.stage == "ingest")
        return Outcome("ingest", newest.run_id, newest.number, unchanged=True, counts={})

    def _frontier(self, release: Release | None) -> Frontier:
        return Frontier(self.lake, release, self.name, self.config.site)

    def _next(self) -> Round | None:
        """The round to do: one that was begun and not released, or a new one; None where nothing will be due soon."""
        while True:
            frontier = self._frontier(self.lake.release())
            summary = frontier.summary()
            done = summary.round
            tidy(self.folder, done, self.archive)
            if round_ := begun(self.folder, done + 1):
                return round_
            now = datetime.now(UTC)
            new = frontier.new_seeds(self.seeds)
            selection = frontier.select(now, new, self.began)
            if selection.hosts:
                tasks = share(selection.hosts, session("millpond ingest").sparkContext.defaultParallelism)
                round_ = Round(
                    crawl=self.name,
                    lake=self.lake.warehouse,
                    number=done + 1,
                    tasks=len(tasks),
                    started_at=now,
                    seeds=tuple(dict.fromkeys((*summary.seeds, *(item.url for item in new)))),
                    new_seeds=new,
                )
                round_.write(self.folder, tasks)
                return round_
            wait = (selection.next_at - now).total_seconds() if selection.next_at else None
            if wait is None or wait > self.config.site.patience_seconds:
                return None
            time.sleep(max(0.0, wait))

    def _round(self, round_: Round, owner: str) -> Outcome:
        lake, config, folder = self.lake, self.config, self.folder
        run = Run(lake, "ingest", config, {"crawl": self.name, "round": round_.number})
        faults.point("before-data")
        spark = session("millpond ingest")
        work = Work(str(folder), self.archive, owner, round_, config)
        selected = [
            item for n in range(round_.tasks) for host in round_.read_task(folder, n).hosts for item in host.items
        ]
        with _shown(folder, round_, len(selected)):
            one_each = spark.range(0, round_.tasks, 1, round_.tasks)
            folders = {table: lake.data_folder(table) for table in TABLE_OF.values()}
            written = write_tables(one_each, folders, lambda batches: fetch_tables(batches, work))
        raw = [entry.path for entry in written.entries[FRONTIER.name]]
        closed = close(self._frontier(lake.release()), round_, raw)
        discard(iter(written.entries[FRONTIER.name]))
        entries = {**written.entries, FRONTIER.name: closed.frontier}
        entries[WEB_REJECTS.name] = [*entries[WEB_REJECTS.name], *closed.rejects]
        if round_.number == 1 and not entries[PAGES.name] and not closed.found:
            raise InputError(f"{self._nothing_came(round_, entries, closed)}; nothing was published")
        for table, files in entries.items():
            run.stage_files(table, files, Mode.APPEND)

        account(run.ledger, round_, folder, selected, closed, entries)

        def claim(run: Run, base: Release | None) -> None:
            """Put the archive to its place, unless another driver, somewhere else, has added the round."""
            done = self._frontier(base).summary().round
            if done >= round_.number:
                raise LakeError(
                    f"crawl {self.name!r}: another process has released round {done}; nothing was published"
                )
            for number in range(round_.tasks):
                path = round_.warc(folder, number)
                archive.put(path, f"{self.archive}/{path.name}")

        release = run.publish(gate(lake), rebase=claim)
        return run.done(release, "records")

    @property
    def _place(self) -> str:
        return self.seeds[0].url if len(self.seeds) == 1 else f"{len(self.seeds)} addresses"

    def _nothing_came(self, round_: Round, entries: dict[str, list[DataFileEntry]], closed: Closed) -> str:
        """Take back a crawl that has come to nothing at once; returns what was the matter."""
        said = ", ".join(f"{verdict} {n:,}" for (_, verdict), n in sorted(closed.counts.items()))
        files = [entry.path for entry in entries[WEB_REJECTS.name]]
        details = storage.dataset(files).to_table(columns=["detail"])["detail"].to_pylist() if files else []
        discard(entry for each in entries.values() for entry in each)
        for path in (*files_of(self.folder, round_.number), *(self.folder / name for name in OWN)):
            if not path.name.endswith(".warc.gz") or round_.token in path.name:  # or it is another lake's archive
                path.unlink(missing_ok=True)
        with suppress(OSError):  # somebody else has files there, or other crawls have theirs
            self.folder.rmdir()
            self.folder.parent.rmdir()
        return f"{self._place}: no page was found ({said}): {next(iter(details), closed.trouble)}"

    def _say_what_is_left(self, counts: dict[tuple[str, str | None], int]) -> None:
        left = sum(n for (state, _), n in counts.items() if state == events.KNOWN)
        if left:
            note(
                f"{self.name}: {left:,} known addresses are not fetched yet: beyond max_pages = "
                f"{self.config.site.max_pages} or max_host_pages, or their hosts are to be left alone for a while; "
                "the same command goes on"
            )


def _shown(folder: Path, round_: Round, selected: int) -> AbstractContextManager[None]:
    """Show how many fetches of a round are done, from its tasks' journals."""
    counts = [KeptCount(round_.warc(folder, n)) for n in range(round_.tasks)]

    def look(shown: Bar) -> None:
        shown.update(min(sum(count.now() for count in counts), selected), selected, f"round {round_.number}")

    return followed("crawl", look)


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point of spark-submit."""

    def prepare(options: argparse.Namespace) -> StageWork:
        config = load(IngestConfig, options.config, "ingest", options.set)
        seed_items(options.paths, config.site)
        return lambda lake: crawl_sites(lake, options.paths, config)

    job_main("ingest", arguments, prepare, paths=True)


if __name__ == "__main__":
    main()
