"""Archives of other projects: an outcome for every file, and the same records as warcio and fastwarc."""

from __future__ import annotations

import contextlib
import hashlib
import io
from collections import Counter, defaultdict
from pathlib import Path
from typing import NamedTuple

from fastwarc.warc import ArchiveIterator as FastIterator
from warcio.archiveiterator import ArchiveIterator
from warcio.exceptions import ArchiveLoadFailed

from millpond.ingest.config import WarcConfig
from millpond.ingest.parts import archives
from millpond.ingest.warc import read_warc
from millpond.ingest.warc_records import Archive, Damage, WarcRecord
from millpond.ingest.window import Window

#: Type, address and digest of the block of a record.
Seen = tuple[str, str, str]


def ours(path: Path) -> tuple[list[Seen], int]:
    """Records of a file and the number of its damaged ranges."""
    seen, damaged = [], 0
    with path.open("rb") as file:
        for part in archives(file, str(path)):
            if part.refused:
                damaged += 1
                continue
            for item in Archive(Window(file, part.begin, part.end), part.name).records():
                damaged += isinstance(item, Damage)
                if isinstance(item, WarcRecord) and item.block is not None:
                    seen.append(_seen(item.kind, item.headers.get("warc-target-uri"), item.block))
    return seen, damaged


def _seen(kind: str, uri: str | None, block: bytes) -> Seen:
    return kind, (uri or "").strip("<> "), hashlib.sha1(block).hexdigest()


def by_warcio(path: Path) -> list[Seen] | str:
    """The same by warcio, or how it failed."""
    seen = []
    with path.open("rb") as file, contextlib.redirect_stderr(io.StringIO()):
        try:
            for record in ArchiveIterator(file, no_record_parse=True):
                headers = record.rec_headers
                uri = headers.get_header("WARC-Target-URI") or headers.get_header("uri")
                kind = "warcinfo" if record.rec_type == "arc_header" else (record.rec_type or "unknown").lower()
                seen.append(_seen(kind, uri, record.raw_stream.read()))
        except (ArchiveLoadFailed, OSError, ValueError, UnicodeDecodeError, AttributeError) as error:
            return f"{len(seen)}, then {type(error).__name__}"
    return seen


def by_fastwarc(path: Path) -> list[Seen] | str:
    """The same by fastwarc, or how it failed."""
    seen = []
    with path.open("rb") as file:
        try:
            for record in FastIterator(file, parse_http=False):
                kind = (record.headers.get("WARC-Type") or "unknown").lower()
                seen.append(_seen(kind, record.headers.get("WARC-Target-URI"), record.reader.read()))
        except (OSError, ValueError) as error:
            return f"{len(seen)}, then {type(error).__name__}"
    return seen


class Difference(NamedTuple):
    """Why files are not read as by both other readers, or not without damage."""

    why: str
    files: dict[str, tuple[int, int, str]]
    """Records, damaged ranges, and which readers give other records, by file."""


