"""What the audits of a corpus must let pass, and what they must refuse; without a curation run."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mixtures import publish_corpus

from millpond.curate.audit import CorpusAudit
from millpond.curate.config import CurateConfig
from millpond.datafile import write_rows
from millpond.lake import Lake
from millpond.publish import Batch

CONFIG = CurateConfig()
RIVER = "The river leaves its banks in spring, and the meadows are under water for weeks. "


def failed(lake: Lake, folder: Path, candidates: Mapping[str, str], kept: Mapping[str, Any]) -> set[str]:
    """Names of the audits that refuse these documents, given as doc_id → text or columns, of these candidates."""
    rows = {
        "corpus.candidates": [_row(key, {"text": text, "outcome": "ok"}) for key, text in candidates.items()],
        "corpus.documents": [
            _row(key, given if isinstance(given, dict) else {"text": given}) for key, given in kept.items()
        ],
    }
    files = {table: [entry.path for entry in write_rows(table, folder, found)] for table, found in rows.items()}
    batch = Batch("r", "curate", files, files, {})
    judged = CorpusAudit.against_released(lake, CONFIG)(batch)
    assert judged
    return {f"{row['expectation']} on {row['column']}" for row in judged if not row["success"]}


def _row(key: str, given: Mapping[str, Any]) -> dict[str, Any]:
    data = str(given["text"]).encode()
    measured = {"text_bytes": len(data), "text_digest": hashlib.sha256(data).hexdigest()}
    return {"doc_id": key, "url": "u", "language": "en", "cluster_id": key, "rules": "r", **measured, **given}


def test_a_corpus_may_grow_by_shorter_documents_and_lose_pages(lake: Lake, tmp_path: Path) -> None:
    long = {f"{n}": f"{n} {RIVER * 20}" for n in range(6)}
    publish_corpus(lake, [{"doc_id": key, "text": text} for key, text in long.items()], config=CONFIG)
    grown = long | {f"new {n}": f"{RIVER} {n}" for n in range(13)}
    assert failed(lake, tmp_path, grown, grown) == set()
    left = {key: long[key] for key in "01"}
    assert failed(lake, tmp_path, left, left) == set(), "of pages that are gone no document is missed"
    assert failed(lake, tmp_path, long, left) == {"corpus_has_not_shrunk on doc_id"}
    short = {key: text[:500] for key, text in long.items()}
    assert failed(lake, tmp_path, short, short) == {"corpus_has_not_shrunk on text_bytes"}
    swollen = short | {"new": RIVER * 500}
    assert failed(lake, tmp_path, swollen, swollen) == {"corpus_has_not_shrunk on text_bytes"}


def test_a_size_that_is_not_there_is_a_wrong_size(lake: Lake, tmp_path: Path) -> None:
    texts = {f"{n}": f"{n} {RIVER}" for n in range(2)}
    publish_corpus(lake, [{"doc_id": key, "text": text} for key, text in texts.items()], config=CONFIG)
    some = {"0": texts["0"], "1": {"text": texts["1"], "text_bytes": None}}
    none = {key: {"text": text, "text_bytes": None} for key, text in texts.items()}
    for sizes in (some, none):
        assert failed(lake, tmp_path, texts, sizes) == {"text_has_its_digest on text_digest"}


def test_one_document_of_a_small_sample_is_no_share(lake: Lake, tmp_path: Path) -> None:
    texts = {f"{n}": f"{n} {RIVER}" for n in range(30)}
    one = texts | {"0": f"{RIVER} jane.doe@example.com " + "“Café” – naïve".encode().decode("latin-1") * 3}
    assert failed(lake, tmp_path, one, one) == set()
    two = one | {"1": one["0"] + "Again."}
    assert failed(lake, tmp_path, two, two) == {"masked_data_is_gone on text", "text_is_no_mojibake on text"}
