"""Signals beside NeMo Curator's heuristic filters, on one core: `python -m benchmarks.curator`.

The texts are those of the gold pages under `MILLPOND_TEST_DATA`, extracted and normalised. Every side runs in a
process of its own, pinned to one core, the sides in turn and several rounds of them; the median counts. Then each
filter of NeMo Curator's English pipeline is compared with Millpond's rule, text by text. NeMo Curator's pinned
environment is made in `.bench/curator` from `benchmarks/peers/curator.txt`. Writes `docs/curator.md`.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import fill

from benchmarks import peer
from benchmarks.curator_filters import COMPARED, Compared
from benchmarks.curator_side import CHAIN, EVERY, MILLPOND, SIDES
from benchmarks.machine import describe, pinned
from benchmarks.measure import BenchmarkError
from benchmarks.page import table
from benchmarks.pages import ROOT, gold_folder
from benchmarks.texts import main_texts

from millpond.curate.config import CurateConfig
from millpond.curate.normalise import normalise
from millpond.curate.presets import PRESETS
from millpond.curate.rules import Value, verdict
from millpond.curate.signals.language import identify
from millpond.curate.signals.measure import Measure
from millpond.errors import MillpondError

ROUNDS = 5
WIDTH = 119
WORK = ROOT / ".bench" / "curator-work"
RULES = PRESETS["curator"].rules

Rows = Sequence[Mapping[str, Value]]
#: Filter → its score and verdict on each text; null and the error's name where it failed.
Judged = Mapping[str, Sequence[tuple[float | None, bool | str]]]

_PAGE = """\
# Signals beside NeMo Curator

Written by `python -m benchmarks.curator` on {date} at commit {commit}.

Machine: {processor}, one core used, {memory_gib} GiB, {system}, Python {python}.
Millpond with numpy {numpy}; {peers} (`benchmarks/peers/curator.txt`).

{count:,} texts of real pages (WCXB, extracted by resiliparse and normalised), {characters:,} characters.

NeMo Curator's side are the stages of its own `heuristic_filter_english_pipeline.yaml`: {filters} filters, each a stage
that calls `score_document` and `keep_document` on every row of a pandas frame. They run in one process, without the
Ray cluster that its pipelines start, and without its reader and writer. Millpond's side is `Measure`: the {signals}
signals of all its rule sets (Gopher, C4 with its line rules, FineWeb, RefinedWeb, NeMo Curator); those of models and
word lists need some and are left out.

Times are processor time; each side ran {rounds} times in a process of its own, in turn with the others; the median
counts. Starting is importing, making the filters and judging a first text; it is not part of the time a text.

{speed}
`{chain}` is what its pipeline does: a text that one stage drops reaches no later one, and no
later stage says anything of it.

NeMo Curator installs and runs without a GPU and without extras: {packages} packages, {gib:.1f} GiB ({torch:.1f} of
them torch's build without CUDA, which these filters do not import; they import Ray and pandas).

## The same verdicts?

Each filter with its threshold in that file, and the rule of Millpond's preset `curator` over the same signal. Values
are alike where they differ by less than 1e-9; where the filter's is the share that does not repeat, it is 1 less the
signal.

{agreement}
Taken together: NeMo Curator keeps {their_kept:,} of the {count:,} texts and Millpond's preset {own_kept:,}; on
{both:,} ({share:.1%}) they agree.

## Why they differ

What Millpond shares with Gopher is in Gopher's definition, in the reading of datatrove (see
[verdicts](verdicts.md)); words are then words and marks of any script, where NeMo Curator's stand between white space.

{reasons}

{unstable}

On an empty text {failing} of its {filters} filters raise an error ({errors}), so a pipeline has to drop such texts
before. Millpond's ratios of nothing are null, and a rule of its own drops a text without text.

## What is not taken

