"""Every bad server of the list: one row with the reason, soon after the deadline, in bounded memory."""

from __future__ import annotations

import gzip
import json
import os
import random
import socket
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import Callable
from contextlib import ExitStack
from functools import cache
from pathlib import Path

import brotli
import zstandard
from crawled import Crawled
from websites import Answer, Answers, Handler, drip, drip_headers, endless, raw, redirect, site

DEADLINE = 1.0
CAP = 8 << 20
OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n"

#: Fetches one address of each server in a process of its own, the slow ones together, the others one after the other.
#: Says of each what its rows were, when they came and by how much the process grew meanwhile, and last by how much it
#: grew over all of them.
CHILD = """
import json, sys
from pathlib import Path
from types import SimpleNamespace
from crawled import Crawled

def status(name):
    return int(Path("/proc/self/status").read_text().split(name + ":")[1].split()[0]) << 10

folder, settings, *groups = sys.argv[1:]
first = most = None
for number, urls in enumerate(group.split() for group in groups):
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before = status("VmRSS")
    servers = [SimpleNamespace(url=url, host=url.split("/")[2].split(":")[0]) for url in urls]
    crawled = Crawled(Path(folder, str(number)), servers, ("/x",), **json.loads(settings))
    peak = status("VmHWM")
    first, most = first or peak, max(most or 0, peak)
    for url in (server.url + "/x" for server in servers):
        rows = ["page" for row in crawled.pages if row["url"] == url]
        rows += [row["reason"] for row in crawled.rejects if row["url"] == url]
        print(json.dumps([rows, crawled.arrived.get(url), peak - before]))
print(json.dumps(most - first))
"""


def reset(handler: Handler) -> None:
    """The connection is reset in the middle of the headers."""
    handler.wfile.write(OK)
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.connection.close()
    handler.close_connection = True


def noise(handler: Handler) -> None:
    """An endless body that nothing compresses."""
    some = random.Random(0).randbytes(1 << 20)
    handler.wfile.write(OK + b"\r\n")
    while True:
        handler.wfile.write(some)


@cache
def zeros() -> bytes:
    return bytes(64 << 20)


def deflated(data: bytes) -> bytes:
    return zlib.compress(data, 1)


def encoded(encoding: str, make: Callable[[], bytes]) -> Answer:
    return lambda handler: handler.send(make(), Content_Encoding=encoding)


def bomb(encoding: str, compress: Callable[[bytes], bytes]) -> Answer:
    body = compress(zeros())
    assert len(body) < CAP // 4
    return encoded(encoding, lambda: body)


#: Those that come first, and take all their time.
SLOW = ("drip", "drip headers", "silent")


