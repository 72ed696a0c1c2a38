"""One task of a round on real servers: politeness proved by access logs, and every address decided on or put back."""

from __future__ import annotations

import gzip
import threading
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from crawled import Crawled
from websites import Answers, links, raw, redirect, site, sites

from millpond.ingest.crawl.traps import url_key


def test_nothing_disallowed_is_asked_for_and_the_delay_holds(tmp_path: Path) -> None:
    rules = (
        "\ufeffUser-agent: *\nDisallow: /\n\n"
        "User-agent: millpond\nDisallow: /private\nAllow: /private/open\nCrawl-delay: 0.4\n"
    )
    answers: Answers = {
        "/robots.txt": lambda handler: handler.send(rules.encode(), kind="text/plain"),
        **dict.fromkeys(("/", "/a", "/private/open"), "<p>page"),
    }
    paths = ("/", "/private/x", "/private", "/private/open", "/a")
    with sites(one=answers, two=answers) as servers:
        begin = time.monotonic()
        crawled = Crawled(tmp_path, list(servers.values()), paths, delay_seconds=0.05, user_agent="Millpond/9")
        took = time.monotonic() - begin
    for server in servers.values():
        assert server.asked == ["/robots.txt", "/", "/private/open", "/a"]
        assert min(server.gaps) >= 0.4 and server.most_open == 1
        assert {headers["User-Agent"] for _, _, headers in server.log} == {"Millpond/9"}
    assert took < 2.2  # both at a time
    assert crawled.why == {"/private/x": "robots", "/private": "robots"}
    robots = [row for row in crawled.events if row["state"] == "robots"]
    assert [row["robots"] for row in robots] == [rules.removeprefix("\ufeff")] * 2


def test_rules_that_are_fresh_are_not_asked_for_again(tmp_path: Path) -> None:
    with site({"/": "<p>page", "/x": "<p>x"}) as server:
        fresh = {"robots": {server.url: {"text": "User-agent: *\nDisallow: /x", "at": datetime.now(UTC)}}}
        crawled = Crawled(tmp_path, server, ("/", "/x"), host=fresh)
    assert server.asked == ["/"] and crawled.why == {"/x": "robots"}


def test_a_host_that_wants_more_delay_than_is_allowed_is_not_crawled(tmp_path: Path) -> None:
    with site({"/robots.txt": "User-agent: *\nCrawl-delay: 86400", "/": "x"}) as server:
        crawled = Crawled(tmp_path, server)
    assert server.asked == ["/robots.txt"] and "86400 s between requests" in crawled.rejects[0]["detail"]


def test_what_sites_say_of_use_and_indexing_is_obeyed_and_recorded(tmp_path: Path) -> None:
    answers: Answers = {
        "/robots.txt": "User-agent: *\nContent-Usage: /art train-ai=n\nSitemap: /relative\nSitemap: http://elsewhere/s",
        "/": links("/from-root") + "<a rel='nofollow' href='/by-nofollow-link'>",
        "/noindex": "<meta name=robots content=noindex>" + links("/behind-noindex"),
        "/nofollow": "<meta name=robots content=nofollow>" + links("/behind-nofollow"),
        "/none": lambda handler: handler.send(links("/behind-none").encode(), X_Robots_Tag="millpond: none"),
        "/other-bot": lambda handler: handler.send(b"<p>ok", X_Robots_Tag="googlebot: noindex, noai"),
        "/two-tags": raw(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nX-Robots-Tag: googlebot: nofollow\r\n"
            b"X-Robots-Tag: noindex\r\nContent-Length: 2\r\n\r\nok"
        ),
        "/noai": "<meta name=robots content='noai, noimageai'>" + links("/behind-noai"),
        "/noimageai": "<meta name=robots content='noimageai'>",
        "/tdm": lambda handler: handler.send(b"<p>x", tdm_reservation="1"),
        "/tdm-meta": "<meta name=tdm-reservation content=1>",
        "/usage": lambda handler: handler.send(b"<p>x", Content_Usage="train-ai=n"),
        "/art/1": "<p>art",
    }
    paths = [path for path in answers if path != "/robots.txt"]
    with site(answers) as server:
        crawled = Crawled(tmp_path / "obeyed", server, paths)
        assert "/art/1" not in server.asked
        taken = Crawled(tmp_path / "taken", server, paths, obey_reservations=False)
    assert crawled.paths == ["/", "/nofollow", "/other-bot", "/noimageai"]
    reserved = dict.fromkeys(("/noai", "/tdm", "/tdm-meta", "/usage", "/art/1"), "reserved")
    assert crawled.why == {**dict.fromkeys(("/noindex", "/none", "/two-tags"), "robots"), **reserved}
    assert set(crawled.found) == {"/from-root", "/behind-noindex", "/behind-noai"}
    assert set(taken.paths) == set(paths) - {"/noindex", "/none", "/two-tags"}
    said = {Crawled.path(row["url"]): row["reservation"] for row in taken.events if row["reservation"]}
    assert said == {
        "/noai": "noai; noimageai",
        "/noimageai": "noimageai",
        "/tdm": "tdm-reservation=1",
        "/tdm-meta": "tdm-reservation=1",
        "/usage": "train-ai=n",
        "/art/1": "robots.txt train-ai=n",
    }


