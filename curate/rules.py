"""Rules: one threshold over one signal each, in a fixed order; the first that fails names the reason.

`verdict` judges one row of signals in Python, and `sql_case` writes the same judgement as SQL that Spark and
DuckDB both read; `sql_verdict` is what that says of a whole candidate. A null signal fails no rule, with one
exception: where languages are listed, an unknown language is none of them. A threshold can differ by language. Which
rules there are and which a run has stands in `millpond.curate.presets`; before them come the run's blocklists, and
after them one more, which no setting changes: a document has text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import isinf
from typing import Literal

from millpond.config import digest_of
from millpond.reasons import Reason

Value = float | int | str | Sequence[str] | None

LANGUAGE_SCORE = "min_language_score"
LANGUAGE_ALLOWED = "allowed_language"
#: The column, of digests of the blocklists that hold a candidate's address (`millpond.curate.blocklists`).
BLOCKLISTS = "blocklists"


@dataclass(frozen=True)
class Rule:
    """A document fails where `column` is under `minimum`, over `maximum`, not in `allowed`, or an array with `listed`;
    one is set."""

    name: str
    reason: Reason
    column: str
    minimum: float | None = None
    maximum: float | None = None
    allowed: tuple[str, ...] | None = None
    listed: str | None = None
    source: str = ""
    languages: tuple[tuple[str, float | None], ...] = ()
    """Bounds that hold for a language instead; null where the rule is off for it."""

    @property
    def threshold(self) -> float | None:
        """The bound; null where the rule looks for values."""
        return self.minimum if self.minimum is not None else self.maximum

    def threshold_for(self, language: Value) -> float | None:
        """The bound for a document's language; null where the rule is off for it."""
        return dict[Value, float | None](self.languages).get(language, self.threshold)

    def fails(self, signals: Mapping[str, Value]) -> bool:
        """Whether a document with these signals fails."""
        value = signals.get(self.column)
        if self.allowed is not None:
            return value not in self.allowed
        if self.listed is not None:
            return isinstance(value, Sequence) and self.listed in value
        if value is None or isinstance(value, Sequence):
            return False
        bound = self.threshold_for(signals.get("language"))
        if bound is None:
            return False
        return value < bound if self.minimum is not None else value > bound

    def sql(self) -> str:
        """The condition under which a document fails, for Spark SQL and DuckDB."""
        if self.allowed is not None:
            listed = ", ".join(_sql_string(item) for item in self.allowed)
            return f"{self.column} IS NULL OR {self.column} NOT IN ({listed})"
        if self.listed is not None:
            return f"array_contains({self.column}, {_sql_string(self.listed)})"
        return f"{self.column} {'<' if self.minimum is not None else '>'} {self.sql_threshold()}"

    def sql_threshold(self) -> str:
        """The bound, as SQL."""
        general = _sql_number(self.threshold)
        if not self.languages:
            return general
        cases = " ".join(f"WHEN {_sql_string(code)} THEN {_sql_number(bound)}" for code, bound in self.languages)
        return f"CASE language {cases} ELSE {general} END"


#: The last rule of every run: C4's line rules may leave nothing.
HAS_TEXT = Rule("min_text_bytes", Reason.EMPTY, "text_bytes", minimum=1)


def verdict(rules: Iterable[Rule], signals: Mapping[str, Value]) -> Rule | None:
    """The first rule that a row of signals fails, or None where it is kept."""
    return next((rule for rule in rules if rule.fails(signals)), None)


def sql_case(rules: Iterable[Rule], column: Literal["rule", "reason", "value", "threshold"]) -> str:
    """An SQL expression over a table of signals: something about the first failing rule, null where kept."""
    pick: Callable[[Rule], str] = {
        "rule": lambda rule: _sql_string(rule.name),
        "reason": lambda rule: _sql_string(rule.reason.value),
        "value": lambda rule: "NULL" if rule.threshold is None else f"CAST({rule.column} AS DOUBLE)",
        "threshold": lambda rule: rule.sql_threshold(),
    }[column]
    kind = "DOUBLE" if column in ("value", "threshold") else "STRING"
    branches = " ".join(f"WHEN {rule.sql()} THEN {pick(rule)}" for rule in rules)
    return f"CAST(CASE {branches} END AS {kind})" if branches else f"CAST(NULL AS {kind})"


def sql_verdict(rules: Sequence[Rule]) -> dict[str, str]:
    """What is said of a reject, by column, as SQL over candidates: null, but for the stage, of one that is kept."""

    def case(extracted: str, other: str) -> str:
        return f"CASE WHEN outcome = 'ok' THEN {extracted} ELSE {other} END"

    return {
        "stage": case("'filter'", "'extract'"),
        "rule": case(sql_case(rules, "rule"), "outcome"),
        "reason": case(sql_case(rules, "reason"), "outcome"),
        "value": case(sql_case(rules, "value"), "NULL"),
        "threshold": case(sql_case(rules, "threshold"), "NULL"),
    }


def rules_digest(rules: Iterable[Rule]) -> str:
    """Sha256 (hex) of the rules: equal for equal decisions."""
    return digest_of(
        [
            # A bound without an end, of a rule for some languages only, is no JSON number.
            [rule.name, rule.reason.value, rule.column, _sql_number(rule.threshold), rule.allowed, rule.languages]
            + ([] if rule.listed is None else [rule.listed])
            for rule in rules
        ]
    )


def _sql_number(value: float | None) -> str:
    # With an exponent both engines read a double; `0.3` alone would be a decimal.
    return "NULL" if value is None or isinf(value) else f"{float(value)!r}{'' if 'e' in repr(float(value)) else 'e0'}"


def _sql_string(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