DIFFERENCES = (
    Difference(
        "Compressions and packings that only this reader knows.",
        {
            "chatnoir_chatnoir-resiliparse/block-sized-records.warc.lz4": (3, 0, "warcio"),
            "chatnoir_chatnoir-resiliparse/warcfile.warc.lz4": (50, 0, "warcio"),
            "slyrz_warc/bench.warc.bz2": (21, 0, "warcio fastwarc"),  # and two beyond the limit
            "slyrz_warc/test.warc.bz2": (10, 0, "warcio fastwarc"),
            "webrecorder_pywb/valid_example_1.wacz": (4, 0, "warcio fastwarc"),
        },
    ),
    Difference(
        "Its only record is cut; both give out what there is of it as if it were all.",
        {
            "chatnoir_chatnoir-resiliparse/clipped.warc.gz": (0, 1, "warcio fastwarc"),
        },
    ),
    Difference(
        "No line end between its first records, which both need; fastwarc reads no ARC.",
        {
            "iipc_webarchive-commons/IAH-20080430204825-00000-blackbook-truncated.arc": (9, 0, "warcio fastwarc"),
        },
    ),
    Difference(
        "No line end between two records, which warcio needs.",
        {
            "iipc_webarchive-commons/link-extraction-test.warc": (8, 0, "warcio"),
        },
    ),
    Difference(
        "warcio gives no block for the record of the ARC file itself; fastwarc reads no ARC.",
        {
            "internetarchive_warc/alexa_short_header.arc.gz": (2, 0, "warcio fastwarc"),
            "webrecorder_pywb/example.arc": (2, 0, "warcio fastwarc"),
            "webrecorder_pywb/example.arc.gz": (2, 0, "warcio fastwarc"),
        },
    ),
    Difference(
        "fastwarc wants versions in capital letters.",
        {
            "jhove/2_valid-warcfile-upper-lower-case.warc": (5, 0, "fastwarc"),
            "jhove/valid-warcfile-upper-lower-case.warc": (5, 0, "fastwarc"),
            "jhove/valid-warcfile-upper-lower-case.warc.gz": (5, 0, "fastwarc"),
        },
    ),
    Difference(
        "No length, or one that is no number: both take the block for empty, or stop.",
        {
            "jhove/invalid-warcfile-fields-empty.warc": (0, 1, "warcio fastwarc"),
            "jhove/invalid-warcfile-fields-invalidformat.warc": (0, 1, "warcio fastwarc"),
            "jhove/invalid-warcfile-fields-missing.warc": (0, 1, "warcio fastwarc"),
            "jhove/invalid-warcfile-lonely-continuation.warc": (0, 1, "warcio fastwarc"),
            "jhove/invalid-warcfile-lonely-monkeys.warc": (0, 1, "warcio fastwarc"),
            "jhove/invalid-warcfile-lonely-request-response-resource-conversion.warc": (0, 1, "warcio fastwarc"),
            "jhove/invalid-warcfile-lonely-revisit.warc": (0, 1, "warcio fastwarc"),
            "jhove/invalid-warcfile-lonely-warcinfo-metadata.warc": (0, 1, "warcio fastwarc"),
            "jhove/invalid-warcheaderfieldpolicy-1.warc": (0, 1, "warcio fastwarc"),
            "jhove/invalid-warcheaderversion-21.warc": (0, 1, "warcio fastwarc"),
            "jhove/invalid-warcrecord-1.warc": (3, 1, "warcio fastwarc"),
            "webrecorder_pywb/bad.arc": (0, 1, "warcio fastwarc"),
        },
    ),
    Difference(
        "A length beyond the end of the file: both give out what there is as if it were all.",
        {
            "jhove/invalid-warcheaderfieldpolicy-11.warc": (0, 1, "warcio fastwarc"),
            "jhove/invalid-warcheaderfieldpolicy-12.warc": (0, 1, "warcio fastwarc"),
            "jhove/invalid-warcheaderfieldpolicy-13.warc": (0, 1, "warcio fastwarc"),
            "jhove/invalid-warcheaderfieldpolicy-14.warc": (0, 1, "warcio fastwarc"),
            "jhove/invalid-warcheaderfieldpolicy-15.warc": (0, 1, "warcio fastwarc"),
            "jhove/invalid-warcheaderfieldpolicy-16.warc": (0, 1, "warcio fastwarc"),
            "jhove/invalid-warcheaderfieldpolicy-17.warc": (0, 1, "warcio fastwarc"),
            "jhove/invalid-warcheaderfieldpolicy-3.warc": (0, 1, "warcio fastwarc"),
            "jhove/invalid-warcheaderfieldpolicy-4.warc": (0, 1, "warcio fastwarc"),
            "jhove/invalid-warcheaderfieldpolicy-5.warc": (0, 1, "warcio fastwarc"),
            "jhove/invalid-warcheaderfieldpolicy-6.warc": (0, 1, "warcio fastwarc"),
            "jhove/invalid-warcheaderfieldpolicy-7.warc": (0, 1, "warcio fastwarc"),
            "jhove/invalid-warcheaderfieldpolicy-8.warc": (0, 1, "warcio fastwarc"),
            "webrecorder_warcio/example-space-in-url.arc": (1, 1, "warcio fastwarc"),
        },
    ),
    Difference(
        "Nothing but the beginning of a head: both make a record of some, fail at others.",
        {
            "jhove/invalid-warcheaderversion-1.warc": (0, 1, "warcio fastwarc"),
            "jhove/invalid-warcheaderversion-10.warc": (0, 1, "warcio fastwarc"),
            "jhove/invalid-warcheaderversion-11.warc": (0, 1, "warcio fastwarc"),
            "jhove/invalid-warcheaderversion-12.warc": (0, 1, "warcio fastwarc"),
            "jhove/invalid-warcheaderversion-13.warc": (0, 1, "warcio fastwarc"),
            "jhove/invalid-warcheaderversion-14.warc": (0, 1, "warcio fastwarc"),
            "jhove/invalid-warcheaderversion-15.warc": (0, 1, "warcio fastwarc"),
            "jhove/invalid-warcheaderversion-2.warc": (0, 1, "warcio fastwarc"),
            "jhove/invalid-warcheaderversion-22.warc": (0, 1, "warcio fastwarc"),
            "jhove/invalid-warcheaderversion-23.warc": (0, 1, "warcio fastwarc"),
            "jhove/invalid-warcheaderversion-24.warc": (0, 1, "warcio fastwarc"),
            "jhove/invalid-warcheaderversion-25.warc": (0, 1, "warcio fastwarc"),
            "jhove/invalid-warcheaderversion-3.warc": (0, 1, "warcio fastwarc"),
            "jhove/invalid-warcheaderversion-4.warc": (0, 1, "warcio fastwarc"),
            "jhove/invalid-warcheaderversion-5.warc": (0, 1, "warcio fastwarc"),
            "jhove/invalid-warcheaderversion-6.warc": (0, 1, "warcio fastwarc"),
            "jhove/invalid-warcheaderversion-7.warc": (0, 1, "warcio fastwarc"),
            "jhove/invalid-warcheaderversion-8.warc": (0, 1, "warcio fastwarc"),
            "jhove/invalid-warcheaderversion-9.warc": (0, 1, "warcio fastwarc"),
        },
    ),
    Difference(
        "No record at all; warcio makes one of some.",
        {
            "jhove/invalid-warcheaderversion-16.warc": (0, 1, "warcio fastwarc"),
            "jhove/invalid-warcheaderversion-17.warc": (0, 1, "warcio fastwarc"),
            "jhove/invalid-warcheaderversion-18.warc": (0, 1, "warcio fastwarc"),
            "jhove/invalid-warcheaderversion-19.warc": (0, 1, "warcio fastwarc"),
            "jhove/invalid-warcreader-diagnosis-1.warc": (0, 1, "warcio fastwarc"),
            "webrecorder_pywb/invalid_example_1.wacz": (0, 1, "warcio fastwarc"),
        },
    ),
    Difference(
        "Nothing but a line end, which warcio takes for a record.",
        {
            "jhove/invalid-warcheaderversion-20.warc": (0, 0, "warcio"),
        },
    ),
    Difference(
        "A length that ends before the record does: both cut the block there and read on in its middle, or stop.",
        {
            "jhove/invalid-warcrecord-3.warc": (1, 1, "warcio fastwarc"),
            "webrecorder_pywb/example.warc": (5, 1, "warcio fastwarc"),
            "webrecorder_warcio/example-trunc.warc": (3, 1, "warcio fastwarc"),
            "webrecorder_warcio.js/example-bad-length.warc": (3, 1, "warcio fastwarc"),
        },
    ),
    Difference(
        "Values that go on in the next line, Content-Length among them, which neither joins.",
        {
            "jhove/valid-warcfile-fields-continuation.warc": (1, 0, "warcio fastwarc"),
            "jhove/valid-warcfile-fields-metainfo.warc": (1, 0, "warcio fastwarc"),
            "jhove/valid-warcfile-fields-warcinfo.warc": (1, 0, "warcio fastwarc"),
            "jhove/valid-warcfile-utf8.warc": (1, 0, "warcio fastwarc"),
        },
    ),
    Difference(
        "All records in one gzip member, which warcio refuses.",
        {
            "slyrz_warc/test.warc.gz": (10, 0, "warcio"),
            "webrecorder_pywb/example-bad.warc.gz.bad": (6, 0, "warcio"),
            "webrecorder_warcio/example-bad-non-chunked.warc.gz": (6, 0, "warcio"),
            "webrecorder_warcio/example-wrong-chunks.warc.gz": (2, 0, "warcio"),
        },
    ),
    Difference(
        "An index of an archive; warcio takes lines of some for ARC.",
        {
            "webrecorder_pywb/bad.cdx": (0, 1, "warcio fastwarc"),
            "webrecorder_pywb/dupes.cdx": (0, 1, "warcio fastwarc"),
            "webrecorder_pywb/dupes.cdxj": (0, 1, "warcio fastwarc"),
            "webrecorder_pywb/example-arc-test.cdx": (0, 1, "warcio fastwarc"),
            "webrecorder_pywb/example-extra.cdx": (0, 1, "warcio fastwarc"),
            "webrecorder_pywb/example-no-digest.cdxj": (0, 1, "warcio fastwarc"),
            "webrecorder_pywb/example-non-surt.cdx": (0, 1, "warcio fastwarc"),
            "webrecorder_pywb/example.cdx": (0, 1, "warcio fastwarc"),
            "webrecorder_pywb/example.cdx.gz": (0, 1, "warcio fastwarc"),
            "webrecorder_pywb/example.cdxj": (0, 1, "warcio fastwarc"),
            "webrecorder_pywb/example2.cdxj": (0, 1, "warcio fastwarc"),
            "webrecorder_pywb/httpbin-resource.cdxj": (0, 1, "warcio fastwarc"),
            "webrecorder_pywb/iana.cdx": (0, 1, "warcio fastwarc"),
            "webrecorder_pywb/iana.cdxj": (0, 1, "warcio fastwarc"),
            "webrecorder_pywb/missing-status-text.cdxj": (0, 1, "warcio fastwarc"),
            "webrecorder_pywb/post-test.cdx": (0, 1, "warcio fastwarc"),
            "webrecorder_pywb/post-test.cdxj": (0, 1, "warcio fastwarc"),
            "webrecorder_pywb/url-agnost-example.cdx": (0, 1, "warcio fastwarc"),
            "webrecorder_pywb/url-agnost-example.cdxj": (0, 1, "warcio fastwarc"),
            "webrecorder_pywb/zipnum-sample.cdx.gz": (0, 1, "warcio fastwarc"),
        },
    ),
    Difference(
        "Lines end in two carriage returns; both guess where the head ends, and give a block that is cut.",
        {
            "webrecorder_pywb/missing-status-text.warc": (0, 1, "warcio fastwarc"),
        },
    ),
    Difference(
        "warcio replaces spaces in addresses.",
        {
            "webrecorder_warcio/example-space-in-target-uri.warc.gz": (2, 0, "warcio"),
        },
    ),
    Difference(
        "fastwarc wants no line ends beyond two.",
        {
            "jhove/invalid-warcfile-duplicate-fields.warc": (1, 0, "fastwarc"),
        },
    ),
)