def test_redirects_end(tmp_path: Path) -> None:
    with site({"/a": redirect("/b"), "/b": redirect("/c")}) as server:
        crawled = Crawled(tmp_path, server, ("/a", "/b"), {"/b": {"redirects": 5, "found": "redirect"}})
    assert crawled.found["/b"]["redirects"] == 1 and crawled.found["/b"]["found"] == "redirect"
    assert "/c" not in crawled.found and "not followed after 5 redirects" in crawled.rejects[1]["detail"]


def test_an_address_goes_on_by_the_spelling_it_redirects_to(tmp_path: Path) -> None:
    with site({"/p?b=1&a=2": redirect("/p?a=2&b=1"), "/p?a=2&b=1": "<p>one"}) as server:
        asked, target = (server.url + path for path in ("/p?b=1&a=2", "/p?a=2&b=1"))
        crawled = Crawled(tmp_path / "1", server, ("/p?b=1&a=2",), moved={asked: target})
        [known] = crawled.put_back.values()
        assert known["url"] == target and known["url_key"] == url_key(asked) and not crawled.rejects
        assert known["redirects"] == 1 and known["tries"] == 1 and known["next_fetch_at"] < datetime.now(UTC)
        again = {key: known[key] for key in ("redirects", "tries")}
        assert Crawled(tmp_path / "2", server, ("/p?a=2&b=1",), {"/p?a=2&b=1": again}).paths == ["/p?a=2&b=1"]
        server.answers["/p?a=2&b=1"] = redirect("/p?b=1&a=2")
        last = Crawled(tmp_path / "3", server, ("/p?b=1&a=2",), {"/p?b=1&a=2": {"redirects": 5}})
    assert last.why == {"/p?b=1&a=2": "redirect"}


def test_a_page_has_only_so_many_links(tmp_path: Path) -> None:
    body = links("/1", "/1", "/2", "/3", "/1", "mailto:x") + "<a rel=nofollow href=/4>"
    with site({"/": body}) as server:
        crawled = Crawled(tmp_path, server, max_page_links=2, stop_after=99)
    assert crawled.paths == ["/"] and set(crawled.found) == {"/1", "/2"}
    [reject] = crawled.rejects
    assert (reject["reason"], reject["records"], reject["url"], reject["length"]) == ("limit", 3, None, None)
    assert reject["detail"] == f"links past max_page_links = 2 of {server.url}/"


def test_sitemaps_are_followed(tmp_path: Path) -> None:
    head = '<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">'
    with site({}) as server:
        listed = head + "".join(f"<url><loc>{url}</loc></url>" for url in (server.url + "/p1", "http://elsewhere/x"))
        index = head.replace("urlset", "sitemapindex") + f"<sitemap><loc>{server.url}/s2.xml</loc></sitemap>"
        server.answers |= {
            "/robots.txt": f"Sitemap: {server.url}/s.xml.gz",
            "/s.xml.gz": lambda h: h.send(gzip.compress(listed.encode()), kind="application/gzip"),
            "/index.xml": lambda h: h.send(index.encode(), kind="text/xml"),
            "/no.xml": "<html>",
        }
        kinds = {path: {"found": "sitemap"} for path in ("/s.xml.gz", "/index.xml", "/no.xml")}
        crawled = Crawled(tmp_path, server, list(kinds), kinds)
    assert {path: row["found"] for path, row in crawled.found.items()} == {
        "/s.xml.gz": "sitemap",
        "/p1": "link",
        "/s2.xml": "sitemap",
    }
    assert set(crawled.why.values()) == {"not_a_page"} and not crawled.pages


@pytest.mark.parametrize("wait", ["1", "date"])
def test_retry_after_is_obeyed_and_the_address_put_back(tmp_path: Path, wait: str) -> None:
    def throttled(handler: Any) -> None:
        date = format_datetime(datetime.now(UTC) + timedelta(seconds=2), usegmt=True)  # whole seconds: 1 to 2
        handler.send(b"", 429, Retry_After=date if wait == "date" else wait)

    with site({"/a": throttled, "/b": "<p>b"}) as server:
        crawled = Crawled(tmp_path, server, ("/a", "/b"), {"/a": {"tries": 1}})
        assert server.gaps[-1] >= 0.99 and crawled.paths == ["/b"]
        assert crawled.put_back["/a"]["tries"] == 2
        again = Crawled(tmp_path / "last", server, ("/a",), {"/a": {"tries": 3}})
    assert again.why == {"/a": "http_status"}


