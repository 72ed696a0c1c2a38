"""A corpus without a crawl: documents and candidates as curation would have published them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from millpond.curate.config import CurateConfig
from millpond.datafile import DataFileEntry, write_rows
from millpond.lake import Lake
from millpond.publish import Mode, Run


def publish_corpus(
    lake: Lake, documents: Sequence[Mapping[str, Any]], parts: int = 1, config: CurateConfig | None = None
) -> None:
    """Publish documents, as `text` and any columns of `corpus.documents`, and `crawl`, in so many files."""
    rows = [_row(number, document) for number, document in enumerate(documents)]
    run = Run(lake, "curate", config or CurateConfig(), {"files": parts, "rows": len(rows)})
    run.ledger.add("documents", "in", len(rows) + 3)
    run.ledger.add("documents", "out", len(rows))
    run.ledger.add("documents", "rejected", 2, "language")
    run.ledger.add("documents", "duplicate", 1, "near")
    size = sum(row["text_bytes"] for row in rows)
    run.ledger.add("bytes", "in", size + 1500)
    run.ledger.add("bytes", "out", size)
    run.ledger.add("bytes", "removed", 500, "language")
    run.ledger.add("bytes", "transformed", 1000, "extract")
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
        "cluster_size": 1,
        "language": "en",
        "rules": "0" * 64,
        "outcome": "ok",
        **document,
    }
