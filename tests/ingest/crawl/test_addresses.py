"""Private addresses: never connected to on any hop, however they are spelled and whatever a resolver says when."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from crawled import Crawled
from websites import Answers, Canary, Site, canary, redirect, site

from millpond.ingest.config import SiteConfig
from millpond.ingest.crawl import fetch
from millpond.ingest.crawl.fetch import Answer, Failure, Fetcher


class Resolver:
    """Answers with the next of the addresses a name is given; the last one stays. Some addresses pass for public."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.names: dict[str, list[list[str]]] = {}
        self.asked: list[str] = []
        self.public: set[str] = set()
        self._real = socket.getaddrinfo
        is_public = fetch.is_public
        monkeypatch.setattr(socket, "getaddrinfo", self._resolve)
        monkeypatch.setattr(fetch, "is_public", lambda address: address in self.public or is_public(address))

    def _resolve(self, host: str, *rest: object, **more: object) -> list[object]:
        if host not in self.names:
            return list(self._real(host, *rest, **more))  # type: ignore[arg-type]
        self.asked.append(host)
        answers = self.names[host]
        addresses = answers.pop(0) if len(answers) > 1 else answers[0]
        found = (self._real(address, *rest, **more) for address in addresses)  # type: ignore[arg-type]
        return [entry for entries in found for entry in entries]


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> Resolver:
    return Resolver(monkeypatch)


@dataclass(frozen=True)
class Named:
    """A site by a name instead of its address."""

    host: str
    url: str


def get(url: str) -> Answer | Failure:
    async def ask() -> Answer | Failure:
        async with Fetcher(SiteConfig(contact="me@example.org", timeout_seconds=2)) as fetcher:
            return await fetcher.get(url)

    return asyncio.run(ask())


@pytest.fixture
def rebound(resolver: Resolver) -> Iterator[tuple[Site, Canary]]:
    """A site that passes for public, at the name of a private one that has the same port."""
    with site({"/": "<p>public"}) as server, canary(server.server_address[1]) as bird:
        resolver.public = {server.host}
        yield server, bird


def test_a_name_that_is_rebound_gains_nothing(resolver: Resolver, rebound: tuple[Site, Canary]) -> None:
    server, bird = rebound
    port = int(server.server_address[1])
    url = f"http://rebound.example:{port}/"
    turning = [[server.host], ["127.0.0.1"]]
    resolver.names["rebound.example"] = list(turning)
    answer = get(url)
    assert isinstance(answer, Answer) and (answer.body, answer.ip) == (b"<p>public", server.host)
    assert resolver.asked == ["rebound.example"] and not bird.met()  # asked once, and what was judged was connected to
    refused = get(url)
    assert isinstance(refused, Failure) and refused.final and "not a public address" in refused.detail
    assert len(resolver.asked) == 2 and len(server.log) == 1 and not bird.met()

    # One that looks a name up to judge it and again to connect is led astray by it.
    resolver.names["rebound.example"] = list(turning)
    assert fetch.is_public(str(socket.getaddrinfo("rebound.example", port)[0][4][0]))
    with socket.create_connection(("rebound.example", port), 2):
        assert bird.met() == 1


def test_a_public_address_that_is_down_leads_to_no_private_one(
    resolver: Resolver, rebound: tuple[Site, Canary]
) -> None:
    server, bird = rebound
    with socket.socket() as closed:
        closed.bind(("127.99.0.1", 0))
        resolver.public.add("127.99.0.1")
        resolver.names["both.example"] = [["127.99.0.1", "127.0.0.1"]]
        failure = get(f"http://both.example:{server.server_address[1]}/")
    assert isinstance(failure, Failure) and failure.down and not bird.met()


#: Spellings of this machine that are one of its addresses.
SPELLINGS = (
    "127.0.0.1",
    "127.1",
    "0x7f000001",
    "0X7F.0.0.1",
    "2130706433",
    "017700000001",
    "0177.0.0.01",
    "%31%32%37.0.0.1",
    "127。0。0。1",
    "[::ffff:127.0.0.1]",
    "[::FFFF:7f00:1]",
    "localhost",
    "LOCALHOST.",
    "0.0.0.0",
    "0",
    "user@127.0.0.1",
)


def test_private_addresses_are_refused_on_every_hop(tmp_path: Path, resolver: Resolver) -> None:
    """Pages redirect to other hosts of their domain, which is in scope, and those to where nobody may go."""
    with canary() as bird:
        inner = f"http://inner.hops.example:{bird.port}/secret"
        answers: Answers = {
            "/named": redirect(inner),
            "/hop": redirect("/named"),
            **{f"/{n}": redirect(f"http://{host}:{bird.port}/") for n, host in enumerate(SPELLINGS)},
        }
        with site(answers) as server:
            resolver.public = {server.host}
            resolver.names = {"www.hops.example": [[server.host]], "inner.hops.example": [["127.0.0.1"]]}
            www = Named("www.hops.example", f"http://www.hops.example:{server.server_address[1]}")
            rules: dict[str, Any] = {"scope": "domain", "contact": "me@example.org", "allow_private": []}
            crawled = Crawled(tmp_path / "1", www, tuple(answers), **rules)
            assert set(crawled.why.values()) == {"redirect"} and len(crawled.why) == len(answers)
            assert {row["url"] for row in crawled.events if row["found"] == "redirect"} == {inner, www.url + "/named"}
            said = [row["detail"] for row in crawled.rejects if "to another host, not followed" in row["detail"]]
            assert len(said) == len(SPELLINGS)
            [row] = [row for row in crawled.events if row["url"] == inner]
            hop = {"found": "redirect", "redirects": row["redirects"]}
            there = Named("inner.hops.example", inner.removesuffix("/secret"))
            last = Crawled(tmp_path / "2", there, ("/secret", "/more"), {"/secret": hop}, **rules)
        assert last.why == {"/secret": "fetch_failed", "/more": "fetch_failed"} and not last.put_back
        assert all("inner.hops.example is at 127.0.0.1, not a public" in row["detail"] for row in last.rejects)
        assert resolver.asked.count("inner.hops.example") == 1 and not bird.met()


@pytest.mark.parametrize("hops", [1, 3])
def test_nor_where_a_robots_txt_redirects_to(tmp_path: Path, resolver: Resolver, hops: int) -> None:
    with canary() as bird:
        resolver.names["inner.example"] = [["127.0.0.1"]]
        for n, host in enumerate((*SPELLINGS, "inner.example")):
            answers: Answers = {f"/{hop}": redirect(f"/{hop + 1}") for hop in range(1, hops)}
            answers |= {"/robots.txt": redirect("/1"), f"/{hops}": redirect(f"http://{host}:{bird.port}/robots.txt")}
            answers["/page"] = "<p>page"
            with site(answers) as server:
                crawled = Crawled(tmp_path / str(n), server, ("/page",), contact="me@example.org")
            assert "/page" not in server.asked and f"/{hops}" in server.asked
            assert crawled.why == {"/page": "fetch_failed"}, host
            assert "not a public address" in crawled.rejects[0]["detail"]
        assert not bird.met()
