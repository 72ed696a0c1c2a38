"""Settings of the ingest stage: what is accepted, and every limit that keeps hostile input bounded."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from millpond import __version__
from millpond.config import StageConfig

KIB, MIB = 1 << 10, 1 << 20
Bytes = Annotated[int, Field(gt=0)]
Seconds = Annotated[float, Field(gt=0)]
HostName = Annotated[str, StringConstraints(to_lower=True, strip_whitespace=True, min_length=1)]

#: Media types a page may have.
PAGE_TYPES = ("text/html", "application/xhtml+xml", "text/plain")


class WarcConfig(StageConfig):
    """Reading WARC files."""

    media_types: tuple[str, ...] = PAGE_TYPES
    """Media types that become pages; everything else is counted as rejected."""
    record_types: tuple[str, ...] = ("response", "resource", "conversion")
    """WARC record types that may hold a page; the others are counted per file and type."""
    max_record_bytes: Bytes = 64 * MIB
    """Largest record block held in memory; a bigger record is skipped and rejected."""
    max_header_bytes: Bytes = 64 * KIB
    """Largest header block, of the record and of the HTTP response inside it."""
    max_body_bytes: Bytes = 20 * MIB
    """Largest page body after content and transfer encodings are undone."""
    verify_digests: bool = True
    """Check WARC-Block-Digest where a record has one; a mismatch is damage."""


class SiteConfig(StageConfig):
    """Crawling sites."""

    user_agent: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+(/[!-~]+)?( [ -~]*)?$")] = f"Millpond/{__version__}"
    """Sent with every request, with the contact; robots.txt rules are matched with its product name, which stands
    first, with its version behind a slash and what else there is to say behind a blank: ASCII, all of it."""
    contact: Annotated[str, Field(pattern=r"^[ -~]*$")] = ""
    """Web or e-mail address of who runs the crawl; needed for any host that is not this machine."""
    scope: Literal["host", "domain"] = "host"
    """What is visited: the hosts of the start addresses, or all hosts of their registered domains."""
    media_types: tuple[str, ...] = PAGE_TYPES
    """Media types that become pages; everything else is counted as rejected."""
    sitemaps: bool = True
    """Follow the sitemaps that a robots.txt names."""
    obey_reservations: bool = True
    """Leave out what is reserved against the training of models; what was said is recorded either way."""
    tdmrep: bool = True
    """Ask each site for its /.well-known/tdmrep.json once a day, which may reserve some of its paths."""
    refetch_seconds: Seconds | None = None
    """Age at which a page is asked for again, with its ETag and date; without one, never."""

    delay_seconds: Annotated[float, Field(ge=0)] = 1.0
    """Least time between the end of one fetch and the start of the next at a host; a longer Crawl-delay wins."""
    max_crawl_delay_seconds: Seconds = 60.0
    """A host that asks for a longer Crawl-delay is not crawled; one that asks to come again later than that is left
    for a later round."""
    hosts_at_once: Annotated[int, Field(gt=0)] = 64
    """Hosts fetched from at a time, over all tasks; one connection each, whichever tasks ask one host."""
    retry_seconds: Seconds = 30.0
    """Wait after a host's first failure; doubles with each one that follows."""
    max_retry_seconds: Seconds = 86400.0
    """Longest wait, also where Retry-After names a longer one."""
    max_tries: Annotated[int, Field(gt=0)] = 4
    """Requests for one address that is answered 429 or 503; failures in a row after which a host is given up."""
    patience_seconds: Annotated[float, Field(ge=0)] = 60.0
    """How long to wait for the next address that is due before the crawl ends; run again, it goes on."""

    round_pages: Annotated[int, Field(gt=0)] = 500
    """Addresses of one host taken into one round."""
    max_pages: Annotated[int, Field(gt=0)] = 1000
    """Addresses asked for; the rest stay known, and a crawl that is run again with a higher limit goes on."""
    max_host_pages: Annotated[int, Field(gt=0)] = 100_000
    """The same for one host."""
    max_known: Annotated[int, Field(gt=0)] = 1_000_000
    """Addresses remembered; links to further ones are not followed, and counted as often as they are met."""
    max_depth: Annotated[int, Field(ge=0)] = 20
    """Links followed from a start address."""
    max_redirects: Annotated[int, Field(ge=0)] = 5
    """Redirects followed one after the other."""
    max_page_links: Annotated[int, Field(gt=0)] = 10_000
    """Links of one page; further ones are not followed, and counted as often as they stand there."""
    max_url_chars: Annotated[int, Field(gt=0)] = 2083
    """Links to longer addresses are not followed."""
    max_path_segments: Annotated[int, Field(gt=0)] = 20
    """Nor to those with more parts between slashes."""
    max_segment_repeats: Annotated[int, Field(gt=0)] = 2
    """Nor to those where the same parts follow one another more often, as in /a/b/a/b/a/b."""
    max_query_variants: Annotated[int, Field(gt=0)] = 1000
    """Nor to more addresses of one path that differ in their query."""

    timeout_seconds: Seconds = 30.0
    """Time for one whole fetch, from connecting to the last byte."""
    connect_seconds: Seconds = 10.0
    """Time for finding the addresses of a host, and for connecting to one of them."""
    max_body_bytes: Bytes = 20 * MIB
    """Largest body, both as sent and after content encodings are undone."""
    allow_private: tuple[str, ...] = ()
    """Host names that may resolve to loopback, private or link-local addresses; all others may not."""

    folder: str | None = None
    """Local folder of the crawls' journals and turns at hosts, which all tasks must see; without one `crawls` in the
    lake's."""
    archive: str | None = None
    """Folder or URL where the WARC files are put; without one `crawls` in the lake's."""


