"""Turns at a host, over all the tasks of a crawl, which are processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from crawled import Crawled
from websites import Answers, Handler, site

#: Another task, whose robots.txt lead to the host again and again.
TASK = """
import asyncio, sys
from pathlib import Path
from urllib.request import urlopen
from millpond.ingest.crawl.turns import Turns

async def ask(path, host, url):
    with Turns(Path(path)) as turns:
        print("ready", flush=True)
        sys.stdin.readline()
        for _ in range(8):
            async with turns.at(host, 0.1):
                urlopen(url).read()

asyncio.run(ask(*sys.argv[1:]))
"""


def slow(handler: Handler) -> None:
    time.sleep(0.05)
    handler.send(b"<p>page")


@pytest.mark.parametrize("together", [True, False])
def test_two_tasks_ask_a_host_one_after_the_other(tmp_path: Path, together: bool) -> None:
    """With a file of turns for each they meet at the host; with one they do not."""
    pages: Answers = {f"/{n}": slow for n in range(8)}
    with site({**pages, "/rules": slow}) as server:
        turns = tmp_path / ("turns" if together else "others")
        command = [sys.executable, "-c", TASK, str(turns), server.host, f"{server.url}/rules"]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        pipe = subprocess.PIPE
        with subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, text=True) as other:
            assert other.stdout and other.stdin and other.stdout.readline() == "ready\n"
            other.stdin.write("go\n")
            other.stdin.flush()
            crawled = Crawled(tmp_path, server, [*pages], delay_seconds=0.1)
        assert other.returncode == 0 and len(crawled.pages) == 8 and server.asked.count("/rules") == 8
    between = [path for path in server.asked[server.asked.index("/0") :] if path == "/rules"]
    assert between, "the tasks did not meet"
    assert (server.most_open == 1 and min(server.gaps) >= 0.1) == together
