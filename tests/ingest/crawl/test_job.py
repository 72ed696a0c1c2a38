"""A crawl as Spark does it: rounds released one by one, traps, kills, and one driver at a time."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from cluster import environment
from pyspark.sql import SparkSession
from sessions import left_behind
from warcio.archiveiterator import ArchiveIterator
from websites import Answers, Handler, Site, links, redirect, site, sites

from millpond import storage
from millpond.datafile import write_rows
from millpond.errors import InputError, LakeError, LedgerError
from millpond.ingest.config import IngestConfig, SiteConfig
from millpond.ingest.crawl.folder import OWN
from millpond.ingest.crawl.job import crawl_sites
from millpond.ingest.job import ingest_files
from millpond.inputs import expand
from millpond.lake import Lake
from millpond.spark import write_tables

DISALLOWED = "/private"


def generated(pages: int, seed: int, children_each: int = 20) -> Answers:
    """A site whose pages link to a few others, every one reachable from the first; some lead where nobody may go."""
    rng = random.Random(seed)
    answers: Answers = {"/robots.txt": f"User-agent: *\nDisallow: {DISALLOWED}\n"}
    for n in range(pages):
        first = children_each * n + 1
        children = [f"/{child}" for child in range(first, first + children_each) if child < pages]
        others = [f"/{rng.randrange(1, pages)}" for _ in range(4)]
        answers["/" if n == 0 else f"/{n}"] = f"<title>{seed}</title><p>Page {n}.</p>" + links(
            *children, *others, f"{DISALLOWED}/{n}", "/missing", "#top"
        )
    return answers


def settings(*servers: Site, crawl: str = "test", **changes: Any) -> IngestConfig:
    fields = {
        "tdmrep": False,
        "delay_seconds": 0.0,
        "timeout_seconds": 5.0,
        "allow_private": [server.host for server in servers],
    }
    return IngestConfig(crawl=crawl, site=SiteConfig.model_validate({**fields, **changes}))


def stored(lake: Lake, server: Site) -> Counter[str]:
    """How often each path of a site is among the released pages."""
    urls = lake.read("web.pages", ["url"])["url"].to_pylist()
    return Counter(url.removeprefix(server.url) for url in urls if url.startswith(server.url + "/"))


def reachable(server: Site) -> set[str]:
    return set(server.answers) - {"/robots.txt"}


def test_every_reachable_page_is_stored_once_and_politely(lake: Lake, tmp_path: Path, spark: SparkSession) -> None:
    with sites(a=generated(90, 1), b=generated(60, 2), c=generated(30, 3)) as served:
        servers = list(served.values())
        config = settings(*servers, delay_seconds=0.02, archive=str(tmp_path / "archive"))
        seeds = [server.url + "/" for server in servers]
        outcome = crawl_sites(lake, seeds, config)
        for server in servers:
            assert stored(lake, server) == Counter(reachable(server))
            assert not [path for path in server.asked if path.startswith(DISALLOWED)]
            assert max(Counter(server.asked).values()) == 1 and server.most_open == 1 and min(server.gaps) >= 0.02
        asked = sum(len(server.log) for server in servers)
        assert outcome.counts == {"in": 180 * 2 + 3, "out": 180, "rejected robots": 180, "rejected http_status": 3}
        again = crawl_sites(lake, seeds, config)
        assert again.unchanged and again.release == outcome.release and sum(len(s.log) for s in servers) == asked
    rows = lake.read("ops.ledger").to_pylist()
    totals: Counter[tuple[str, str]] = Counter()
    for row in rows:
        totals[row["unit"], row["entry"]] += row["amount"]
    assert totals["fetches", "in"] == 363 and totals["fetches", "out"] == 180 and totals["fetches", "rejected"] == 183
    # What a page says of its place in the archive leads to its bytes.
    for page in lake.read("web.pages").to_pylist():
        assert page["source_file"].startswith(str(tmp_path / "archive"))
        with Path(page["source_file"]).open("rb") as file:
            file.seek(page["source_offset"])
            record = next(iter(ArchiveIterator(BytesIO(file.read(page["source_length"])))))
            assert record.rec_headers.get_header("WARC-Target-URI") == page["url"]
            assert hashlib.sha256(record.content_stream().read()).hexdigest() == page["payload_digest"]
    # Read as an archive like others it gives the same pages.
    second = Lake.open(str(tmp_path / "second"))
    ingest_files(second, expand([f"{tmp_path}/archive/test/*.warc.gz"]), IngestConfig())
    columns = ["url", "payload_digest", "fetched_at", "page_id"]
    read = {tuple(row.values()) for row in second.read("web.pages", columns).to_pylist()}
    pages = {tuple(row.values()) for row in lake.read("web.pages", columns).to_pylist()}
    assert pages == read
    crawl = lake.root / "crawls" / "test"
    assert {path.name for path in crawl.iterdir()} <= set(OWN) | {p.name for p in crawl.glob("0*")}


def trap(handler: Handler) -> None:
    """Every address is a page that leads deeper into nowhere."""
    path, _, query = handler.path.partition("?")
    n = int(query.partition("=")[2] or 0) if query.startswith("d=") else 0
    session = f"{random.Random(len(handler.server.log)).random()}"[2:12]
    body = links(
        f"/cal?d={n + 1}", f"{path}/a", f"{path}/x{n}/y", f"/real/1;jsessionid={session}", f"/cal?d={n}&s={n * 7}"
    )
    handler.send(body.encode())


def test_a_trap_ends_within_its_budget_with_the_real_pages_fetched(lake: Lake, spark: SparkSession) -> None:
    real: Answers = {
        f"/real/{n}": f"<p>Real page {n}."
        + links(*(f"/real/{m}" for m in (3 * n, 3 * n + 1, 3 * n + 2) if m <= 30), "/cal?d=1")
        for n in range(1, 30)
    }
    real["/real/30"] = "<p>The last."
    real["/"] = links("/cal?d=0", "/real/1", "/real/2", "/loop/0")
    real |= {f"/loop/{n}": redirect(f"/loop/{n + 1}") for n in range(50)}
    real["/robots.txt"] = lambda handler: handler.send(b"", 404)
    with site(real, otherwise=trap) as server:
        config = settings(server, max_depth=5, max_pages=400, max_query_variants=8, round_pages=100)
        crawl_sites(lake, [server.url + "/"], config)
        assert len(server.log) <= 401 and max(Counter(server.asked).values()) == 1
    pages = stored(lake, server)
    for n in range(1, 31):  # the first page was met with a session's id, and kept once
        assert sum(times for path, times in pages.items() if path.partition(";")[0] == f"/real/{n}") == 1
    # Redirects that lead to another address each time end too, each of them as one row.
    assert [path for path in server.asked if path.startswith("/loop/")] == [f"/loop/{n}" for n in range(6)]
    hops = [row for row in lake.read("web.rejects").to_pylist() if "/loop/" in (row["url"] or "")]
    assert len(hops) == 6 and {row["reason"] for row in hops} == {"redirect"}
    [last] = [row["detail"] for row in hops if row["url"].endswith("/loop/5")]
    assert last == f"302 not followed after 5 redirects: {server.url}/loop/6"
    details = Counter(row["detail"] for row in lake.read("web.rejects").to_pylist() if row["reason"] == "limit")
    assert any("max_segment_repeats" in each for each in details) and any("max_query" in each for each in details)
    limited = [row for row in lake.read("web.frontier").to_pylist() if row["verdict"] == "limit"]
    assert len(limited) == sum(details.values()) == len({row["url_key"] for row in limited})


def test_what_is_put_back_comes_again_and_a_higher_limit_goes_on(lake: Lake, spark: SparkSession) -> None:
    def busy(handler: Handler) -> None:
        if handler.server.asked.count("/busy") < 2:
            handler.send(b"", 503)
        else:
            handler.send(b"<p>at last")

    answers: Answers = {
        "/": links("/busy", "/moved", *(f"/{n}" for n in range(6))),
        "/busy": busy,
        "/moved": redirect("/target"),
        "/target": "<p>target",
        **{f"/{n}": f"<p>{n}" for n in range(6)},
    }
    with site({}) as gone:
        pass
    with site(answers) as server:
        both = (server, gone)
        seeds = [each.url + "/" for each in both]
        config = settings(
            *both, max_pages=4, retry_seconds=0.2, max_crawl_delay_seconds=0.1, patience_seconds=5, max_tries=2
        )
        crawl_sites(lake, seeds, config)
        assert len(set(server.asked) - {"/robots.txt"}) == 4
        config = settings(
            *both, max_pages=100, retry_seconds=0.2, max_crawl_delay_seconds=0.1, patience_seconds=5, max_tries=2
        )
        crawl_sites(lake, seeds, config)
        assert stored(lake, server) == Counter(set(answers) - {"/moved"})
        asked = Counter(server.asked)
        assert asked.pop("/busy") == 2 and set(asked.values()) == {1}
    [dead] = [row for row in lake.read("web.rejects").to_pylist() if row["url"] == gone.url + "/"]
    assert dead["reason"] == "robots" and "given up after 2 failures" in dead["detail"]


def test_pages_are_fetched_again_when_they_are_old(lake: Lake, spark: SparkSession) -> None:
    def tagged(handler: Handler) -> None:
        handler.send(
            b"" if handler.headers.get("If-None-Match") else b"<p>tagged",
            304 if handler.headers.get("If-None-Match") else 200,
            ETag='"1"',
        )

    with site({"/": tagged}) as server:
        config = settings(server, refetch_seconds=0.5, patience_seconds=0)
        crawl_sites(lake, [server.url + "/"], config)
        time.sleep(0.6)
        outcome = crawl_sites(lake, [server.url + "/"], config)
    assert server.asked == ["/robots.txt", "/", "/"] and lake.rows("web.pages") == 1
    assert outcome.counts == {"in": 1, "out": 0, "rejected not_modified": 1}


def test_a_round_that_does_not_add_up_is_not_released_and_not_fetched_again(
    lake: Lake, spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One row taken out of any table is missed, by what was asked for and what came over the wire."""
    answers: Answers = {"/": links("/b", "/private"), "/b": "<p>b", "/robots.txt": "User-agent: *\nDisallow: /private"}
    with site(answers) as server:
        config, seeds = settings(server), [f"{server.url}{path}" for path in ("/", "/b", "/private")]
        for table, path, unit in (
            ("web.pages", "/", "bytes"),
            ("web.rejects", "/private", "records"),
            ("web.frontier", "/", "fetches"),
        ):
            lost: list[str] = []

            def lossy(*given: Any, table: str = table, path: str = path, lost: list[str] = lost) -> Any:
                written = write_tables(*given)
                rows = storage.dataset([entry.path for entry in written.entries[table]]).to_table().to_pylist()
                lost += [row["url"] for row in rows if row["url"] == server.url + path]
                rest = [row for row in rows if row["url"] not in lost]
                written.entries[table] = write_rows(table, lake.data_folder(table), rest)
                return written

            with monkeypatch.context() as patched:
                patched.setattr("millpond.ingest.crawl.job.write_tables", lossy)
                with pytest.raises(LedgerError, match=f"{unit} do not balance"):
                    crawl_sites(lake, seeds, config)
            assert len(lost) == 1 and lake.release() is None
        crawl_sites(lake, seeds, config)
        assert sorted(server.asked) == ["/", "/b", "/robots.txt"] and stored(lake, server) == {"/": 1, "/b": 1}
    archived = sum(path.stat().st_size for path in (lake.root / "crawls" / "test").glob("*.warc.gz"))
    lines = [row for row in lake.read("ops.ledger").to_pylist() if row["unit"] == "bytes"]
    amounts = {(row["entry"], row["reason"]): row["amount"] for row in lines}
    assert amounts["in", None] == archived == sum(n for (entry, _), n in amounts.items() if entry != "in")
    assert {reason for entry, reason in amounts if entry == "transformed"} == {"request", "rules", "warcinfo"}


