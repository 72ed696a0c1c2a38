"""Addresses and links."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from millpond.ingest.links import canonical_url, page_links, robots_directives


@pytest.mark.parametrize(
    ("url", "canonical"),
    [
        ("HTTP://Example.COM", "http://example.com/"),
        ("http://example.com:80/a", "http://example.com/a"),
        ("https://example.com:443/a#part", "https://example.com/a"),
        ("https://example.com:80/", "https://example.com:80/"),
        ("http://h/a/./b/../c/", "http://h/a/c/"),
        ("http://h/../../a/..", "http://h/"),
        ("http://h/%7euser/%c3%a9%2f", "http://h/~user/%C3%A9%2F"),
        ("http://h/é x", "http://h/%C3%A9%20x"),
        ("http://h/a?b=ü&c=%zz", "http://h/a?b=%C3%BC&c=%zz"),
        ("http://h/a?", "http://h/a"),
        ("http://h\\a\\b", None),
        ("http://h/a\\b", "http://h/a/b"),
        (" http://h/a\n/b ", "http://h/a/b"),
        ("http://user:pw@h/", "http://h/"),
        ("http://bücher.example/", "http://xn--bcher-kva.example/"),
        ("http://h.:80/", "http://h/"),
        ("http://[::1]:8080/", "http://[::1]:8080/"),
        ("http://[::1", None),
        ("http://h:99999/", None),
        ("http:///path", None),
        ("ftp://h/", None),
        ("javascript:void(0)", None),
        ("mailto:a@b", None),
        ("", None),
        ("http://a b/", None),
    ],
)
def test_canonical_url(url: str, canonical: str | None) -> None:
    assert canonical_url(url) == canonical


def test_relative_addresses() -> None:
    base = "http://h/a/b?c"
    for url, canonical in (
        ("d", "http://h/a/d"),
        ("/d", "http://h/d"),
        ("//g/d", "http://g/d"),
        ("?x", "http://h/a/b?x"),
        ("#x", "http://h/a/b?c"),
        ("", "http://h/a/b?c"),
        ("../../../d", "http://h/d"),
    ):
        assert canonical_url(url, base) == canonical


@given(st.text(max_size=60))
def test_canonical_is_a_fixed_point(path: str) -> None:
    once = canonical_url("http://h/" + path)
    assert once is None or canonical_url(once) == once


def test_links_of_a_page() -> None:
    page = """<!doctype html><html><head><title><a href=/in-title></title><base href="/base/">
        <!-- <a href=/in-comment> --><script>'<a href="/in-script">'</script></head>
        <body><a href=one>1</a> <A HREF='two?a=1&amp;b=2#x'>2</A> <a name=x href="one#again">
        <a href=three rel="external NoFollow"> <area href=/map> <a> <a href="mailto:x@y">
        <link href=/style.css> <a title="> <a href=/in-attribute>" href="//other.example/x"> < a href=/not>
        <a href="unclosed"""
    found = page_links(page, "http://h/dir/page", "millpond")
    assert found.links == (
        "http://h/base/one",
        "http://h/base/two?a=1&b=2",
        "http://h/map",
        "http://other.example/x",
    )
    assert found.index and found.follow


@pytest.mark.parametrize(
    ("meta", "index", "follow"),
    [
        ('<meta name="robots" content="noindex">', False, True),
        ("<META NAME=ROBOTS CONTENT='NoFollow, noarchive'>", True, False),
        ("<meta name=robots content=none>", False, False),
        ("<meta name=millpond content='noindex,nofollow'>", False, False),
        ("<meta name=googlebot content=noindex>", True, True),
        ("<meta name=robots content=all>", True, True),
    ],
)
def test_robots_meta(meta: str, index: bool, follow: bool) -> None:
    found = page_links(f"<head>{meta}</head><a href=/x>", "http://h/", "millpond")
    assert (found.index, found.follow) == (index, follow)


def test_robots_header() -> None:
    assert robots_directives("noindex, nofollow", "millpond") == {"noindex", "nofollow"}
    assert robots_directives("googlebot: noindex, nofollow", "millpond") == set()
    assert robots_directives("googlebot: noindex, millpond: nofollow", "millpond") == {"nofollow"}
    assert "noindex" in robots_directives("unavailable_after: 25 Jun 2030 15:00:00 PST, noindex", "millpond")


@pytest.mark.parametrize(
    "page",
    [
        "<a " * 300_000,
        '<a "' * 300_000,
        "<p " + " ".join(f"a{n}=1" for n in range(100_000)) + ">",
        "<!--" * 300_000,
        "<script>" * 100_000,
        "<a href='" * 200_000,
        "<" * 1_000_000,
        "<a href=x>" * 100_000,
        "<a" + " " * 1_000_000,
        "<a b" + " " * 1_000_000 + "c" + " " * 1_000_000,
    ],
)
def test_hostile_markup_takes_time_in_proportion(page: str) -> None:
    begin = time.process_time()
    page_links(page, "http://h/", "millpond")
    assert time.process_time() - begin < 3


@given(st.text(st.sampled_from("<>ahref='\"/ =!-script\n&#x;"), max_size=80))
def test_any_markup_gives_links(page: str) -> None:
    assert all(link.startswith("http") for link in page_links(page, "http://h/", "m").links)
