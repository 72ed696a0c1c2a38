"""What the rules of a configuration would drop of the released candidates, as SQL for DuckDB or `millpond sql`.

A recut decides by the same expressions (`sql_verdict`), so what is predicted is what it then writes, candidate by
candidate; what goes for an evaluation set, as a copy or for repeated text it alone can say.
"""

from __future__ import annotations

from collections.abc import Sequence

from millpond.curate.rules import Rule, sql_verdict
from millpond.schemas import CANDIDATES, REJECTS


def predicted_rejects(rules: Sequence[Rule]) -> str:
    """A query for the rows of `corpus.rejects` that rules leave to write: doc_id, stage, rule, reason, value,
    threshold, text_bytes."""
    said = ",\n        ".join(f"{sql} AS {name}" for name, sql in sql_verdict(rules).items())
    return f"""\
SELECT * FROM (
    SELECT
        doc_id,
        {said},
        text_bytes
    FROM {CANDIDATES.name}
) WHERE rule IS NOT NULL"""


def prediction(rules: Sequence[Rule]) -> str:
    """A query for one row per rule: stage, rule, reason, documents and bytes that would go by it, and how many do now.

    A rule of the released corpus that would drop nothing any more is there with 0 documents.
    """
    return f"""\
WITH predicted AS (
{predicted_rejects(rules)}
), now AS (
    SELECT stage, rule, reason, count(*) AS now FROM {REJECTS.name} WHERE stage IN ('extract', 'filter') GROUP BY ALL
), later AS (
    SELECT stage, rule, reason, count(*) AS documents, sum(text_bytes)::BIGINT AS bytes FROM predicted GROUP BY ALL
)
SELECT stage, rule, reason, coalesce(documents, 0) AS documents, coalesce(bytes, 0) AS bytes, coalesce(now, 0) AS now
FROM later FULL JOIN now USING (stage, rule, reason)
ORDER BY documents DESC, stage, rule"""
