"""Ingest as a stage: pages land once, repeats and rejects are counted, a bad file publishes nothing."""

from __future__ import annotations

import gzip
import json
import os
import random
import stat
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from archives import write_warc
from warcs import HTML, checksum_off, crafted, member, plainly_stored, record, stored

from millpond.errors import InputError
from millpond.ingest.config import IngestConfig, TextConfig
from millpond.ingest.job import ingest_files
from millpond.ingest.parts import archives
from millpond.ingest.read import plan
from millpond.ingest.warc import read_warc
from millpond.ingest.warc_records import Archive
from millpond.ingest.window import Window
from millpond.lake import Lake
from millpond.reasons import Reason

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

CONFIG = IngestConfig()
PAGES = [(f"http://site.example/{n}", b"<html><body><p>Page %d.</p></body></html>" % n) for n in range(6)]


def ledger(lake: Lake, run_id: str, unit: str = "records") -> dict[str, int]:
    """Amounts of a run's ledger by entry and reason."""
    wanted = (run_id, unit)
    rows = [row for row in lake.read("ops.ledger").to_pylist() if (row["run_id"], row["unit"]) == wanted]
    return {f"{row['entry']} {row['reason'] or ''}".strip(): row["amount"] for row in rows}


def test_known_pages_become_counted_rejects(lake: Lake, tmp_path: Path, spark: SparkSession) -> None:
    first = write_warc(tmp_path / "first.warc.gz", PAGES[:4])
    overlapping = write_warc(tmp_path / "over lapping.warc.gz", [*PAGES[2:], PAGES[5]])
    ingest_files(lake, [str(first)], CONFIG)
    outcome = ingest_files(lake, [str(overlapping)], CONFIG)
    assert ledger(lake, outcome.run_id) == {"in": 5, "out": 2, "rejected duplicate_page": 3}
    urls = lake.read("web.pages", ["url"])["url"].to_pylist()
    assert sorted(urls) == sorted(url for url, _ in PAGES)
    again = ingest_files(lake, [str(first)], CONFIG)
    assert again.unchanged and again.release == 1
    # Both files named together are another input: all known, all counted, no page added.
    both = ingest_files(lake, [str(first), str(overlapping)], CONFIG)
    assert ledger(lake, both.run_id) == {"in": 9, "out": 0, "rejected duplicate_page": 9}
    assert lake.rows("web.pages") == 6


def test_every_byte_is_accounted_for(lake: Lake, tmp_path: Path, spark: SparkSession) -> None:
    """By the row whose it is, as padding, or as of a member that several records share; of tables, too."""
    own, info, broken = member(record(0)), member(record(1, kind="warcinfo")), checksum_off(member(record(2)))
    several = member(record(3) + record(4, kind="request") + record(5))
    cut = member(record(6) + record(7)[:-9])
    parts = [own, info, member(b""), broken, several, member(record(8)), cut]
    path = tmp_path / "some.warc.gz"
    path.write_bytes(b"".join(parts))
    lines, good, bad = tmp_path / "rows.jsonl.gz", json.dumps({"text": "a text"}) + "\n", '{"text": 1}\n'
    lines.write_bytes(gzip.compress((good + "  \n" + bad).encode()))
    table = tmp_path / "rows.csv"
    table.write_text('text\n\n"a text\nof two lines"\n')
    texts = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"text": pa.array(["Pond", None, "Mühle"])}), texts)
    outcome = ingest_files(lake, [*map(str, (path, lines, table, texts))], CONFIG)
    assert ledger(lake, outcome.run_id)["in"] == 15
    assert ledger(lake, outcome.run_id, "bytes") == {
        "in": path.stat().st_size + len(good + bad) + 3 + table.stat().st_size + len(b"Pond" + "Mühle".encode()),
        "out": len(own) + len(parts[5]) + len(good) + len('"a text\nof two lines"\n') + 10,
        "rejected not_a_page": len(info),
        "rejected damaged": len(broken) + len(cut),
        "rejected bad_row": len(bad),
        "transformed padding": len(parts[2]) + 3 + len("text\n\n"),
        "transformed shared": len(several),
    }


