"""Rules: one threshold over one signal each, in a fixed order; the first that fails names the reason.

`rules_for(config)` gives a run's rules, `verdict` judges one row of signals in Python, and `sql_case` writes
the same judgement as SQL that Spark and DuckDB both read. A null signal fails no rule, with one exception:
where languages are listed, an unknown language is none of them.

Order and thresholds of the preset `fineweb` are those of datatrove 0.10.1's `examples/fineweb.py`
(FineWeb, arXiv 2406.17557): language, Gopher repetition, Gopher quality (arXiv 2112.11446, table A1), C4
(arXiv 1910.10683), FineWeb. The language rule differs: datatrove drops a score equal to the threshold too, and
its score comes from another size of the model, over the whole text (see `millpond.curate.language`). Words and
sentences are those of `millpond.curate.words`, where datatrove has spaCy's. After a run's rules comes one more,
which no setting changes: a document has text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from millpond.config import digest_of
from millpond.schemas import Reason

if TYPE_CHECKING:
    from millpond.curate.config import CurateConfig

Value = float | int | str | None

LANGUAGE_SCORE = "min_language_score"
LANGUAGE_ALLOWED = "allowed_language"


@dataclass(frozen=True)
class Rule:
    """A document fails where `column` is under `minimum`, over `maximum` or not in `allowed` (one is set)."""

    name: str
    reason: Reason
    column: str
    minimum: float | None = None
    maximum: float | None = None
    allowed: tuple[str, ...] | None = None
    source: str = ""

    @property
    def threshold(self) -> float | None:
        """The bound; null for a list of allowed values."""
        return self.minimum if self.minimum is not None else self.maximum

    def fails(self, value: Value) -> bool:
        """Whether a document with this value of `column` fails."""
        if self.allowed is not None:
            return value not in self.allowed
        if value is None or isinstance(value, str):
            return False
        if self.minimum is not None:
            return value < self.minimum
        return self.maximum is not None and value > self.maximum

    def sql(self) -> str:
        """The condition under which a document fails, for Spark SQL and DuckDB."""
        if self.allowed is not None:
            listed = ", ".join(_sql_string(item) for item in self.allowed)
            return f"{self.column} IS NULL OR {self.column} NOT IN ({listed})"
        if self.minimum is not None:
            return f"{self.column} < {_sql_number(self.minimum)}"
        return f"{self.column} > {_sql_number(self.maximum)}"


@dataclass(frozen=True)
class Preset:
    """A named set of rules, and whether C4's line rules change the text."""

    rules: tuple[Rule, ...]
    removes_lines: bool


def _maximum(reason: Reason, column: str, bound: float, source: str) -> Rule:
    return Rule(f"max_{column}", reason, column, maximum=bound, source=source)


def _minimum(reason: Reason, column: str, bound: float, source: str) -> Rule:
    return Rule(f"min_{column}", reason, column, minimum=bound, source=source)


def _gopher_repetition() -> tuple[Rule, ...]:
    bounds = {
        "duplicate_paragraph_ratio": 0.3,
        "duplicate_paragraph_char_ratio": 0.2,
        "duplicate_line_ratio": 0.3,
        "duplicate_line_char_ratio": 0.2,
        "top_2gram_char_ratio": 0.2,
        "top_3gram_char_ratio": 0.18,
        "top_4gram_char_ratio": 0.16,
        "duplicate_5gram_char_ratio": 0.15,
        "duplicate_6gram_char_ratio": 0.14,
        "duplicate_7gram_char_ratio": 0.13,
        "duplicate_8gram_char_ratio": 0.12,
        "duplicate_9gram_char_ratio": 0.11,
        "duplicate_10gram_char_ratio": 0.1,
    }
    return tuple(_maximum(Reason.GOPHER_REPETITION, name, bound, "Gopher") for name, bound in bounds.items())


def _gopher_quality() -> tuple[Rule, ...]:
    reason, source = Reason.GOPHER_QUALITY, "Gopher"
    return (
        _minimum(reason, "word_count", 50, source),
        _maximum(reason, "word_count", 100_000, source),
        _minimum(reason, "mean_word_length", 3, source),
        _maximum(reason, "mean_word_length", 10, source),
        _maximum(reason, "hash_word_ratio", 0.1, source),
        _maximum(reason, "ellipsis_word_ratio", 0.1, source),
        _maximum(reason, "bullet_line_ratio", 0.9, source),
        _maximum(reason, "ellipsis_line_ratio", 0.3, source),
        _minimum(reason, "alpha_word_ratio", 0.8, source),
        _minimum(reason, "stop_word_count", 2, source),
    )


def _fineweb() -> tuple[Rule, ...]:
    return (
        Rule(LANGUAGE_SCORE, Reason.LANGUAGE, "language_score", minimum=0.65, source="FineWeb"),
        *_gopher_repetition(),
        *_gopher_quality(),
        _maximum(Reason.C4, "c4_lorem_ipsum_lines", 0, "C4"),
        _maximum(Reason.C4, "c4_curly_bracket_lines", 0, "C4"),
        _minimum(Reason.C4, "c4_sentence_count", 5, "C4"),
        _minimum(Reason.FINEWEB, "fineweb_line_punctuation_ratio", 0.12, "FineWeb"),
        _maximum(Reason.FINEWEB, "fineweb_short_line_ratio", 0.67, "FineWeb"),
        # The paper's text says 0.1; the code that made FineWeb, and the paper's appendix, say 0.01.
        _maximum(Reason.FINEWEB, "fineweb_duplicate_line_char_ratio", 0.01, "FineWeb"),
        _maximum(Reason.FINEWEB, "fineweb_newline_word_ratio", 0.3, "FineWeb"),
    )


