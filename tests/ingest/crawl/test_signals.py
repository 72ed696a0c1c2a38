"""What sites say to robots, traps and sitemaps."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from millpond.ingest.config import SiteConfig
from millpond.ingest.crawl.robots import Robots
from millpond.ingest.crawl.signals import (
    reserved_by_directives,
    reserved_by_header,
    robots_directives,
)
from millpond.ingest.crawl.sitemaps import read_sitemap
from millpond.ingest.crawl.traps import trap, url_key
from millpond.ingest.page import Rejected


def test_robots_header() -> None:
    assert robots_directives("noindex, nofollow", "millpond") == {"noindex", "nofollow"}
    assert robots_directives("googlebot: noindex, nofollow", "millpond") == set()
    assert robots_directives("googlebot: noindex, millpond: nofollow", "millpond") == {"nofollow"}
    assert "noindex" in robots_directives("unavailable_after: 25 Jun 2030 15:00:00 PST, noindex", "millpond")
    assert "noindex" in robots_directives("unavailable_after: Wed, 25 Jun 2030 15:00:00 GMT, noindex", "millpond")
    assert robots_directives("max-snippet: 20, noindex: yes, nofollow", "m") == {"max-snippet", "noindex", "nofollow"}
    assert robots_directives("*: noindex", "millpond") == {"noindex"}
    assert reserved_by_directives({"noimageai", "noai", "noindex"}) == ["noai", "noimageai"]


@pytest.mark.parametrize(
    ("name", "value", "reserved"),
    [
        ("tdm-reservation", "1", ["tdm-reservation=1"]),
        ("tdm-reservation", "0", []),
        ("content-usage", "train-ai=n", ["train-ai=n"]),
        ("content-usage", "search=y, train-ai=y", []),
        ("content-signal", "search=yes,ai-train=no", ["ai-train=no"]),
        ("content-signal", "ai-train=yes, ai-input=no", []),
        ("content-usage", None, []),
    ],
)
def test_reservations_in_headers(name: str, value: str | None, reserved: list[str]) -> None:
    assert reserved_by_header(name, value) == reserved


def test_reservations_in_robots_txt() -> None:
    text = """# usage
User-agent: other
User-agent: *
Content-Signal: search=yes, ai-train=no
Allow: /

User-agent: millpond
Content-Usage: train-ai=y
Content-Usage: /art train-ai=n
Disallow: /x
"""
    ours, others = Robots(text, "Millpond").reservations, Robots(text, "somebody").reservations
    assert ours.of("http://h/") == [] and ours.of("http://h/art/1?x") == ["robots.txt train-ai=n"]
    assert others.of("http://h/anything") == ["robots.txt ai-train=no"]
    before = "Content-Signal: ai-train=no\n"
    assert Robots(before + text, "Millpond").reservations.of("http://h/") == []
    assert Robots(before + "User-agent: *\nDisallow: /x", "m").reservations.of("http://h/") == [
        "robots.txt ai-train=no"
    ]
    assert Robots("Disallow: /", "m").reservations.of("http://h/") == []


@pytest.mark.parametrize(
    ("path", "depth", "why"),
    [
        ("/a/b/c", 20, None),
        ("/a", 21, "max_depth = 20"),
        ("/a/a/b/b", 1, None),
        ("/x/a/a/a", 1, "max_segment_repeats = 2"),
        ("/a/b/a/b/a/b/index.html", 1, "max_segment_repeats = 2"),
        ("/" + "/".join(map(str, range(21))), 1, "max_path_segments = 20"),
        ("/?" + "x" * 3000, 1, "max_url_chars = 2083"),
    ],
)
def test_traps(path: str, depth: int, why: str | None) -> None:
    said = trap("http://h" + path, depth, SiteConfig())
    assert said is None if why is None else why in (said or "")


def test_addresses_of_one_page_share_a_key() -> None:
    same = (
        "http://h/a/b?x=1&y=2",
        "http://h/a/b?y=2&x=1",
        "http://h/a/b;jsessionid=0A1B?x=1&y=2",
        "http://h/a/b?x=1&PHPSESSID=abc&y=2",
        "http://h/a/(S(k3v2))/b?x=1&y=2",
    )
    assert len({url_key(url) for url in same}) == 1
    others = (
        "http://h/a/b",
        "http://h/a/b?x=1",
        "http://h/a/b/?x=1&y=2",
        "http://h/A/b?x=1&y=2",
        "https://h/a/b?x=1&y=2",
    )
    assert len({url_key(url) for url in (*others, same[0])}) == 6


def test_sitemaps_of_every_kind(test_data: Path) -> None:
    folder = test_data / "robots" / "crawler-commons"
    found: dict[str, tuple[int | str, int]] = {}
    for path in sorted([*(folder / "sitemaps").rglob("*.*"), *(folder / "rss").iterdir()]):
        try:
            sitemap = read_sitemap(path.read_bytes(), 1 << 20)
            found[path.name] = (len(sitemap.pages), len(sitemap.sitemaps))
        except Rejected as problem:
            found[path.name] = (str(problem), 0)
    # An index without <loc>, which the parser takes for empty; addresses in another name space are read.
    assert found.pop("sitemap.index.xml") == (0, 0)
    assert found["sitemap.txt.gz"] == found["xmlSitemap.gz"] == (5, 0) and found["sitemap.ns.xml"] == (2, 0)
    assert found["sitemap-with-bom.txt"] == (2, 0) and found["atom.xml"] == (1, 0) and found["feed.rss"] == (3, 0)
    assert len(found) == 19 and all(isinstance(n, int) and n and not inner for n, inner in found.values())


def test_an_index_names_sitemaps() -> None:
    index = (
        '<?xml version="1.0"?><sitemapindex xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">'
        "<sitemap><loc>http://h/a.xml</loc></sitemap><sitemap><loc> http://h/b.xml.gz </loc></sitemap></sitemapindex>"
    )
    sitemap = read_sitemap(gzip.compress(index.encode()), 1 << 20)
    assert sitemap.pages == () and sitemap.sitemaps == ("http://h/a.xml", "http://h/b.xml.gz")


def test_a_sitemap_is_bounded() -> None:
    head = '<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">'
    many = head + "".join(f"<url><loc>http://h/{n}</loc></url>" for n in range(60_000))
    assert len(read_sitemap(many.encode(), 20 << 20).pages) == 50_000
    with pytest.raises(Rejected, match="when inflated"):
        read_sitemap(gzip.compress(bytes(50 << 20)), 1 << 20)
    laughs = (
        '<!DOCTYPE l [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]>' + head + "<url><loc>http://h/&b;</loc></url></urlset>"
    )
    for body in (laughs.encode(), b"<html><body>no", b"<" * 1000):
        with pytest.raises(Rejected, match="no sitemap"):
            read_sitemap(body, 1 << 20)
    cut = read_sitemap(f"{head}<url><loc>http://h/a</loc></url><url><loc>http://h/b".encode(), 1 << 20)
    assert cut.pages == ("http://h/a",)