def bad_servers() -> dict[str, tuple[Answer, str]]:
    return {
        "drip": (drip, "fetch_failed"),
        "drip headers": (drip_headers, "fetch_failed"),
        "silent": (lambda handler: time.sleep(DEADLINE * 1.3), "fetch_failed"),
        "endless": (endless, "too_large"),
        "noise": (noise, "too_large"),
        "gzip bomb": (bomb("gzip", lambda data: gzip.compress(data, 1)), "too_large"),
        "deflate bomb": (bomb("deflate", deflated), "too_large"),
        "brotli bomb": (bomb("br", lambda data: brotli.compress(data, quality=1)), "too_large"),
        "zstd bomb": (bomb("zstd", zstandard.compress), "too_large"),
        "bomb in a bomb": (bomb("gzip, gzip", lambda data: gzip.compress(gzip.compress(data, 1))), "too_large"),
        "cut": (raw(OK + b"Content-Length: 1000\r\n\r\nonly this"), "fetch_failed"),
        "cut gzip": (encoded("gzip", lambda: gzip.compress(b"<p>hello" * 99)[:-9]), "body_encoding"),
        "length": (raw(OK + b"Content-Length: thousand\r\n\r\nx"), "fetch_failed"),
        "no status": (raw(b"<html>hello"), "fetch_failed"),
        "long header": (raw(OK + b"X: " + b"y" * (200 << 10) + b"\r\n\r\n"), "fetch_failed"),
        "many headers": (
            raw(OK + b"".join(b"X-%d: %s\r\n" % (n, b"y" * 1024) for n in range(200)) + b"\r\n"),
            "fetch_failed",
        ),
        "chunk": (raw(OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nhello"), "fetch_failed"),
        "reset": (reset, "fetch_failed"),
        "nothing": (raw(b""), "fetch_failed"),
        "image": (lambda h: h.send(b"\x89PNG", kind="image/png"), "not_a_page"),
        "gone": (lambda h: h.send(b"", 410), "http_status"),
        "broken": (lambda h: h.send(b"", 500), "http_status"),
        "loop": (redirect("/x"), "redirect"),
        "out": (redirect("http://169.254.169.254/latest"), "redirect"),
        "mapped": (redirect("http://[::ffff:127.0.0.1]:1/"), "redirect"),
        "file": (redirect("file:///etc/passwd"), "redirect"),
        "nowhere": (lambda h: h.send(b"", 301), "redirect"),
        "twice": (encoded("gzip, gzip", lambda: gzip.compress(gzip.compress(b"<p>twice"))), "page"),
    }


def test_each_is_one_row_soon_after_the_deadline_in_bounded_memory(tmp_path: Path) -> None:
    bad = bad_servers()
    with ExitStack() as stack:
        served = {name: stack.enter_context(site({"/x": answer})) for name, (answer, _) in bad.items()}
        warm = stack.enter_context(site({"/x": "<p>good"}))
        settings = {"timeout_seconds": DEADLINE, "max_body_bytes": CAP}
        urls = [server.url for server in served.values()]
        groups = [warm.url, " ".join(urls[: len(SLOW)]), *urls[len(SLOW) :]]
        child = subprocess.run(
            [sys.executable, "-c", CHILD, str(tmp_path), json.dumps(settings), *groups],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
            timeout=120,
        )
    _, *lines, whole = child.stdout.splitlines()
    took, grown = {}, {}
    for (name, server), line in zip(served.items(), lines, strict=True):
        rows, arrived, grown[name] = json.loads(line)
        assert (name, rows) == (name, [bad[name][1]])
        [asked] = [at for at, path, _ in server.log if path == "/x"]
        took[name] = arrived - asked
    assert {name for name, each in took.items() if each > DEADLINE * 0.98} == set(SLOW)
    assert max(took.values()) <= 1.2 * DEADLINE, took
    # What came and what is kept of it are there at the same time; freed memory is not all given back.
    assert max(grown.values()) <= 4 * CAP and int(whole) <= 8 * CAP, (whole, grown)


#: Rules in front of and behind 2 MB of comment.
LONG = "User-agent: *\nDisallow: /first\n" + "# nothing here\n" * (2 << 16) + "Disallow: /last\n"


def test_a_bad_robots_txt_is_what_the_rfc_says(tmp_path: Path) -> None:
    """Of a long one the first 500 KiB count; one that does not come as a whole puts its site off limits."""
    bad: Answers = {
        "long": LONG,
        "endless": endless,
        "slow": drip,
        "slow headers": drip_headers,
        "reset": reset,
        "cut": raw(OK + b"Content-Length: 1000\r\n\r\nUser-agent: *\nAllow: /"),
        "bomb": bomb("gzip", lambda data: gzip.compress(data, 1)),
    }
    pages: Answers = dict.fromkeys(("/first", "/last", "/other"), "<p>page")
    with ExitStack() as stack:
        served = {name: stack.enter_context(site({"/robots.txt": robots, **pages})) for name, robots in bad.items()}
        crawled = Crawled(tmp_path, list(served.values()), list(pages), timeout_seconds=DEADLINE)
    asked = {name: [path for path in server.asked if path != "/robots.txt"] for name, server in served.items()}
    assert asked == {name: {"long": ["/last", "/other"], "endless": list(pages)}.get(name, []) for name in bad}
    assert all(server.asked[0] == "/robots.txt" for server in served.values())
    off_limits = {server.url + path for name, server in served.items() if not asked[name] for path in pages}
    assert {row["url"] for row in crawled.events if row["verdict"] == "deferred"} == off_limits
    troubles = {row["host"]: row["verdict"] for row in crawled.events if row["state"] == "host"}
    assert {name: bool(troubles[server.host]) for name, server in served.items()} == {
        name: name not in ("long", "endless") for name in bad
    }
