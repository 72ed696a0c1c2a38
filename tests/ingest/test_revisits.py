"""Revisits and the pages that they say were found again."""

from __future__ import annotations

from pathlib import Path

import pytest

from millpond.datafile import write_rows
from millpond.ingest.page import page_row, reject_row
from millpond.ingest.revisits import describe, resolve
from millpond.reasons import Reason
from millpond.storage import dataset

DIGEST = "sha1:" + "A" * 32
LONG = "http://h.test/" + "long/" * 80


@pytest.mark.parametrize(
    ("address", "page"),
    [("http://h.test/b", "http://h.test/b"), (LONG, LONG + "more"), (LONG + "more", LONG + "more")],
)
def test_of_pages_with_one_digest_the_one_at_the_address_is_named(tmp_path: Path, address: str, page: str) -> None:
    urls = [*(f"http://h.test/{letter}" for letter in "abcdefgh"), LONG + "more", LONG[:100]]
    pages = [
        page_row(
            url=url,
            fetched_at=None,
            status=200,
            content_type="text/html",
            body=b"the same",
            charset=None,
            crawl=None,
            source_file="x.warc",
            source_offset=number,
            source_length=1,
            stated_digest=DIGEST,
        )
        for number, url in enumerate(urls)
    ]
    detail = describe({"warc-payload-digest": DIGEST, "warc-refers-to-target-uri": address})
    row = reject_row(file="x.warc", reason=Reason.REVISIT_UNRESOLVED, detail=detail, crawl=None)
    rejects = write_rows("web.rejects", tmp_path, [row])
    known = [entry.path for entry in write_rows("web.pages", tmp_path, pages)]
    [entry] = resolve(rejects, known, str(tmp_path))
    [found] = dataset([entry.path]).to_table().to_pylist()
    assert (found["reason"], {row["page_id"]: row["url"] for row in pages}[found["detail"]]) == ("revisit", page)