def test_order_of_files_does_not_matter(tmp_path: Path, spark: SparkSession) -> None:
    paths = [str(write_warc(tmp_path / f"{n}.warc.gz", PAGES[n : n + 3])) for n in range(4)]
    digests = set()
    for name, order in (("forward", paths), ("backward", paths[::-1])):
        lake = Lake.open(str(tmp_path / name))
        ingest_files(lake, order, CONFIG)
        digests.add((lake.digest("web.pages"), lake.digest("web.rejects")))
    assert len(digests) == 1


def test_what_is_no_archive_does_not_stop_the_others(lake: Lake, tmp_path: Path, spark: SparkSession) -> None:
    good = write_warc(tmp_path / "good.warc.gz", PAGES)
    bad = tmp_path / "bad.warc.gz"
    bad.write_text("This is no archive.\n")
    with pytest.raises(InputError, match=r"bad\.warc\.gz: no page was found .* where a member should begin"):
        ingest_files(lake, [str(bad)], CONFIG)
    assert lake.release() is None
    outcome = ingest_files(lake, [str(good), str(bad)], CONFIG)
    assert ledger(lake, outcome.run_id) == {"in": 7, "out": 6, "rejected damaged": 1}
    [reject] = lake.read("web.rejects").to_pylist()
    assert (reject["file"], reject["offset"], reject["length"]) == (str(bad), 0, 20)


def test_a_bad_table_publishes_nothing(lake: Lake, tmp_path: Path, spark: SparkSession) -> None:
    good = write_warc(tmp_path / "good.warc.gz", PAGES)
    bad = tmp_path / "bad.parquet"
    bad.write_text("This is no table.\n")
    with pytest.raises(InputError, match=r"bad\.parquet: not a readable Parquet file"):
        ingest_files(lake, [str(good), str(bad)], CONFIG)
    assert lake.release() is None and not list(Path(lake.data_folder("web.pages")).glob("*"))


def test_a_file_that_cannot_be_opened_is_said_in_one_sentence(lake: Lake, tmp_path: Path) -> None:
    path = tmp_path / "socket.warc.gz"
    os.mknod(path, stat.S_IFSOCK | 0o600)
    with pytest.raises(InputError, match=r"socket\.warc\.gz: cannot be read"):
        ingest_files(lake, [str(path)], CONFIG)
    assert lake.release() is None


def test_odd_addresses_do_not_refuse_an_ingest(lake: Lake, tmp_path: Path, spark: SparkSession) -> None:
    archive = write_warc(tmp_path / "x.warc.gz", [("HTTP://site.example/a", b"<p>a"), ("site.example/b", b"<p>b")])
    table = tmp_path / "x.jsonl"
    table.write_text('{"text": "c", "url": "site.example/c"}\n{"text": "d", "url": "HTTPS://site.example/d"}\n')
    config = IngestConfig(text=TextConfig(url_column="url"))
    outcome = ingest_files(lake, [str(archive), str(table)], config)
    assert ledger(lake, outcome.run_id) == {"in": 4, "out": 2, "rejected not_a_page": 1, "rejected bad_row": 1}
    urls = lake.read("web.pages", ["url"])["url"].to_pylist()
    assert sorted(urls) == ["http://site.example/a", "https://site.example/d"]


def test_truncated_archive_keeps_what_is_whole_and_names_the_rest(
    lake: Lake, tmp_path: Path, spark: SparkSession
) -> None:
    whole = write_warc(tmp_path / "whole.warc.gz", PAGES).read_bytes()
    cut = tmp_path / "cut.warc.gz"
    cut.write_bytes(whole[:-30])
    outcome = ingest_files(lake, [str(cut)], CONFIG)
    assert ledger(lake, outcome.run_id) == {"in": 6, "out": 5, "rejected damaged": 1}
    [reject] = lake.read("web.rejects").to_pylist()
    assert reject["offset"] + reject["length"] == len(whole) - 30


def test_archive_without_pages_says_what_it_holds(lake: Lake, tmp_path: Path, spark: SparkSession) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps({"text": 5}) + "\n" + json.dumps({"text": None}) + "\n")
    with pytest.raises(InputError, match=r"no page was found in 2 records \(bad_row 2\); nothing was published"):
        ingest_files(lake, [str(path)], CONFIG)
    assert lake.release() is None


