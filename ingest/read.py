"""The rows of input files, read by what their names say they are: tables of texts, else archives."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from millpond.errors import InputError
from millpond.ingest.config import IngestConfig
from millpond.ingest.files import open_input
from millpond.ingest.page import Row
from millpond.ingest.parts import Part, archives, cut_all
from millpond.ingest.text import read_text
from millpond.ingest.warc import read_part

#: How the name of a table of texts ends; every other file is taken for an archive.
TEXT_SUFFIXES = (".jsonl", ".jsonl.gz", ".jsonl.bz2", ".jsonl.zst", ".parquet")


def plan(paths: Sequence[str], part_bytes: int, tasks: int = 1) -> list[Part]:
    """What each task reads: a table of texts whole, an archive in parts (see `cut_all`).

    Raises:
        InputError: a file is missing or may not be read.
    """
    texts, whole = [], []
    for path in paths:
        with open_input(path) as file:
            if path.endswith(TEXT_SUFFIXES):
                size = file.seek(0, 2)
                texts.append(Part(path, path, 0, size, 0, size))
            else:
                whole += archives(file, path)
    return [*cut_all(whole, part_bytes, tasks), *texts]


def read_rows(part: Part, config: IngestConfig) -> Iterator[Row]:
    """Tagged rows of one part.

    What is wrong with the file as a whole comes as a row `error` too, so that a driver can say it in one line.
    """
    try:
        if part.path.endswith(TEXT_SUFFIXES):
            yield from read_text(part.path, config.text, crawl=config.crawl)
        else:
            with open_input(part.path) as file:
                yield from read_part(file, part, config.warc, crawl=config.crawl)
    except InputError as error:
        yield "error", {"file": part.path, "detail": str(error)}