class CommonCrawlConfig(StageConfig):
    """Fetching single records of a Common Crawl snapshot. A list that is empty selects everything."""

    data: str = "https://data.commoncrawl.org/"
    """What the index's names of WARC files are relative to: any address or folder, such as s3://commoncrawl/."""
    hosts: tuple[HostName, ...] = ()
    """Host names; a record is wanted if its host is here or its registered domain in `domains`."""
    domains: tuple[HostName, ...] = ()
    """Registered domains, with all their hosts."""
    languages: tuple[str, ...] = ()
    """Languages as Common Crawl names them (`eng`, `deu`); the most likely one of a record is compared."""
    media_types: tuple[str, ...] = PAGE_TYPES
    """Media types, detected ones before those stated."""
    statuses: tuple[int, ...] = (200,)
    """HTTP statuses."""
    connections: Annotated[int, Field(gt=0)] = 32
    """Records fetched at a time, over all tasks of the cluster; each task fetches at least one."""
    max_bytes_in_flight: Bytes = 256 * MIB
    """Bytes of records fetched and not yet read, over all tasks of the cluster; each task holds one at least."""


class TextConfig(StageConfig):
    """Importing texts from JSON Lines, CSV and Parquet files, and from dataset folders of them."""

    text_column: str = "text"
    """Column that holds the text."""
    media_type: Literal["text/plain", "text/html"] = "text/plain"
    """What the texts are."""
    url_column: str | None = None
    """Column with the text's address; without one it is the file's, with the row number as fragment."""
    id_column: str | None = None
    """Column whose value is the fragment of that address, instead of the row number."""
    date_column: str | None = None
    """Column that holds when the text was fetched: ISO 8601 text, or a Parquet date or timestamp."""
    delimiter: Annotated[str | None, Field(min_length=1, max_length=1)] = None
    """What stands between the fields of a CSV file: a comma by default, and a tab where the name ends in .tsv."""
    subset: str | None = None
    """Which configuration of a dataset folder to read, as its README.md names it; the default one otherwise."""
    split: str = "train"
    """Which split of a dataset folder to read."""
    max_row_bytes: Bytes = 64 * MIB
    """Largest row of a JSON Lines or CSV file; a longer one is skipped and rejected."""
    max_body_bytes: Bytes = 20 * MIB
    """Largest text, and largest value of any other column of a Parquet file, in bytes of UTF-8."""
    batch_rows: Annotated[int, Field(gt=0)] = 1024
    """Rows of a Parquet file held in memory at once; fewer where they are large."""


class IngestConfig(StageConfig):
    """The ingest stage."""

    crawl: str | None = None
    """Name of the crawl, kept with every page and reject."""
    batch_bytes: Bytes = 8 * MIB
    """Size at which rows are handed on as one Arrow batch."""
    split_bytes: Bytes = 128 * MIB
    """An archive larger than this is read by several tasks; what is read does not depend on it."""
    warc: WarcConfig = WarcConfig()
    """Reading WARC files."""
    site: SiteConfig = SiteConfig()
    """Crawling sites."""
    common_crawl: CommonCrawlConfig = CommonCrawlConfig()
    """Fetching single records of a Common Crawl snapshot."""
    text: TextConfig = TextConfig()
    """Importing texts."""