def test_every_file_is_read_as_others_read_it_or_it_is_known_why_not(test_data: Path) -> None:
    folder = test_data / "warc"
    known = {name: outcome for one in DIFFERENCES for name, outcome in one.files.items()}
    agreed = records = 0
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        seen, damaged = ours(path)
        others = [
            name for name, theirs in (("warcio", by_warcio(path)), ("fastwarc", by_fastwarc(path))) if theirs != seen
        ]
        outcome = (len(seen), damaged, " ".join(others))
        name = str(path.relative_to(folder))
        assert outcome == known.pop(name, (len(seen), 0, "")), name
        agreed += not others
        records += len(seen)
    assert not known and agreed >= 50 and records > 800, (known, agreed, records)


def test_ranges_of_every_file_cover_it(test_data: Path) -> None:
    for path in sorted(path for path in (test_data / "warc").rglob("*") if path.is_file()):
        with path.open("rb") as file:
            for part in archives(file, str(path)):
                window = Window(file, part.begin, part.end)
                place, shared = part.begin, False
                for item in [] if part.refused else Archive(window, part.name).records():
                    assert item.offset == place or (shared and item.offset > place), (path, item)
                    place, shared = item.offset + (item.length or 0), item.length is None
                assert place == part.end or shared or part.refused, path


