"""What a list blocks: hosts and what is below them, and single addresses, in any spelling."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from millpond.curate.blocklists import keys
from millpond.curate.blocklists.blocked import Blocklists
from millpond.curate.blocklists.keys import Letters, Places, page_keys
from millpond.curate.blocklists.lists import Blocklist
from millpond.curate.fields import InputFile
from millpond.curate.polynomial import Hashes
from millpond.errors import InputError


def read(path: Path, data: str | bytes) -> Blocklist:
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return Blocklist.read(InputFile.model_validate(str(path)))


def blocked(entries: Blocklist, urls: list[str]) -> list[bool]:
    rows = {row for found in page_keys(pa.array(urls, pa.string())) for row in entries.holds(found).tolist()}
    return [row in rows for row in range(len(urls))]


@pytest.mark.parametrize(
    ("line", "url", "expected"),
    [
        ("example.com", "http://example.com/", True),
        ("example.com", "https://www.a.b.example.com/x?y#z", True),
        ("example.com", "http://notexample.com/", False),
        ("example.com", "http://example.com.evil.net/example.com", False),
        ("example.com", "http://other.net/?u=http://example.com/", False),
        ("example.com", "http://example.com@other.net/", False),
        ("example.com", "http://me:pass@example.com/", True),
        ("example.com", "HTTP://EXAMPLE.com.:8080/", True),
        ("example.com", "http://example.com:/", True),
        ("example.com", "//example.com/", True),
        ("http", "http:///example.com", False),
        ("  .EXAMPLE.Com.\r", "http://example.com", True),
        ("http://example.com:80/", "http://sub.example.com/x", True),
        ("sub.example.com", "http://example.com/", False),
        ("www.example.com", "http://www.example.com/x", True),
        ("www.example.com", "http://example.com/x", False),
        ("https://www.example.com/", "http://example.com", True),
        ("xxx", "http://example.xxx/", True),
        ("example.com/a/", "https://www.example.com:443/a#top", True),
        ("http://www.example.com/a", "example.com/a/", True),
        ("example.com/a", "http://example.com/a/b", False),
        ("example.com/a", "http://example.com/A", False),
        ("example.com/a", "http://sub.example.com/a", False),
        ("example.com/a", "http://example.com/", False),
        ("example.com/a?q=1", "http://example.com/a/?q=1", True),
        ("example.com/a?q=1", "http://example.com/a?q=2", False),
        ("example.com?q=1", "http://example.com/?q=1", True),
        ("bücher.example", "http://www.xn--bcher-kva.example/", True),
        ("XN--BCHER-KVA.example", "http://BÜCHER.example/x", True),
        ("пример.рф/путь", "http://xn--e1afmkfd.xn--p1ai/%D0%BF%D1%83%D1%82%D1%8C", True),
        ("192.0.2.7", "http://192.0.2.7:81/x", True),
        ("192.0.2.7", "http://1.192.0.2.70/", False),
        ("[2001:DB8:0:0::1]", "http://[2001:db8::1]:80/x", True),
        ("[2001:db8::1]/x", "http://[2001:0db8::1]/x", True),
        ("[2001:db8::1]", "http://[2001:db8::2]/", False),
        ("under_score.example.com", "http://under_score.example.com/", True),
    ],
)
def test_what_a_line_blocks(tmp_path: Path, line: str, url: str, expected: bool) -> None:
    assert blocked(read(tmp_path / "list", line), [url, "http://none.test/", url]) == [expected, False, expected]


def test_comments_and_empty_lines_say_nothing(tmp_path: Path) -> None:
    entries = read(tmp_path / "list", "\ufeff# one\r\n\r\n  \n#b.test\na.test\r\na.test\nA.test\n c.test")
    assert (entries.lines, len(entries.hashes), entries.malformed) == (4, 2, 0)
    assert blocked(entries, ["http://a.test", "http://b.test", "http://c.test", ""]) == [True, False, True, False]


MALFORMED = (
    "a b.test", "||a.test^", "*.a.test", "me@a.test", "a..test", "1.2.3", "1.2.3.4.5", "[1::2::3]", "a.test:x", "[::1",
    "http://", "/path", "xn--\u0378.test", "\ufffd", "?", "a.test\tb.test", "a" * 254, f"a.test/{'a' * 9000}",
)  # fmt: skip


@pytest.mark.parametrize("line", MALFORMED)
def test_a_malformed_line_is_counted_and_blocks_nothing(tmp_path: Path, line: str) -> None:
    entries = read(tmp_path / "list", f"# comment\n\na.test/x\n{line}\nc.test\n")
    assert (entries.lines, len(entries.hashes), entries.malformed) == (3, 2, 1)
    assert blocked(entries, ["http://a.test/", "http://b.test/", f"http://{line}", "http://c.test/"])[3]
    assert entries.describe() == (
        f"2 domains and addresses; 1 lines are neither and block nothing, such as line 4: {line[:60]!r}"
    )


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("0.0.0.0 a.test\n0.0.0.0 b.test\nc.test\n", r"2 of 3 lines are neither \(line 1: '0.0.0.0 a.test'\)"),
        (b"\xff\xfe\x00a\n\x00", "lines are neither"),
        ("# nothing\n", "it has no line"),
        ("", "it has no line"),
    ],
)
def test_what_is_no_list_is_refused(tmp_path: Path, data: str | bytes, message: str) -> None:
    with pytest.raises(InputError, match=f"list: not a list of domains and addresses, one a line: .*{message}"):
        read(tmp_path / "list", data)


def test_a_file_that_has_changed_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "list"
    path.write_text("a.test\n")
    file = InputFile.model_validate(str(path))
    path.write_text("b.test\n")
    with pytest.raises(InputError, match=r"list: has sha256 .*, the settings say"):
        Blocklist.read(file)
    path.unlink()
    with pytest.raises(InputError, match="list: cannot be read"):
        Blocklist.read(file)


LABEL = st.sampled_from(["a", "b", "ab", "www", "com", "9", "x-1"])
HOST = st.builds(lambda labels, last: ".".join([*labels, last]), st.lists(LABEL, max_size=4), st.sampled_from("ab"))
ADDRESS = st.builds(
    "{}{}{}{}".format,
    HOST,
    st.sampled_from(["", ":80", ":8080"]),
    st.sampled_from(["", "/", "/a", "/a/", "/a/b", "//", "/A"]),
    st.sampled_from(["", "?", "?q=/", "?q"]),
)


def canonical(address: str) -> tuple[str, str]:
    parts = urlsplit(f"http://{address}")
    host = (parts.hostname or "").removeprefix("www.")
    query = f"?{parts.query}" if "?" in address else ""
    return host, parts.path.rstrip("/") + query


def blocks(line: str, page: str) -> bool:
    """The definition, of one line and one page."""
    host, own = ((urlsplit(f"http://{address}").hostname or "") for address in (line, page))
    domain = canonical(line)[1] == "" and (own == host or own.endswith(f".{host}"))
    return domain or canonical(line) == canonical(page)


@given(lines=st.lists(ADDRESS, min_size=1, max_size=12), pages=st.lists(ADDRESS, max_size=12), collide=st.booleans())
@example(lines=["www.a"], pages=["a", "a/?", "www.a/a", "b.www.a"], collide=True)
def test_a_page_is_blocked_as_defined_whatever_its_hashes(
    tmp_path_factory: pytest.TempPathFactory, lines: list[str], pages: list[str], collide: bool
) -> None:
    """A known hash alone rejects nothing, and of entries with the same hash each is compared."""

    def lengths(letters: Letters, starts: Places, ends: Places) -> Hashes:
        return (ends - starts).astype(np.uint64)

    path = tmp_path_factory.getbasetemp() / "drawn.txt"
    with pytest.MonkeyPatch.context() as patch:
        if collide:
            patch.setattr(keys, "_hashed", lengths)
        found = blocked(read(path, "\n".join(lines)), [f"http://{page}" for page in pages])
    assert found == [any(blocks(line, page) for line in lines) for page in pages]


def test_lists_are_told_apart_and_batches_may_be_of_any_size(tmp_path: Path) -> None:
    for name, text in (("one", "a.test\nb.test/x"), ("two", "b.test"), ("same", "b.test")):
        (tmp_path / name).write_text(text)
    files = {name: InputFile.model_validate(str(tmp_path / name)) for name in ("two", "one", "same")}
    lists, (one, two) = Blocklists(files), (files["one"].sha256, files["two"].sha256)
    some = ["http://a.test/", "http://b.test/x", "http://c.test/", "http://b.test/"]
    expected = [[one], [two, one], None, [two]]
    found = lists.holding(pa.array(some))
    assert [each and set(each) for each in found.to_pylist()] == [each and set(each) for each in expected]
    long = ["http://long.test/" + "x" * 100_000, f"http://{'a' * 9000}.a.test/", *some * 30_000]
    found = lists.holding(pa.array(long))
    assert found.to_pylist()[:2] == [None, None]
    assert found.slice(2).equals(pa.concat_arrays([lists.holding(pa.array(some))] * 30_000))
    assert lists.holding(pa.array([], pa.string())).to_pylist() == []
