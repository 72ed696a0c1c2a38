"""What a round adds up to: what was asked for and what came, against what was made of it.

What came in is counted from the plan and from the WARC files, which know nothing of the rows; what became of it from
pages, rejects and events. So a row that is lost on the way, of any of them, is missed here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow.compute as pc

from millpond import storage
from millpond.datafile import DataFileEntry
from millpond.ingest.crawl import events
from millpond.ingest.crawl.closing import Closed
from millpond.ingest.crawl.journal import records_of
from millpond.ingest.crawl.plan import Item, Round
from millpond.ingest.publish import sum_of, sums_by_reason
from millpond.ledger import Ledger
from millpond.reasons import Reason
from millpond.schemas import PAGES, WEB_REJECTS

Entries = Mapping[str, Sequence[DataFileEntry]]


def account(
    ledger: Ledger, round_: Round, folder: Path, selected: Sequence[Item], closed: Closed, entries: Entries
) -> None:
    """Write the lines of a round whose plan and journals lie in `folder`; `entries` are the files of each table."""
    pages, rejects = entries[PAGES.name], entries[WEB_REJECTS.name]
    deferred = sum(n for (state, _), n in closed.counts.items() if state == events.KNOWN)
    addresses = len(selected) + closed.counts.get((events.REFUSED, Reason.LIMIT), 0)

    ledger.add("records", "in", addresses - deferred + _links_past(rejects))
    ledger.add("records", "out", sum(entry.rows for entry in pages))
    ledger.add_all("records", "rejected", sums_by_reason(rejects, "records"))

    ledger.add("fetches", "in", addresses)
    for (state, verdict), n in closed.counts.items():
        if state == events.KNOWN:
            ledger.add("fetches", "removed", n, verdict)
        elif verdict == events.PAGE:
            ledger.add("fetches", "out", n)
        else:
            ledger.add("fetches", "rejected", n, verdict)

    ledger.add("bytes", "in", sum(round_.warc(folder, n).stat().st_size for n in range(round_.tasks)))
    ledger.add("bytes", "out", sum_of(pages, "source_length"))
    ledger.add_all("bytes", "rejected", sums_by_reason(rejects, "length"))
    claimed = _places(pages, "source_file", "source_offset") | _places(rejects, "file", "offset")
    keys = {item.url: item.url_key for item in selected}
    without = _decided_without(closed.frontier)
    for number in range(round_.tasks):
        warc = round_.warc(folder, number)
        records = records_of(warc)
        newest = {record.url: record.offset for record in records}
        for record in records:
            ledger.add("bytes", "transformed", record.end - record.offset - record.length, "request")
            if (warc.name, record.offset) in claimed:
                continue
            if not record.url:
                ledger.add("bytes", "transformed", record.length, "warcinfo")
            elif record.url not in keys or record.offset != newest[record.url]:
                ledger.add("bytes", "transformed", record.length, "rules")
            elif why := without.get(keys[record.url]):
                ledger.add("bytes", "removed", record.length, why)


def _links_past(rejects: Sequence[DataFileEntry]) -> int:
    """Links that were too many to be taken: of those there is nothing but the count."""
    if not rejects:
        return 0
    rows = storage.dataset([entry.path for entry in rejects])
    counts = rows.to_table(columns=["records"], filter=pc.field("url").is_null())
    return int(pc.sum(counts["records"]).as_py() or 0)


def _places(entries: Sequence[DataFileEntry], file: str, offset: str) -> set[tuple[str, int]]:
    """Names of WARC files, and the places in them that rows point to."""
    if not entries:
        return set()
    rows = storage.dataset([entry.path for entry in entries]).to_table(columns=[file, offset])
    names = (name.rpartition("/")[2] for name in rows[file].to_pylist())
    return {(name, place) for name, place in zip(names, rows[offset].to_pylist(), strict=True) if place is not None}


def _decided_without(frontier: Sequence[DataFileEntry]) -> dict[str, str]:
    """Keys of the addresses that were put back, or decided on without an answer, and why.

    What an attempt before has fetched of them stays in the archive alone.
    """
    if not frontier:
        return {}
    without = (pc.field("verdict") == events.DEFERRED) | pc.field("state").isin([events.REFUSED, events.FAILED])
    rows = storage.dataset([entry.path for entry in frontier]).to_table(columns=["url_key", "verdict"], filter=without)
    return dict(zip(rows["url_key"].to_pylist(), rows["verdict"].to_pylist(), strict=True))
