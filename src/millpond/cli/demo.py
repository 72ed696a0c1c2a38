"""`millpond demo`: the whole main job on pages every Python can make for itself.

The documentation of the running Python is rendered, served on loopback, crawled over real HTTP, curated,
tokenized, trained on and evaluated. Nothing is downloaded. Settings stand in `demo.toml` beside this file.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from millpond.cli import output
from millpond.cli.demo_site import render_pages, serve
from millpond.cli.reporting import make_report
from millpond.config import read_settings
from millpond.lake import Lake
from millpond.progress import bar
from millpond.publish import Outcome

SETTINGS = Path(__file__).with_name("demo.toml")
NOTES = (
    "The pages are API documentation, not prose, so they were judged by the preset api-docs, which is looser than "
    "fineweb; the report shows what fineweb would have dropped.",
)
QUERIES = (
    "select reason, count(*) from corpus.rejects group by 1 order by 2 desc",
    "select stage, unit, entry, reason, amount from ops.ledger",
    "select t.shard, t.sample, t.row, d.url, d.source_file, d.source_offset "
    "from tokens.documents t join corpus.documents d using (doc_id) limit 5",
)


def run_demo(folder: Path) -> None:
    """Run the demo in `folder` and show what came of it."""
    lake = Lake.open(str(folder / "lake"))
    for outcome in _stages(lake):
        if not output.is_json():
            output.outcome(outcome)
    report = make_report(lake, folder / "report.html", "Millpond demo", NOTES)
    _show(lake, report)


def _stages(lake: Lake) -> Any:
    from millpond.curate.config import CurateConfig
    from millpond.curate.job import curate
    from millpond.eval.config import EvalConfig
    from millpond.eval.job import evaluate_on_lake
    from millpond.tokenize.config import TokenizeConfig
    from millpond.tokenize.job import tokenize
    from millpond.train.job import train_on_lake

    settings = read_settings(SETTINGS)
    yield _crawl(lake, settings["ingest"])
    yield curate(lake, CurateConfig.from_mapping(settings["curate"], f"{SETTINGS} [curate]"))
    yield tokenize(lake, TokenizeConfig.from_mapping(settings["tokenize"], f"{SETTINGS} [tokenize]"))
    yield train_on_lake(lake, settings["train"])
    yield evaluate_on_lake(lake, EvalConfig.from_mapping(settings["eval"], f"{SETTINGS} [eval]"))


def _crawl(lake: Lake, settings: dict[str, Any]) -> Outcome:
    from millpond.ingest import job
    from millpond.ingest.config import IngestConfig

    with tempfile.TemporaryDirectory(prefix="millpond-demo-") as pages:
        with bar("render") as shown:
            render_pages(Path(pages), shown.update)
        with serve(Path(pages)) as address:
            return job.ingest_site(lake, address, IngestConfig.from_mapping(settings, f"{SETTINGS} [ingest]"))


def _show(lake: Lake, report: Path) -> None:
    from millpond.eval import sql

    connection = sql.connect(lake)

    def ask(query: str) -> list[tuple[Any, ...]]:
        return sql.run(connection, query).rows

    rows: list[tuple[str, Any]] = []
    rows += [("pages in", n) for (n,) in ask("select count(*) from web.pages")]
    rows += [("documents kept", n) for (n,) in ask("select count(*) from corpus.documents")]
    rows += [
        (f"dropped: {reason}", n)
        for reason, n in ask("select reason, count(*) from corpus.rejects group by 1 order by 2 desc, 1")
    ]
    rows += [
        (f"duplicates: {kind}", n)
        for kind, n in ask("select kind, count(*) from corpus.duplicates group by 1 order by 1")
    ]
    [(tokens, shards)] = ask("select sum(tokens), count(*) from tokens.shards")
    rows += [("tokens", int(tokens)), ("shards", shards)]
    for metric, label in (("loss", "validation loss"), ("bits_per_byte", "bits per byte")):
        found = ask(
            f"select step, value from eval.results where task = 'validation' and metric = '{metric}' order by step"
        )
        rows += [(f"{label}, {'trained' if step else 'untrained'}", round(value, 4)) for step, value in found]
    rows += [
        ("bits per byte, byte trigrams", round(value, 4))
        for (value,) in ask("select value from eval.results where task = 'trigram' and metric = 'bits_per_byte'")
    ]
    [(passed, audits)] = ask("select count(*) filter (success), count(*) from ops.audits")
    rows += [("audits passed", f"{passed} of {audits}")]
    [(prompt, text), *_] = ask("select sample, output from eval.samples where metric = 'text'")
    if output.is_json():
        output.value({**dict(rows), "sample": prompt + text, "report": str(report), "queries": list(QUERIES)})
        return
    output.table(("what", "value"), rows, title="Millpond demo")
    output.line(f"\nThe model writes: {prompt}{text}\n\nReport: {report}\n\nAsk the lake:")
    for query in QUERIES:
        output.line(f'  millpond sql --lake "{lake.uri}" "{query}"')
