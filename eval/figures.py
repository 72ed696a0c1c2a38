"""The report's figures: each asks the lake one question and draws the answer.

Input: a connection of `millpond.eval.sql`. Output: a `Figure`, or None where the lake has nothing to draw yet.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import duckdb
from markupsafe import Markup

from millpond.eval.plots import Bar, Series, Tone, bars, histogram, lines, strip
from millpond.eval.queries import AUDITS, LANGUAGES, OUTCOMES
from millpond.eval.sql import run
from millpond.schemas import IN_TRAINING_TASK, VALIDATION_TASK

_LANGUAGES_SHOWN = 9
_CURVE_POINTS = 400


@dataclass(frozen=True)
class Figure:
    """A drawing with its heading, the sentence under it and a key of (tone, name)."""

    name: str
    title: str
    drawing: Markup
    caption: str
    key: tuple[tuple[Tone, str], ...] = ()
    wide: bool = False


def outcomes(connection: duckdb.DuckDBPyConnection) -> Figure | None:
    """Kept against every reason for dropping."""
    rows = run(connection, OUTCOMES.sql).rows
    if not rows:
        return None
    tones: dict[str, Tone] = {"kept": "kept", "rejected": "rejected", "duplicate": "duplicate"}
    total = sum(pages for _, _, pages, _ in rows)
    by_outcome = {name: sum(row[2] for row in rows if row[0] == name) for name in tones}
    whole = ", ".join(f"{name} {_share(count, total)}" for name, count in by_outcome.items())
    parts = [(float(count), tones[name]) for name, count in by_outcome.items()]
    drops = [
        Bar(
            f"duplicate: {reason}" if outcome == "duplicate" else _words(reason),
            ((float(pages), tones[outcome]),),
            f"{pages:,} · {_share(pages, total)}",
        )
        for outcome, reason, pages, _ in rows
        if outcome != "kept"
    ]
    drops.sort(key=lambda bar: -bar.parts[0][0])
    columns = [
        bars(half, title="Dropped, by reason", description=said, scale=drops[0].parts[0][0])
        for half in (drops[: (len(drops) + 1) // 2], drops[(len(drops) + 1) // 2 :])
        if (said := "; ".join(f"{bar.label}: {bar.note}" for bar in half))
    ]
    title = "Where the pages went"
    key = tuple(
        (tone, f"{name} {by_outcome[name]:,} · {_share(by_outcome[name], total)}") for name, tone in tones.items()
    )
    return Figure(
        "outcomes",
        title,
        strip(parts, title=title, description=whole)
        + Markup('<div class="columns">{}</div>').format(Markup("").join(columns)),
        f"All {total:,} extracted pages. A page counts once, under the first reason that dropped it.",
        key,
        wide=True,
    )


def preset(connection: duckdb.DuckDBPyConnection, would_drop: Mapping[str, int], name: str) -> Figure | None:
    """What this run's filters dropped beside what another preset would have dropped, by reason."""
    answer = run(connection, "SELECT reason, count(*) FROM corpus.rejects WHERE stage = 'filter' GROUP BY reason")
    dropped: dict[str, int] = dict(answer.rows)
    reasons = sorted({*dropped, *would_drop}, key=lambda r: (-max(dropped.get(r, 0), would_drop.get(r, 0)), r))
    if not reasons:
        return None
    rows = []
    for reason in reasons:
        ours, theirs = dropped.get(reason, 0), would_drop.get(reason, 0)
        note = f"{ours:,} · {theirs:,}"
        rows.append(Bar(_words(reason), ((float(ours), "rejected"),), note, ((float(theirs), "quiet"),)))
    ours, theirs = sum(dropped.values()), sum(would_drop.values())
    comparison = "as many" if theirs == ours else f"{abs(theirs - ours):,} {'more' if theirs > ours else 'fewer'}"
    title = f"These filters beside the preset {name}"
    return Figure(
        "preset",
        title,
        bars(rows, title=title, description="; ".join(f"{bar.label}: {bar.note}" for bar in rows)),
        f"This run's filters dropped {ours:,} pages; {name} would have dropped {comparison}.",
        (("rejected", "dropped here"), ("quiet", f"{name} would drop")),
    )


