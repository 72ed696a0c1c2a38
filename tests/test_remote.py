"""Reading other machines' files through every fault that passes, and saying which does not."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import fsspec
import pytest
from web_files import CANARY, Bucket, Handler, Site, bucket_in_environment, serve_files

from millpond import patience, remote
from millpond.errors import InputError
from millpond.patience import Patience
from millpond.remote import Range, open_remote, read_range, read_ranges, read_until
from millpond.sources import Status
from millpond.storage import adopt

DATA = random.Random(7).randbytes(5 << 20)
QUICK = Patience(tries=4, brief=2, first_seconds=0.02, longest_seconds=0.2, total_seconds=5, stall_seconds=0.5)


@pytest.fixture
def site() -> Iterator[Site]:
    """A server with one file."""
    patience._quiet.clear()
    with serve_files(Site({"/x": DATA, "/empty": b"", "/small": b"abc"})) as site:
        yield site


@pytest.fixture(scope="module")
def bucket() -> Iterator[Bucket]:
    """An S3 server with one bucket, which fsspec finds by the environment."""
    with bucket_in_environment("inputs") as bucket:
        yield bucket


def faults(site: Site) -> list[str]:
    """Requests that were answered with a fault."""
    return [line for line in site.log if len(line.split()) > 3]


def test_a_file_is_read_forward_in_one_request(site: Site) -> None:
    with open_remote(f"{site.url}/x", QUICK) as file:
        assert file.seek(0, 2) == len(DATA) and file.seek(0) == 0
        assert file.read() == DATA
    assert [line.split()[2] for line in site.log] == ["bytes=0-0", "bytes=0-"]
    assert site.sent <= len(DATA) + 1


def test_a_file_is_read_anywhere(site: Site) -> None:
    chosen = random.Random(3)
    with open_remote(f"{site.url}/x", QUICK) as file:
        for _ in range(20):
            start, size = chosen.randrange(len(DATA)), chosen.randrange(1, 600_000)
            file.seek(start)
            assert file.read(size) == DATA[start : start + size]
    with open_remote(f"{site.url}/empty", QUICK) as file:
        assert file.read() == b"" and file.seek(0, 2) == 0


def test_a_large_file_is_not_fetched_before_it_is_read(site: Site) -> None:
    site.files["/x"] = bytes(64 << 20)
    with open_remote(f"{site.url}/x", QUICK) as file:
        assert file.read(100) == bytes(100)
    time.sleep(0.2)
    assert site.sent < 16 << 20


def test_closing_a_file_does_not_wait_for_its_server(site: Site) -> None:
    stalled = threading.Event()

    def stall(number: int, handler: Handler) -> bool:
        write = handler.wfile.write

        def later(data: Any) -> int:
            if site.sent >= 2 << 20:
                handler.note("stalled")
                stalled.wait(10)
            return write(data)

        handler.wfile.write = later  # type: ignore[method-assign]
        return False

    site.chunk, site.fault = 1 << 19, stall
    with open_remote(f"{site.url}/x", Patience(stall_seconds=30)) as file:
        assert file.read(600_000) == DATA[:600_000]  # the next block is being fetched
        while not faults(site):
            time.sleep(0.01)
        began = time.monotonic()
    assert time.monotonic() - began < 2
    stalled.set()


@pytest.mark.parametrize("status", [403, 408, 429, 500, 503])
def test_an_answer_that_passes_is_waited_for(site: Site, status: int) -> None:
    site.fault = lambda number, handler: number in (0, 2) and handler.refuse(status)
    with open_remote(f"{site.url}/x", QUICK) as file:
        assert file.read() == DATA
    assert len(faults(site)) == 2 and all(line.endswith(str(status)) for line in faults(site))


def test_retry_after_is_obeyed_by_all_who_read_from_the_host(site: Site) -> None:
    times: list[float] = []

    def busy(number: int, handler: Handler) -> bool:
        times.append(time.monotonic())
        return number == 0 and handler.refuse(503, Retry_After="1")

    site.fault = busy
    asked = [Range(f"{site.url}/x", 10 * n, 10) for n in range(20)]
    assert read_range(*asked[0], QUICK) == DATA[:10]
    assert times[1] - times[0] >= 1 and faults(site) == ["GET /x bytes=0-9 503"]
    site.log.clear()
    times.clear()
    assert all(isinstance(found, bytes) for _, found in read_ranges(asked, 1, QUICK))
    assert min(times[1:]) - times[0] >= 1


def test_a_server_that_asks_for_more_than_there_is_patience_is_given_up_at_once(site: Site) -> None:
    site.fault = lambda number, handler: handler.refuse(503, Retry_After="3600")
    began = time.monotonic()
    with pytest.raises(InputError, match=r"/x: cannot be read: HTTP status 503.*asks to wait 3600 s"):
        open_remote(f"{site.url}/x", QUICK)
    assert time.monotonic() - began < 1 and len(faults(site)) == 1


@pytest.mark.parametrize(
    ("status", "message", "asked"),
    [
        (404, "x: no such file", 1),
        (401, "x: cannot be read: HTTP status 401", 1),
        (403, "x: cannot be read: HTTP status 403, 3 times in a row", 3),
        (503, "x: cannot be read: HTTP status 503, 5 times in a row", 5),
    ],
)
def test_what_does_not_pass_is_said_in_one_line(site: Site, status: int, message: str, asked: int) -> None:
    site.fault = lambda number, handler: handler.refuse(status)
    with pytest.raises(InputError, match=message) as raised:
        open_remote(f"{site.url}/x", QUICK)
    assert len(faults(site)) == asked and "\n" not in str(raised.value)


def test_a_cut_connection_goes_on_where_it_stopped(site: Site) -> None:
    def cut(number: int, handler: Handler) -> bool:
        handler.cut_after = 1_000_000
        return False

    site.fault = cut
    with open_remote(f"{site.url}/x", QUICK) as file:
        assert file.read() == DATA
    starts = [int(line.split("bytes=")[1].partition("-")[0]) for line in site.log[1:]]
    assert starts[0] == 0 and len(faults(site)) == len(starts) - 1 >= 5
    # What the HTTP library held when it saw the cut is fetched again, and no more.
    assert all(0 <= before + 1_000_000 - after <= 1 << 19 for before, after in pairwise(starts))
    site.log.clear()
    assert read_range(f"{site.url}/x", 100, 2_000_000, QUICK) == DATA[100:2_000_100]
    assert len(faults(site)) >= 1


def test_a_connection_that_gives_next_to_nothing_is_given_up(site: Site) -> None:
    def cut(number: int, handler: Handler) -> bool:
        handler.cut_after = 1
        return False

    site.fault = cut
    with open_remote(f"{site.url}/x", QUICK) as file, pytest.raises(InputError, match="5 times in a row"):
        file.read()
    assert len(faults(site)) == 5


def test_a_stalled_connection_is_cut(site: Site) -> None:
    stalled = threading.Event()

    def stall(number: int, handler: Handler) -> bool:
        if number == 1:
            handler.note("stalled")
            stalled.wait(10)
        return False

    site.fault = stall
    began = time.monotonic()
    with open_remote(f"{site.url}/x", QUICK) as file:
        assert file.read() == DATA
    assert 0.5 <= time.monotonic() - began < 3 and faults(site)
    stalled.set()


def test_a_slow_server_is_no_fault(site: Site) -> None:
    site.chunk = 1 << 18

    class Slow(dict[str, bytes]):
        pass

    def slow(number: int, handler: Handler) -> bool:
        write = handler.wfile.write

        def later(data: Any) -> int:
            time.sleep(0.1)
            return write(data)

        handler.wfile.write = later  # type: ignore[method-assign]
        handler.note("slow")
        return False

    site.fault = slow
    with open_remote(f"{site.url}/x", QUICK) as file:
        assert file.read() == DATA
    assert len(site.log) == 2 and len(faults(site)) == 2


def test_a_server_without_ranges_is_read_forward_and_not_by_ranges(site: Site) -> None:
    site.ranges = False

    def cut(number: int, handler: Handler) -> bool:
        handler.cut_after = 3_000_000 if number == 1 else None
        return False

    site.fault = cut
    with open_remote(f"{site.url}/x", QUICK) as file:
        assert file.read() == DATA
    assert len(faults(site)) == 1 and len(site.log) == 3
    with pytest.raises(InputError, match="sends no ranges"):
        read_range(f"{site.url}/x", 5, 5, QUICK)
    assert read_range(f"{site.url}/x", 0, 5, QUICK) == DATA[:5]
    asked = len(site.log)
    with open_remote(f"{site.url}/x", QUICK) as file:
        read_until(file, 3_500_000)  # as one who reads a part does
        file.seek(3_000_000)
        assert file.read() == DATA[3_000_000:]
    assert len(site.log) == asked + 2, "its size, and then all of it once"


def test_a_file_that_changes_is_an_error_and_no_mixture(site: Site) -> None:
    def change(number: int, handler: Handler) -> bool:
        handler.cut_after = 1_000_000
        if number == 2:
            site.files["/x"] = bytes(len(DATA))
            handler.note("changed")
        return False

    site.fault = change
    with open_remote(f"{site.url}/x", QUICK) as file, pytest.raises(InputError, match="changed while it was read"):
        file.read()
    assert any("changed" in line for line in site.log)
    known = remote.identity(f"{site.url}/x", QUICK)
    with open_remote(f"{site.url}/x", QUICK, known):
        pass
    site.files["/x"] = DATA[:-1]
    with pytest.raises(InputError, match="has changed since it was first looked at"):
        open_remote(f"{site.url}/x", QUICK, known)


def test_many_ranges_come_in_order_and_are_bounded(site: Site) -> None:
    chosen = random.Random(5)
    wanted = [Range(f"{site.url}/x", chosen.randrange(len(DATA) - 1000), 1000) for _ in range(200)]
    wanted[77] = Range(f"{site.url}/gone", 0, 10)
    wanted[78] = Range(f"{site.url}/small", 1, 10)

    def some(number: int, handler: Handler) -> bool:
        time.sleep(0.005)
        return number % 25 == 3 and handler.refuse(503)

    site.fault = some
    found = list(read_ranges(wanted, 4, QUICK))
    assert [each for each, _ in found] == wanted
    for each, data in found:
        if each.url.endswith("/x"):
            assert data == DATA[each.start : each.start + each.length]
    assert str(found[77][1]).endswith("/gone: no such file") and "it is shorter" in str(found[78][1])
    assert 1 < site.most_open <= 4 and len(faults(site)) >= 8


def test_no_more_bytes_than_are_allowed_are_fetched_before_they_are_taken(site: Site) -> None:
    wanted = [Range(f"{site.url}/x", 1000 * n, 5000 if n == 7 else 1000) for n in range(30)]
    taken = most = 0
    for each, data in read_ranges(wanted, 8, QUICK, max_bytes=4000):
        assert data == DATA[each.start : each.start + each.length]
        time.sleep(0.01)  # what may be fetched meanwhile is
        most = max(most, site.sent - taken)
        taken += each.length
    assert 3000 < most <= 5000, most


def test_an_object_is_read_forward_and_by_ranges(bucket: Bucket) -> None:
    url = bucket.put("a/x.bin", DATA)
    with open_remote(url, QUICK) as file:
        assert file.read() == DATA
        file.seek(-10, 2)
        assert file.read() == DATA[-10:]
    assert read_range(url, 1000, 50, QUICK) == DATA[1000:1050]
    with pytest.raises(InputError, match="inputs/a/none: no such file"):
        open_remote("s3://inputs/a/none", QUICK)
    with pytest.raises(InputError, match="inputs/a: is a folder"):
        open_remote("s3://inputs/a", QUICK)


def test_an_object_that_is_replaced_while_it_is_read(bucket: Bucket) -> None:
    url = bucket.put("x.bin", DATA)
    known = remote.identity(url, QUICK)
    assert known.startswith(f"{len(DATA)} bytes, ") and CANARY not in known
    with open_remote(url, QUICK) as file:
        assert file.read(10) == DATA[:10]
        bucket.put("x.bin", bytes(len(DATA)))
        with pytest.raises(InputError, match=r"x\.bin: changed while it was read"):
            file.read()
    assert remote.identity(url, QUICK) != known


def test_an_object_store_that_is_busy_or_cuts_is_waited_for(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = {
        "s3.endpoint": site.url,
        "s3.access-key-id": "me",
        "s3.secret-access-key": CANARY,
        "s3.region": "us-east-1",
    }
    monkeypatch.setattr("millpond.storage._warehouses", {})
    adopt({"s3://busy": keys})
    site.files["/busy/x"] = DATA

    def fault(number: int, handler: Handler) -> bool:
        handler.cut_after = 100_000 if number in (1, 4) else None
        return number in (0, 3) and handler.refuse(503, Retry_After="1")

    site.fault = fault
    began = time.monotonic()
    with open_remote("s3://busy/x", QUICK) as file:
        assert file.read() == DATA
    assert len(faults(site)) == 4 and time.monotonic() - began >= 2
    site.fault = lambda number, handler: handler.refuse(403)
    with pytest.raises(InputError, match=r"s3://busy/x: cannot be read: .*3 times in a row") as raised:
        read_range("s3://busy/x", 5, 5, QUICK)
    assert CANARY not in str(raised.value)


def test_other_filesystems(tmp_path: Path) -> None:
    memory = fsspec.filesystem("memory")
    memory.pipe_file("/folder/x", DATA)
    with open_remote("memory://folder/x", QUICK) as file:
        assert file.read() == DATA
    assert read_range("memory://folder/x", 5, 5, QUICK) == DATA[5:10]
    with pytest.raises(InputError, match="no such file"):
        remote.identity("memory://folder/y", QUICK)


@pytest.mark.parametrize(("said", "seconds"), [("7", 7.0), ("²", None), ("1²", None), ("soon", None), ("", None)])
def test_a_retry_after_that_is_no_number_is_none(said: str, seconds: float | None) -> None:
    assert patience.status_of(Status(503, {"Retry-After": said})) == (503, seconds)