def test_a_round_that_another_driver_has_released_leaves_nothing(
    lake: Lake, tmp_path: Path, spark: SparkSession
) -> None:
    """Two machines do the same crawl; while the one fetches, the other is done with it."""
    archived = tmp_path / "archive"
    others: list[str] = []

    def slow(handler: Handler) -> None:
        if not others:
            others.append("begun")
            config = settings(handler.server, archive=str(archived), folder=str(tmp_path / "other"))
            crawl_sites(Lake.open(lake.uri), [handler.server.url + "/"], config)
            others[:] = [path.name for path in (archived / "test").iterdir()]
        handler.send(b"<p>one")

    with site({"/": slow}) as server:
        config = settings(server, archive=str(archived), folder=str(tmp_path / "one"), timeout_seconds=60)
        with pytest.raises(LakeError, match="another process has released round 1"):
            crawl_sites(lake, [server.url + "/"], config)
        assert stored(lake, server) == {"/": 1} and server.asked.count("/") == 2
    assert len(others) == 1 and others == [path.name for path in (archived / "test").iterdir()]


def test_what_cannot_be_crawled_is_said(lake: Lake, spark: SparkSession) -> None:
    for url in ("ftp://h/", "just words", "http://"):
        with pytest.raises(InputError, match="not an http or https address"):
            crawl_sites(lake, [url], IngestConfig())
    with pytest.raises(InputError, match="no address to start from"):
        crawl_sites(lake, [], IngestConfig())
    with pytest.raises(InputError, match="contact is empty"):
        crawl_sites(lake, ["https://example.com/"], IngestConfig())
    assert lake.release() is None
    with site({"/": "<p>secret"}) as server:
        with pytest.raises(InputError, match=r"no page was found \(fetch_failed 1\): .* not a public address"):
            crawl_sites(lake, [server.url + "/"], settings(server, allow_private=[]))
        assert not server.log


