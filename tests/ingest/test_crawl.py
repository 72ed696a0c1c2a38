"""Crawling a real HTTP server on loopback: politeness proved by its access log, and every hostile answer counted."""

from __future__ import annotations

import gzip
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from typing import Any

import brotli
import pytest

from millpond.errors import InputError
from millpond.ingest.config import IngestConfig, SiteConfig
from millpond.ingest.crawl import crawl_site
from millpond.ingest.fetch import Fetcher, is_public
from millpond.ingest.page import Rejected, RowBatcher
from millpond.ingest.robots import Robots
from millpond.reasons import Reason
from millpond.schemas import FRONTIER, PAGES, WEB_REJECTS

Answer = Callable[["Handler"], None]


class Handler(BaseHTTPRequestHandler):
    """Answers from a table of paths; writes down when each path was asked for."""

    protocol_version = "HTTP/1.1"
    server: Site

    def do_GET(self) -> None:
        self.server.log.append((time.monotonic(), self.path, self.headers.get("User-Agent", "")))
        answer = self.server.answers.get(self.path)
        if answer is None:
            self.send(b"nothing here", status=404)
        elif callable(answer):
            answer(self)
        else:
            self.send(answer.encode())

    def send(self, body: bytes, status: int = 200, kind: str = "text/html", **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Keep quiet."""


class Site(ThreadingHTTPServer):
    """A site on a free port of 127.0.0.1."""

    daemon_threads = True

    def __init__(self, answers: dict[str, str | Answer]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers = answers
        self.log: list[tuple[float, str, str]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    @property
    def asked(self) -> list[str]:
        return [path for _, path, _ in self.log]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """The crawler hangs up on endless answers: no news."""


@contextmanager
def site(answers: dict[str, str | Answer]) -> Iterator[Site]:
    with Site(answers) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def settings(**changes: Any) -> IngestConfig:
    fields: dict[str, Any] = {"delay_seconds": 0.0, "allow_private": ("127.0.0.1",), "timeout_seconds": 5.0}
    return IngestConfig(crawl="test", site=SiteConfig(**{**fields, **changes}))


class Crawled:
    """What came of a crawl, the law already checked."""

    def __init__(self, server: Site, path: str = "/", **changes: Any) -> None:
        self.server = server
        seen: list[tuple[int, int]] = []
        rows = list(
            crawl_site(server.url + path, settings(**changes), progress=lambda done, known: seen.append((done, known)))
        )
        self.pages = [row for tag, row in rows if tag == "page"]
        self.rejects = [row for tag, row in rows if tag == "reject"]
        frontier = [row for tag, row in rows if tag == "frontier"]
        self.frontier = {row["url"].removeprefix(server.url): row for row in frontier}
        tag, file = rows[-1]
        assert tag == "file" and file["file"] == server.url + path
        assert file["records"] == len(self.pages) + sum(row["records"] for row in self.rejects)
        assert len(frontier) == len(self.frontier) == len(self.pages) + sum(1 for r in self.rejects if r["url"])
        assert seen == sorted(seen) and len(seen) == len(frontier)
        for spec, found in ((PAGES, self.pages), (WEB_REJECTS, self.rejects), (FRONTIER, frontier)):
            batcher = RowBatcher(spec.schema)
            for row in found:
                batcher.add(row)
            batcher.flush()

    @property
    def paths(self) -> list[str]:
        return [row["url"].removeprefix(self.server.url) for row in self.pages]

    @property
    def why(self) -> dict[str | None, str]:
        return {(r["url"] or "").removeprefix(self.server.url): r["reason"] for r in self.rejects}


def links(*paths: str) -> str:
    return "<html><body>" + " ".join(f"<a href='{path}'>x</a>" for path in paths) + "</body></html>"


def redirect(target: str, status: int = 302) -> Answer:
    return lambda handler: handler.send(b"", status, Location=target)


def test_a_site_is_fetched_breadth_first_in_order_and_once() -> None:
    answers: dict[str, str | Answer] = {
        "/": links("/b", "/a", "/a#part", "http://elsewhere.example/", "/%61"),
        "/a": links("/deep/2", "/", "b"),
        "/b": links("/deep/1", "/missing"),
        "/deep/1": "<p>one",
        "/deep/2": lambda handler: handler.send(b"plain", kind="text/plain; charset=koi8-r", ETag='"x"'),
    }
    with site(answers) as server:
        first = Crawled(server)
        assert server.asked == ["/robots.txt", "/", "/a", "/b", "/deep/1", "/deep/2", "/missing"]
        again = Crawled(server)
    assert first.paths == again.paths == ["/", "/a", "/b", "/deep/1", "/deep/2"]
    assert first.why == {"/missing": "http_status"}
    assert [page["source_offset"] for page in first.pages] == [0, 1, 2, 3, 4]
    last = first.pages[-1]
    assert (last["content_type"], last["charset"], last["status"]) == ("text/plain", "koi8-r", 200)
    assert (last["source_file"], last["crawl"]) == (server.url + "/", "test")
    assert first.frontier["/deep/2"]["etag"] == '"x"' and first.frontier["/deep/2"]["depth"] == 2
    assert first.frontier["/missing"]["verdict"] == "http_status"


def test_nothing_disallowed_is_asked_for_and_the_delay_holds() -> None:
    rules = (
        "\ufeffUser-agent: *\nDisallow: /\n\n"
        "User-agent: millpond\nDisallow: /private\nAllow: /private/open\nCrawl-delay: 0.9\n"
    )
    answers: dict[str, str | Answer] = {
        "/robots.txt": lambda handler: handler.send(rules.encode(), kind="text/plain"),
        "/": links("/private/x", "/private", "/private/open", "/a", "/b"),
        "/a": redirect("/private/y"),
        "/b": "<p>b",
        "/private/open": "<p>open",
    }
    with site(answers) as server:
        crawled = Crawled(server, delay_seconds=0.05, user_agent="Millpond/9", contact="https://who.example")
    assert crawled.paths == ["/", "/b", "/private/open"]
    assert Counter(crawled.why.values()) == {"robots": 3, "redirect": 1}
    assert server.asked == ["/robots.txt", "/", "/a", "/b", "/private/open"]
    times = [at for at, _, _ in server.log]
    # The server notes when it comes to a request, which may be late by as much as the machine is busy.
    assert min(after - before for before, after in pairwise(times)) >= 0.87
    assert {agent for _, _, agent in server.log} == {"Millpond/9 (+https://who.example)"}
    assert crawled.frontier["/private/x"]["state"] == "refused" and crawled.frontier["/private/x"]["tries"] == 0


@pytest.mark.parametrize(
    ("answer", "allowed"),
    [
        (lambda handler: handler.send(b"", 500), None),
        (lambda handler: handler.send(b"", 503), None),
        (lambda handler: time.sleep(0.8), None),
        (lambda handler: handler.send(b"User-agent: *\nDisallow: /", 404), True),
        (lambda handler: handler.send(b"", 401), True),
        (lambda handler: handler.send(b"", 403), True),
        (lambda handler: handler.send(b"", 429), True),
        (redirect("/moved"), False),
        (redirect("/loop"), True),
        (lambda handler: handler.send(b"<html><body>no rules"), True),
        (lambda handler: handler.send(b"User-agent: *\rDisallow: /\r"), False),
        (lambda handler: handler.send(gzip.compress(b"User-agent: *\nDisallow: /"), Content_Encoding="gzip"), False),
        (lambda handler: handler.send(b"User-agent: *\nDisallow: /\n" + b"#" * (2 << 20)), False),
        (lambda handler: handler.send(b"#" * (2 << 20) + b"\nUser-agent: *\nDisallow: /\n"), True),
    ],
)
def test_what_an_answer_for_robots_txt_means(answer: Answer, allowed: bool | None) -> None:
    answers: dict[str, str | Answer] = {
        "/robots.txt": answer,
        "/moved": "User-agent: *\nDisallow: /",
        "/loop": redirect("/loop"),
        "/": "<p>page",
    }
    with site(answers) as server:
        if allowed is None:
            with pytest.raises(InputError, match="off limits"):
                Crawled(server, timeout_seconds=0.5)
            assert server.asked == ["/robots.txt"]
        else:
            assert Crawled(server).paths == (["/"] if allowed else [])
            assert ("/" in server.asked) == allowed


def test_a_site_that_wants_more_delay_than_is_allowed_is_not_crawled() -> None:
    with (
        site({"/robots.txt": "User-agent: *\nCrawl-delay: 86400", "/": "x"}) as server,
        pytest.raises(InputError, match="86400 s between requests"),
    ):
        Crawled(server)
    assert server.asked == ["/robots.txt"]


def test_what_pages_say_to_robots_is_obeyed() -> None:
    answers: dict[str, str | Answer] = {
        "/": links("/noindex", "/nofollow", "/header") + "<a rel='nofollow' href='/by-nofollow-link'>",
        "/noindex": "<meta name=robots content=noindex>" + links("/behind-noindex"),
        "/nofollow": "<meta name=robots content=nofollow>" + links("/behind-nofollow"),
        "/header": lambda handler: handler.send(links("/behind-header").encode(), X_Robots_Tag="none"),
        "/behind-noindex": "<p>found",
    }
    with site(answers) as server:
        crawled = Crawled(server)
    assert crawled.paths == ["/", "/nofollow", "/behind-noindex"]
    assert crawled.why == {"/noindex": "robots", "/header": "robots"}
    assert not {"/behind-nofollow", "/by-nofollow-link", "/behind-header"} & set(server.asked)


def test_redirects_stay_on_the_host_and_end() -> None:
    answers: dict[str, str | Answer] = {
        "/": links("/loop", "/chain0", "/out", "/metadata", "/file", "/nowhere"),
        "/loop": redirect("/loop"),
        **{f"/chain{n}": redirect(f"/chain{n + 1}") for n in range(9)},
        "/out": redirect("http://169.254.169.254/latest"),
        "/metadata": redirect("http://[::ffff:127.0.0.1]:1/"),
        "/file": redirect("file:///etc/passwd"),
        "/nowhere": lambda handler: handler.send(b"", 301),
    }
    with site(answers) as server:
        crawled = Crawled(server, max_redirects=3)
    assert crawled.paths == ["/"]
    assert set(crawled.why.values()) == {"redirect"}
    assert [path for path in server.asked if "chain" in path] == ["/chain0", "/chain1", "/chain2", "/chain3"]
    details = {row["url"].removeprefix(server.url): row["detail"] for row in crawled.rejects}
    assert "not followed after 3 redirects" in details["/chain3"]
    assert "another host" in details["/out"] and "another host" in details["/metadata"]
    assert "without an address" in details["/file"] and "without an address" in details["/nowhere"]


def test_limits_are_counted() -> None:
    answers: dict[str, str | Answer] = {f"/{n}": links(f"/{n + 1}") for n in range(50)}
    answers["/"] = links("/0", *(f"/side{n}" for n in range(10)), "/" + "x" * 3000)
    with site(answers) as server:
        deep = Crawled(server, max_depth=3)
        assert deep.paths == ["/", "/0", "/1", "/2"]
        limits = {row["detail"]: row["records"] for row in deep.rejects if row["reason"] == "limit"}
        assert limits == {"deeper than max_depth = 3": 1, "longer than max_url_chars = 2083": 1}
        server.log.clear()
        short = Crawled(server, max_pages=4)
    assert len(server.asked) == 5  # robots.txt and four
    assert [r["records"] for r in short.rejects if r["detail"].startswith("max_pages")] == [8 + 1]


def test_no_more_addresses_are_remembered_than_allowed() -> None:
    answers: dict[str, str | Answer] = {f"/{n}": links(*(f"/{n}/{i}" for i in range(20))) for n in range(5)}
    answers["/"] = links(*(f"/{n}" for n in range(5)), "/" + "x" * 3000)
    with site(answers) as server:
        crawled = Crawled(server, max_known=10)
    limits = {row["detail"]: row["records"] for row in crawled.rejects if row["reason"] == "limit"}
    assert limits == {"longer than max_url_chars = 2083": 1, "links past max_known = 10": 100 - 3}
    assert crawled.paths == ["/", *(f"/{n}" for n in range(5))]
    assert len(server.asked) == 1 + 1 + 5 + 3


def drip(handler: Handler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Type", "text/html")
    handler.send_header("Content-Length", "100000")
    handler.end_headers()
    for _ in range(100):
        handler.wfile.write(b".")
        time.sleep(0.1)


def drip_headers(handler: Handler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
    for n in range(100):
        handler.wfile.write(b"X-%d: y\r\n" % n)
        time.sleep(0.1)


def endless(handler: Handler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Type", "text/html")
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    while True:
        handler.wfile.write(b"10000\r\n" + b"x" * 0x10000 + b"\r\n")


def raw(data: bytes) -> Answer:
    def answer(handler: Handler) -> None:
        handler.wfile.write(data)
        handler.close_connection = True

    return answer


def test_hostile_answers_cost_no_more_than_their_limits() -> None:
    ok = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n"
    zeros = bytes(50 << 20)
    gzip_bomb, brotli_bomb = gzip.compress(zeros), brotli.compress(zeros, quality=5)
    hostile: dict[str, tuple[Answer, Reason]] = {
        "/drip": (drip, Reason.FETCH_FAILED),
        "/drip-headers": (drip_headers, Reason.FETCH_FAILED),
        "/endless": (endless, Reason.TOO_LARGE),
        "/bomb-gzip": (lambda h: h.send(gzip_bomb, Content_Encoding="gzip"), Reason.TOO_LARGE),
        "/bomb-br": (lambda h: h.send(brotli_bomb, Content_Encoding="br"), Reason.TOO_LARGE),
        "/cut": (raw(ok + b"Content-Length: 1000\r\n\r\nonly this"), Reason.FETCH_FAILED),
        "/length": (raw(ok + b"Content-Length: thousand\r\n\r\nx"), Reason.FETCH_FAILED),
        "/no-status": (raw(b"<html>hello"), Reason.FETCH_FAILED),
        "/headers": (raw(ok + b"X: " + b"y" * (200 << 10) + b"\r\n\r\n"), Reason.FETCH_FAILED),
        "/chunk": (raw(ok + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nhello"), Reason.FETCH_FAILED),
        "/cut-gzip": (
            lambda h: h.send(gzip.compress(b"<p>hello" * 99)[:-9], Content_Encoding="gzip"),
            Reason.BODY_ENCODING,
        ),
        "/image": (lambda h: h.send(b"\x89PNG", kind="image/png"), Reason.NOT_A_PAGE),
        "/nothing": (raw(b""), Reason.FETCH_FAILED),
    }
    answers: dict[str, str | Answer] = {path: answer for path, (answer, _) in hostile.items()}
    answers["/"] = links(*hostile, "/good")
    answers["/good"] = lambda h: h.send(gzip.compress(b"<p>good"), Content_Encoding="gzip")
    with site(answers) as server:
        begin = time.monotonic()
        crawled = Crawled(server, timeout_seconds=1.0, max_body_bytes=1 << 20)
        assert time.monotonic() - begin < 6
    assert crawled.paths == ["/", "/good"] and crawled.pages[1]["body"] == b"<p>good"
    assert crawled.why == {path: str(reason) for path, (_, reason) in hostile.items()}
    assert crawled.frontier["/drip"]["state"] == "failed"


def test_a_chunked_answer_is_whole() -> None:
    def chunked(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", "text/html; charset=windows-1251")
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        for piece in ("Привет, ".encode("cp1251"), "мир".encode("cp1251")):
            handler.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        handler.wfile.write(b"0\r\n\r\n")

    with site({"/": chunked}) as server:
        page = Crawled(server).pages[0]
    assert page["body"].decode(page["charset"]) == "Привет, мир"


def test_retry_after_is_waited_for() -> None:
    answers: dict[str, str | Answer] = {
        "/": links("/a", "/b"),
        "/a": lambda handler: handler.send(b"", 429, Retry_After="1"),
        "/b": "<p>b",
    }
    with site(answers) as server:
        crawled = Crawled(server, max_crawl_delay_seconds=0.3)
    at = {path: when for when, path, _ in server.log}
    assert at["/b"] - at["/a"] >= 0.3 and crawled.why == {"/a": "http_status"}
    assert server.asked.count("/a") == 1  # a second is longer than is waited for


@pytest.mark.parametrize(("busy", "paths"), [(2, ["/", "/a", "/b"]), (9, ["/", "/b"])])
def test_a_throttled_page_is_asked_for_again_when_its_time_has_come(busy: int, paths: list[str]) -> None:
    def throttled(handler: Handler) -> None:
        if handler.server.asked.count("/a") > busy:
            handler.send(b"<p>a")
        else:  # a date has whole seconds
            handler.send(
                b"", 503, Retry_After=format_datetime(datetime.now(UTC) + timedelta(seconds=1.2), usegmt=True)
            )

    with site({"/": links("/a", "/b"), "/a": throttled, "/b": "<p>b"}) as server:
        crawled = Crawled(server)
        again = Crawled(server, max_pages=2) if busy == 9 else None
    times = [when for when, path, _ in server.log if path == "/a"]
    assert crawled.paths == paths and min(after - before for before, after in pairwise(times[:4])) >= 0.15
    tries = min(busy + 1, 4)
    assert crawled.frontier["/a"]["tries"] == tries and crawled.frontier["/b"]["tries"] == 1
    if again:
        assert again.frontier["/a"]["tries"] == 1


@pytest.mark.parametrize("value", ["", "soon", "-1", "Fri, 99 Foo 2026", "1.5", "Fri, 31 Dec 9999 23:59:59 -2300"])
def test_a_retry_after_that_says_nothing_is_no_reason_to_ask_again(value: str) -> None:
    with site({"/": lambda handler: handler.send(b"", 503, Retry_After=value)}) as server:
        assert Crawled(server).why == {"/": "http_status"}
    assert server.asked == ["/robots.txt", "/"]


def test_private_addresses_are_refused_when_connecting(monkeypatch: pytest.MonkeyPatch) -> None:
    with site({"/": "<p>secret"}) as server:
        with pytest.raises(InputError, match="not a public address"):
            Crawled(server, allow_private=())
        port = server.server_address[1]
        real = socket.getaddrinfo
        monkeypatch.setattr(socket, "getaddrinfo", lambda host, *rest, **more: real("127.0.0.1", *rest, **more))
        with Fetcher(SiteConfig(allow_private=("other.example",))) as fetcher:
            with pytest.raises(Rejected, match=r"not a public address: allow it with site.allow_private=") as caught:
                fetcher.get(f"http://rebound.example:{port}/")
            assert caught.value.reason is Reason.FETCH_FAILED
            assert server.asked == []
            assert fetcher.get(f"http://other.example:{port}/").body == b"<p>secret"


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1::1", True),
        ("127.0.0.1", False),
        ("10.0.0.1", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("::1", False),
        ("fe80::1%eth0", False),
        ("fd00::1", False),
        ("::ffff:127.0.0.1", False),
        ("2002:7f00:1::", False),
    ],
)
def test_public_addresses(address: str, public: bool) -> None:
    assert is_public(address) == public


def test_what_cannot_be_crawled_is_said() -> None:
    for url in ("ftp://h/", "just words", "http://"):
        with pytest.raises(InputError, match="not an http or https address"):
            list(crawl_site(url, settings()))
    with pytest.raises(InputError, match="contact is empty"):
        list(crawl_site("https://example.com/", settings()))
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        with pytest.raises(InputError, match="cannot be fetched"):
            list(crawl_site(f"http://127.0.0.1:{closed.getsockname()[1]}/", settings()))


def test_robots_rules() -> None:
    robots = Robots.parse(b"User-agent: *\nDisallow: /a\nAllow: /a/b\nDisallow: /*.pdf$\nCrawl-delay: 2", "Millpond")
    verdicts = {
        path: robots.allows("http://h" + path) for path in ("/a/b/c", "/a/x", "/x.pdf", "/x.pdf?y", "/robots.txt")
    }
    assert verdicts == {"/a/b/c": True, "/a/x": False, "/x.pdf": False, "/x.pdf?y": True, "/robots.txt": True}
    assert robots.crawl_delay == 2.0
