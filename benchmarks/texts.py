"""The main text of the gold pages, by the quickest extractor."""

from __future__ import annotations

import gzip
from pathlib import Path

from millpond.curate.extract import extract
from millpond.curate.html.config import ExtractConfig


def main_texts(folder: Path) -> list[str]:
    """Main text of each page that has one, as resiliparse gives it."""
    pages = (gzip.decompress(path.read_bytes()) for path in sorted(folder.rglob("*.html.gz")))
    quickest = ExtractConfig.from_mapping({"extractor": "resiliparse"}, "benchmark")
    found = (extract(body, charset="utf-8", config=quickest).text for body in pages)
    return [text for text in found if text]
