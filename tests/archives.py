"""WARC files for tests and benchmarks, made with warcio from pages that lie on disk."""

from __future__ import annotations

import gzip
import io
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

Page = tuple[str, bytes]


def gold_pages(folder: Path) -> Iterator[Page]:
    """(url, html) of every gzipped page under a folder of the gold data, in order of their paths."""
    for path in sorted(folder.rglob("*.html.gz")):
        set_name = path.relative_to(folder.parent).parts[0].replace("_", "-")
        url = f"http://{set_name}.example/{path.name.removesuffix('.html.gz')}"
        yield url, gzip.decompress(path.read_bytes())


def write_warc(
    path: Path, pages: Iterable[Page], date: str = "2024-05-01T00:00:00Z", types: Mapping[str, str] | None = None
) -> Path:
    """Write pages as response records, one gzip member each; `types` are content types other than HTML's, by URL."""
    with path.open("wb") as file:
        writer = WARCWriter(file, gzip=True)
        for url, html in pages:
            headers = StatusAndHeaders(
                "200 OK",
                [("Content-Type", (types or {}).get(url, "text/html")), ("Content-Length", str(len(html)))],
                protocol="HTTP/1.1",
            )
            record = writer.create_warc_record(
                url,
                "response",
                payload=io.BytesIO(html),
                length=len(html),  # else warcio buffers the page in a file it leaves open
                http_headers=headers,
                warc_headers_dict={"WARC-Date": date},
            )
            writer.write_record(record)
    return path
