"""A corpus without a crawl: documents and candidates as curation would have published them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from millpond.config import StageConfig
from millpond.datafile import DataFileEntry, write_rows
from millpond.lake import Lake
from millpond.publish import Mode, Run


class Settings(StageConfig):
    """Nothing to set."""


def publish_corpus(lake: Lake, documents: Sequence[Mapping[str, Any]], parts: int = 1) -> None:
    """Publish documents, as `text` and any columns of `corpus.documents`, and `crawl`, in so many files."""
    rows = [_row(number, document) for number, document in enumerate(documents)]
    run = Run(lake, "curate", Settings(), {"files": parts, "rows": len(rows)})
    for table in ("corpus.documents", "corpus.candidates"):
        entries: list[DataFileEntry] = []
        for part in range(parts):
            entries += write_rows(table, lake.data_folder(table), rows[part::parts])
        run.stage_files(table, entries, Mode.REPLACE)
    run.publish(lambda batch: [])


def _row(number: int, document: Mapping[str, Any]) -> dict[str, Any]:
    text = document["text"].encode()
    doc_id = hashlib.sha256(f"{number}".encode()).hexdigest()[:32]
    return {
        "doc_id": doc_id,
        "url": f"http://h.test/{number}",
        "text_digest": hashlib.sha256(text).hexdigest(),
        "text_bytes": len(text),
        "cluster_id": doc_id,
        "rules": "0" * 64,
        "outcome": "ok",
        **document,
    }
