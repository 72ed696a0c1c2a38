"""The rows of input files, read by what their names say they are: tables of texts, else archives."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from millpond.errors import InputError
from millpond.ingest.config import IngestConfig
from millpond.ingest.page import Row
from millpond.ingest.parts import Part, archives, cut_all
from millpond.ingest.text import TEXT_SUFFIXES, read_text
from millpond.ingest.warc import read_part
from millpond.inputs import each_of, open_input, refuse_changed


def plan(files: Mapping[str, str | None], part_bytes: int, tasks: int = 1) -> list[Part]:
    """What each task reads: a table of texts whole, an archive in parts (see `cut_all`).

    Args:
        files: what their content is known by (`millpond.inputs.identity`), if it is, by name.

    Raises:
        InputError: a file is missing or may not be read.
    """
    found = [part for parts in each_of(files.items(), lambda file: _whole(*file)) for part in parts]
    texts = [part for part in found if part.path.endswith(TEXT_SUFFIXES)]
    archived = [part for part in found if not part.path.endswith(TEXT_SUFFIXES)]
    return [*cut_all(archived, part_bytes, tasks), *texts]


def _whole(path: str, version: str | None) -> list[Part]:
    """A table of texts, or the archives that a file holds, none of them cut."""
    with open_input(path, version) as file:
        if path.endswith(TEXT_SUFFIXES):
            size = file.seek(0, 2)
            return [Part(path, path, 0, size, 0, size, version=version)]
        return [replace(part, version=version) for part in archives(file, path)]


def read_rows(part: Part, config: IngestConfig) -> Iterator[Row]:
    """Tagged rows of one part.

    What is wrong with the file as a whole comes as a row `error` too, in place of the last one, so that a driver can
    say it in one line; that it has changed, too.
    """
    try:
        for row in _rows(part, config):
            if row[0] == "file":
                refuse_changed(part.path, part.version)
            yield row
    except InputError as error:
        yield "error", {"file": part.path, "detail": str(error)}


def _rows(part: Part, config: IngestConfig) -> Iterator[Row]:
    if part.path.endswith(TEXT_SUFFIXES):
        yield from read_text(part.path, config.text, crawl=config.crawl, version=part.version)
    else:
        with open_input(part.path, part.version) as file:
            yield from read_part(file, part, config.warc, crawl=config.crawl)
