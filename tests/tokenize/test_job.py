"""Where a tokenization lies; the stage itself is run by the tests of the command line."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from token_shards import byte_encoder, config

from millpond.tokenize import job
from millpond.tokenize.corpus import Corpus


def test_another_version_of_a_library_gets_a_folder_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = tmp_path / "texts.parquet"
    pq.write_table(pa.table({"doc_id": ["a", "b"], "text_digest": ["1", "2"]}), texts)

    def identity() -> str:
        return job._identity(Corpus([str(texts)], None, {}), byte_encoder().vocabulary, config())

    installed, version = identity(), metadata.version
    assert identity() == installed
    for library in ("tokenizers", "webdataset"):
        monkeypatch.setattr(metadata, "version", lambda name, new=library: "9" if name == new else version(name))
        assert identity() != installed