def test_real_archives_are_conserved(lake: Lake, test_data: Path, spark: SparkSession) -> None:
    """In one job, good and bad ones: what is found without Spark is in the lake, and the ledger balances."""
    files = [path for path in (test_data / "warc").rglob("*") if path.is_file() and ".cdx" not in path.name]
    paths = sorted(str(path) for path in files if "invalid" not in path.name or path.name.endswith("20.warc"))
    expected = {path: Counter[str]() for path in paths}
    for path in paths:
        for tag, row in read_warc(path, CONFIG.warc):
            expected[path][row.get("reason", tag)] += row.get("records", 1)
    records = sum(counts.pop("file") for counts in expected.values())
    outcome = ingest_files(lake, paths, CONFIG)
    counts = ledger(lake, outcome.run_id)
    assert counts["in"] == records == sum(n for entry, n in counts.items() if entry != "in")
    assert counts["out"] == lake.rows("web.pages") > 70
    sizes = ledger(lake, outcome.run_id, "bytes")
    assert sizes["in"] == sum(bytes_of_archives(path) for path in paths)
    assert sizes["in"] == sum(n for entry, n in sizes.items() if entry != "in")
    assert {"out", "rejected not_a_page", "transformed shared"} <= sizes.keys()
    pages, rejects = lake.read("web.pages").to_pylist(), lake.read("web.rejects").to_pylist()
    same = {Reason.DUPLICATE_PAGE: "page", Reason.REVISIT: str(Reason.REVISIT_UNRESOLVED)}
    found = {path: Counter[str]() for path in paths}
    for row in pages:
        found[row["source_file"].partition(".wacz/")[0] + ".wacz" * (".wacz/" in row["source_file"])]["page"] += 1
    for row in rejects:
        path = row["file"].partition(".wacz/")[0] + ".wacz" * (".wacz/" in row["file"])
        found[path][same.get(row["reason"], row["reason"])] += row["records"]
    assert found == expected

    def rows_of(name: str) -> list[tuple[object, ...]]:
        kept = [row for row in pages if row["source_file"].endswith(name)]
        kept.sort(key=lambda row: row["source_offset"])
        columns = ("url", "status", "content_type", "charset", "source_offset", "source_length")
        return [(*(row[column] for column in columns), row["fetched_at"].isoformat()[:19]) for row in kept]

    def counted(name: str) -> set[tuple[str, int]]:
        return {(row["detail"], row["records"]) for row in rejects if row["file"].endswith(name)}

    arc, wat = "truncated.arc", "whirlwind.warc.wat.gz"
    [wet] = rows_of("whirlwind.warc.wet") or rows_of("whirlwind.warc.wet.gz")
    assert rows_of(arc) == [
        ("http://www.archive.org/", 200, "text/html", "utf-8", 2376, 748, "2008-04-30T20:48:26"),
        ("http://www.archive.org/index.php", 200, "text/html", "utf-8", 3124, 29079, "2008-04-30T20:48:26"),
    ]
    about = {
        ("dns: address", 1),
        ("robots.txt", 1),
        ("image/jpeg", 1),
        ("image/gif", 1),
        ("image/png", 1),
        ("text/xml", 1),
    }
    assert counted(arc) == about | {("warcinfo record", 1)}
    assert wet[:4] == ("https://an.wikipedia.org/wiki/Escopete", None, "text/plain", "utf-8")
    [text] = {row["body"] for row in pages if row["url"] == wet[0] and row["content_type"] == "text/plain"}
    assert text.startswith(b"Escopete - Biquipedia, a enciclopedia libre\n") and wet[6] == "2024-05-18T01:58:10"
    assert counted(wat) == {("metadata record", 1), ("warcinfo record", 1)}


def bytes_of_archives(path: str) -> int:
    with Path(path).open("rb") as file:
        return sum(part.end - part.begin for part in archives(file, path))


