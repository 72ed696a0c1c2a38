"""Records fetched by their places: all of them, in order, whatever the server does on the way."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from warcs import checksum_off, member, record
from web_files import Handler, Site, serve_files

from millpond.ingest.common_crawl.index import Capture
from millpond.ingest.common_crawl.records import Share, read_captures
from millpond.ingest.config import IngestConfig
from millpond.ingest.read import plan, read_rows
from millpond.patience import Patience

FILE = "crawl-data/CC-MAIN/a.warc.gz"
QUICK = Patience(tries=4, brief=1, first_seconds=0.02, longest_seconds=0.1, total_seconds=5, stall_seconds=0.5)
MEMBERS = [member(record(number)) for number in range(30)]


def places(members: list[bytes]) -> list[Capture]:
    found, offset = [], 0
    for number, data in enumerate(members):
        found.append(Capture(f"http://h.test/{number}", FILE, offset, len(data)))
        offset += len(data)
    return found


CAPTURES = places(MEMBERS)


@pytest.fixture
def site() -> Iterator[Site]:
    with serve_files(Site({f"/{FILE}": b"".join(MEMBERS)})) as served:
        yield served


def config(data: str, **settings: Any) -> IngestConfig:
    return IngestConfig.from_mapping({"crawl": "cc", "common_crawl": {"data": data}, **settings}, "test")


def fetched(site: Site, captures: list[Capture], connections: int = 4) -> list[tuple[str, dict[str, Any]]]:
    return list(read_captures(captures, config(site.url), Share(connections, 1 << 28), QUICK))


def test_the_same_pages_as_from_the_whole_file(site: Site) -> None:
    url = f"{site.url}/{FILE}"
    whole = {
        row["page_id"]: row
        for part in plan({url: None}, 1 << 30)
        for kind, row in read_rows(part, config(site.url))
        if kind == "page"
    }
    rows = fetched(site, CAPTURES[::-3])
    assert [row["url"] for _, row in rows] == [capture.url for capture in CAPTURES[::-3]]
    for kind, row in rows:
        assert kind == "page"
        assert row == whole[row["page_id"]]  # where it lies, too: the lineage is the same


def test_pages_of_a_folder(tmp_path: Path, site: Site) -> None:
    path = tmp_path / "my snapshot" / FILE
    path.parent.mkdir(parents=True)
    path.write_bytes(b"".join(MEMBERS))
    rows = list(read_captures(CAPTURES, config(str(tmp_path / "my snapshot")), Share(4, 1 << 28)))
    assert {row["source_file"] for _, row in rows} == {str(path)}
    assert [row["page_id"] for _, row in rows] == [row["page_id"] for _, row in fetched(site, CAPTURES)]


def test_no_more_connections_than_are_allowed(site: Site) -> None:
    def slowly(number: int, handler: Handler) -> bool:
        time.sleep(0.02)
        return False

    site.fault = slowly
    assert len(fetched(site, CAPTURES, connections=3)) == len(CAPTURES)
    assert 1 < site.most_open <= 3


@pytest.mark.parametrize("status", [403, 429, 503])
def test_a_busy_server_is_waited_for(site: Site, status: int) -> None:
    refused: list[int] = []

    def busy(number: int, handler: Handler) -> bool:
        if number % 7 != 3 or len(refused) > 3:
            return False
        refused.append(number)
        return handler.refuse(status, Retry_After="0")

    site.fault = busy
    assert {kind for kind, _ in fetched(site, CAPTURES)} == {"page"}
    assert refused


def test_cut_connections_lose_nothing(site: Site) -> None:
    cut: list[int] = []

    def cutting(number: int, handler: Handler) -> bool:
        handler.cut_after = 50 if number % 5 == 2 else None
        cut.extend([number] if handler.cut_after else [])
        return False

    site.fault = cutting
    assert {kind for kind, _ in fetched(site, CAPTURES)} == {"page"}
    assert len(cut) > 3
    assert any("cut at" in line for line in site.log)


def test_what_never_comes_is_a_reject_and_the_rest_goes_on(site: Site) -> None:
    lost = CAPTURES[5]

    def failing(number: int, handler: Handler) -> bool:
        wanted = handler.headers.get("Range", "").startswith(f"bytes={lost.offset}-")
        return wanted and handler.refuse(500)

    site.fault = failing
    rows = fetched(site, CAPTURES)
    assert [kind for kind, _ in rows] == ["page"] * 5 + ["reject"] + ["page"] * 24
    reject = rows[5][1]
    assert (reject["reason"], reject["url"], reject["offset"], reject["length"]) == (
        "fetch_failed",
        lost.url,
        lost.offset,
        lost.length,
    )
    assert "500" in reject["detail"]


@pytest.mark.parametrize(
    ("capture", "reason", "detail"),
    [
        (CAPTURES[1]._replace(url="http://other.test/"), "damaged", "the record here is of http://h.test/1"),
        (CAPTURES[1]._replace(length=CAPTURES[1].length + CAPTURES[2].length), "damaged", "not one record: 2 records"),
        (CAPTURES[1]._replace(length=60), "damaged", "the file ends inside a member"),
        (CAPTURES[1]._replace(offset=7), "damaged", "not one record"),
        (CAPTURES[1]._replace(offset=1 << 30), "fetch_failed", "has not the bytes that were asked for"),
        (CAPTURES[1]._replace(file="crawl-data/none.warc.gz"), "fetch_failed", "no such file"),
        (CAPTURES[1]._replace(file="../../etc/passwd"), "bad_row", "outside of the snapshot"),
        (CAPTURES[1]._replace(file="/etc/passwd"), "bad_row", "outside of the snapshot"),
        (CAPTURES[1]._replace(file="http://127.0.0.1:1/x"), "bad_row", "outside of the snapshot"),
        (CAPTURES[1]._replace(offset=-1), "bad_row", "no place in the file"),
        (CAPTURES[1]._replace(length=0), "bad_row", "no place in the file"),
        (CAPTURES[1]._replace(length=1 << 40), "too_large", "limit"),
    ],
)
def test_an_index_is_not_believed(site: Site, capture: Capture, reason: str, detail: str) -> None:
    (before, _), (kind, row), (behind, _) = fetched(site, [CAPTURES[0], capture, CAPTURES[2]])
    assert (before, kind, behind) == ("page", "reject", "page")
    assert row["reason"] == reason
    assert detail in row["detail"]
    assert row["file"].endswith(capture.file)


def test_a_damaged_record_is_a_reject(tmp_path: Path) -> None:
    members = [MEMBERS[0], checksum_off(MEMBERS[1]), MEMBERS[2]]
    path = tmp_path / FILE
    path.parent.mkdir(parents=True)
    path.write_bytes(b"".join(members))
    rows = list(read_captures(places(members), config(str(tmp_path)), Share(2, 1 << 28)))
    assert [(kind, row.get("reason")) for kind, row in rows] == [("page", None), ("reject", "damaged"), ("page", None)]
