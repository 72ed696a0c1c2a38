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


def ingest_site(url: str, lake: str | None, config: Path | None, overrides: Sequence[str]) -> Outcome:
    """Crawl one host.

    Raises:
        InputError: the address is none, or the site may not be crawled.
    """
    settings = load(IngestConfig, config, "ingest", overrides)
    return job.ingest_site(open_lake(lake, create=True), url, settings)
