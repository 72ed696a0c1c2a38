"""One Great Expectations suite per table: what a batch must look like before anyone may read it.

A suite sees only the columns it names, each as a SQL expression that DuckDB and Spark both understand, so
a page's body is never moved to be measured. `floor` is the least number of rows a batch may have: an empty frame
satisfies every expectation there is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from millpond.quality.gx import great_expectations
from millpond.reasons import Reason
from millpond.schemas import (
    CANDIDATES,
    CONTAMINATION,
    DOCUMENTS,
    DUPLICATES,
    MIXTURE,
    MIXTURE_REJECTS,
    PAGES,
    REJECTS,
    SHARDS,
    TOKEN_REJECTS,
    WEB_REJECTS,
)

HEX_32 = r"^[0-9a-f]{32}$"
HEX_64 = r"^[0-9a-f]{64}$"
ADDRESS = r"^[a-z][a-z0-9+.-]*:"
REASONS = sorted(Reason)


@dataclass(frozen=True)
class Suite:
    """Expectations over one table."""

    table: str
    floor: int
    expectations: Callable[[Any], list[Any]]
    """From Great Expectations' `expectations` module to the expectations; it is imported only when a gate runs."""
    derived: dict[str, str] = field(default_factory=dict)
    """Column → SQL expression, for columns the table does not have."""


def _pages(gx: Any) -> list[Any]:
    return [
        gx.ExpectColumnValuesToBeUnique(column="page_id"),
        gx.ExpectColumnValuesToMatchRegex(column="page_id", regex=HEX_32),
        gx.ExpectColumnValuesToMatchRegex(column="url", regex=ADDRESS),
        gx.ExpectColumnValuesToMatchRegex(column="payload_digest", regex=HEX_64),
        gx.ExpectColumnValuesToNotBeNull(column="content_type"),
        gx.ExpectColumnValuesToNotBeNull(column="charset"),
        gx.ExpectColumnValuesToBeBetween(column="body_bytes", min_value=1, mostly=0.95),
        gx.ExpectColumnValuesToNotBeNull(column="source_offset", mostly=0.5),
    ]


def _web_rejects(gx: Any) -> list[Any]:
    return [
        gx.ExpectColumnValuesToBeInSet(column="reason", value_set=REASONS),
        gx.ExpectColumnValuesToBeBetween(column="records", min_value=1),
    ]


def _candidates(gx: Any) -> list[Any]:
    return [
        gx.ExpectColumnValuesToBeUnique(column="doc_id"),
        gx.ExpectColumnValuesToMatchRegex(column="doc_id", regex=HEX_32),
        gx.ExpectColumnValuesToBeInSet(column="outcome", value_set=["ok", *REASONS]),
        # One whole machine or extractor gone wrong shows as failures in bulk, not as odd pages.
        gx.ExpectColumnMeanToBeBetween(column="failed", max_value=0.5),
    ]


def _documents(gx: Any) -> list[Any]:
    return [
        gx.ExpectColumnValuesToBeUnique(column="doc_id"),
        gx.ExpectColumnValuesToMatchRegex(column="doc_id", regex=HEX_32),
        gx.ExpectColumnValuesToMatchRegex(column="url", regex=ADDRESS),
        gx.ExpectColumnValuesToMatchRegex(column="text_digest", regex=HEX_64),
        gx.ExpectColumnValuesToMatchRegex(column="rules", regex=HEX_64),
        gx.ExpectColumnValuesToNotBeNull(column="language", mostly=0.99),
        gx.ExpectColumnValuesToBeBetween(column="text_chars", min_value=1),
        gx.ExpectColumnValuesToBeBetween(column="controls", max_value=0),
        gx.ExpectColumnValuesToBeBetween(column="undecodable", max_value=0.01, mostly=0.98),
        gx.ExpectColumnValuesToBeBetween(column="cluster_size", min_value=1),
    ]


def _rejects(gx: Any) -> list[Any]:
    return [
        gx.ExpectColumnValuesToBeUnique(column="doc_id"),
        gx.ExpectColumnValuesToBeInSet(column="reason", value_set=REASONS),
        gx.ExpectColumnValuesToNotBeNull(column="rule"),
    ]


def _duplicates(gx: Any) -> list[Any]:
    return [
        gx.ExpectColumnValuesToBeUnique(column="doc_id"),
        gx.ExpectColumnValuesToBeInSet(column="kind", value_set=["url", "exact", "near", "semantic"]),
        gx.ExpectColumnValuesToBeBetween(column="jaccard", min_value=0.0, max_value=1.0),
        gx.ExpectColumnValuesToBeBetween(column="of_itself", max_value=0),
    ]


