"""The TDM Reservation Protocol's file of a site: what its rules mean, and that it is asked for once."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from crawled import Crawled
from websites import Answers, redirect, site

from millpond.ingest.crawl.tdmrep import PATH, TdmFile


def rules(*given: tuple[object, object]) -> str:
    return json.dumps([{"location": location, "tdm-reservation": value} for location, value in given])


RESERVED = ["tdmrep.json tdm-reservation=1"]


def test_the_first_rule_that_fits_counts() -> None:
    file = TdmFile(rules(("/a/open/", 0), ("/a/", 1), ("/*.jpg$", "1"), ("/q?x=", 1)))
    reserved = ("/a/", "/a/b?c", "/x/y.jpg", "/q?x=1", "/%61/b")
    assert [file.of("http://h" + path) for path in reserved] == [RESERVED] * 5
    assert not [path for path in ("/", "/a", "/a/open/b", "/x/y.jpg?z", "/q", "/A/") if file.of("http://h" + path)]
    assert TdmFile(rules(("/", 1))).of("http://h/") == RESERVED


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<html>not found",
        "[" * 100_000,
        "{}",
        "null",
        "[3, null, []]",
        '{"location": "/", "tdm-reservation": 1}',
        rules(("/", 2), ("/", None), ("/", [1]), (None, 1), ("", 1), ("/x\nDisallow: /", 1)),
        rules(("/", 0), ("/", 1)),
    ],
)
def test_what_reserves_nothing(text: str) -> None:
    assert TdmFile(text).of("http://h/") == []


def test_it_is_asked_for_once_and_obeyed(tmp_path: Path) -> None:
    pages: Answers = dict.fromkeys(("/art/1", "/art/2", "/open"), "<p>page")
    moved: Answers = {PATH: redirect("/tdm"), "/tdm": rules(("/art/", 1)), "/robots.txt": "", **pages}
    with site(moved) as server:
        obeyed = Crawled(tmp_path / "obeyed", server, list(pages), tdmrep=True)
        assert server.asked == ["/robots.txt", PATH, "/tdm", "/open"] and obeyed.paths == ["/open"]
        assert obeyed.why == {"/art/1": "reserved", "/art/2": "reserved"}
        taken = Crawled(tmp_path / "taken", server, list(pages), tdmrep=True, obey_reservations=False)
        said = {Crawled.path(row["url"]): row["reservation"] for row in taken.events if row["reservation"]}
        assert len(taken.pages) == 3 and said == dict.fromkeys(("/art/1", "/art/2"), RESERVED[0])
        [text] = [row["robots"] for row in obeyed.events if row["url"] == server.url + PATH]
        server.forget()
        now = datetime.now(UTC)
        fresh = {server.url: {"text": "", "at": now}, server.url + PATH: {"text": text, "at": now}}
        again = Crawled(tmp_path / "again", server, list(pages), tdmrep=True, host={"robots": fresh})
        assert server.asked == ["/open"] and again.why == obeyed.why


@pytest.mark.parametrize("status", [404, 403, 500])
def test_a_site_without_one_reserves_nothing(tmp_path: Path, status: int) -> None:
    with site({PATH: lambda h: h.send(rules(("/", 1)).encode(), status), "/a": "<p>a", "/b": "<p>b"}) as server:
        assert Crawled(tmp_path / "1", server, ("/a", "/b"), tdmrep=True).paths == ["/a", "/b"]
        assert server.asked == ["/robots.txt", PATH, "/a", "/b"]
        server.answers["/robots.txt"] = "User-agent: *\nDisallow: /.well-known/"
        server.forget()
        assert Crawled(tmp_path / "2", server, ("/a",), tdmrep=True).paths == ["/a"]
        assert server.asked == ["/robots.txt", "/a"]
