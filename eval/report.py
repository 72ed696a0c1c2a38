"""One page about a lake: figures first, tables under them.

Input: a connection of `millpond.eval.sql`, and what SQL cannot know (a title, notes). Output: one
HTML file that needs nothing else: no script, no request, styles and drawings inside. What a lake does not hold
yet is named in a sentence. All text is escaped; titles of pages and generated text are a stranger's words.
The same lake and arguments give the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from millpond import durable
from millpond.errors import InputError
from millpond.eval import figures
from millpond.eval.config import TRIGRAM_METRIC
from millpond.eval.figures import Figure
from millpond.eval.plots import plain
from millpond.eval.queries import (
    BALANCE,
    DOMAINS,
    FERTILITY,
    LOSS_JUMPS,
    OUTCOMES,
    REJECTS_BY_RULE,
    RELEASES,
    TRACE_STEP,
)
from millpond.eval.sql import run
from millpond.schemas import VALIDATION_TASK

_TABLE_ROWS = 12


@dataclass(frozen=True)
class Cell:
    """One value of a table; `number` aligns it, `bad` marks it."""

    text: str
    number: bool = False
    bad: bool = False


@dataclass(frozen=True)
class Table:
    """A table with a heading and a sentence under it."""

    name: str
    title: str
    columns: tuple[str, ...]
    rows: list[list[Cell]]
    note: str
    wide: bool = True


@dataclass(frozen=True)
class _Lake:
    """The lake's answers, and what it turned out not to hold."""

    connection: duckdb.DuckDBPyConnection
    missing: list[str] = field(default_factory=list)

    def ask(self, sql: str, **parameters: Any) -> list[tuple[Any, ...]]:
        return run(self.connection, sql, parameters).rows

    def one(self, sql: str, **parameters: Any) -> Any:
        return self.ask(sql, **parameters)[0][0]


def build_report(
    connection: duckdb.DuckDBPyConnection,
    *,
    title: str,
    notes: Sequence[str] = (),
    would_drop: Mapping[str, int] | None = None,
    preset: str = "fineweb",
    train_run: str | None = None,
) -> str:
    """The report as HTML.

    Args:
        notes: sentences under the title.
        would_drop: reason → candidates that the filter preset named `preset` would have dropped.
        train_run: whose loss and evaluation to show, by name.
    """
    lake = _Lake(connection)
    shown = _figures(lake, would_drop, preset, train_run)
    tables = [
        table
        for table in (_ledger(lake), _rules(lake), _domains(lake), _fertility(lake), _releases(lake), _pages(lake))
        if table
    ]
    queries = [
        (query.title, _with_values(query.sql, train_run).strip()) for query in (OUTCOMES, LOSS_JUMPS, TRACE_STEP)
    ]
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=lambda value: value if isinstance(value, Markup) else plain(value),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    released = lake.ask(
        "SELECT release, strftime(released_at, '%Y-%m-%d %H:%M') FROM ops.releases ORDER BY 1 DESC LIMIT 1"
    )
    return environment.get_template("report.html.j2").render(
        title=title,
        released=released[0] if released else None,
        headline=_headline(lake, train_run),
        notes=notes,
        figures=shown,
        tables=tables,
        queries=queries,
        sample=_sample(lake, train_run),
        missing=lake.missing,
    )


def write_report(html: str, path: str | Path) -> Path:
    """Write the page so that a reader finds the old one or the new one, never a part.

    Raises:
        InputError: `path` cannot be written.
    """
    target = Path(path).absolute()
    data = html.encode()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        durable.write_bytes(target, data)
    except OSError as error:
        raise InputError(f"{target}: cannot write the report: {error}") from error
    return target


def _sample(lake: _Lake, train_run: str | None) -> tuple[str, str] | None:
    """(prompt, continuation) that the model wrote at its last evaluation."""
    rows = lake.ask(
        "SELECT sample, output FROM eval.samples WHERE run = $run AND metric = 'text' ORDER BY step DESC LIMIT 1",
        run=train_run,
    )
    return rows[0] if rows else None


