"""Questions that people ask of a lake, as named SQL.

Each query reads only the views of `millpond.eval.sql`; `$name` marks a parameter. The report and `millpond trace` ask
them as they stand here, so what they say can be asked again by hand.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Query:
    """One named question: `title` for people, `sql` for DuckDB, `parameters` without the `$`."""

    title: str
    sql: str
    parameters: tuple[str, ...] = ()


OUTCOMES = Query(
    "Where did the pages go?",
    """
SELECT outcome, reason, count(*) AS pages, sum(text_bytes)::BIGINT AS text_bytes
FROM (
    SELECT 'kept' AS outcome, 'kept' AS reason, text_bytes FROM corpus.documents
    UNION ALL
    SELECT 'rejected', reason, text_bytes FROM corpus.rejects
    UNION ALL
    SELECT 'duplicate', kind, text_bytes FROM corpus.duplicates
)
GROUP BY outcome, reason
ORDER BY outcome <> 'kept', pages DESC, reason
""",
)

REJECTS_BY_RULE = Query(
    "What did each rule drop?",
    """
SELECT stage, reason, rule, count(*) AS pages, sum(text_bytes)::BIGINT AS text_bytes,
       median(value) AS median_value, any_value(threshold) AS threshold
FROM corpus.rejects
GROUP BY stage, reason, rule
ORDER BY pages DESC, stage, reason, rule
""",
)

BALANCE = Query(
    "Do the books balance?",
    """
SELECT l.run_id, l.stage, l.unit,
       coalesce(sum(amount) FILTER (entry = 'in'), 0)::BIGINT AS taken_in,
       coalesce(sum(amount) FILTER (entry = 'out'), 0)::BIGINT AS passed_on,
       coalesce(sum(amount) FILTER (entry IN ('rejected', 'removed')), 0)::BIGINT AS dropped,
       coalesce(sum(amount) FILTER (entry = 'duplicate'), 0)::BIGINT AS duplicates,
       coalesce(sum(amount) FILTER (entry = 'transformed'), 0)::BIGINT AS transformed,
       sum(CASE entry WHEN 'in' THEN amount ELSE -amount END)::BIGINT AS difference
FROM ops.ledger l
LEFT JOIN ops.releases r USING (run_id)
GROUP BY l.run_id, l.stage, l.unit
ORDER BY min(r.release) NULLS LAST, l.run_id, list_position(['records', 'documents', 'tokens', 'bytes'], l.unit)
""",
)

DOMAINS = Query(
    "Which sites is the corpus made of?",
    """
SELECT registered_domain, count(*) AS documents, sum(text_bytes)::BIGINT AS text_bytes,
       sum(text_bytes) / sum(sum(text_bytes)) OVER () AS share
FROM corpus.documents
GROUP BY registered_domain
ORDER BY text_bytes DESC, registered_domain
""",
)

LANGUAGES = Query(
    "Which languages is the corpus in?",
    """
SELECT coalesce(language, 'unknown') AS language, count(*) AS documents,
       sum(text_bytes)::BIGINT AS text_bytes
FROM corpus.documents
GROUP BY 1
ORDER BY documents DESC, 1
""",
)

FERTILITY = Query(
    "How well does the vocabulary fit each language?",
    """
SELECT coalesce(d.language, 'unknown') AS language, count(*) AS documents, sum(t.tokens)::BIGINT AS tokens,
       sum(t.tokens) FILTER (c.word_count > 0) / sum(c.word_count) FILTER (c.word_count > 0) AS tokens_per_word,
       sum(d.text_bytes) / nullif(sum(t.tokens), 0) AS bytes_per_token,
       coalesce(sum(t.unknown) / nullif(sum(t.tokens), 0), 0) AS unknown
FROM (
    SELECT doc_id, sum(length) - 1 AS tokens, sum(unknown) AS unknown
    FROM tokens.documents WHERE copy = 0 GROUP BY doc_id
) t
JOIN corpus.documents d USING (doc_id)
LEFT JOIN corpus.candidates c USING (doc_id)
GROUP BY 1
ORDER BY tokens DESC, 1
""",
)

AUDITS = Query(
    "What did each table's audits check?",
    """
SELECT "table", count(*) AS expectations
FROM ops.audits
GROUP BY "table"
ORDER BY "table"
""",
)

RELEASES = Query(
    "Which releases are there?",
    """
SELECT release, released_at, stage, run_id, digest
FROM ops.releases
ORDER BY release DESC
""",
)

LOSS_JUMPS = Query(
    "Where did the loss jump?",
    """
SELECT run, step, loss, loss - lag(loss) OVER (PARTITION BY run ORDER BY step) AS change
FROM train.steps
QUALIFY change IS NOT NULL
ORDER BY change DESC
LIMIT 20
""",
)

TRACE_STEP = Query(
    "Which pages fed one training step?",
    """
SELECT b.position, b.shard, b.sample, b."row", t.doc_id, coalesce(d.url, p.url) AS url, t."offset", t.length,
       coalesce(p.source_file, d.source_file) AS source_file,
       coalesce(p.source_offset, d.source_offset) AS source_offset
FROM train.batches b
LEFT JOIN tokens.documents t ON t.shard = b.shard AND t.sample = b.sample AND t."row" = b."row"
LEFT JOIN corpus.documents d USING (doc_id)
LEFT JOIN web.pages p ON p.page_id = t.doc_id
WHERE b.run = $run AND b.step = $step
ORDER BY b.position, t."offset"
""",
    ("run", "step"),
)
