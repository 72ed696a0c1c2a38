"""The journal of a task: nothing that was answered is lost, whatever cuts it short, and other tools read it."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

import pytest
from fastwarc.warc import ArchiveIterator as FastIterator
from fastwarc.warc import WarcRecordType
from warcio.archiveiterator import ArchiveIterator

from millpond.errors import InputError
from millpond.ingest.crawl import archive
from millpond.ingest.crawl.fetch import Answer, Failure
from millpond.ingest.crawl.journal import Journal, Kept, KeptCount, Superseded
from millpond.reasons import Reason

AT = datetime(2026, 1, 2, 3, 4, 5, 678901, UTC)
SENT = (("User-Agent", "Millpond/1"), ("Accept", "*/*"))
ABOUT = {"software": "Millpond"}


def answer(n: int, **changes: object) -> Answer:
    fields = {
        "url": f"http://h/{n}?q=%C3%A9" if n == 1 else f"http://h/{n}",
        "status": 200,
        "phrase": "OK",
        "headers": (
            ("Content-Type", "text/html"),
            ("Transfer-Encoding", "chunked"),
            ("Set-Cookie", "a=1"),
            ("Set-Cookie", "b=2"),
        ),
        "body": b"<p>%d" % n * 50,
        "fetched_at": AT,
        "ip": "127.0.0.1",
    }
    return Answer(**{**fields, **changes})  # type: ignore[arg-type]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "owner").write_text("me")
    return tmp_path / "00001-0000.warc.gz"


def fill(path: Path, count: int) -> list[Kept]:
    with Journal(path, "me", ABOUT) as journal:
        kept = []
        for n in range(count):
            journal.begin(answer(n).url)
            kept.append(journal.keep(answer(n), SENT))
    return kept


def test_what_is_kept_comes_back_as_it_was(path: Path) -> None:
    failure = Failure("http://h/down", Reason.FETCH_FAILED, "ConnectError: refused", AT, down=True)
    answers: list[Answer | Failure] = [
        answer(0),
        answer(1, status=404, phrase="Not Found", body=b""),
        answer(2, truncated="length", headers=(("Content-Length", "99"), ("Content-Encoding", "gzip"))),
        answer(3, phrase="", headers=()),
    ]
    with Journal(path, "me", ABOUT) as journal:
        assert not journal.resumed and journal.kept("http://h/0") is None
        for each in (*answers, failure):
            journal.begin(each.url)
            journal.keep(each, SENT)
    with Journal(path, "me", ABOUT) as journal:
        for each in (*answers, failure):
            kept = journal.kept(each.url)
            assert kept is not None and kept.result == each
        assert journal.resumed


def test_other_tools_read_the_file(path: Path) -> None:
    kept = fill(path, 5)
    with path.open("rb") as file:
        records = [
            (r.rec_type, r.rec_headers, r.http_headers, r.content_stream().read())
            for r in ArchiveIterator(file, check_digests="raise")
        ]
    assert [kind for kind, *_ in records] == ["warcinfo", *["response", "request"] * 5]
    _, headers, http, body = records[1]
    assert body == answer(0).body and headers.get_header("WARC-IP-Address") == "127.0.0.1"
    assert headers.get_header("WARC-Date") == "2026-01-02T03:04:05.678901Z"
    assert http.get_header("Content-Length") == str(len(body)) and http.get_header("Transfer-Encoding") is None
    assert http.get_header("X-Crawler-Transfer-Encoding") == "chunked"
    assert records[2][1].get_header("WARC-Concurrent-To") == headers.get_header("WARC-Record-ID")
    for parse, verify in ((False, "verify_block_digest"), (True, "verify_payload_digest")):
        with path.open("rb") as file:
            responses = FastIterator(file, record_types=WarcRecordType.response, parse_http=parse)
            found = [(record.stream_pos, getattr(record, verify)()) for record in responses]
        assert found == [(each.offset, True) for each in kept]
    # The place of a record is enough to read it alone.
    with path.open("rb") as file:
        file.seek(kept[3].offset or 0)
        [record] = ArchiveIterator(BytesIO(file.read(kept[3].length)))
        assert record.rec_headers.get_header("WARC-Target-URI") == "http://h/3"


def test_cut_anywhere_it_goes_on_from_the_last_whole_record(path: Path) -> None:
    kept = fill(path, 4)
    log = path.parent / "00001-0000.log"
    whole_warc, whole_log = path.read_bytes(), log.read_bytes()
    ends = [(each.offset or 0) + (each.length or 0) for each in kept]
    cuts = [*range(0, len(whole_log), 97), len(whole_log) - 1, len(whole_log)]
    for cut in cuts:
        for tail in (
            whole_warc,
            whole_warc[: ends[-1] - 7],
            whole_warc[: len(whole_warc) - 3],
            whole_warc + b"\x1f\x8b\x08half",
        ):
            log.write_bytes(whole_log[:cut])
            path.write_bytes(tail)
            with Journal(path, "me", ABOUT) as journal:
                found = [n for n in range(4) if (k := journal.kept(answer(n).url)) and isinstance(k.result, Answer)]
                assert found == list(range(len(found)))
                journal.begin("http://h/9")
                journal.keep(answer(9), SENT)
            with path.open("rb") as file:
                urls = [
                    r.rec_headers.get_header("WARC-Target-URI")
                    for r in ArchiveIterator(file)
                    if r.rec_type == "response"
                ]
            assert urls == [*(answer(n).url for n in found), "http://h/9"], cut


def test_a_fetch_that_two_attempts_began_is_given_up(path: Path) -> None:
    for attempt in range(2):
        with Journal(path, "me", ABOUT) as journal:
            assert journal.kept("http://h/0") is None, attempt
            journal.begin("http://h/0")
    with Journal(path, "me", ABOUT) as journal:
        kept = journal.kept("http://h/0")
    assert kept and isinstance(kept.result, Failure) and "given up: 2 attempts" in kept.result.detail


def test_tasks_of_a_driver_that_was_replaced_stop(path: Path) -> None:
    with Journal(path, "me", ABOUT) as journal:
        journal.begin("http://h/0")
        (path.parent / "owner").write_text("another")
        with pytest.raises(Superseded):
            journal.begin("http://h/1")


def test_what_was_fetched_is_kept_within_an_attempt_too(path: Path) -> None:
    failure = Failure("http://h/down", Reason.FETCH_FAILED, "ConnectError: refused", AT, down=True)
    for attempt in range(2):
        with Journal(path, "me", ABOUT) as journal:
            for each in (answer(0), failure):
                if attempt == 0:
                    journal.begin(each.url)
                    assert journal.keep(each, SENT) == journal.kept(each.url)
                for _ in range(3):
                    kept = journal.kept(each.url)
                    assert kept is not None and kept.result == each


def test_a_late_attempt_leaves_what_another_driver_or_a_release_has_finished(path: Path) -> None:
    fill(path, 2)
    log = path.parent / "00001-0000.log"
    log.write_bytes(log.read_bytes() + b"{half")
    before = path.read_bytes() + b"half", log.read_bytes()
    path.write_bytes(before[0])
    (path.parent / "owner").write_text("another")
    with pytest.raises(Superseded, match="another driver"), Journal(path, "me", ABOUT):
        pass
    assert (path.read_bytes(), log.read_bytes()) == before
    log.unlink()
    with pytest.raises(Superseded, match="is released"), Journal(path, "another", ABOUT):
        pass
    assert path.read_bytes() == before[0] and not log.exists()


def test_an_entry_whose_record_was_lost_is_not_believed_later(path: Path) -> None:
    kept = fill(path, 3)
    os.truncate(path, (kept[1].offset or 0) + 5)
    for attempt in range(2):
        with Journal(path, "me", ABOUT) as journal:
            assert [n for n in range(3) if journal.kept(answer(n).url)] == [0]
            if attempt == 0:  # the file grows beyond where the lost records ended
                for n in (7, 8, 9):
                    journal.begin(answer(n).url)
                    journal.keep(answer(n), SENT)
    assert path.stat().st_size > (kept[2].offset or 0) + (kept[2].length or 0)


def test_a_record_of_another_address_is_not_taken(path: Path) -> None:
    fill(path, 2)
    log = path.parent / "00001-0000.log"
    log.write_text(log.read_text().replace('"kept": "http://h/0"', '"kept": "http://h/5"'))
    with Journal(path, "me", ABOUT) as journal, pytest.raises(InputError, match="is of http://h/0, and by its log of"):
        journal.kept("http://h/5")


def test_an_attempt_waits_for_the_end_of_another(path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from millpond.ingest.crawl.journal import Journal\n"
        "with Journal(Path(sys.argv[1]), 'me', {}): print('in', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout and other.stdin and other.stdout.readline() == "in\n"
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as second:
            with pytest.raises(subprocess.TimeoutExpired):
                second.wait(0.7)
            other.stdin.close()
            other.wait()
            assert second.stdout and second.stdin and second.stdout.readline() == "in\n"
            second.stdin.close()


def test_headers_come_back_as_they_came() -> None:
    """What the HTTP client has undone, too; a name that only looks like ours stays."""
    headers = (("Transfer-Encoding", "chunked"), ("X-Crawler-Robots-Tag", "noindex"), ("ETag", '"v1"'))
    answer = Answer("http://a.example/", 200, "OK", headers, b"<p>x", datetime.now(UTC))
    records, length = archive.answer_records(answer, ())
    assert archive.read_answer(records[:length]).headers == headers


def test_what_is_kept_is_counted_while_the_journal_grows(tmp_path: Path) -> None:
    (tmp_path / "owner").write_text("me")
    path = tmp_path / "1.warc.gz"
    count = KeptCount(path)
    assert count.now() == 0
    with Journal(path, "me", {}) as journal:
        for number in range(3):
            url = f"http://a.example/{number}"
            journal.begin(url)
            assert count.now() == number
            journal.keep(Answer(url, 200, "OK", (), b"<p>x", datetime.now(UTC)), ())
    assert count.now() == 3
