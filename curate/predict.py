"""What the rules of a configuration would drop of the released candidates, as SQL for DuckDB or `millpond sql`.

A recut decides by the same expressions (`sql_verdict`), so what is predicted is what it then writes, candidate by
candidate; what goes for an evaluation set, as a copy or for repeated text it alone can say. What blocklists hold
stands in a table of its own, which `millpond.curate.blocklists.blocked.hold_blocked` makes; `in_sql_alone` leaves
their rules out of a query.
"""

from __future__ import annotations

from collections.abc import Sequence

from millpond.curate.rules import BLOCKLISTS, Rule, sql_verdict
from millpond.schemas import CANDIDATES, REJECTS


def in_sql_alone(rules: Sequence[Rule]) -> tuple[tuple[Rule, ...], str]:
    """The rules that any DuckDB can judge, and an SQL comment that says which are left out."""
    kept = tuple(rule for rule in rules if rule.column != BLOCKLISTS)
    left_out = ", ".join(rule.name for rule in rules if rule not in kept)
    comment = f"/* without {left_out}, which `curate recut --predict` counts: lists are matched outside SQL */\n"
    return kept, comment if left_out else ""


def predicted_rejects(rules: Sequence[Rule]) -> str:
    """A query for the rows of `corpus.rejects` that rules leave to write: doc_id, stage, rule, reason, value,
    threshold, text_bytes.

    With blocklists it reads the table `blocked`, too.
    """
    held = " LEFT JOIN blocked USING (doc_id)" if any(rule.column == BLOCKLISTS for rule in rules) else ""
    said = ",\n        ".join(f"{sql} AS {name}" for name, sql in sql_verdict(rules).items())
    return f"""\
SELECT * FROM (
    SELECT
        doc_id,
        {said},
        text_bytes
    FROM {CANDIDATES.name}{held}
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
