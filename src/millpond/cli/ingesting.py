"""The commands `millpond ingest …`: what can be said of the input is said before a lake is made for it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from millpond.cli.options import open_lake
from millpond.config import load
from millpond.errors import InputError
from millpond.ingest import job
from millpond.ingest.common_crawl import job as common_crawl
from millpond.ingest.config import IngestConfig
from millpond.ingest.crawl.job import crawl_sites, seed_items
from millpond.ingest.datasets import with_datasets
from millpond.ingest.text import TEXT_SUFFIXES
from millpond.inputs import expand
from millpond.publish import Outcome


def ingest_files(
    paths: Sequence[str], lake: str | None, config: Path | None, overrides: Sequence[str], *, text: bool
) -> Outcome:
    """Ingest WARC files, or with `text` tables of texts and dataset folders.

    Raises:
        InputError: a path is missing, a folder or, by its name, of the other kind.
    """
    settings = load(IngestConfig, config, "ingest", overrides)
    files = expand(with_datasets(paths, settings.text) if text else paths)
    for path in files:
        if path.endswith(TEXT_SUFFIXES) != text:
            known = f"a text table's name ends in {', '.join(TEXT_SUFFIXES)}"
            raise InputError(f"{path}: {known}" if text else f"{path}: {known}: use `millpond ingest text`")
    return job.ingest_files(open_lake(lake, create=True), files, settings)


def ingest_common_crawl(
    index: Sequence[str], lake: str | None, config: Path | None, overrides: Sequence[str]
) -> Outcome:
    """Ingest what files of Common Crawl's index select.

    Raises:
        InputError: a path is missing or a folder.
    """
    settings = load(IngestConfig, config, "ingest", overrides)
    files = expand(index)
    return common_crawl.ingest_common_crawl(open_lake(lake, create=True), files, settings)


def ingest_sites(
    urls: Sequence[str], seeds: Path | None, lake: str | None, config: Path | None, overrides: Sequence[str]
) -> Outcome:
    """Crawl from some addresses and those of a file, one a line.

    Raises:
        InputError: an address is none, the file cannot be read, or a site may not be crawled.
    """
    settings = load(IngestConfig, config, "ingest", overrides)
    addresses = [*urls, *(read_seeds(seeds) if seeds else ())]
    seed_items(addresses, settings.site)
    return crawl_sites(open_lake(lake, create=True), addresses, settings)


def read_seeds(path: Path) -> list[str]:
    """The addresses of a file, one a line; empty lines and those that begin with # are none.

    Raises:
        InputError: the file cannot be read.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeError) as error:
        raise InputError(f"{path}: the addresses cannot be read: {error}") from error
    return [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]
