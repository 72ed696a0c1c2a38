"""Rows of `ops.audits`, as every check makes them."""

from __future__ import annotations

from typing import Any


def audit_row(
    table: str, expectation: str, column: str, success: bool, observed: str, threshold: str
) -> dict[str, Any]:
    """What was expected of a table (of a column, if one is named), what was seen, and whether that will do."""
    return {
        "table": table,
        "expectation": expectation,
        "column": column or None,
        "success": success,
        "observed": observed,
        "threshold": threshold or None,
    }