def start(lake: Lake, server: Site) -> subprocess.Popen[bytes]:
    """The crawl as a person starts it, in a session of its own."""
    options = {"delay_seconds": 0.05, "timeout_seconds": 5, "allow_private": f'["{server.host}"]'}
    changes = [word for key, value in options.items() for word in ("--set", f"site.{key}={value}")]
    return subprocess.Popen(
        [sys.executable, "-m", "millpond", "ingest", "site", server.url + "/", "--lake", lake.uri, *changes],
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def test_killed_at_any_time_it_goes_on_where_it_was(lake: Lake) -> None:
    answers = {path: slowly(body) for path, body in generated(120, 7, 40).items()}
    with site(answers) as server:
        sessions = []
        for kill, at in ((os.killpg, 20), (os.kill, 100)):
            process = start(lake, server)
            sessions.append(process.pid)
            while len(server.log) < at or not server.open:
                assert process.poll() is None, "it ended before it could be killed"
                time.sleep(0.002)
            kill(process.pid, signal.SIGKILL)
            assert process.wait() == -signal.SIGKILL
        process = start(lake, server)
        sessions.append(process.pid)
        assert process.wait(120) == 0
        asked = Counter(server.asked)
        assert stored(lake, server) == Counter(reachable(server))
        assert max(asked.values()) <= 2 and sum(asked.values()) <= len(asked) + 2
        assert not [path for path in asked if path.startswith(DISALLOWED)]
        assert server.most_open == 1 and min(server.gaps) >= 0.05
    until = time.monotonic() + 30
    while (left := [pid for session in sessions for pid in left_behind(session)]) and time.monotonic() < until:
        time.sleep(0.2)
    assert not left, "a JVM or a worker outlived its driver"


def slowly(body: Any) -> Any:
    """The same answer after a moment, so that a kill meets a fetch under way."""

    def answer(handler: Handler) -> None:
        time.sleep(0.03)
        handler.send(body.encode())

    return answer


def test_a_key_in_the_address_of_the_archive_is_refused(lake: Lake) -> None:
    site_config = SiteConfig(contact="a@b.example", archive="https://u:word@h.example/a")
    with pytest.raises(InputError, match=r"https://h\.example/a: this address holds a key"):
        crawl_sites(lake, ["https://a.example/"], IngestConfig(site=site_config))
    assert not (lake.root / "crawls").exists()
