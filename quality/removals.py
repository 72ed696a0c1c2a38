"""Guards against deduplication that ran away: how much of a corpus, a crawl or a domain may go as copies.

One wrong threshold, or shingles too short for a script, makes neighbours of everything; what is left looks like a
sound corpus, only small. So the share of one document and its copies, and the share that each source lost, have
limits, and the audit says which source went over. Documents that repeated lines left nothing of count as gone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import duckdb

from millpond.duck import connect, scan
from millpond.publish import Batch
from millpond.quality.rows import audit_row
from millpond.schemas import CANDIDATES, DOCUMENTS, DUPLICATES, REJECTS


@dataclass(frozen=True)
class RemovalCaps:
    """Limits on what deduplication may remove."""

    cluster_share: float
    """Of all documents before deduplication, one document and its copies."""
    removed_share: float
    """Of a source's documents before deduplication, its copies."""
    judged_from: int
    """Sources of fewer documents are not judged."""

    def __call__(self, batch: Batch) -> list[dict[str, Any]]:
        """Audit rows of a curation run's batch: one for the largest cluster, one for each kind of source."""
        parts = [
            f"{selected} from {scan(files)} {condition}"
            for selected, spec, condition in (
                ("select doc_id, cluster_id, 0 as gone", DOCUMENTS, ""),
                ("select doc_id, cluster_id, 1 as gone", DUPLICATES, ""),
                # What repeated lines left nothing of.
                ("select doc_id, doc_id as cluster_id, 1 as gone", REJECTS, "where stage = 'dedup'"),
            )
            if (files := batch.new.get(spec.name))
        ]
        candidates = batch.held(CANDIDATES.name)
        if not parts or not candidates:
            return []
        with connect() as connection:
            connection.execute(
                f"""
                create view judged as
                select c.registered_domain, c.crawl, d.cluster_id, d.gone from ({" union all ".join(parts)}) d
                join {scan(candidates)} c using (doc_id)
                """
            )
            lost = connection.execute("select sum(gone) from judged").fetchone()
            return list(self._rows(connection)) if lost and lost[0] else []

    def _rows(self, connection: duckdb.DuckDBPyConnection) -> Iterator[dict[str, Any]]:
        cluster = connection.execute(
            "select cluster_id, count(*), (select count(*) from judged) from judged "
            "group by 1 order by 2 desc, 1 limit 1"
        ).fetchone()
        if cluster is not None and cluster[2] >= self.judged_from:
            name, size, total = cluster
            said = f"{name} and its copies are {size:,} of {total:,} documents, {size / total:.1%}"
            limit = self.cluster_share
            yield audit_row(
                DUPLICATES.name,
                "largest_cluster_share",
                "cluster_id",
                size / total <= limit,
                said,
                f"at most {limit:.1%}",
            )
        for source in ("registered_domain", "crawl"):
            worst = connection.execute(
                f"""
                select {source}, sum(gone), count(*) from judged where {source} is not null
                group by 1 having count(*) >= ? order by sum(gone) / count(*) desc, 1 limit 1
                """,
                [self.judged_from],
            ).fetchone()
            if worst is not None:
                name, gone, total = worst
                said = f"{name} lost {gone:,} of {total:,} documents as copies, {gone / total:.1%}"
                limit = self.removed_share
                yield audit_row(
                    DUPLICATES.name, "removed_share", source, gone / total <= limit, said, f"at most {limit:.1%}"
                )
