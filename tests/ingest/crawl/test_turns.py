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
        while not Path(path + ".stop").exists():
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
    pages: Answers = {f"/{n}": slow for n in range(5)}
    with site({**pages, "/rules": slow}) as server:
        turns = tmp_path / ("turns" if together else "others")
        command = [sys.executable, "-c", TASK, str(turns), server.host, f"{server.url}/rules"]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as other:
            try:
                assert other.stdout and other.stdout.readline() == "ready\n"
                crawled = Crawled(tmp_path, server, [*pages], delay_seconds=0.1)
            finally:
                turns.with_name(turns.name + ".stop").touch()
        assert other.returncode == 0 and len(crawled.pages) == 5
    between = server.asked[server.asked.index("/0") : server.asked.index("/4")]
    assert "/rules" in between, "the tasks did not meet"
    assert (server.most_open == 1 and min(server.gaps) >= 0.1) == together
