"""Which addresses belong to a crawl."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import urlsplit

from millpond.ingest.config import SiteConfig
from millpond.ingest.page import host_of, registered_domain


class Scope:
    """The hosts (with their ports) of the start addresses, or the registered domains they belong to."""

    def __init__(self, seeds: Iterable[str], config: SiteConfig) -> None:
        self._of = _domain if config.scope == "domain" else _place
        self._places = {self._of(seed) for seed in seeds}

    def __contains__(self, url: str) -> bool:
        """Whether a canonical address belongs to the crawl."""
        return self._of(url) in self._places


def _place(url: str) -> str:
    return urlsplit(url).netloc


def _domain(url: str) -> str:
    return registered_domain(host_of(url) or "")
