"""Revisits: records that say a page was found again, unchanged, and where its first copy is.

A reader cannot know whether that copy is in the lake. So it writes each revisit as unresolved, and before
publishing `resolve` looks for the page: one whose archive states the same payload digest, the one at the
address that the revisit refers to if there are several, or one that begins like it: a long address is cut off.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from millpond.datafile import DataFileEntry, TableWriter
from millpond.duck import connect
from millpond.reasons import Reason
from millpond.schemas import WEB_REJECTS


def stated_digest(headers: Mapping[str, str]) -> str | None:
    """The payload digest a record states, in one spelling; None where it states none."""
    algorithm, colon, value = headers.get("warc-payload-digest", "").strip().partition(":")
    if not colon or not value.strip():
        return None
    value = value.strip()
    base32 = len(value) == 32  # of SHA-1 it is the usual spelling, and may be in small letters
    return f"{algorithm.strip().lower()}:{value.upper() if base32 else value.lower()}"


def describe(headers: Mapping[str, str]) -> str:
    """What a revisit refers to: payload digest, address and date, with `-` for what it does not say."""
    address = headers.get("warc-refers-to-target-uri", "").strip("<> ").replace(" ", "%20")
    date = headers.get("warc-refers-to-date", "").strip()
    return " ".join((stated_digest(headers) or "-", address or "-", date or "-"))


def resolve(rejects: Sequence[DataFileEntry], pages: Sequence[str], folder: str) -> list[DataFileEntry]:
    """Reject files in which revisits whose page is in the files `pages` say so; only files with such are rewritten."""
    if not rejects or not pages:
        return list(rejects)
    with connect() as connection:
        connection.execute(
            "create table revisits as select filename, file_row_number, split_part(detail, ' ', 1) as digest, "
            "split_part(detail, ' ', 2) as address from read_parquet(?, filename = true, file_row_number = true) "
            "where reason = ?",
            [[entry.path for entry in rejects], str(Reason.REVISIT_UNRESOLVED)],
        )
        connection.execute(
            "create table found as select r.filename, r.file_row_number, "
            "arg_min(p.page_id, (p.url is distinct from r.address, not starts_with(p.url, r.address), p.page_id)) "
            "as page_id "
            "from revisits r join (select page_id, url, stated_digest from read_parquet(?, union_by_name = true)) p "
            "on p.stated_digest = r.digest group by all",
            [list(pages)],
        )
        touched = {path for (path,) in connection.execute("select distinct filename from found").fetchall()}
        kept = [entry for entry in rejects if entry.path not in touched]
        for path in sorted(touched):
            rows = connection.sql(
                "select j.* exclude (file_row_number) replace ("
                "case when f.page_id is null then reason else $reason end as reason, "
                "coalesce(f.page_id, detail) as detail) from read_parquet($path, file_row_number = true) j "
                "left join (select * from found where filename = $path) f using (file_row_number) "
                "order by file_row_number",
                params={"path": path, "reason": str(Reason.REVISIT)},
            )
            with TableWriter(WEB_REJECTS.name, folder) as writer:
                for batch in rows.to_arrow_reader(100_000):
                    writer.write(batch)
            kept += writer.entries
    return kept