def _figures(lake: _Lake, would_drop: Mapping[str, int] | None, preset: str, train_run: str | None) -> list[Figure]:
    drawn = [
        ("No page has been curated yet.", figures.outcomes(lake.connection)),
        ("", figures.preset(lake.connection, would_drop, preset) if would_drop is not None else None),
        ("", figures.languages(lake.connection)),
        ("", figures.lengths(lake.connection)),
        ("No audit has been recorded yet.", figures.audits(lake.connection)),
        ("No model has been trained yet.", figures.losses(lake.connection, train_run) if train_run else None),
    ]
    lake.missing.extend(sentence for sentence, figure in drawn if sentence and not figure)
    return [figure for _, figure in drawn if figure]


def _headline(lake: _Lake, train_run: str | None) -> list[tuple[str, str, str]]:
    """(name, value, explanation) of the numbers that a reader wants first."""
    kept, kept_bytes = lake.ask("SELECT count(*), coalesce(sum(text_bytes), 0)::BIGINT FROM corpus.documents")[0]
    candidates = lake.one("SELECT count(*) FROM corpus.candidates")
    numbers = [("pages in", f"{lake.one('SELECT count(*) FROM web.pages'):,}", "fetched or imported")]
    if candidates:
        duplicates = lake.one("SELECT count(*) FROM corpus.duplicates")
        numbers += [
            ("kept", f"{kept:,}", f"{100 * kept / candidates:.1f} % of pages, {figures.size(kept_bytes)} of text"),
            ("rejected", f"{lake.one('SELECT count(*) FROM corpus.rejects'):,}", "each with its rule"),
            ("duplicates", f"{duplicates:,}", "each with its keeper"),
        ]
    tokens, shards, padding = lake.ask(
        "SELECT coalesce(sum(tokens), 0)::BIGINT, count(*), coalesce(sum(padding), 0)::BIGINT FROM tokens.shards"
    )[0]
    if shards:
        numbers.append(("tokens", f"{tokens:,}", f"{100 * padding / (tokens + padding):.2f} % padding on top"))
        numbers.append(("shards", f"{shards:,}", "with a digest for each block"))
    else:
        lake.missing.append("No document has been tokenized yet.")
    if train_run is not None:
        numbers += _model_numbers(lake, train_run)
    return numbers


def _model_numbers(lake: _Lake, train_run: str) -> list[tuple[str, str, str]]:
    splits = lake.ask(
        "SELECT DISTINCT task FROM eval.results WHERE run = $run AND list_contains($splits, task) "
        "ORDER BY list_position($splits, task)",
        run=train_run,
        splits=[VALIDATION_TASK, "test", "train"],
    )
    if not splits:
        lake.missing.append("The trained model has not been evaluated yet.")
        return []
    split = splits[0][0]
    values = {
        (step, metric): value
        for step, metric, value in lake.ask(
            "SELECT step, metric, value FROM eval.results WHERE run = $run AND task = $split",
            run=train_run,
            split=split,
        )
    }
    trigram = [value for (_, metric), value in values.items() if metric == TRIGRAM_METRIC]
    numbers = []
    for metric, name in (("loss", "loss"), ("bits_per_byte", "bits per byte")):
        steps = sorted(step for step, other in values if other == metric)
        if steps:
            first, last = values[steps[0], metric], values[steps[-1], metric]
            explanation = f"from {first:.3f} at step {steps[0]:,}" if len(steps) > 1 else f"at step {steps[0]:,}"
            if metric == "bits_per_byte" and trigram:
                explanation += f"; a byte trigram has {trigram[0]:.3f}"
            if split != VALIDATION_TASK:
                explanation += f"; on the {split} split"
            numbers.append((name, f"{last:.3f}", explanation))
    return numbers


def _ledger(lake: _Lake) -> Table | None:
    rows = [
        [
            Cell(stage),
            Cell(unit),
            *(_number(value) for value in (taken, passed, dropped, duplicates, transformed)),
            Cell("balanced" if difference == 0 else f"{difference:+,}", number=True, bad=difference != 0),
            Cell(run_id),
        ]
        for run_id, stage, unit, taken, passed, dropped, duplicates, transformed, difference in lake.ask(BALANCE.sql)
    ]
    open_books = sum(row[7].bad for row in rows)
    note = "In = passed on + dropped + duplicates + transformed, for every run and unit"
    note += f"; {open_books} of {len(rows)} do not balance." if open_books else "; all balance."
    columns = ("stage", "unit", "in", "passed on", "dropped", "duplicates", "transformed", "difference", "run")
    return Table("ledger", "Ledger", columns, rows, note) if rows else None