def _contamination(gx: Any) -> list[Any]:
    return [
        gx.ExpectColumnValuesToMatchRegex(column="doc_id", regex=HEX_32),
        gx.ExpectColumnValuesToBeBetween(column="example", min_value=1),
        gx.ExpectColumnValuesToBeBetween(column="ngrams", min_value=1),
        gx.ExpectColumnValuesToBeBetween(column="share", min_value=0.0, max_value=1.0),
        gx.ExpectColumnValuesToBeBetween(column="ngram_chars", min_value=1),
    ]


def _mixture(gx: Any) -> list[Any]:
    return [
        gx.ExpectColumnValuesToBeUnique(column="doc_id"),
        gx.ExpectColumnValuesToMatchRegex(column="doc_id", regex=HEX_32),
        gx.ExpectColumnValuesToNotBeNull(column="component"),
        gx.ExpectColumnValuesToBeBetween(column="copies", min_value=1),
        gx.ExpectColumnValuesToBeBetween(column="text_bytes", min_value=1),
    ]


def _mixture_rejects(gx: Any) -> list[Any]:
    reasons = [Reason.NO_COMPONENT, Reason.CAP, Reason.NOT_SAMPLED]
    return [
        gx.ExpectColumnValuesToBeUnique(column="doc_id"),
        gx.ExpectColumnValuesToBeInSet(column="reason", value_set=reasons),
    ]


def _token_rejects(gx: Any) -> list[Any]:
    return [gx.ExpectColumnValuesToBeInSet(column="reason", value_set=[Reason.NO_TOKENS])]


def _shards(gx: Any) -> list[Any]:
    return [
        gx.ExpectColumnValuesToBeUnique(column="shard"),
        gx.ExpectColumnValuesToMatchRegex(column="sha256", regex=HEX_64),
        gx.ExpectColumnValuesToMatchRegex(column="tokenizer_digest", regex=HEX_64),
        gx.ExpectColumnValuesToBeInSet(column="split", value_set=["train", "validation", "test"]),
        gx.ExpectColumnValuesToBeBetween(column="tokens", min_value=1),
        gx.ExpectColumnValuesToBeBetween(column="rows", min_value=1),
        gx.ExpectColumnValuesToBeBetween(column="bytes", min_value=1024),
        gx.ExpectColumnDistinctValuesToContainSet(column="split", value_set=["train"]),
    ]


SUITES: dict[str, Suite] = {
    suite.table: suite
    for suite in (
        Suite(PAGES.name, 1, _pages, {"body_bytes": "octet_length(body)"}),
        Suite(WEB_REJECTS.name, 0, _web_rejects),
        Suite(
            CANDIDATES.name,
            1,
            _candidates,
            {"failed": "case when outcome like 'extract_%' then 1.0 else 0.0 end"},
        ),
        Suite(
            DOCUMENTS.name,
            1,
            _documents,
            {
                "text_chars": "length(text)",
                "controls": "length(text) - length(translate(text, chr(0) || chr(8) || chr(27) || chr(127), ''))",
                # The character itself: Spark's chr() is of the number modulo 256.
                "undecodable": "(length(text) - length(replace(text, '\ufffd', ''))) * 1.0 / nullif(length(text), 0)",
            },
        ),
        Suite(REJECTS.name, 0, _rejects),
        Suite(DUPLICATES.name, 0, _duplicates, {"of_itself": "case when doc_id = keeper_id then 1 else 0 end"}),
        Suite(CONTAMINATION.name, 0, _contamination, {"ngram_chars": "length(first_ngram)"}),
        Suite(MIXTURE.name, 1, _mixture),
        Suite(MIXTURE_REJECTS.name, 0, _mixture_rejects),
        Suite(TOKEN_REJECTS.name, 0, _token_rejects),
        Suite(SHARDS.name, 1, _shards),
    )
}


def expectations(suite: Suite) -> list[Any]:
    """The suite's expectations, as Great Expectations objects.

    Raises:
        MissingExtraError: great_expectations is not installed.
    """
    return suite.expectations(great_expectations("expectations"))


def columns(suite: Suite, built: list[Any]) -> dict[str, str]:
    """Column → SQL expression, for exactly the columns the expectations look at."""
    names = {
        value
        for expectation in built
        for key in ("column", "column_A", "column_B")
        if isinstance(value := getattr(expectation, key, None), str)
    }
    return {name: suite.derived.get(name, f'"{name}"') for name in sorted(names)}
