"""What each rule of the released corpus cost, with examples, and where the time went: `millpond curate explain`.

Everything is counted from the released tables: `corpus.rejects` and `corpus.duplicates` say what went,
`corpus.candidates` how large it was. A rule stands behind others, so beside what it dropped (as the first that failed)
stands what fails it at all, and what fails it alone: so much would come back without it. Blocklists are not read
again, for their files may have changed: what two of them hold counts for the one that dropped it only.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb

from millpond.curate.config import CurateConfig
from millpond.curate.presets import rules_for
from millpond.curate.rules import Rule
from millpond.curate.times import Times
from millpond.duck import connect, quote, scan
from millpond.errors import LakeError
from millpond.lake import Lake, Release
from millpond.schemas import CANDIDATES, DOCUMENTS, DUPLICATES, OPS_RUNS, REJECTS, TOKEN_DOCUMENTS

#: Bytes of text behind a token, where nothing was tokenized.
_TOKEN_BYTES = 4.0
#: Characters of an example's text.
_CHARS = 160


@dataclass(frozen=True)
class Example:
    """A page that went by a rule."""

    url: str
    value: float | None
    text: str
    """Its beginning, on one line; empty where there is none."""


@dataclass(frozen=True)
class Cost:
    """What went for one reason."""

    stage: str
    """extract, filter, decontaminate or dedup."""
    rule: str
    """A rule's name, an outcome of extraction, `decontaminate.` and a set's name, or a kind of copy."""
    threshold: float | None
    documents: int
    share: float
    """Of all candidates."""
    bytes: int
    words: int
    tokens: int
    """Estimated from the bytes."""
    fails: int | None
    """Candidates that fail the rule, whichever rule was first; null where that has no meaning."""
    alone: int | None
    """Candidates that fail this rule and no other."""
    source: str
    """Where the rule was published."""
    examples: tuple[Example, ...]


@dataclass(frozen=True)
class Explanation:
    """What became of the candidates of a release."""

    release: int
    candidates: int
    documents: int
    token_bytes: float
    """Bytes of text behind a token: of the newest tokenization, else a guess."""
    costs: tuple[Cost, ...]
    """In the order in which they are judged."""
    stages: Mapping[str, float]
    """Seconds by stage of the run that decided, on the driver's clock; empty if that was not kept."""
    times: Times | None
    """Of the run that made the candidates, which may be an earlier one; null if that was not kept."""


def explain(lake: Lake, examples: int = 3) -> Explanation:
    """Explain the newest corpus.

    Raises:
        LakeError: there is none.
    """
    release = next((found for found in reversed(lake.releases()) if found.stage == "curate"), None)
    if release is None:
        raise LakeError(f"{lake.uri} has no corpus yet: run `millpond curate` first")
    rows = {row["run_id"]: row for row in lake.read(OPS_RUNS.name, ["run_id", "config"]).to_pylist()}
    config = CurateConfig.from_mapping(json.loads(rows[release.run_id]["config"]), f"the settings of {release.run_id}")
    with connect() as connection:
        connection.execute("set TimeZone = 'UTC'")
        for spec in (CANDIDATES, DOCUMENTS, REJECTS, DUPLICATES):
            files = lake.files(spec.name, release.tables[spec.name])
            name = spec.name.partition(".")[2]
            source = scan(files) if files else f"(select {_no_columns(spec.schema.names)} where false)"
            connection.execute(f"create view {name} as select * from {source}")
        [(candidates,)] = connection.execute("select count(*) from candidates").fetchall()
        [(documents,)] = connection.execute("select count(*) from documents").fetchall()
        ratio = _token_bytes(lake)
        costs = _costs(connection, rules_for(config), candidates, ratio, examples)
    decided = Times.read(lake.run_folder(release.run_id))
    stages = decided.stages if decided else {}
    return Explanation(release.number, candidates, documents, ratio, costs, stages, _times(lake, release))


def _no_columns(names: Sequence[str]) -> str:
    return ", ".join(f'null as "{name}"' for name in names)


def _times(lake: Lake, release: Release) -> Times | None:
    """Of the run that made the candidates of a release."""
    snapshot = lake.origin(CANDIDATES.name, release.tables[CANDIDATES.name])
    made = next(found for found in lake.releases() if found.tables.get(CANDIDATES.name) == snapshot)
    return Times.read(lake.run_folder(made.run_id))


