"""`millpond demo`: the whole main job on pages every Python can make for itself.

The documentation of the running Python is rendered, served on loopback, crawled over real HTTP, curated,
tokenized, trained on and evaluated. Nothing is downloaded. Settings stand in `demo.toml` beside this file.
"""

from __future__ import annotations

import os
import shlex
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from millpond.cli import output
from millpond.cli.demo_site import render_pages, serve
from millpond.cli.reporting import make_report
from millpond.config import read_settings
from millpond.curate.config import CurateConfig
from millpond.curate.job import curate
from millpond.eval import sql
from millpond.eval.config import EvalConfig
from millpond.eval.job import evaluate_on_lake
from millpond.ingest.config import IngestConfig
from millpond.ingest.crawl.job import crawl_sites
from millpond.lake import Lake
from millpond.progress import bar
from millpond.publish import Outcome
from millpond.tokenize.config import TokenizeConfig
from millpond.tokenize.job import tokenize
from millpond.train.job import train_on_lake
from millpond.trained import find_run

SETTINGS = Path(__file__).with_name("demo.toml")
NOTES = (
    "The pages are API documentation, not prose, so they were judged by the preset api-docs, which is looser than "
    "fineweb; the report shows what fineweb would have dropped.",
)
QUERIES = (
    "select reason, count(*) from corpus.rejects group by 1 order by 2 desc",
    "select stage, unit, entry, reason, amount from ops.ledger",
    "select distinct shard, sample, url from tokens.documents join corpus.documents using (doc_id) limit 5",
)

#: What came of it, as (name, number) rows in this order.
SUMMARY = """
    select name, value from (
        select 1 as place, 'pages crawled' as name, count(*)::double as value from web.pages
        union all select 2, 'dropped: ' || reason, count(*) from corpus.rejects group by reason
        union all select 3, 'duplicates: ' || kind, count(*) from corpus.duplicates group by kind
        union all select 4, 'documents kept', count(*) from corpus.documents
        union all select 5, 'tokens', sum(tokens) from tokens.shards
        union all select 6, 'shards', count(*) from tokens.shards
        union all select 7, 'parameters of the model', parameters from train.runs where run = $run
        union all select 8, 'validation loss, step ' || step, round(value, 3) from eval.results
            where task = 'validation' and metric = 'loss' and run = $run
        union all select 9, 'bits per byte, step ' || step, round(value, 3) from eval.results
            where task = 'validation' and metric = 'bits_per_byte' and run = $run
        union all select 10, 'bits per byte of byte trigrams', round(value, 3) from eval.results
            where metric = 'trigram_bits_per_byte' and run = $run
        union all select 11, 'audits passed', count(*) filter (success) from ops.audits
    ) order by place, if(place in (8, 9), 0, -value), name
"""


def run_demo(folder: Path) -> None:
    """Run the demo in `folder` and show what came of it."""
    lake = Lake.open(str(folder / "lake"))
    for outcome in _stages(lake):
        if not output.is_json():
            output.outcome(outcome)
    report = make_report(lake, folder / "report.html", "Millpond demo", NOTES)
    _show(lake, report)


def _stages(lake: Lake) -> Iterator[Outcome]:
    settings = read_settings(SETTINGS)
    yield _crawl(lake, settings["ingest"])
    yield curate(lake, CurateConfig.from_mapping(settings["curate"], f"{SETTINGS} [curate]"))
    yield tokenize(lake, TokenizeConfig.from_mapping(settings["tokenize"], f"{SETTINGS} [tokenize]"))
    yield train_on_lake(lake, settings["train"])
    yield evaluate_on_lake(lake, EvalConfig.from_mapping(settings["eval"], f"{SETTINGS} [eval]"))


def _crawl(lake: Lake, settings: dict[str, Any]) -> Outcome:
    with tempfile.TemporaryDirectory(prefix="millpond-demo-") as pages:
        with bar("render") as shown:
            render_pages(Path(pages), shown.update)
        with serve(Path(pages)) as address:
            return crawl_sites(lake, [address], IngestConfig.from_mapping(settings, f"{SETTINGS} [ingest]"))


def _show(lake: Lake, report: Path) -> None:
    connection = sql.connect(lake)
    trained = {"run": find_run(lake).name}
    summary = [(name, int(n) if n == int(n) else n) for name, n in sql.run(connection, SUMMARY, trained).rows]
    written = "select sample, output from eval.samples where metric = 'text' and run = $run"
    [(prompt, text), *_] = sql.run(connection, written, trained).rows
    written = " ".join((prompt + text).split())
    if output.is_json():
        queries = list(QUERIES)
        output.value({**dict(summary), "sample": written, "report": report, "lake": lake.uri, "queries": queries})
        return
    output.line("")
    output.table(("Millpond demo", ""), summary)
    output.line(f"\nThe model writes: {written}\n\nReport: {report}\n\nAsk the lake:")
    output.line(f"  export MILLPOND_LAKE={shlex.quote(lake.uri)}")
    for query in QUERIES:
        output.line(f'  {_program()} sql "{query}"')


def _program() -> str:
    """How this Millpond is called from here."""
    if shutil.which("millpond"):
        return "millpond"
    script = Path(sys.executable).with_name("millpond")
    return shlex.quote(os.path.relpath(script)) if script.exists() else f"{shlex.quote(sys.executable)} -m millpond"