def _rules(lake: _Lake) -> Table | None:
    answer = lake.ask(REJECTS_BY_RULE.sql)
    rows = [
        [Cell(reason.replace("_", " ")), Cell(rule), _number(pages), _number(median), _number(threshold)]
        for _, reason, rule, pages, _, median, threshold in answer[: 2 * _TABLE_ROWS]
    ]
    columns = ("reason", "rule", "pages", "median value", "threshold")
    note = "The first rule that a page failed, and how far the dropped pages were from its threshold."
    return Table("rules", "Rejects by rule", columns, rows, note) if rows else None


def _domains(lake: _Lake) -> Table | None:
    answer = lake.ask(DOMAINS.sql)
    rows = [
        [Cell(domain or "unknown"), _number(documents), *_amounts(figures.size(size), f"{100 * share:.1f} %")]
        for domain, documents, size, share in answer[:_TABLE_ROWS]
    ]
    note = f"The largest {len(rows)} of {len(answer):,} sites, by bytes of kept text."
    return (
        Table("domains", "Top domains", ("domain", "documents", "text", "share"), rows, note, wide=False)
        if rows
        else None
    )


def _fertility(lake: _Lake) -> Table | None:
    answer = lake.ask(FERTILITY.sql)
    rows = [
        [
            Cell(language),
            _number(documents),
            _number(tokens),
            *_amounts(*("–" if n is None else f"{n:.2f}" for n in (per_word, per_token)), f"{100 * unknown:.2f} %"),
        ]
        for language, documents, tokens, per_word, per_token, unknown in answer[:_TABLE_ROWS]
    ]
    note = (
        "Tokens of the vocabulary for a word of the text, bytes for a token, and tokens for what it does not know; of "
        "tokenized documents that are in the corpus, and words where they were counted."
    )
    columns = ("language", "documents", "tokens", "tokens a word", "bytes a token", "unknown")
    return Table("fertility", "Vocabulary by language", columns, rows, note, wide=False) if rows else None


def _pages(lake: _Lake) -> Table | None:
    rows = [
        [
            Cell(_clip(title or "untitled")),
            Cell(domain or "unknown"),
            Cell(language or "unknown"),
            Cell(figures.size(size), number=True),
        ]
        for title, domain, language, size in lake.ask(
            "SELECT title, registered_domain, language, text_bytes FROM corpus.documents ORDER BY text_digest LIMIT 8"
        )
    ]
    note = "Eight kept documents, drawn by the digest of their text."
    return Table("pages", "A few kept pages", ("title", "domain", "language", "text"), rows, note) if rows else None


def _releases(lake: _Lake) -> Table | None:
    rows = [
        [Cell(str(release)), Cell(f"{at:%Y-%m-%d %H:%M}" if at else ""), Cell(stage), Cell(run_id)]
        for release, at, stage, run_id, _ in lake.ask(RELEASES.sql)[:_TABLE_ROWS]
    ]
    note = "Newest first, in UTC. A release moves all tables of a run at one instant."
    return Table("releases", "Releases", ("release", "at", "stage", "run"), rows, note, wide=False) if rows else None


def _amounts(*texts: str) -> list[Cell]:
    return [Cell(text, number=True) for text in texts]


def _clip(text: str) -> str:
    return text if len(text) <= 100 else text[:99] + "…"


def _number(value: float | None) -> Cell:
    if not value:
        return Cell("–", number=True)
    return Cell(f"{value:,}" if isinstance(value, int) else f"{value:.3g}", number=True)


def _with_values(sql: str, train_run: str | None) -> str:
    """A query as it can be pasted: parameters replaced by values of this lake."""
    quoted = "'" + (train_run or "").replace("'", "''") + "'"
    return sql.replace("$run", quoted).replace("$step", "1")
