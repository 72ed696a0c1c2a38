"""`millpond ingest warc|text|site`: the input is looked at before a lake is made for it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from millpond.cli.options import needs, open_lake
from millpond.config import load
from millpond.errors import InputError
from millpond.publish import Outcome

with needs("ingest"):
    from millpond.ingest.config import IngestConfig
    from millpond.ingest.files import expand_paths
    from millpond.ingest.job import ingest_files
    from millpond.ingest.job import ingest_site as crawl
    from millpond.ingest.source import TEXT_SUFFIXES


def ingest_warc(paths: Sequence[str], lake: str | None, config: Path | None, overrides: Sequence[str]) -> Outcome:
    """Ingest WARC files.

    Raises:
        InputError: a path is missing, a folder or a text table.
    """
    settings = load(IngestConfig, config, "ingest", overrides)
    files = expand_paths(paths)
    if tables := [path for path in files if path.endswith(TEXT_SUFFIXES)]:
        raise InputError(f"{tables[0]}: a text table by its name: use `millpond ingest text`")
    return ingest_files(open_lake(lake, create=True), files, settings)


def ingest_text(paths: Sequence[str], lake: str | None, config: Path | None, overrides: Sequence[str]) -> Outcome:
    """Ingest JSON Lines and Parquet files.

    Raises:
        InputError: a path is missing, a folder or no text table.
    """
    settings = load(IngestConfig, config, "ingest", overrides)
    files = expand_paths(paths)
    if others := [path for path in files if not path.endswith(TEXT_SUFFIXES)]:
        raise InputError(f"{others[0]}: no text table by its name, which must end in {', '.join(TEXT_SUFFIXES)}")
    return ingest_files(open_lake(lake, create=True), files, settings)


def ingest_site(url: str, lake: str | None, config: Path | None, overrides: Sequence[str]) -> Outcome:
    """Crawl one host.

    Raises:
        InputError: the address cannot be crawled.
    """
    settings = load(IngestConfig, config, "ingest", overrides)
    return crawl(open_lake(lake, create=True), url, settings)