#: What becomes of all records, and damaged ranges, of each project's files.
OUTCOMES = {
    "chatnoir_chatnoir-resiliparse": {"page": 77, "not_a_page": 112, "damaged": 1},
    "commoncrawl_whirlwind-python": {"page": 4, "not_a_page": 12},
    "iipc_jwarc": {"page": 1, "not_a_page": 1},
    "iipc_webarchive-commons": {"page": 13, "not_a_page": 59, "http_status": 18},
    "internetarchive_warc": {"page": 1, "not_a_page": 2},
    "jhove": {"page": 3, "not_a_page": 64, "damaged": 52, "revisit_unresolved": 1},
    "slyrz_warc": {"not_a_page": 53},
    "webrecorder_cdxj-indexer": {"page": 1, "not_a_page": 8, "damaged": 1, "revisit_unresolved": 1},
    "webrecorder_pywb": {
        "page": 28,
        "not_a_page": 249,
        "http_status": 8,
        "damaged": 24,
        "revisit_unresolved": 138,
    },
    "webrecorder_warcio": {"page": 6, "not_a_page": 32, "damaged": 3, "revisit_unresolved": 3},
    "webrecorder_warcio.js": {
        "page": 2,
        "not_a_page": 15,
        "http_status": 1,
        "damaged": 1,
        "revisit_unresolved": 1,
    },
}