@pytest.mark.parametrize("value", ["", "soon", "-1", "Fri, 99 Foo 2026", "1.5"])
def test_without_a_time_it_is_left_for_a_while(tmp_path: Path, value: str) -> None:
    with site({"/a": lambda h: h.send(b"", 503, Retry_After=value), "/b": "<p>b"}) as server:
        crawled = Crawled(tmp_path, server, ("/a", "/b"), retry_seconds=600.0, max_crawl_delay_seconds=1.0)
    assert server.asked == ["/robots.txt", "/a"]
    until = crawled.put_back["/b"]["next_fetch_at"] - datetime.now(UTC)
    assert timedelta(seconds=590) < until <= timedelta(seconds=600)
    assert crawled.host["next_fetch_at"] == crawled.put_back["/a"]["next_fetch_at"]


def test_a_dead_host_is_left_for_longer_each_time_and_then_given_up(tmp_path: Path) -> None:
    with site({}) as server:
        pass
    for failures, seconds in ((0, 30), (1, 60), (2, 120)):
        crawled = Crawled(tmp_path / str(failures), server, ("/a", "/b"), host={"failures": failures})
        wait = (crawled.put_back["/b"]["next_fetch_at"] - datetime.now(UTC)).total_seconds()
        assert seconds - 5 < wait <= seconds and crawled.host["tries"] == failures + 1
    crawled = Crawled(tmp_path / "last", server, ("/a", "/b"), host={"failures": 3})
    assert crawled.why == {"/a": "robots", "/b": "robots"} and crawled.host["verdict"].startswith(
        "robots: host given up"
    )
    with site({"/a": "<p>back"}) as other:
        gone = Crawled(tmp_path / "gone", other, ("/a",), host={"given_up": crawled.host["verdict"]})
    assert not other.log and gone.why == {"/a": "robots"}


def test_a_site_without_its_rules_is_off_limits(tmp_path: Path) -> None:
    with site({"/robots.txt": lambda h: h.send(b"", 503), "/": "<p>x"}) as server:
        crawled = Crawled(tmp_path, server)
    assert server.asked == ["/robots.txt"] and set(crawled.put_back) == {"/"}


@pytest.mark.parametrize(
    ("wait", "least"),
    [("5000", 4900), ("9" * 20, 86_300), ("Fri, 31 Dec 9999 23:59:59 -2300", 86_300), ("0", 20), ("soon", 20)],
)
def test_a_robots_txt_that_is_to_be_asked_for_later(tmp_path: Path, wait: str, least: float) -> None:
    """The host is left for as long as it wishes, within bounds, and no shorter than one that says nothing."""
    with site({"/robots.txt": lambda h: h.send(b"", 503, Retry_After=wait), "/": "<p>x"}) as server:
        crawled = Crawled(tmp_path, server)
    assert server.asked == ["/robots.txt"]
    left = (crawled.put_back["/"]["next_fetch_at"] - datetime.now(UTC)).total_seconds()
    assert least <= left <= 86_400


