"""Texts of real pages, extracted once for all tests of this room."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from millpond.curate.extract import extract
from millpond.curate.html.config import ExtractConfig
from millpond.curate.normalise import normalise


@pytest.fixture(scope="session")
def wcxb(test_data: Path) -> list[Path]:
    """Gzipped HTML pages of every kind, in a fixed order."""
    return sorted((test_data / "html_gold" / "wcxb" / "html").glob("*.html.gz"))


@pytest.fixture(scope="session")
def real_texts(wcxb: list[Path]) -> list[str]:
    """Normalised main text of 125 real pages."""
    texts = _main_texts(wcxb[::4])
    assert len(texts) > 100
    return texts


@pytest.fixture(scope="session")
def gold_texts(test_data: Path) -> list[str]:
    """Normalised main text of all pages with gold, of all five sets."""
    texts = _main_texts(sorted((test_data / "html_gold").rglob("*.html.gz")))
    assert len(texts) > 1200
    return texts


def _main_texts(pages: list[Path]) -> list[str]:
    resiliparse = ExtractConfig.from_mapping({"extractor": "resiliparse"}, "test")
    found = (extract(gzip.decompress(path.read_bytes()), charset="utf-8", config=resiliparse) for path in pages)
    return [normalise(extraction.text) for extraction in found if extraction.text]
