"""The crawler at full size: `python -m benchmarks.crawl SITE [--kills N]`, which writes `docs/crawl.md`.

SITE is a folder of static pages (what `make_site.sh DEST` lays out in DEST/www); it is served as several hosts of
loopback, of which one disallows a part of itself. Shown, each with its numbers and whether it is as it should be:

- whole: every reachable allowed page stored once, no disallowed hit, no gap shorter than the delay;
- killed: SIGKILL at random moments, of the process group and of the driver alone, each while a fetch is under way,
  and started again: no address lost, none asked for more than twice, the same pages in the end;
- throughput: pages/s over 1, 10, 25 and 50 hosts with a delay, up to the configured bound of hosts at a time.
"""

from __future__ import annotations

import argparse
import http.client
import json
import mimetypes
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urldefrag, urljoin, urlsplit

import benchmarks.from_tests  # noqa: F401
import cluster
from benchmarks import peer
from benchmarks.machine import describe
from benchmarks.measure import BenchmarkError
from benchmarks.page import table
from benchmarks.pages import ROOT
from selectolax.lexbor import LexborHTMLParser
from websites import Answers, Handler, Site, links, site

from millpond.ingest.config import PAGE_TYPES
from millpond.lake import Lake

Page = tuple[str, tuple[tuple[str, str], ...]]

HOSTS = 4
DELAY = 0.02
#: What an answer takes, so that a kill finds fetches under way.
SERVING_SECONDS = 0.003
#: Folders of the first host that its robots.txt disallows.
DISALLOWED = ("/debian-policy/", "/git-doc/RelNotes/")
SECONDS = 900
#: (hosts, hosts at a time) whose throughput is measured.
CROWDS = ((1, 64), (10, 64), (25, 64), (50, 64), (50, 20))

_PAGE = """\
# Crawling

Written by `python -m benchmarks.crawl` on {date} at commit {commit}.

Machine: {processor}, {cores} cores, {memory_gib} GiB, {system}, Python {python}. The sites are served on loopback by
the same machine.

## A site of {reachable:,} pages on {hosts} hosts

Real documentation pages, served as {hosts} hosts with a delay of {delay} s between requests; the first host disallows
a part of itself. What can be reached is found by a walk of its own over the same servers, with another
parser and Python's own address functions. *Killed*: SIGKILL at {kills}
random moments, each while a fetch is under way ({fired}), of the process group and of the driver alone in turn, and
the same command again each time.

{crawls}
*Most for one address* may be 1, and 2 where there were kills; a disallowed address is never asked for; the least gap
from the leaving of one answer to the next request of a host, on the server's clock, is never shorter than the delay.

## Hosts at a time

Sites of 40 pages, each with a delay of .2 s, so that one host gives at most 5 pages a second. From the first to the
last request of their pages, so that starting up drops out.

{crowds}
"""


def serving(root: Path, disallowed: Sequence[str]) -> Any:
    """An answer for every address of a folder of static pages, and its listing as the start page."""
    folders = sorted(path.name for path in root.iterdir() if path.is_dir())

    def answer(handler: Handler) -> None:
        time.sleep(SERVING_SECONDS)
        path = unquote(urlsplit(handler.path).path)
        if path == "/robots.txt":
            rules = "".join(f"Disallow: {each}\n" for each in disallowed)
            handler.send(f"User-agent: *\n{rules}".encode(), kind="text/plain")
            return
        if path == "/":
            handler.send(links(*(f"/{name}/" for name in folders)).encode())
            return
        file = (root / path.lstrip("/")).resolve()
        if file.is_dir() and root in file.parents:
            if not path.endswith("/"):
                handler.send(b"", 301, Location=f"{path}/")
                return
            index = file / "index.html"
            if not index.exists():
                names = sorted(f"{each.name}/" if each.is_dir() else each.name for each in file.iterdir())
                handler.send(links(*names).encode())
                return
            file = index
        if not file.is_file() or root not in file.parents:
            handler.send(b"", 404)
            return
        kind = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
        handler.send(file.read_bytes(), kind=kind)

    return answer


def page(url: str) -> tuple[str, tuple[tuple[str, str], ...]]:
    """What addresses of one page share, told in another way than the crawler does."""
    parts = urlsplit(url)
    return parts.netloc + unquote(parts.path or "/"), tuple(sorted(parse_qsl(parts.query, keep_blank_values=True)))