Of NeMo Curator's other text filters, which that file does not use, Millpond has none of `HistogramFilter`,
`TokenCountFilter`, `SubstringFilter` and `PornographicUrlsFilter`, nor those for code: `PythonCommentToCodeFilter`,
`GeneralCommentToCodeFilter`, `NumberOfLinesOfCodeFilter`, `TokenizerFertilityFilter`, `XMLHeaderFilter`,
`AlphaFilter`, `HTMLBoilerplateFilter` and `PerExtensionFilter`. In place of `FastTextQualityFilter` and
`FastTextLangId` it has classifiers and a language rule of its own; they are not compared here.
"""


def main() -> None:
    """Measure, compare and write the page."""
    try:
        run()
    except MillpondError as error:
        sys.stderr.write(f"curator: {error}\n")
        sys.exit(error.exit_code)


def run() -> None:
    """Measure, compare and write the page.

    Raises:
        BenchmarkError: NeMo Curator's environment cannot be made, a side failed, or it has a filter not compared here.
    """
    interpreter = peer.ensure("curator")
    texts = [normalise(text) for text in main_texts(gold_folder() / "wcxb" / "html")]
    languages = [identify(text)[0] for text in texts]
    given = _given("texts", texts, languages)
    seconds: dict[str, list[dict[str, float]]] = {name: [] for name in SIDES}
    for _ in range(ROUNDS):
        for name, times in seconds.items():
            times.append(json.loads(_side(interpreter, name, given)))
    theirs, again = (_judged(interpreter, given, seed) for seed in (0, 1))
    empty = _judged(interpreter, _given("empty", [""], [None]), 0)
    if unknown := theirs.keys() ^ {one.filter for one in COMPARED}:
        raise BenchmarkError(
            f"not in both benchmarks/curator_filters.py and NeMo Curator: {', '.join(sorted(unknown))}"
        )
    columns, _ = Measure(CurateConfig())(texts, languages)
    rows = [
        {"language": languages[place], **{name: column[place] for name, column in columns.items()}}
        for place in range(len(texts))
    ]
    own_kept = [verdict(RULES, row) is None for row in rows]
    their_kept = [all(column[place][1] is True for column in theirs.values()) for place in range(len(texts))]
    both = sum(own == other for own, other in zip(own_kept, their_kept, strict=True))
    errors = [found[0][1] for found in empty.values() if isinstance(found[0][1], str)]
    speed = _speed(seconds, len(texts))
    facts = describe(ROOT, peer.pins("datatrove"), 1)
    releases = pinned(peer.pins("curator"), ["nemo-curator", "ray", "pandas"])
    page = _PAGE.format(
        **facts["machine"],
        date=facts["date"],
        commit=facts["commit"],
        python=facts["versions"]["python"],
        numpy=facts["versions"]["millpond"]["numpy"],
        peers=", ".join(f"{name} {release}" for name, release in releases.items()),
        count=len(texts),
        characters=sum(map(len, texts)),
        filters=len(theirs),
        signals=sum(any(value is not None for value in column) for column in columns.values()),
        rounds=ROUNDS,
        speed=speed,
        chain=CHAIN,
        **_installed(interpreter),
        agreement=table(
            ("filter", "Millpond's signal", "values alike", "verdicts alike", "NeMo Curator drops", "Millpond drops"),
            [_agreement(one, theirs[one.filter], rows) for one in COMPARED],
        ),
        own_kept=sum(own_kept),
        their_kept=sum(their_kept),
        both=both,
        share=both / len(texts),
        reasons="\n".join(_reasons()),
        unstable=_unstable(theirs, again),
        failing=len(errors),
        errors=", ".join(sorted(set(errors))),
    )
    (ROOT / "docs" / "curator.md").write_text(page)
    sys.stdout.write(speed)


def _given(name: str, texts: Sequence[str], languages: Sequence[str | None]) -> Path:
    WORK.mkdir(parents=True, exist_ok=True)
    path = WORK / f"{name}.json"
    path.write_text(json.dumps({"texts": texts, "languages": languages}))
    return path


def _side(interpreter: Path, name: str, *files: Path, seed: int = 0) -> str:
    python = sys.executable if name == MILLPOND else str(interpreter)
    command = [python, str(ROOT / "benchmarks" / "curator_side.py"), name, *map(str, files)]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONHASHSEED": str(seed)})
    if done.returncode:
        raise BenchmarkError(f"{name} exited with {done.returncode}:\n{done.stderr}")
    return done.stdout


def _judged(interpreter: Path, given: Path, seed: int) -> Judged:
    report = given.with_suffix(f".{seed}.verdicts.json")
    _side(interpreter, EVERY, given, report, seed=seed)
    found: Judged = json.loads(report.read_text())
    return found


def _speed(seconds: Mapping[str, Sequence[Mapping[str, float]]], count: int) -> str:
    taken = {name: [each["texts"] / count * 1e3 for each in times] for name, times in seconds.items()}
    median = {name: statistics.median(times) for name, times in taken.items()}
    rows = [
        (
            name,
            f"{median[name]:.2f}",
            f"{min(taken[name]):.2f} – {max(taken[name]):.2f}",
            f"{1e3 / median[name]:,.0f}",
            "" if name == MILLPOND else f"{median[name] / median[MILLPOND]:.1f}",
            f"{statistics.median(each['start'] for each in seconds[name]):.2f}",
        )
        for name in SIDES
    ]
    return table(("", "core-ms a text", "from – to", "texts/s", "Millpond is × as fast", "starting, core-s"), rows)


def _installed(interpreter: Path) -> dict[str, float]:
    (site,) = interpreter.parent.parent.glob("lib/python*/site-packages")
    return {
        "packages": len(peer.pins("curator").read_text().splitlines()) - 1,
        "gib": _bytes(interpreter.parent.parent) / 2**30,
        "torch": _bytes(site / "torch") / 2**30,
    }


def _bytes(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*"))


def _agreement(one: Compared, theirs: Sequence[tuple[float | None, bool | str]], rows: Rows) -> tuple[str, ...]:
    rules = [rule for rule in RULES if rule.column in one.columns]
    alike = same = 0
    drops = own_drops = 0
    for (score, kept), row in zip(theirs, rows, strict=True):
        own = one.value(row)
        alike += own is not None and score is not None and abs(own - score) < 1e-9
        own_kept = verdict(rules, row) is None
        same += own_kept == kept
        drops += kept is False
        own_drops += not own_kept
    signals = ", ".join(f"`{column}`" for column in one.columns)
    return one.filter, signals, f"{alike:,}", f"{same:,}", f"{drops:,}", f"{own_drops:,}"


def _reasons() -> list[str]:
    by_reason: dict[str, list[str]] = {}
    for one in COMPARED:
        if one.differs:
            by_reason.setdefault(one.differs, []).append(f"`{one.filter}`")
    lines = (f"- {', '.join(names)}: {reason}." for reason, names in by_reason.items())
    return [fill(line, WIDTH, subsequent_indent="  ", break_on_hyphens=False) for line in lines]


def _unstable(first: Judged, second: Judged) -> str:
    found = []
    for name, column in first.items():
        pairs = list(zip(column, second[name], strict=True))
        scores = sum(one[0] != other[0] for one, other in pairs)
        if scores:
            turned = sum(one[1] != other[1] for one, other in pairs)
            found.append(f"`{name}` gives {scores:,} texts another score and {turned:,} another verdict")
    text = (
        "NeMo Curator's scores of top n-grams depend on Python's hash seed, which differs from process to process: of "
        "n-grams as frequent as each other, the one that comes first in a set counts. Between seeds 0 and 1 "
    )
    return fill(f"{text}{', '.join(found) or 'no score of these texts changes'}.", WIDTH, break_on_hyphens=False)


if __name__ == "__main__":
    main()
