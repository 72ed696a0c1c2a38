"""`millpond run CONFIG.toml`: every stage a file describes, in order.

    [run]
    warc = ["crawl/*.warc.gz"]     # and/or text = [...], site = "https://…"
    [curate.rules]
    preset = "fineweb"
    [train]
    steps = 500

`[run]` says what to read; the other sections are the stages' own, and `[mix]` is checked and left to `millpond mix`. A
stage whose input and configuration are already published says so and is passed over, so running the same file again
changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import Field

from millpond.cli import output
from millpond.cli.extras import need
from millpond.cli.options import open_lake
from millpond.config import StageConfig, apply_overrides, read_settings
from millpond.curate.mix.config import MixConfig
from millpond.errors import ConfigError, require
from millpond.inputs import expand
from millpond.lake import Lake
from millpond.publish import Outcome

SECTIONS = ("run", "ingest", "curate", "tokenize", "train", "eval")
#: What else a file may hold.
_MIX = "mix"

_BALANCE = """
    select
        stage,
        release,
        unit,
        sum(amount) filter (entry = 'in') as "in",
        sum(amount) filter (entry = 'out') as "out",
        coalesce(
            string_agg(reason || ' ' || amount, ', ' order by amount desc, reason) filter (reason is not null), ''
        ) as "the rest",
        round(epoch(any_value(released_at) - any_value(started_at)), 1) as seconds
    from ops.ledger
    join (select run_id, started_at from ops.runs) using (run_id)
    join (select run_id, release, released_at from ops.releases) using (run_id)
    where unit <> 'bytes' and list_contains($runs, run_id)
    group by stage, release, unit
    order by release, unit
"""


#: A stage on a lake; the second argument is the run that trained the model, once there is one.
Step = Callable[[Lake, str | None], Outcome]


class RunConfig(StageConfig):
    """What a run reads and how far it goes."""

    lake: str | None = None
    """Folder of the lake, or catalog:NAME; `--lake` wins."""
    warc: tuple[str, ...] = ()
    """WARC files: paths, URLs, patterns, @lists."""
    text: tuple[str, ...] = ()
    """Tables of texts and dataset folders, named likewise."""
    site: str | tuple[str, ...] = ()
    """Address to crawl from, or several."""
    stages: tuple[str, ...] = SECTIONS[1:]
    """Stages to run, of ingest, curate, tokenize, train and eval."""
    processes: int = Field(default=1, ge=1)
    """Training processes."""
    report: bool = True
    """Write the report at the end."""


def run_file(path: Path, lake_uri: str | None, overrides: Iterable[str]) -> None:
    """Run what `path` describes and show each stage's outcome.

    Raises:
        ConfigError: the file or one of its settings is not usable; nothing has been run then.
    """
    settings = apply_overrides(read_settings(path), overrides)
    if unknown := sorted(settings.keys() - {*SECTIONS, _MIX}):
        raise ConfigError(f"{path}: unknown section [{unknown[0]}] (known: {', '.join((*SECTIONS, _MIX))})")
    if flat := sorted(name for name, section in settings.items() if not isinstance(section, dict)):
        raise ConfigError(f"{path}: [{flat[0]}] must be a table")
    if _MIX in settings:
        MixConfig.from_mapping(settings[_MIX], f"{path} [{_MIX}]")
    plan = RunConfig.from_mapping(settings.get("run", {}), f"{path} [run]")
    if stray := sorted(set(plan.stages) - set(SECTIONS[1:])):
        raise ConfigError(f"{path} [run]: unknown stage {stray[0]!r} (known: {', '.join(SECTIONS[1:])})")
    if "ingest" in plan.stages and not (plan.warc or plan.text or plan.site):
        raise ConfigError(f"{path} [run]: says nothing to ingest; give warc, text or site")
    steps = list(_steps(plan, settings, str(path)))
    if plan.report:
        require("jinja2", "eval")
        from millpond.cli.reporting import make_report
    lake = open_lake(lake_uri or plan.lake, create="ingest" in plan.stages)
    done: list[Outcome] = []
    for step in steps:
        done.append(step(lake, _trained(done)))
        if not output.is_json():
            output.outcome(done[-1])
    report = make_report(lake, None, train_run=_trained(done)) if plan.report else None
    if output.is_json():
        output.value({"stages": [vars(outcome) for outcome in done], "report": report})
        return
    _show(lake, [outcome.run_id for outcome in done])
    if report:
        output.line(f"\nreport: {report}")


def _show(lake: Lake, runs: Sequence[str]) -> None:
    """Show what these runs took in and what became of it, from the ledger."""
    from millpond.eval import sql

    result = sql.run(sql.connect(lake), _BALANCE, {"runs": list(runs)})
    output.table(result.columns, result.rows)


def _trained(done: Sequence[Outcome]) -> str | None:
    """Which run trained the model of this file, which need not be the newest; None if none has."""
    return next((outcome.run_id for outcome in done if outcome.stage == "train"), None)


def _steps(plan: RunConfig, settings: Mapping[str, Any], where: str) -> Iterator[Step]:
    """The stages' calls, their configurations read first so that a mistake in the last stops before the first."""

    def section(name: str) -> dict[str, Any]:
        return dict(settings.get(name, {}))

    if "ingest" in plan.stages:
        need("ingest")
        from millpond.ingest import job as ingest
        from millpond.ingest.config import IngestConfig
        from millpond.ingest.crawl.job import crawl_sites
        from millpond.ingest.datasets import with_datasets

        how = IngestConfig.from_mapping(section("ingest"), f"{where} [ingest]")
        if files := expand((*plan.warc, *with_datasets(plan.text, how.text))):
            yield lambda lake, _: ingest.ingest_files(lake, files, how)
        if sites := (plan.site,) if isinstance(plan.site, str) else plan.site:
            yield lambda lake, _: crawl_sites(lake, sites, how)
    if "curate" in plan.stages:
        need("curate")
        from millpond.curate.config import CurateConfig
        from millpond.curate.job import curate

        rules = CurateConfig.from_mapping(section("curate"), f"{where} [curate]")
        yield lambda lake, _: curate(lake, rules)
    if "tokenize" in plan.stages:
        need("tokenize")
        from millpond.tokenize.config import TokenizeConfig
        from millpond.tokenize.job import tokenize

        packing = TokenizeConfig.from_mapping(section("tokenize"), f"{where} [tokenize]")
        yield lambda lake, _: tokenize(lake, packing)
    if "train" in plan.stages:
        need("train", "quality")
        from millpond.train.job import check_settings, train_on_lake

        check_settings(section("train"), f"{where} [train]")
        yield lambda lake, _: train_on_lake(lake, section("train"), plan.processes)
    if "eval" in plan.stages:
        need("eval", "quality")
        from millpond.eval.config import EvalConfig
        from millpond.eval.job import evaluate_on_lake

        measures = EvalConfig.from_mapping(section("eval"), f"{where} [eval]")
        yield lambda lake, trained: evaluate_on_lake(lake, measures, trained)