def reachable(server: Site, disallowed: Sequence[str]) -> set[Page]:
    """Pages that can be reached over allowed addresses, by a walk of its own over the same server with lexbor."""
    start = server.url + "/"
    seen, queue, pages = {page(start)}, deque([start]), set()
    while queue:
        url = queue.popleft()
        parts = urlsplit(url)
        connection = http.client.HTTPConnection(parts.netloc, timeout=30)
        connection.request("GET", parts._replace(scheme="", netloc="", fragment="").geturl())
        response = connection.getresponse()
        body, kind = response.read(), (response.getheader("Content-Type") or "").partition(";")[0]
        connection.close()
        found: Sequence[str] = ()
        if response.status in (301, 302):
            found = (urljoin(url, response.getheader("Location") or ""),)
        elif response.status == 200 and kind == "text/html":
            tree = LexborHTMLParser(body)
            robots = ",".join(each.attributes.get("content") or "" for each in tree.css("meta[name=robots i]")).lower()
            if "noindex" not in robots and "none" not in robots:
                pages.add(page(url))
            links = () if "nofollow" in robots or "none" in robots else tree.css("a[href], area[href]")
            found = [
                urljoin(url, (link.attributes["href"] or "").strip())
                for link in links
                if "nofollow" not in (link.attributes.get("rel") or "").lower().split()
            ]
            if tree.css_first("base[href]"):
                raise BenchmarkError(f"the walk does not know <base>: {url}")
        elif response.status == 200 and kind in PAGE_TYPES:
            pages.add(page(url))
        for link in found:
            target = quote(urldefrag(link).url, safe="%/:?&=+,;@!$'()*~[]")
            if (
                target.startswith(start)
                and page(target) not in seen
                and not urlsplit(target).path.startswith(tuple(disallowed))
            ):
                seen.add(page(target))
                queue.append(target)
    return pages


@contextmanager
def served(root: Path, disallowed: Sequence[str]) -> Iterator[list[Site]]:
    """The site as several hosts; the first disallows a part."""
    with ExitStack() as stack:
        sides = (disallowed, *[()] * (HOSTS - 1))
        yield [stack.enter_context(site({}, serving(root, side))) for side in sides]


def command(lake: Path, servers: Sequence[Site], **settings: Any) -> list[str]:
    """A crawl as a person starts it."""
    usual = {
        "delay_seconds": DELAY,
        "allow_private": json.dumps([server.host for server in servers]),
        "max_pages": 100_000,
        "round_pages": 5000,
        "max_query_variants": 100_000,
    }
    changes = [part for key, value in {**usual, **settings}.items() for part in ("--set", f"site.{key}={value}")]
    seeds = [server.url + "/" for server in servers]
    return [sys.executable, "-m", "millpond", "ingest", "site", *seeds, "--lake", str(lake), *changes]


def start(arguments: Sequence[str], log: Path) -> subprocess.Popen[bytes]:
    with log.open("ab") as out:
        return subprocess.Popen(
            arguments,
            env=cluster.environment(),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )


def judge(lake: Path, servers: Sequence[Site], wanted: Sequence[set[Page]], most: int) -> dict[str, Any]:
    """What a finished crawl shows."""
    urls = Lake.open(str(lake), create=False).read("web.pages", ["url"])["url"].to_pylist()
    stored = [Counter(page(url) for url in urls if url.startswith(server.url + "/")) for server in servers]
    lost = sum(len(keys - set(has)) for keys, has in zip(wanted, stored, strict=True))
    asked = [Counter(server.asked) for server in servers]
    shown = {
        "reachable": sum(map(len, wanted)),
        "stored": len(urls),
        "lost": lost,
        "doubled": sum(n - 1 for has in stored for n in has.values()),
        "not_reachable": sum(len(set(has) - keys) for keys, has in zip(wanted, stored, strict=True)),
        "requests": sum(len(server.log) for server in servers),
        "most_for_one": max(n for counts in asked for n in counts.values()),
        "disallowed_hits": sum(path.startswith(DISALLOWED) for path in servers[0].asked),
        "least_gap": min(min(server.gaps) for server in servers),
        "most_connections": max(server.most_open for server in servers),
    }
    shown["ok"] = (
        lost == shown["doubled"] == shown["disallowed_hits"] == shown["not_reachable"] == 0
        and shown["most_for_one"] <= most
        and shown["least_gap"] >= DELAY
        and shown["most_connections"] == 1
    )
    return shown


def whole(root: Path, folder: Path) -> dict[str, Any]:
    """One undisturbed crawl."""
    with served(root, DISALLOWED) as servers:
        wanted = [reachable(server, DISALLOWED if n == 0 else ()) for n, server in enumerate(servers)]
        for server in servers:
            server.forget()
        begin = time.monotonic()
        code = start(command(folder / "lake", servers), folder / "log").wait(SECONDS)
        took = time.monotonic() - begin
        shown = judge(folder / "lake", servers, wanted, 1)
    return {"shown": "whole", "hosts": len(servers), "seconds": round(took, 1), "code": code, **shown}