def test_a_large_archive_is_read_in_parts(lake: Lake, tmp_path: Path, spark: SparkSession) -> None:
    """However a file is cut the tables are the same, damage, a stored archive and a crafted member included."""
    rng = random.Random(4)

    def page(number: int) -> bytes:
        return member(record(number, HTML + b"\r\n<p>" + rng.randbytes(6000).hex().encode()))

    chain = b"".join(plainly_stored(record(1000 + n) + b"\n" * 300) for n in range(200))
    lie = crafted(record(900, HTML + b"\r\n", length=len(HTML) + 2 + 4 + len(chain))[:-4], chain, b"\r\n\r\n")
    parts = [page(number) for number in range(60)]
    parts[7] = parts[7][:900] + bytes(9) + parts[7][909:]
    parts[20] = stored(record(901, HTML + b"\r\n" + b"".join(parts[:5])))
    parts[30:30] = [lie, member(record(902, b"GET / HTTP/1.1", kind="request"))]
    parts[50:50] = [member(record(903, b"GET / HTTP/1.1", kind="request"))]
    path = tmp_path / "large.warc.gz"
    path.write_bytes(b"".join(parts))
    with path.open("rb") as file:
        archive = Archive(Window(file), str(path))
        begins = {item.offset for item in archive.records()}
        guesses = {part.bounds(archive)[0] for part in plan({str(path): None}, 40_000)} - {None}
    assert len(guesses) > 5 and guesses - begins  # some are right, and one is not
    digests, found = set(), []
    for name, size in (("whole", 1 << 30), ("parts", 40_000)):
        one = Lake.open(str(tmp_path / name))
        config = IngestConfig(split_bytes=size)
        found.append(ledger(one, ingest_files(one, [str(path)], config).run_id))
        digests.add((one.digest("web.pages"), one.digest("web.rejects")))
        published = {Path(file).name for table in TABLES_OF_FILES for file in one.files(table)}
        on_disk = {file.name for table in TABLES_OF_FILES for file in Path(one.data_folder(table)).glob("*.parquet")}
        assert on_disk == published  # nothing of what was thrown away is left
    assert len(digests) == 1 and found[0] == found[1]
    assert found[0] == {"in": 63, "out": 60, "rejected damaged": 1, "rejected not_a_page": 2}


TABLES_OF_FILES = ("web.pages", "web.rejects")


def test_revisits_point_at_the_page_that_is_in_the_lake(lake: Lake, tmp_path: Path, spark: SparkSession) -> None:
    def revisit(number: int, digest: str, address: str = "http://h.test/0") -> bytes:
        extra = f"WARC-Payload-Digest: {digest}\r\nWARC-Refers-To-Target-URI: {address}\r\n"
        return member(record(number, b"HTTP/1.1 200 OK\r\n\r\n", extra=extra, kind="revisit"))

    def page(number: int, digest: str) -> bytes:
        return member(record(number, extra=f"WARC-Payload-Digest: {digest}\r\n"))

    first, second, third = ("sha1:" + letter * 32 for letter in "ABC")
    one, two = tmp_path / "1.warc.gz", tmp_path / "2.warc.gz"
    one.write_bytes(page(0, first) + page(1, first) + page(2, second) + revisit(3, first.lower()))
    outcome = ingest_files(lake, [str(one)], CONFIG)
    assert ledger(lake, outcome.run_id) == {"in": 4, "out": 3, "rejected revisit": 1}
    two.write_bytes(page(5, "md5:0") + revisit(6, second) + revisit(7, third) + revisit(8, first, "http://h.test/1"))
    outcome = ingest_files(lake, [str(two)], CONFIG)
    assert ledger(lake, outcome.run_id) == {"in": 4, "out": 1, "rejected revisit": 2, "rejected revisit_unresolved": 1}
    pages = {row["url"]: row["page_id"] for row in lake.read("web.pages", ["url", "page_id"]).to_pylist()}
    found = {row["url"][-1]: (row["reason"], row["detail"]) for row in lake.read("web.rejects").to_pylist()}
    assert found == {
        "3": ("revisit", pages["http://h.test/0"]),
        "6": ("revisit", pages["http://h.test/2"]),
        "7": ("revisit_unresolved", f"{third} http://h.test/0 -"),
        "8": ("revisit", pages["http://h.test/1"]),
    }
