"""robots.txt by RFC 9309: what its lines mean, and what each answer for it means."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic import ValidationError

from millpond.ingest.config import SiteConfig
from millpond.ingest.crawl.fetch import Answer, Failure
from millpond.ingest.crawl.robots import MAX_BYTES, Robots, RobotsFile, fetch_robots, product, robots_text
from millpond.reasons import Reason

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def allowed(text: str | bytes, agent: str, *paths: str) -> list[bool]:
    robots = Robots(robots_text(text.encode() if isinstance(text, str) else text), agent)
    return [robots.allows("http://h" + path) for path in paths]


def test_the_longest_rule_wins_and_allow_wins_a_draw() -> None:
    rules = "User-agent: *\nDisallow: /a\nAllow: /a/b\nDisallow: /*.pdf$\nDisallow: /c\nAllow: /c\n"
    paths = ("/a/b/c", "/a/x", "/x.pdf", "/x.pdf?y", "/c", "/robots.txt", "/")
    assert allowed(rules, "Millpond", *paths) == [True, False, False, True, True, True, True]
    assert allowed("user-agent: m\ndisallow:\nallow:\n", "m", "/x") == [True]


def test_groups() -> None:
    rules = (
        "allow: /open\n\nuser-agent: one\ndisallow: /\nallow: /x/\nuser-agent: two\ndisallow: /\nallow: /y/\n\n"
        "allow: /w/\nuser-agent: three\n\nuser-agent: one\nallow: /z/\ndisallow: /\n"
    )
    paths = ("/x/b", "/y/c", "/z/d", "/w/a", "/open/e")
    assert allowed(rules, "one", *paths) == [True, False, True, False, False]
    assert allowed(rules, "two", *paths) == [False, True, False, True, False]
    assert allowed(rules, "three", *paths) == [False, False, True, False, False]
    assert allowed(rules, "four", *paths) == [True] * 5


def test_a_name_is_ours_or_is_not() -> None:
    for line in ("Millpond", "millpond", "MILLPOND", "Millpond/0.1", "Millpond 2", "millpond # ours"):
        assert allowed(f"User-agent: {line}\nDisallow: /", "Millpond", "/") == [False], line
    for line in ("Mill", "Millpond-Images", "millpondx", "pond", "* x* y", "other"):
        assert allowed(f"User-agent: {line}\nDisallow: /", "Millpond", "/") == [line.startswith("* ") is False], line
    only_ours = "User-agent: *\nDisallow: /\n\nUser-agent: millpond\nDisallow: /x"
    assert allowed(only_ours, "Millpond", "/", "/x") == [True, False]


def test_our_name_is_the_product_of_the_user_agent() -> None:
    for agent in ("Millpond", "Millpond/0.1", "Millpond (research)", "Millpond/0.1 (research; ours)"):
        name = product(SiteConfig(user_agent=agent).user_agent)
        assert allowed("User-agent: Millpond\nDisallow: /", name, "/") == [False], agent


@pytest.mark.parametrize(
    "settings",
    [
        *({"user_agent": agent} for agent in ("", " Millpond", "(research)", "Mill\u00fcller", "M/1\r\nX: y", "M\n")),
        *({"contact": contact} for contact in ("b\u00fccher@example.org", "a\r\nX: y", "a\n")),
    ],
)
def test_what_no_header_can_hold_is_refused(settings: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        SiteConfig.model_validate(settings)


def test_escapes_and_patterns() -> None:
    rules = "User-agent: m\nDisallow: /\nAllow: /foo/ツ\nAllow: /b%61r\nAllow: /q/*/end$\n"
    paths = ("/foo/%E3%83%84", "/foo/", "/bar", "/q/1/2/end", "/q/1/end/x")
    assert allowed(rules, "m", *paths) == [True, False, True, True, False]
    assert allowed("user-agent: m\nDisallow: /X/", "m", "/X/y", "/x/y") == [False, True]


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbfUser-agent: *\nDisallow: /\n",
        "\ufeffUser-agent: *\nDisallow: /\n".encode("utf-16-le"),
        "\ufeffUser-agent: *\nDisallow: /\n".encode("utf-16-be"),
        b"User-agent: *\rDisallow: /\r",
        b"User-agent: *\r\n\r\r\nDisallow: /",
        b"\0User-agent: *\nDisallow: /\0\n",
        b"# \xff\xfe broken \x80\nUser-agent: *\nDisallow: /\n",
        b"User-agent: *\nDisallow: /\n" + b"#" * (2 << 20),
    ],
)
def test_odd_bytes_hide_no_rule(content: bytes) -> None:
    assert allowed(content, "m", "/x") == [False]


@pytest.mark.parametrize(
    "content", [b"", b"<html><body>Disallow: /</body>", b"#" * (2 << 20) + b"\nUser-agent: *\nDisallow: /"]
)
def test_what_holds_no_rules(content: bytes) -> None:
    assert allowed(content, "m", "/x") == [True]


def test_other_lines_end_no_group_and_misspelled_ones_count() -> None:
    rules = "User-agent: one\nCrawl-delay: 10\nSitemap: http://h/s\nUser-agent: two\nDisallow: /private\n"
    assert allowed(rules, "one", "/private") == allowed(rules, "two", "/private") == [False]
    assert Robots(rules, "one").crawl_delay == 10 and Robots(rules, "two").crawl_delay == 0
    assert allowed("User Agent: *\nDissallow: /a\nuseragent: *\ndisalow /b", "m", "/a", "/b", "/c") == [
        False,
        False,
        True,
    ]


def test_delays_and_sitemaps() -> None:
    robots = Robots(
        "User-agent: *\nCrawl-delay: 2.5\nSitemap: http://h/s.xml\nSitemap: /no\nUser-agent: m\nCrawl-delay: x", "m"
    )
    assert robots.crawl_delay == 0.0 and robots.sitemaps == ["http://h/s.xml"]
    assert Robots("User-agent: *\nCrawl-delay: 2.5", "m").crawl_delay == 2.5


@pytest.mark.parametrize(
    ("name", "agent", "verdicts"),
    [
        (
            "rfc9309-example-simple-robots.txt",
            "foobot",
            {"/": False, "/example/page.html": True, "/example/a.gif": False},
        ),
        ("rfc9309-example-simple-robots.txt", "bazbot", {"/": True, "/example/page.html": False}),
        ("rfc9309-example-simple-robots.txt", "quxbot", {"/": True, "/x.gif": True}),
        ("rfc9309-example-simple-robots.txt", "any", {"/x.gif": False, "/example/": False, "/publications/": True}),
        (
            "rfc9309-example-longest-match-robots.txt",
            "foobot",
            {"/example/page/": True, "/example/page/disallowed.gif": False},
        ),
        ("precedence-of-rules.txt", "testy", {"/foo": False, "/foo/bar": True, "/foo/baz": False}),
        ("precedence-of-rules.txt", "wget", {"/foo": True, "/x": False}),
        ("merge-rules.txt", "wget", {"/foo/bar/x": True, "/tmp/bar": False, "/ckh/bar": True}),
        ("merge-rules.txt", "any", {"/foo/bar/x": False, "/tmp/bar": False}),
        ("crawl-delay-group-merging.txt", "mybot", {"/private/": False, "/": True}),
        ("crawl-delay-group-merging.txt", "yourbot", {"/private/": False, "/login/": False}),
        ("robots-with-utf8-bom.txt", "any", {"/": None}),
        ("robots-with-utf16le-bom.txt", "any", {"/": None}),
        ("robots-with-utf16be-bom.txt", "any", {"/": None}),
        ("many-user-agents.txt", "wget", {"/": False}),
        ("many-user-agents.txt", "BlowFish", {"/": False}),
        ("rfc9309-example-rule-group-merging.txt", "examplebot", {"/foo": False, "/bar": False, "/baz": False}),
        ("rfc9309-example-rule-group-merging.txt", "bazbot", {"/foo": True, "/baz": False}),
        ("astore.amazon.com-robots.txt", "any", {"/": True}),
        ("dos-line-endings.txt", "any", {"/": True}),
        ("directive-typos-robots.txt", "bot1", {"/desallow/": False, "/dissalow/": False}),
        # No robots.txt is known to be read so by others: `useg-agent` begins no group, its rules are the one's before.
        ("directive-typos-robots.txt", "bot2", {"/useragent/": False, "/useg-agent/": False}),
        ("directive-typos-robots.txt", "bot3", {"/useg-agent/": True}),
        ("directive-typos-robots.txt", "bot4", {"/useragent-no-colon/": False, "/useragent/": True}),
        # Rates and hours of visit are read by no crawler of weight: only Crawl-delay slows ours.
        *(("extended-standard-robots.txt", f"bot{n}", {"/": True}) for n in range(1, 5)),
        ("extension-robots.txt", "mybot", {"/private/": False, "/secret/": True, "/llms.txt": True}),
        ("extension-robots.txt", "otherbot", {"/admin/": False, "/private/": True}),
        ("extensions-group-merging.txt", "mybot", {"/private/": False, "/login/": False, "/": True}),
        ("extensions-group-merging.txt", "yourbot", {"/private/": False, "/login/": False, "/": True}),
        ("extensions-group-merging.txt", "any", {"/": False, "/llms.txt": True}),
        ("format-errors-robots.txt", "bot1", {"/whitespace-before-colon/": False, "/no-colon/": False, "/": True}),
        ("format-errors-robots.txt", "bot2", {"/no-colon-useragent/": False, "/": True}),
        ("format-errors-robots.txt", "bot3", {"/whitespace-before-colon": True, "/x": False}),
        (
            "malformed-path.txt",
            "any",
            {
                "/wiki/Wikipedia_talk:Mediation_Committee/x": False,
                "/wiki/Wikipedia_talk%3Mediation_Committee/": False,
                "/wiki/": True,
            },
        ),
        ("relative-sitemap-robots.txt", "any", {"/cache/x": False, "/files/x": False, "/x": True}),
        *((f"sitemap-robots{part}.txt", "any", {"/": True}) for part in ("", "-dedup")),
        ("twitter.com-robots.txt", "Googlebot", {"/x?y": False, "/x/with_friends": False, "/x": True}),
        ("twitter.com-robots.txt", "any", {"/x?y": False, "/x": True}),
        ("www.flot.com-robots.txt", "any", {"/img/x.png": False, "/x": True}),
        (
            "wildcards.txt",
            "any",
            {
                "/wishlist/bogus": False,
                "/wishlist/universal/x": True,
                "/gp/registry/wishlist/any/reserve": False,
                "/a/b/gcrnsts": False,
                "/a/b/gcrnst": True,
            },
        ),
        (
            "wildcards.txt",
            "Googlebot",
            {"/rss/people/x/reviews": False, "/gp/pdp/rss/x": True, "/sim/B001132UEE": False},
        ),
        ("wildcards.txt", "EtaoSpider", {"/": False}),
    ],
)
def test_robots_files_of_others(test_data: Path, name: str, agent: str, verdicts: dict[str, bool | None]) -> None:
    content = (test_data / "robots" / "crawler-commons" / "robots" / name).read_bytes()
    for path, verdict in verdicts.items():
        if verdict is None:  # only that its rules are seen at all
            assert "isallow" in robots_text(content)
        else:
            assert allowed(content, agent, path) == [verdict], path


@pytest.mark.parametrize(
    ("name", "agent", "delay", "sitemaps"),
    [
        ("astore.amazon.com-robots.txt", "any", 5, 0),
        ("dos-line-endings.txt", "any", 1, 0),
        ("crawl-delay-group-merging.txt", "mybot", 10, 0),
        ("twitter.com-robots.txt", "slurp", 1, 0),
        ("twitter.com-robots.txt", "msnbot", 10, 0),
        ("twitter.com-robots.txt", "any", 0, 0),
        ("sitemap-robots.txt", "any", 0, 2),
        ("sitemap-robots-dedup.txt", "any", 0, 1),
        ("www.flot.com-robots.txt", "any", 0, 1),
        ("wildcards.txt", "any", 0, 8),
        # sitemaps.org wants whole addresses: those relative to the site are not followed.
        ("relative-sitemap-robots.txt", "any", 0, 0),
        ("extension-robots.txt", "any", 0, 0),
        ("format-errors-robots.txt", "any", 0, 0),
    ],
)
def test_delays_and_sitemaps_of_others(test_data: Path, name: str, agent: str, delay: float, sitemaps: int) -> None:
    content = (test_data / "robots" / "crawler-commons" / "robots" / name).read_bytes()
    robots = Robots(robots_text(content), agent)
    assert (robots.crawl_delay, len(robots.sitemaps)) == (delay, sitemaps)


def answer(status: int, body: bytes = b"", location: str | None = None, **more: str) -> Answer:
    headers = {**more, **({"Location": location} if location else {})}
    return Answer("http://h/robots.txt", status, "", tuple(headers.items()), body[:MAX_BYTES], NOW)


RULES = b"User-agent: *\nDisallow: /\n"
LOST = Failure("http://h/robots.txt", Reason.FETCH_FAILED, "timed out", NOW, silent=True)


@pytest.mark.parametrize(
    ("answers", "verdict"),
    [
        ([answer(200, RULES)], "rules"),
        ([answer(204)], "none"),
        *(([answer(301, location=f"/{n}") for n in range(hops)] + [answer(200, RULES)], "rules") for hops in (1, 5)),
        ([answer(301, location=f"/{n}") for n in range(6)], "none"),
        ([answer(302, location="https://other.example/robots.txt"), answer(200, RULES)], "rules"),
        ([answer(302)], "none"),
        ([answer(302, location="file:///etc/passwd")], "none"),
        ([answer(304)], "none"),
        *(([answer(status, RULES)], "none") for status in (400, 401, 403, 404, 410)),
        *(([answer(status, RULES)], "off limits") for status in (429, 500, 502, 503, 599)),
        ([LOST], "off limits"),
        ([answer(301, location="/x"), LOST], "off limits"),
        ([answer(200, b"\x1f\x8b broken", **{"Content-Encoding": "gzip"})], "off limits"),
    ],
)
def test_what_an_answer_for_robots_txt_means(answers: list[Answer | Failure], verdict: str) -> None:
    asked: list[str] = []

    async def get(url: str) -> Answer | Failure:
        asked.append(url)
        return answers[len(asked) - 1]

    found = asyncio.run(fetch_robots(get, "http://h"))
    assert len(asked) == len(answers) and asked[0] == "http://h/robots.txt"
    if verdict == "off limits":
        assert isinstance(found, Failure) and found.down and "off limits" in found.detail
    else:
        assert isinstance(found, RobotsFile) and found.text == (RULES.decode() if verdict == "rules" else "")