def killed(root: Path, folder: Path, kills: int, seed: int = 0) -> dict[str, Any]:
    """A crawl that is killed again and again, and started again."""
    rng = random.Random(seed)
    hit = Counter[str]()
    with served(root, DISALLOWED) as servers:
        wanted = [reachable(server, DISALLOWED if n == 0 else ()) for n, server in enumerate(servers)]
        for server in servers:
            server.forget()
        step = sum(map(len, wanted)) // (kills + 2)
        arguments = command(folder / "lake", servers)
        for n in range(kills):
            process = start(arguments, folder / "log")
            until = sum(len(server.log) for server in servers) + rng.randrange(1, 2 * step)
            while process.poll() is None:
                busy = sum(len(server.log) for server in servers) >= until and any(server.open for server in servers)
                if busy:
                    victim = "group" if n % 2 else "driver"
                    (os.killpg if n % 2 else os.kill)(process.pid, signal.SIGKILL)
                    hit[victim] += process.wait() == -signal.SIGKILL
                    break
                time.sleep(0.0005)
        code = start(arguments, folder / "log").wait(SECONDS)
        shown = judge(folder / "lake", servers, wanted, 2)
    enough = sum(hit.values()) == kills
    return {"shown": "killed", "kills": kills, "fired": dict(hit), "code": code, **shown, "ok": shown["ok"] and enough}


def throughput(folder: Path, hosts: int, bound: int, pages: int = 40, delay: float = 0.2) -> dict[str, Any]:
    """Pages a second over so many hosts, each of which wants a delay: from first to last request of the pages."""
    answers: Answers = {"/": links(*(f"/{n}" for n in range(pages))), **{f"/{n}": f"<p>{n}" for n in range(pages)}}
    with ExitStack() as stack:
        servers = [stack.enter_context(site(answers)) for _ in range(hosts)]
        lake = folder / f"throughput-{hosts}"
        begun = command(lake, servers, delay_seconds=delay, hosts_at_once=bound)
        code = start(begun, folder / "log").wait(SECONDS)
        times = sorted(at for server in servers for at, path, _ in server.log if path not in ("/", "/robots.txt"))
        rate = (len(times) - 1) / (times[-1] - times[0])
    most = min(hosts, bound) / delay
    return {
        "shown": "throughput",
        "hosts": hosts,
        "bound": bound,
        "code": code,
        "pages_per_second": round(rate, 1),
        "of_possible": round(rate / most, 2),
    }


def main() -> int:
    """Measure and write the page; 1 where something is not as it should be."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("site", type=Path, help="folder of static pages")
    parser.add_argument("--kills", type=int, default=20)
    options = parser.parse_args()
    root = options.site.resolve()
    facts = describe(ROOT, peer.pins("datatrove"), 2)
    with tempfile.TemporaryDirectory(prefix="millpond crawl ") as name:
        folders = [Path(name) / part for part in ("whole", "killed", "throughput")]
        for folder in folders:
            folder.mkdir()
        crawls = [_said(whole(root, folders[0])), _said(killed(root, folders[1], options.kills))]
        crowds = [_said(throughput(folders[2], hosts, bound)) for hosts, bound in CROWDS]
    rates = [line["pages_per_second"] for line in crowds]
    grows = rates[0] < rates[1] < rates[2] < rates[3] and rates[4] < rates[3]
    (ROOT / "docs" / "crawl.md").write_text(_page(facts, crawls, crowds))
    return int(not grows or any(line["code"] or not line.get("ok", True) for line in (*crawls, *crowds)))


def _said(line: dict[str, Any]) -> dict[str, Any]:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()
    return line


def _page(facts: dict[str, Any], crawls: Sequence[dict[str, Any]], crowds: Sequence[dict[str, Any]]) -> str:
    counted = ("stored", "lost", "doubled", "requests", "most_for_one", "disallowed_hits", "most_connections")
    titles = ("stored", "lost", "doubled", "requests", "most for one address", "disallowed", "connections to a host")
    return _PAGE.format(
        **facts["machine"],
        date=facts["date"],
        commit=facts["commit"],
        python=facts["versions"]["python"],
        reachable=crawls[0]["reachable"],
        hosts=crawls[0]["hosts"],
        delay=DELAY,
        kills=crawls[1]["kills"],
        fired=", ".join(f"{n} of the {victim}" for victim, n in sorted(crawls[1]["fired"].items())),
        crawls=table(
            ("", *titles, "least gap, ms", ""),
            [
                (
                    line["shown"],
                    *(f"{line[name]:,}" for name in counted),
                    f"{line['least_gap'] * 1000:.1f}",
                    "ok" if line["ok"] else "NOT OK",
                )
                for line in crawls
            ],
        ),
        crowds=table(
            ("hosts", "at a time", "pages/s", "of what the delays allow"),
            [
                (
                    str(line["hosts"]),
                    str(line["bound"]),
                    f"{line['pages_per_second']:.1f}",
                    f"{line['of_possible']:.0%}",
                )
                for line in crowds
            ],
        ),
    )


if __name__ == "__main__":
    sys.exit(main())
