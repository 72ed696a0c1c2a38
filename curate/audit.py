"""Audits of a corpus by what its run was told: texts whole and as curation left them, and nobody floods it.

`CorpusAudit` is a check for the gate, beside the suites of `quality`. Over all rows: a text has its digest and its
bytes, and is its candidate's unless a step takes out repeated text; a language is one that is kept; no text stands
there more often than deduplication allows, and no document is most of the corpus. Of the last corpus of the same
settings, as far as its pages are still there: documents are at least half as many, and the texts of those pages at
least half as long. Over a sample, the first documents by `doc_id`, which is a digest: the language is what the text
says, nothing that is masked is left, and few texts are mojibake.

Shares are judged from `dedup.judged_from` documents on, those of a sample from `_LEAST` on; one document with personal
data, or one of mojibake, is never a share.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Self

import duckdb
from ftfy.badness import badness

from millpond.curate.config import CurateConfig
from millpond.curate.privacy.pii import find
from millpond.curate.signals.language import identify
from millpond.duck import connect, scan
from millpond.lake import Lake
from millpond.publish import Batch
from millpond.quality.rows import audit_row
from millpond.schemas import CANDIDATES, DOCUMENTS, OPS_RUNS

#: Documents that are looked at one by one, at most this much of each.
_SAMPLE, _CHARS = 1000, 20_000
_LEAST = 20
#: Of a sample, at least so much is in the language it is said to be in. Line rules and masks change texts, and short
#: ones are of several.
_SAME_LANGUAGE = 0.9
#: Of a sample, at most so much has personal data of a masked kind, and is mojibake.
_UNMASKED, _MOJIBAKE = 0.005, 0.02
#: ftfy's badness per character from which a text is mojibake; normalised texts of real pages have none.
_BAD = 0.001
#: With the same settings a corpus keeps at least so much of its documents, and of their mean length.
_KEPT = 0.5


@dataclass(frozen=True)
class CorpusAudit:
    """Judges the documents of a curation run's batch."""

    config: CurateConfig
    before: Sequence[str] = ()
    """Files of the released documents, where they have the same settings."""

    @classmethod
    def against_released(cls, lake: Lake, config: CurateConfig) -> Self:
        """The audit of a run on this lake."""
        own = [release for release in lake.releases() if release.stage == "curate"]
        if not own or DOCUMENTS.name not in own[-1].tables:
            return cls(config)
        settings = {row["run_id"]: row["config"] for row in lake.read(OPS_RUNS.name, ["run_id", "config"]).to_pylist()}
        same = json.loads(settings[own[-1].run_id]) == config.model_dump(mode="json")
        return cls(config, lake.files(DOCUMENTS.name) if same else ())

    def __call__(self, batch: Batch) -> list[dict[str, Any]]:
        """Audit rows of a batch."""
        documents = batch.new.get(DOCUMENTS.name)
        candidates = batch.held(CANDIDATES.name)
        if not documents or not candidates:
            return []
        with connect() as connection:
            for name, files in (("documents", documents), ("candidates", candidates)):
                connection.read_parquet(files).create_view(name)
            if not connection.execute("from documents limit 1").fetchone():
                return []  # the suite has a floor
            return [*self._texts(connection), *self._shares(connection), *self._sample(connection)]

    @property
    def _cuts(self) -> bool:
        return self.config.dedup.lines.unit != "off" or self.config.dedup.spans.enabled

    def _texts(self, connection: duckdb.DuckDBPyConnection) -> Iterator[dict[str, Any]]:
        wrong = "text_digest <> sha256(text) or text_bytes is distinct from strlen(text)"
        changed = "c.text_digest is distinct from d.text_digest"
        if self._cuts:
            changed = f"{changed} and c.text_bytes <= d.text_bytes"
        for name, query, column in (
            ("text_has_its_digest", f"select doc_id from documents where {wrong}", "text_digest"),
            (
                "text_is_the_candidates",
                f"select doc_id from documents d left join candidates c using (doc_id) where {changed}",
                "text",
            ),
        ):
            [found] = connection.execute(f"select count(*), min(doc_id) from ({query})").fetchall()
            yield audit_row(DOCUMENTS.name, name, column, found[0] == 0, _such_as(*found), "no document")
        if allowed := self.config.language.allowed:
            [found] = connection.execute(
                "select count(*), min(doc_id) from documents where not list_contains(?, coalesce(language, ''))",
                [list(allowed)],
            ).fetchall()
            yield audit_row(
                DOCUMENTS.name, "language_is_kept", "language", found[0] == 0, _such_as(*found), ", ".join(allowed)
            )

    def _shares(self, connection: duckdb.DuckDBPyConnection) -> Iterator[dict[str, Any]]:
        dedup = self.config.dedup
        [(count, total, largest)] = connection.execute(
            "select count(*), sum(strlen(text)), max(strlen(text)) from documents"
        ).fetchall()
        [(digest, copies)] = connection.execute(
            "select text_digest, count(*) from documents group by 1 order by 2 desc, 1 limit 1"
        ).fetchall()
        alone = dedup.exact and dedup.scope == "global" and not self._cuts
        seen = f"{copies:,} of {count:,} documents have the text {digest}"
        if alone:
            yield audit_row(DOCUMENTS.name, "no_text_twice", "text_digest", copies == 1, seen, "1")
        if count >= dedup.judged_from:
            limit = dedup.max_cluster_share
            said = f"at most {limit:.1%}"
            if not alone:
                yield audit_row(
                    DOCUMENTS.name, "most_frequent_text_share", "text_digest", copies / count <= limit, seen, said
                )
            seen = f"{largest:,} of {total:,} bytes are one document's"
            yield audit_row(
                DOCUMENTS.name, "largest_document_share", "text_bytes", largest / total <= limit, seen, said
            )
        if self.before:
            # New pages may be shorter, and have more cut from old ones: the candidates of the same pages tell.
            [(past, past_bytes, now_bytes)] = connection.execute(
                "select count(*), coalesce(avg(b.text_bytes), 0), coalesce(avg(c.text_bytes), 0) "
                f"from {scan(self.before)} b join candidates c using (doc_id)"
            ).fetchall()
            for column, value, least in (("doc_id", count, past), ("text_bytes", now_bytes, past_bytes)):
                seen = f"{value:,.0f} after {least:,.0f} with the same settings"
                yield audit_row(
                    DOCUMENTS.name,
                    "corpus_has_not_shrunk",
                    column,
                    value >= _KEPT * least,
                    seen,
                    f"at least {_KEPT:.0%}",
                )

    def _sample(self, connection: duckdb.DuckDBPyConnection) -> Iterator[dict[str, Any]]:
        rows = connection.execute(
            f"select language, left(text, {_CHARS}) from documents order by doc_id limit {_SAMPLE}"
        ).fetchall()
        if len(rows) < _LEAST:
            return
        pii = self.config.pii
        same = sum(identify(text)[0] == language for language, text in rows)
        bare = sum(bool(find(text, pii.mask, public_ips_only=pii.public_ips_only)) for _, text in rows)
        bad = sum(badness(text) > _BAD * len(text) for _, text in rows)
        for name, column, value, limit, least in (
            ("language_is_the_texts", "language", same, _SAME_LANGUAGE, True),
            ("masked_data_is_gone", "text", bare, _UNMASKED, False),
            ("text_is_no_mojibake", "text", bad, _MOJIBAKE, False),
        ):
            bound = limit * len(rows)
            success = value >= bound if least else value <= max(bound, 1)
            said = f"{'at least' if least else 'at most'} {limit:.1%}"
            yield audit_row(DOCUMENTS.name, name, column, success, f"{value:,} of {len(rows):,} documents", said)


def _such_as(count: int, example: str | None) -> str:
    return f"{count:,} documents, such as {example}" if count else "no document"
