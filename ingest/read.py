"""The rows of an input file, read by what its name says it is."""

from __future__ import annotations

from collections.abc import Iterator

from millpond.errors import InputError
from millpond.ingest.config import IngestConfig
from millpond.ingest.page import Row
from millpond.ingest.text import TEXT_SUFFIXES, read_text
from millpond.ingest.warc import read_warc


def read_rows(path: str, config: IngestConfig) -> Iterator[Row]:
    """Tagged rows of one file, by its suffix: a table of texts, else WARC.

    What is wrong with the file as a whole comes as a row `error` too, so that a driver can say it in one line.
    """
    try:
        if path.endswith(TEXT_SUFFIXES):
            yield from read_text(path, config.text, crawl=config.crawl)
        else:
            yield from read_warc(path, config.warc, crawl=config.crawl)
    except InputError as error:
        yield "error", {"file": path, "detail": str(error)}
