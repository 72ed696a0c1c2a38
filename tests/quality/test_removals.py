"""A corpus that deduplication ate is refused, and the reason names the source."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from millpond.datafile import write_rows
from millpond.publish import Batch
from millpond.quality.removals import RemovalCaps

CAPS = RemovalCaps(cluster_share=0.5, removed_share=0.8, judged_from=10)


def judged(tmp_path: Path, copies: int, caps: RemovalCaps = CAPS, emptied: bool = False) -> dict[str, dict[str, Any]]:
    """20 documents of two domains; of the second so many go, as copies of its first or for repeated lines."""
    rows: dict[str, list[dict[str, Any]]] = {"corpus.candidates": [], "corpus.documents": [], "corpus.duplicates": []}
    for n in range(20):
        common = {"doc_id": f"{n:032x}", "url": f"http://h.test/{n}"}
        domain = "a.test" if n < 10 else "b.test"
        rows["corpus.candidates"].append({**common, "outcome": "ok", "registered_domain": domain, "crawl": "c"})
        cluster = {"cluster_id": f"{10:032x}" if 10 < n <= 10 + copies else common["doc_id"], "text_bytes": 1}
        if 10 < n <= 10 + copies and emptied:
            lines = {"stage": "dedup", "reason": "line", "rule": "line"}
            rows.setdefault("corpus.rejects", []).append({**common, **lines})
        elif 10 < n <= 10 + copies:
            keeper = {"keeper_id": cluster["cluster_id"], "kind": "near", "jaccard": 0.9}
            rows["corpus.duplicates"].append({**common, **cluster, **keeper})
        else:
            kept = {"text": "x", "text_digest": "0", "rules": "0"}
            rows["corpus.documents"].append({**common, **cluster, **kept})
    files = {table: [entry.path for entry in write_rows(table, tmp_path, of)] for table, of in rows.items() if of}
    return {row["expectation"] + row["column"]: row for row in caps(Batch("run", "curate", files, files, {}))}


def test_what_is_within_its_limits_passes(tmp_path: Path) -> None:
    rows = judged(tmp_path, 8)
    assert len(rows) == 3 and all(row["success"] for row in rows.values())
    assert judged(tmp_path, 0) == {}


def test_a_domain_that_lost_too_much_is_named(tmp_path: Path) -> None:
    row = judged(tmp_path, 9)["removed_shareregistered_domain"]
    assert not row["success"] and row["threshold"] == "at most 80.0%"
    assert row["observed"] == "b.test lost 9 of 10 documents as copies, 90.0%"
    assert judged(tmp_path, 9)["removed_sharecrawl"]["success"]


def test_what_repeated_lines_emptied_is_lost_too(tmp_path: Path) -> None:
    row = judged(tmp_path, 9, emptied=True)["removed_shareregistered_domain"]
    assert not row["success"] and row["observed"] == "b.test lost 9 of 10 documents as copies, 90.0%"


def test_a_cluster_that_grew_too_large_is_named(tmp_path: Path) -> None:
    row = judged(tmp_path, 9, RemovalCaps(0.49, 1.0, 10))["largest_cluster_sharecluster_id"]
    assert not row["success"] and row["observed"] == f"{10:032x} and its copies are 10 of 20 documents, 50.0%"


def test_few_documents_are_not_judged(tmp_path: Path) -> None:
    assert set(judged(tmp_path, 9, RemovalCaps(0.1, 0.1, 11))) == {
        "largest_cluster_sharecluster_id",
        "removed_sharecrawl",
    }
    assert judged(tmp_path, 9, RemovalCaps(0.1, 0.1, 21)) == {}