def test_old_rules_are_asked_for_again_within_a_round(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of the plan and those an earlier attempt of the round has fetched."""
    monkeypatch.setattr("millpond.ingest.crawl.robots.MAX_AGE", timedelta(seconds=0.5))
    monkeypatch.setattr("millpond.ingest.crawl.visit.MAX_AGE", timedelta(seconds=0.5))
    with site({"/robots.txt": "", "/a": "<p>a", "/b": "<p>b"}) as server:
        planned = {"robots": {server.url: {"text": "User-agent: *\nDisallow: /", "at": datetime.now(UTC)}}}
        stopped = Crawled(tmp_path, server, ("/a", "/b"), host=planned)
        assert stopped.why == {"/a": "robots", "/b": "robots"} and not server.log
        time.sleep(0.55)
        again = Crawled(tmp_path, server, ("/a", "/b"), host=planned, stop_after=2)
        assert again.pages and server.asked.count("/robots.txt") == 1
        server.answers["/robots.txt"] = "User-agent: *\nDisallow: /"
        time.sleep(0.55)
        last = Crawled(tmp_path, server, ("/a", "/b"), host=planned)
    assert server.asked.count("/robots.txt") == 2 and last.why == {"/a": "robots", "/b": "robots"}
    assert last.ledger.amounts("bytes")["removed robots"] > 0  # what has been fetched of them stays in the archive


def test_a_private_address_is_refused_at_once(tmp_path: Path) -> None:
    with site({"/": "<p>secret"}) as server:
        crawled = Crawled(tmp_path, server, allow_private=())
    assert (
        not server.log
        and crawled.why == {"/": "fetch_failed"}
        and "not a public address" in crawled.rejects[0]["detail"]
    )


def test_a_page_is_asked_for_again_only_if_it_changed(tmp_path: Path) -> None:
    def tagged(handler: Any) -> None:
        same = handler.headers.get("If-None-Match") == '"v1"' and handler.headers.get("If-Modified-Since") == "then"
        handler.send(b"" if same else b"<p>one", 304 if same else 200, ETag='"v1"', Last_Modified="then")

    with site({"/tagged": tagged, "/same": "<p>same", "/new": "<p>new"}) as server:
        first = Crawled(tmp_path / "1", server, ("/tagged", "/same", "/new"), refetch_seconds=60)
        known = {
            Crawled.path(row["url"]): {key: row[key] for key in ("etag", "last_modified", "payload_digest")}
            for row in first.events
            if row["verdict"] == "page"
        }
        assert all(row["next_fetch_at"] for row in first.events if row["verdict"] == "page")
        server.answers["/new"] = "<p>changed"
        again = Crawled(tmp_path / "2", server, ("/tagged", "/same", "/new"), known, refetch_seconds=60)
    assert again.why == {"/tagged": "not_modified", "/same": "duplicate_page"} and again.paths == ["/new"]
    kept = [row for row in again.events if row["verdict"] == "not_modified"]
    assert kept[0]["etag"] == '"v1"' and kept[0]["next_fetch_at"] and kept[0]["payload_digest"]


def test_what_was_a_page_is_asked_for_again_whatever_came_of_it(tmp_path: Path) -> None:
    known = {path: {"payload_digest": "0" * 64} for path in ("/broken", "/private", "/moved")}
    with site({"/broken": lambda h: h.send(b"", 500), "/moved": redirect("/x"), "/s": "<p>no sitemap"}) as server:
        server.answers["/robots.txt"] = "User-agent: *\nDisallow: /private"
        items = {**known, "/s": {"found": "sitemap"}}
        crawled = Crawled(tmp_path, server, (*items, "/never"), items, refetch_seconds=60)
    ended = {Crawled.path(row["url"]): row for row in crawled.events if row["state"] in ("fetched", "refused")}
    assert {path for path, row in ended.items() if row["next_fetch_at"]} == {*items} and "/never" in ended
    assert all(ended[path]["payload_digest"] for path in known)


def test_what_no_header_can_hold_is_not_sent_back(tmp_path: Path) -> None:
    items = {"/a": {"etag": '"\u00e9"', "last_modified": "\u6628\u65e5"}, "/b": {"etag": "a\r\nX: y"}}
    with site({"/a": "<p>a", "/b": "<p>b"}) as server:
        assert Crawled(tmp_path, server, ("/a", "/b"), items).paths == ["/a", "/b"]
    [sent, other] = [headers for _, path, headers in server.log if path != "/robots.txt"]
    assert sent["If-None-Match"] == '"\u00e9"' and "If-Modified-Since" not in sent and "If-None-Match" not in other


def test_stopped_and_started_again_nothing_is_lost_or_fetched_thrice(tmp_path: Path) -> None:
    answers: Answers = {f"/{n}": f"<p>page {n} " + links(f"/{n + 1}") for n in range(30)}
    answers["/robots.txt"] = "User-agent: *\nDisallow: /7\n"
    paths = [path for path in answers if path != "/robots.txt"]
    with site(answers) as server:
        stopped = [Crawled(tmp_path, server, paths, stop_after=n) for n in (3, 20, 41)]
        whole = Crawled(tmp_path, server, paths)
    assert len(whole.pages) == 29 and whole.why == {"/7": "robots"}
    times = Counter(server.asked)
    assert set(times) == set(answers) - {"/7"} and max(times.values()) <= 2
    ids = {row["url"]: row["page_id"] for row in whole.pages}
    for each in stopped:
        assert all(ids[row["url"]] == row["page_id"] for row in each.pages)


def test_a_task_whose_rows_nobody_wants_ends(tmp_path: Path) -> None:
    paths = [f"/{n}" for n in range(99)]
    with site({}) as server:

        def stop() -> None:  # decided without a fetch, they fill the queue at once
            Crawled(tmp_path, server, paths, host={"given_up": "fetch_failed: gone"}, stop_after=1)

        thread = threading.Thread(target=stop, daemon=True)
        thread.start()
        thread.join(5)
    assert not thread.is_alive()


def test_a_chunked_answer_is_whole(tmp_path: Path) -> None:
    def chunked(handler: Any) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", "text/html; charset=windows-1251")
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        for piece in ("Привет, ".encode("cp1251"), "мир".encode("cp1251")):
            handler.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        handler.wfile.write(b"0\r\n\r\n")

    with site({"/": chunked}) as server:
        [page] = Crawled(tmp_path, server).pages
    assert page["body"].decode(page["charset"]) == "Привет, мир"