def languages(connection: duckdb.DuckDBPyConnection) -> Figure | None:
    """Kept documents by language."""
    rows = run(connection, LANGUAGES.sql).rows
    if not rows:
        return None
    total = sum(count for _, count, _ in rows)
    shown = [(name, count) for name, count, _ in rows[:_LANGUAGES_SHOWN]]
    if rest := total - sum(count for _, count in shown):
        shown.append((f"{len(rows) - len(shown)} others", rest))
    title = "Languages"
    return Figure(
        "languages",
        title,
        bars(
            [Bar(name, ((float(n), "kept"),), f"{n:,} · {_share(n, total)}") for name, n in shown],
            title=title,
            description=", ".join(f"{name} {_share(count, total)}" for name, count in shown),
        ),
        f"{total:,} kept documents in {len(rows)} language{'s' * (len(rows) > 1)}, as identified from the text.",
    )


def lengths(connection: duckdb.DuckDBPyConnection) -> Figure | None:
    """Kept documents by size of text, on a logarithmic axis."""
    rows = run(
        connection,
        "SELECT floor(log10(text_bytes) * 8)::INT AS bin, count(*) FROM corpus.documents "
        "WHERE text_bytes > 0 GROUP BY bin ORDER BY bin",
    ).rows
    if not rows:
        return None
    ((median, longest),) = run(
        connection,
        "SELECT median(text_bytes), max(text_bytes) FROM corpus.documents WHERE text_bytes > 0",
    ).rows
    ((place,),) = run(connection, "SELECT log10($size::DOUBLE)", {"size": median}).rows
    title = "Document lengths"
    return Figure(
        "lengths",
        title,
        histogram(
            [(number / 8, (number + 1) / 8, count) for number, count in rows],
            ticks=[(math.log10(bytes_), size(bytes_)) for power in range(10) for bytes_ in (10**power, 3 * 10**power)],
            marker=(place, f"median {size(median)}"),
            title=title,
            description=f"Histogram of text sizes; median {size(median)}, longest {size(longest)}",
        ),
        f"Text of kept documents in UTF-8 bytes, on a logarithmic scale. The longest has {size(longest)}.",
    )


def losses(connection: duckdb.DuckDBPyConnection, train_run: str) -> Figure | None:
    """Training and validation loss of one run."""
    train = run(
        connection,
        """
        SELECT avg(step), avg(loss)
        FROM (
            SELECT step, loss, ntile($points) OVER (ORDER BY step) AS part
            FROM train.steps WHERE run = $run AND isfinite(loss)
        )
        GROUP BY part ORDER BY part
        """,
        {"run": train_run, "points": _CURVE_POINTS},
    ).rows
    validation = run(
        connection,
        "SELECT step, arg_max(value, task = $task) FROM eval.results WHERE run = $run AND metric = 'loss' "
        "AND task IN ($task, $in_training) AND isfinite(value) GROUP BY step ORDER BY step",
        {"run": train_run, "task": VALIDATION_TASK, "in_training": IN_TRAINING_TASK},
    ).rows
    if not train:
        return None
    series = [Series("training", tuple(train), "quiet")]
    if validation:
        series.append(Series("validation", tuple((float(x), y) for x, y in validation), "kept", dots=True))
    title = "Loss"
    said = f"training from {train[0][1]:.2f} to {train[-1][1]:.2f}"
    if validation:
        said += f", validation from {validation[0][1]:.2f} to {validation[-1][1]:.2f}"
    return Figure(
        "loss",
        title,
        lines(series, x_name="step", y_name="nats per token", title=title, description=said),
        f"Run {train_run}: {said}. Step 0 is the untrained model.",
        tuple((curve.tone, curve.name) for curve in series),
        wide=True,
    )


def audits(connection: duckdb.DuckDBPyConnection) -> Figure | None:
    """Expectations that what was published had met, by table."""
    rows = run(connection, AUDITS.sql).rows
    if not rows:
        return None
    drawn = [Bar(table, ((float(met), "kept"),), f"{met:,}") for table, met in rows]
    title = "Audits"
    return Figure(
        "audits",
        title,
        bars(drawn, title=title, description="; ".join(f"{bar.label}: {bar.note}" for bar in drawn)),
        f"{sum(met for _, met in rows):,} expectations, all met: what does not meet one is not published.",
    )


def size(count: float) -> str:
    """A number of bytes for people: 950 B, 2.7 kB, 31 MB."""
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if count < 999.5 or unit == "TB":
            break
        count /= 1000
    return f"{count:.0f} {unit}" if count >= 9.95 or unit == "B" or count == int(count) else f"{count:.1f} {unit}"


def _share(part: int, total: int) -> str:
    percent = 100 * part / total
    return "< 0.1 %" if 0 < percent < 0.1 else f"{percent:.1f} %"


def _words(reason: str) -> str:
    return reason.replace("_", " ")