def _token_bytes(lake: Lake) -> float:
    tokens, documents = lake.files(TOKEN_DOCUMENTS.name), lake.files(DOCUMENTS.name)
    if not tokens or not documents:
        return _TOKEN_BYTES
    query = f"""
        select sum(text_bytes) / sum(length) from
        (select doc_id, sum(length) as length from {scan(tokens)} where copy = 0 group by 1)
        join {scan(documents)} using (doc_id)
    """
    with connect() as connection:
        [(ratio,)] = connection.execute(query).fetchall()
    return float(ratio) if ratio else _TOKEN_BYTES


def _costs(
    connection: duckdb.DuckDBPyConnection, rules: Sequence[Rule], candidates: int, ratio: float, examples: int
) -> tuple[Cost, ...]:
    failing = _failing(connection, rules)
    shown = _examples(connection, examples)
    of = {rule.name: rule for rule in rules}
    order = {name: place for place, name in enumerate(of)}
    rows = connection.execute(
        """
        with gone as (
            select doc_id, stage, rule, threshold from rejects
            union all select doc_id, 'dedup', kind, null from duplicates
        )
        select stage, rule, min(threshold), count(*), coalesce(sum(text_bytes), 0), coalesce(sum(word_count), 0)
        from gone join candidates using (doc_id) group by 1, 2
        """
    ).fetchall()
    found = {(stage, rule): rest for stage, rule, *rest in rows}
    for rule in rules:  # one that dropped nothing is shown, too
        found.setdefault(("filter", rule.name), [rule.threshold, 0, 0, 0])
    stages = ("extract", "filter", "decontaminate", "dedup")
    costs = []
    for (stage, name), (threshold, count, size, words) in sorted(
        found.items(), key=lambda item: (stages.index(item[0][0]), order.get(item[0][1], 0), -item[1][1], item[0][1])
    ):
        fails, alone = failing.get(name, (None, None)) if stage == "filter" else (None, None)
        source = of[name].source if stage == "filter" and name in of else ""
        costs.append(
            Cost(
                *(stage, name, threshold, count, count / max(candidates, 1), size, words, round(size / ratio)),
                *(fails, alone, source, tuple(shown.get((stage, name), ()))),
            )
        )
    return tuple(costs)


def _failing(connection: duckdb.DuckDBPyConnection, rules: Sequence[Rule]) -> dict[str, tuple[int, int]]:
    """Of each rule: how many candidates with a text fail it, and how many fail no other."""
    if not rules:
        return {}
    failed = ", ".join(f"coalesce({_fails(rule)}, false)::int as r{n}" for n, rule in enumerate(rules))
    together = " + ".join(f"r{n}" for n in range(len(rules)))
    counts = ", ".join(f"sum(r{n}), sum(r{n}) filter ({together} = 1)" for n in range(len(rules)))
    [row] = connection.execute(
        f"select {counts} from (select {failed} from candidates left join (select doc_id, rule as rejected_by "
        "from rejects) using (doc_id) where outcome = 'ok')"
    ).fetchall()
    return {rule.name: (row[2 * n] or 0, row[2 * n + 1] or 0) for n, rule in enumerate(rules)}


def _fails(rule: Rule) -> str:
    # Lists come before all other rules, so what is in one was dropped by one.
    return rule.sql() if rule.listed is None else f"rejected_by = {quote(rule.name)}"


def _examples(connection: duckdb.DuckDBPyConnection, count: int) -> Mapping[tuple[str, str], list[Example]]:
    """The first so many of each, by `doc_id`, which is a digest."""
    rows: list[tuple[Any, ...]] = connection.execute(
        f"""
        with gone as (
            select doc_id, stage, rule, value from rejects
            union all select doc_id, 'dedup', kind, jaccard from duplicates
        )
        select stage, rule, url, value, regexp_replace(trim(left(coalesce(text, ''), {_CHARS})), '\\s+', ' ', 'g')
        from (select *, row_number() over (partition by stage, rule order by doc_id) as place from gone)
        join candidates using (doc_id) where place <= ? order by stage, rule, place
        """,
        [count],
    ).fetchall()
    found: dict[tuple[str, str], list[Example]] = {}
    for stage, rule, url, value, text in rows:
        found.setdefault((stage, rule), []).append(Example(url, value, text))
    return found