def _optional() -> tuple[Rule, ...]:
    """In no preset: a threshold in the configuration switches them on. Their bounds are their sources'."""
    return (
        # Dolma drops a document with more than five, of e-mail, telephone and IP; here every kind counts.
        _maximum(Reason.PII, "pii_count", 5, "Dolma"),
        _maximum(Reason.FLAGGED_WORDS, "flagged_word_ratio", 0.045, "Data-Juicer"),
    )


#: What API reference text looks like: signatures with braces and little punctuation, short lines, members
#: described in the same words again and again. Tuned on rendered reference pages; null drops the rule.
_API_DOCS: dict[str, float | None] = {
    LANGUAGE_SCORE: 0.2,
    "max_duplicate_paragraph_ratio": 0.5,
    "max_duplicate_paragraph_char_ratio": 0.4,
    "max_duplicate_line_ratio": 0.5,
    "max_duplicate_line_char_ratio": 0.4,
    "max_top_2gram_char_ratio": 0.3,
    "max_top_3gram_char_ratio": 0.3,
    "max_top_4gram_char_ratio": 0.3,
    **{f"max_duplicate_{n}gram_char_ratio": 0.65 for n in range(5, 11)},
    "min_mean_word_length": 2.5,
    "max_mean_word_length": 14,
    "max_ellipsis_word_ratio": 0.2,
    "min_alpha_word_ratio": 0.3,
    "max_c4_curly_bracket_lines": None,
    "min_c4_sentence_count": 3,
    "min_fineweb_line_punctuation_ratio": None,
    "max_fineweb_short_line_ratio": 0.9,
    "max_fineweb_duplicate_line_char_ratio": None,
    "max_fineweb_newline_word_ratio": 0.5,
}


def _changed(rules: Iterable[Rule], thresholds: Mapping[str, float | None]) -> tuple[Rule, ...]:
    result = []
    for rule in rules:
        bound = thresholds.get(rule.name, rule.threshold)
        if bound is None:
            continue
        if rule.minimum is not None:
            result.append(replace(rule, minimum=float(bound)))
        else:
            result.append(replace(rule, maximum=float(bound)))
    return tuple(result)


PRESETS: dict[str, Preset] = {
    "fineweb": Preset(_fineweb(), removes_lines=True),
    "api-docs": Preset(_changed(_fineweb(), _API_DOCS), removes_lines=False),
    "none": Preset((), removes_lines=False),
}

#: The last rule of every run: C4's line rules may leave nothing.
HAS_TEXT = Rule("min_text_bytes", Reason.EMPTY, "text_bytes", minimum=1)


def known_rules() -> set[str]:
    """Names of all rules that can be given a threshold."""
    return {rule.name for rule in (*_fineweb(), *_optional())}


def rules_for(config: CurateConfig) -> tuple[Rule, ...]:
    """The rules of a run, in order: the preset's, changed by `rules.thresholds` and `language`; then `HAS_TEXT`.

    A threshold given for a rule that the preset leaves out puts the rule back in its place.
    """
    kept = {rule.name: rule.threshold for rule in PRESETS[config.rules.preset].rules}
    thresholds = {name: kept.get(name) for name in known_rules()} | config.rules.thresholds
    if config.language.min_score is not None:
        thresholds[LANGUAGE_SCORE] = config.language.min_score
    rules = _changed((*_fineweb(), *_optional()), thresholds)
    if config.language.allowed:
        allowed = Rule(LANGUAGE_ALLOWED, Reason.LANGUAGE, "language", allowed=config.language.allowed)
        return (allowed, *rules, HAS_TEXT)
    return (*rules, HAS_TEXT)


def verdict(rules: Iterable[Rule], signals: Mapping[str, Value]) -> Rule | None:
    """The first rule that a row of signals fails, or None where it is kept."""
    return next((rule for rule in rules if rule.fails(signals.get(rule.column))), None)


def sql_case(rules: Iterable[Rule], column: Literal["rule", "reason", "value", "threshold"]) -> str:
    """An SQL expression over a table of signals: something about the first failing rule, null where kept."""
    pick: Callable[[Rule], str] = {
        "rule": lambda rule: _sql_string(rule.name),
        "reason": lambda rule: _sql_string(rule.reason.value),
        "value": lambda rule: "NULL" if rule.allowed is not None else f"CAST({rule.column} AS DOUBLE)",
        "threshold": lambda rule: "NULL" if rule.threshold is None else _sql_number(rule.threshold),
    }[column]
    kind = "DOUBLE" if column in ("value", "threshold") else "STRING"
    branches = " ".join(f"WHEN {rule.sql()} THEN {pick(rule)}" for rule in rules)
    return f"CAST(CASE {branches} END AS {kind})" if branches else f"CAST(NULL AS {kind})"


def rules_digest(rules: Iterable[Rule]) -> str:
    """Sha256 (hex) of the rules: equal for equal decisions."""
    return digest_of([[rule.name, rule.reason.value, rule.column, rule.threshold, rule.allowed] for rule in rules])


def _sql_number(value: float | None) -> str:
    # With an exponent both engines read a double; `0.3` alone would be a decimal.
    return "NULL" if value is None else f"{float(value)!r}{'' if 'e' in repr(float(value)) else 'e0'}"


def _sql_string(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
