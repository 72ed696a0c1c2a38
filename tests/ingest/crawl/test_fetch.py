"""Fetching from real servers on loopback: firm bounds on time, size and who is connected to."""

from __future__ import annotations

import asyncio
import gzip
import socket
import threading
import time

import pytest
from websites import Answers, canary, drip, drip_headers, endless, raw, redirect, site

from millpond.ingest.config import SiteConfig
from millpond.ingest.crawl.fetch import Answer, Failure, Fetcher, is_public
from millpond.ingest.crawl.links import canonical_url


def get(*urls: str, **settings: object) -> list[Answer | Failure]:
    """Fetch some addresses at the same time."""

    async def fetch() -> list[Answer | Failure]:
        async with Fetcher(SiteConfig.model_validate(settings)) as fetcher:
            return await asyncio.gather(*(fetcher.get(url) for url in urls))

    return asyncio.run(fetch())


def test_an_answer_is_what_the_server_sent() -> None:
    body = gzip.compress(b"<p>hello")
    answers: Answers = {"/": lambda h: h.send(body, Content_Encoding="gzip", X_One="1", x_one="2")}
    with site(answers) as server:
        [answer] = get(server.url + "/", allow_private=[server.host], user_agent="Bot/9", contact="me@example.org")
    assert isinstance(answer, Answer)
    assert (answer.status, answer.phrase, answer.body, answer.ip) == (200, "OK", body, server.host)
    assert answer.header("x-one") == "1, 2" and answer.header("etag") is None and answer.truncated is None
    assert server.log[0][2]["User-Agent"] == "Bot/9 (+me@example.org)"


@pytest.mark.parametrize("sent", ["/é".encode(), "/é".encode("latin-1"), b"/%C3%A9"])
def test_a_redirect_is_read_in_the_encoding_it_was_sent_in(sent: bytes) -> None:
    with site({"/": raw(b"HTTP/1.1 301 Moved\r\nContent-Length: 0\r\nLocation: " + sent + b"\r\n\r\n")}) as server:
        [answer] = get(server.url + "/", allow_private=[server.host])
    assert isinstance(answer, Answer) and answer.location
    assert canonical_url(answer.location, answer.url) == server.url + "/%C3%A9"


def test_no_answer_takes_longer_than_its_deadline_or_more_than_its_size() -> None:
    ok = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n"
    answers: Answers = {
        "/drip": drip,
        "/drip-headers": drip_headers,
        "/endless": endless,
        "/silent": lambda handler: time.sleep(1.5),
        "/cut": raw(ok + b"Content-Length: 1000\r\n\r\nonly this"),
        "/length": raw(ok + b"Content-Length: thousand\r\n\r\nx"),
        "/no-status": raw(b"<html>hello"),
        "/long-header": raw(ok + b"X: " + b"y" * (200 << 10) + b"\r\n\r\n"),
        "/many-headers": raw(ok + b"".join(b"X-%d: %s\r\n" % (n, b"y" * 1024) for n in range(200)) + b"\r\n"),
        "/chunk": raw(ok + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nhello"),
        "/nothing": raw(b""),
        "/moved": redirect("file:///etc/passwd"),
    }
    with site(answers) as server:
        begin = time.monotonic()
        found = get(
            *(server.url + path for path in answers),
            allow_private=[server.host],
            timeout_seconds=1.0,
            max_body_bytes=1 << 20,
        )
        assert time.monotonic() - begin <= 1.2
    became = {}
    for path, result in zip(answers, found, strict=True):
        assert not isinstance(result, Failure) or not result.down
        became[path] = (result.truncated or result.status) if isinstance(result, Answer) else "no answer"
        if isinstance(result, Answer):
            assert len(result.body) <= 1 << 20
    assert became == {
        "/drip": "time",
        "/drip-headers": "no answer",
        "/endless": "length",
        "/silent": "no answer",
        "/cut": "disconnect",
        "/length": "no answer",
        "/no-status": "no answer",
        "/long-header": "no answer",
        "/many-headers": "no answer",
        "/chunk": "disconnect",
        "/nothing": "no answer",
        "/moved": 302,
    }
    silent = {
        path for path, result in zip(answers, found, strict=True) if isinstance(result, Failure) and result.silent
    }
    assert silent == {"/drip-headers", "/silent"}


def test_refused_addresses_are_never_connected_to(monkeypatch: pytest.MonkeyPatch) -> None:
    real = socket.getaddrinfo
    rebound = {"rebound.example": "127.0.0.1", "allowed.example": "127.0.0.1", "mapped.example": "::ffff:127.0.0.1"}
    monkeypatch.setattr(
        socket, "getaddrinfo", lambda host, *rest, **more: real(rebound.get(host, host), *rest, **more)
    )
    hosts = (
        "127.0.0.1",
        "localhost",
        "[::ffff:127.0.0.1]",
        "0x7f000001",
        "rebound.example",
        "mapped.example",
        "0.0.0.0",
    )
    with canary() as bird:
        urls = [f"http://{host}:{bird.port}/" for host in (*hosts, "169.254.169.254", "10.0.0.1", "[::1]")]
        for result in get(*urls, contact="me@example.org", timeout_seconds=2):
            assert isinstance(result, Failure) and result.final and "not a public address" in result.detail, result
        assert not bird.met()
        allowed = get(f"http://allowed.example:{bird.port}/", allow_private=["allowed.example"], timeout_seconds=2)
        assert bird.met() == 1 and isinstance(allowed[0], Failure) and not allowed[0].final


def test_nothing_outside_this_machine_is_asked_without_a_contact(monkeypatch: pytest.MonkeyPatch) -> None:
    real = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *rest, **more: real("93.184.216.34", *rest, **more))
    [result] = get("http://example.org/", timeout_seconds=2)
    assert isinstance(result, Failure) and result.final and "name ingest.site.contact" in result.detail


def test_a_host_that_cannot_be_reached_is_down() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        unknown = "http://no-such-host.invalid/"
        for result in get(f"http://127.0.0.1:{port}/", unknown, allow_private=["127.0.0.1"], contact="x@example.org"):
            assert isinstance(result, Failure) and result.down, result


def test_dead_name_servers_delay_no_other_host(monkeypatch: pytest.MonkeyPatch) -> None:
    real, done = socket.getaddrinfo, threading.Event()

    def resolve(host: str, *rest: object, **more: object) -> object:
        if host.endswith(".dead"):
            done.wait(10)
            raise socket.gaierror("no answer")
        return real(host, *rest, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    dead = [f"http://h{n}.dead/" for n in range(40)]
    with site({"/": "<p>well"}) as server:
        begin = time.monotonic()
        *lost, well = get(*dead, server.url + "/", allow_private=[server.host], connect_seconds=1.0)
        took = time.monotonic() - begin
    done.set()
    assert isinstance(well, Answer) and well.status == 200 and took < 5
    assert all(isinstance(each, Failure) and each.down and "not resolved after 1 s" in each.detail for each in lost)


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1::1", True),
        ("64:ff9b::5db8:d822", True),
        ("127.0.0.1", False),
        ("10.0.0.1", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("255.255.255.255", False),
        ("::", False),
        ("::1", False),
        ("fe80::1%eth0", False),
        ("fd00::1", False),
        ("::ffff:127.0.0.1", False),
        ("::127.0.0.1", False),
        ("64:ff9b::a00:1", False),
        ("2002:7f00:1::", False),
    ],
)
def test_public_addresses(address: str, public: bool) -> None:
    assert is_public(address) == public
