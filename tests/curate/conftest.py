"""Texts of real pages, extracted once for all tests of this room."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from millpond.curate.extract import extract
from millpond.curate.normalise import normalise


@pytest.fixture(scope="session")
def wcxb(test_data: Path) -> list[Path]:
    """Gzipped HTML pages of every kind, in a fixed order."""
    return sorted((test_data / "html_gold" / "wcxb" / "html").glob("*.html.gz"))


@pytest.fixture(scope="session")
def real_texts(wcxb: list[Path]) -> list[str]:
    """Normalised main text of 125 real pages."""
    found = (extract(gzip.decompress(path.read_bytes()), "utf-8", None, None, "resiliparse") for path in wcxb[::4])
    texts = [normalise(extraction.text) for extraction in found if extraction.text]
    assert len(texts) > 100
    return texts
