"""Commands, each a few lines: read options, call one function, show what it returns."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from millpond import __version__
from millpond.cli import options, output
from millpond.config import load, read_section
from millpond.lake import Lake

app = typer.Typer(
    name="millpond",
    help="From web pages to a trained model, with one lineage and nothing lost without a reason.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
ingest = typer.Typer(help="Bring pages into the lake.", no_args_is_help=True)
app.add_typer(ingest, name="ingest", rich_help_panel="Stages")

STAGES, LOOKING, WHOLE = "Stages", "Looking", "The whole way"


@app.callback(invoke_without_command=True)
def version(show: Annotated[bool, typer.Option("--version", help="Show the version and exit.")] = False) -> None:
    """Millpond."""
    if show:
        typer.echo(f"millpond {__version__}")
        raise typer.Exit


@ingest.command("warc")
def ingest_warc(
    paths: Annotated[list[str], typer.Argument(help="WARC files or glob patterns.")],
    lake: options.Lake = None,
    config: options.Config = None,
    set: options.Set = None,
    format: options.Output = output.Format.TEXT,
) -> None:
    """Read WARC files into web.pages; damage and refusals into web.rejects."""
    from millpond.ingest.config import IngestConfig
    from millpond.ingest.job import ingest_files

    settings = load(IngestConfig, config, "ingest", set or ())
    output.outcome(ingest_files(Lake.open(lake), paths, settings))


@ingest.command("text")
def ingest_text(
    paths: Annotated[list[str], typer.Argument(help="JSONL or Parquet files, or glob patterns.")],
    lake: options.Lake = None,
    config: options.Config = None,
    set: options.Set = None,
    format: options.Output = output.Format.TEXT,
) -> None:
    """Read JSON Lines and Parquet files with a text column."""
    from millpond.ingest.config import IngestConfig
    from millpond.ingest.job import ingest_files

    settings = load(IngestConfig, config, "ingest", set or ())
    output.outcome(ingest_files(Lake.open(lake), paths, settings))


@ingest.command("site")
def ingest_site(
    url: Annotated[str, typer.Argument(help="Where to start; only this host is visited.")],
    lake: options.Lake = None,
    config: options.Config = None,
    set: options.Set = None,
    format: options.Output = output.Format.TEXT,
) -> None:
    """Crawl one host politely: robots.txt obeyed, a delay between requests, bounded depth and pages."""
    from millpond.ingest import job
    from millpond.ingest.config import IngestConfig

    settings = load(IngestConfig, config, "ingest", set or ())
    output.outcome(job.ingest_site(Lake.open(lake), url, settings))


@app.command(rich_help_panel=STAGES)
def curate(
    lake: options.Lake = None,
    config: options.Config = None,
    set: options.Set = None,
    format: options.Output = output.Format.TEXT,
) -> None:
    """Extract, normalise, filter and deduplicate the pages into corpus.documents."""
    from millpond.curate.config import CurateConfig
    from millpond.curate.job import curate

    settings = load(CurateConfig, config, "curate", set or ())
    output.outcome(curate(Lake.open(lake, create=False), settings))


@app.command(rich_help_panel=STAGES)
def tokenize(
    lake: options.Lake = None,
    config: options.Config = None,
    set: options.Set = None,
    format: options.Output = output.Format.TEXT,
) -> None:
    """Encode the corpus and pack it into WebDataset tar shards."""
    from millpond.tokenize.config import TokenizeConfig
    from millpond.tokenize.job import tokenize

    settings = load(TokenizeConfig, config, "tokenize", set or ())
    output.outcome(tokenize(Lake.open(lake, create=False), settings))


@app.command(rich_help_panel=STAGES)
def train(
    lake: options.Lake = None,
    config: options.Config = None,
    set: options.Set = None,
    processes: Annotated[int, typer.Option(min=1, help="Training processes on this machine.")] = 1,
    format: options.Output = output.Format.TEXT,
) -> None:
    """Train a language model on the shards; a run that was stopped goes on."""
    from millpond.train.job import train_on_lake

    settings = read_section(config, "train", set or ())
    output.outcome(train_on_lake(Lake.open(lake, create=False), settings, processes))


@app.command("eval", rich_help_panel=STAGES)
def evaluate(
    lake: options.Lake = None,
    run: Annotated[str | None, typer.Option(help="Training run; the newest by default.")] = None,
    config: options.Config = None,
    set: options.Set = None,
    format: options.Output = output.Format.TEXT,
) -> None:
    """Measure held-out loss, perplexity and bits per byte."""
    from millpond.eval.config import EvalConfig
    from millpond.eval.job import evaluate_on_lake

    settings = load(EvalConfig, config, "eval", set or ())
    output.outcome(evaluate_on_lake(Lake.open(lake, create=False), settings, run))


@app.command(rich_help_panel=LOOKING)
def report(
    lake: options.Lake = None,
    to: Annotated[Path | None, typer.Option(help="File to write.  [default: report.html in the lake]")] = None,
    format: options.Output = output.Format.TEXT,
) -> None:
    """Write one self-contained HTML page about corpus, training and evaluation."""
    from millpond.cli.reporting import make_report

    path = make_report(Lake.open(lake, create=False), to)
    output.value({"report": str(path)}) if output.is_json() else output.line(str(path))


@app.command(rich_help_panel=LOOKING)
def sql(
    query: Annotated[str | None, typer.Argument(help="A query; without one, a prompt.")] = None,
    lake: options.Lake = None,
    save: Annotated[Path | None, typer.Option(help="Write a DuckDB file with these views instead.")] = None,
    format: options.Output = output.Format.TEXT,
) -> None:
    """Ask the lake in SQL: every table is a view over its released snapshot."""
    from millpond.cli import console

    console.run(Lake.open(lake, create=False), query, save)


@app.command(rich_help_panel=LOOKING)
def tables(lake: options.Lake = None, format: options.Output = output.Format.TEXT) -> None:
    """List the tables of the newest release."""
    from millpond.cli import looking

    looking.tables(Lake.open(lake, create=False))


@app.command(rich_help_panel=LOOKING)
def snapshots(
    table: Annotated[str, typer.Argument(help="Such as corpus.documents.")],
    lake: options.Lake = None,
    format: options.Output = output.Format.TEXT,
) -> None:
    """List the released snapshots of a table."""
    from millpond.cli import looking

    looking.snapshots(Lake.open(lake, create=False), table)


@app.command(rich_help_panel=WHOLE)
def run(
    config: Annotated[Path, typer.Argument(help="TOML file with [run] and a section per stage.")],
    lake: options.Lake = None,
    set: options.Set = None,
    format: options.Output = output.Format.TEXT,
) -> None:
    """Run every stage a file describes; what is already published is skipped."""
    from millpond.cli.pipeline import run_file

    run_file(config, lake, set or ())


@app.command(rich_help_panel=WHOLE)
def demo(
    folder: Annotated[Path, typer.Argument(help="Where the demo's lake is made.")] = Path("demo"),
    format: options.Output = output.Format.TEXT,
) -> None:
    """Crawl this Python's own documentation from a local server and train a small model on it."""
    from millpond.cli.demo import run_demo

    run_demo(folder)


@app.command(rich_help_panel=LOOKING)
def doctor(format: options.Output = output.Format.TEXT) -> None:
    """Say what this machine has of what Millpond needs."""
    from millpond.cli.doctor import examine

    raise typer.Exit(examine())