def test_every_record_becomes_a_page_or_a_reject(test_data: Path) -> None:
    found: dict[str, Counter[str]] = defaultdict(Counter)
    for path in sorted(path for path in (test_data / "warc").rglob("*") if path.is_file()):
        rows = list(read_warc(str(path), WarcConfig()))
        outcome = Counter[str]()
        for tag, row in rows:
            outcome[row.get("reason", tag)] += row.get("records", 1)
        found[path.relative_to(test_data / "warc").parts[0]] += outcome
        assert outcome.pop("file") == outcome.total(), path
        assert sum(row["bytes"] for tag, row in rows if tag == "file") <= path.stat().st_size
    for outcome in found.values():
        del outcome["file"]
    assert found == OUTCOMES


#: Address and digest of the payload, without its encodings; None where no page is made of it.
Payload = tuple[str, str | None]
_PAYLOADS = ("response", "resource", "conversion")


def our_payloads(path: Path) -> list[Payload]:
    """What the rows of a file have, in their order."""
    rows = [row for tag, row in read_warc(str(path), WarcConfig()) if tag in ("page", "reject")]
    rows = [row for row in rows if not row.get("reason", "").startswith("revisit")]
    return [(row["url"] or "", None if "reason" in row else hashlib.sha1(row["body"]).hexdigest()) for row in rows]


def payloads_by_warcio(path: Path) -> list[Payload]:
    """The same by warcio."""
    with path.open("rb") as file:
        return [
            (
                (record.rec_headers.get_header("WARC-Target-URI") or "").strip("<> "),
                hashlib.sha1(record.content_stream().read()).hexdigest(),
            )
            for record in ArchiveIterator(file)
            if record.rec_type.lower() in _PAYLOADS
        ]


def payloads_by_fastwarc(path: Path) -> list[Payload]:
    """The same by fastwarc."""
    with path.open("rb") as file:
        return [
            (
                (record.headers.get("WARC-Target-URI") or "").strip("<> "),
                hashlib.sha1(record.reader.read()).hexdigest(),
            )
            for record in FastIterator(file, auto_decode="all")
            if (record.headers.get("WARC-Type") or "").lower() in _PAYLOADS
        ]


#: Files whose records are the same and whose payloads are not, by reader, and why.
OTHER_PAYLOADS = {
    "fastwarc chatnoir_chatnoir-resiliparse/clueweb-quirk.warc.gz": (
        "Heads of HTTP end in LF LF; it goes on to the first CR LF CR LF, inside the page."
    ),
    "fastwarc webrecorder_pywb/iana.warc.gz": "Chunked by its head and not in fact; it stops with an error.",
    "fastwarc jhove/invalid-warcheaderversion-20.warc": "Nothing but a line end: none, and one reject that says so.",
}


def test_payloads_are_those_of_other_readers_and_in_their_order(test_data: Path) -> None:
    folder = test_data / "warc"
    known = {name: outcome for one in DIFFERENCES for name, outcome in one.files.items()}
    compared, other = Counter[str](), set()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = str(path.relative_to(folder))
        _, damaged, differing = known.get(name, (0, 0, ""))
        mine = our_payloads(path)
        for reader, payloads in (("warcio", payloads_by_warcio), ("fastwarc", payloads_by_fastwarc)):
            if damaged or reader in differing:
                continue
            try:
                theirs = payloads(path)
            except OSError:
                theirs = []
            if [uri for uri, _ in mine] != [uri for uri, _ in theirs] or any(
                digest not in (None, seen) for (_, digest), (_, seen) in zip(mine, theirs, strict=True)
            ):
                other.add(f"{reader} {name}")
            else:
                compared[reader] += sum(digest is not None for _, digest in mine)
    assert other == OTHER_PAYLOADS.keys()
    assert compared["warcio"] > 100 and compared["fastwarc"] > 80, compared
