"""A really curated corpus passes its gate, and each seeded corruption of it is refused for its own reason."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from archives import gold_pages, write_warc
from corruptions import CORRUPTIONS, Curated

from millpond.curate.config import CurateConfig
from millpond.curate.job import curate
from millpond.errors import AuditError
from millpond.ingest.config import IngestConfig
from millpond.ingest.job import ingest_files
from millpond.lake import Lake

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@pytest.fixture(scope="module")
def curated(tmp_path_factory: pytest.TempPathFactory, test_data: Path, spark: SparkSession) -> Curated:
    """A corpus of two hundred real pages, fetched in two parts."""
    folder = tmp_path_factory.mktemp("curated")
    pages = list(gold_pages(test_data / "html_gold"))[::6]
    lake, config = Lake.open(str(folder / "lake")), CurateConfig()
    for number in range(2):
        path = write_warc(folder / f"{number}.warc.gz", pages[number::2])
        ingest_files(lake, [str(path)], IngestConfig())
    curate(lake, config)
    return Curated.of(lake, config)


def test_the_corpus_itself_passes(curated: Curated, tmp_path: Path) -> None:
    assert len(curated.tables["corpus.documents"]) > 80
    rows = curated.judge(tmp_path / "clean")
    assert all(row["success"] for row in rows)
    seen = {row["expectation"] for row in rows}
    assert seen >= {"text_is_the_candidates", "language_is_the_texts", "corpus_has_not_shrunk", "no_text_twice"}


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_a_corruption_is_refused_for_its_own_reason(curated: Curated, tmp_path: Path, name: str) -> None:
    corrupt, sentence = CORRUPTIONS[name]
    before = curated.lake.releases()
    with pytest.raises(AuditError) as refused:
        curated.judge(tmp_path / "corrupt", corrupt(curated, 1))
    assert sentence in str(refused.value)
    assert curated.lake.releases() == before
