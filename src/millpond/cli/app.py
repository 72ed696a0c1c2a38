"""Commands, each a few lines: read options, call one function, show what it returns.

What a command needs is imported when it runs: `--help` takes no Spark, no torch and no catalog.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from millpond import __version__
from millpond.cli import options, output
from millpond.cli.curate_commands import curate
from millpond.cli.extras import need
from millpond.cli.options import examples, open_lake
from millpond.config import load, read_section
from millpond.errors import require

STAGES, LOOKING, WHOLE = "Stages", "Looking", "The whole way"


class _InOrder(typer.core.TyperGroup):
    """Lists commands in the order of a corpus's life."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Names in the order in which `--help` shows them."""
        return sorted(self.commands, key=lambda name: {"ingest": 0, "curate": 1}.get(name, 2))


app = typer.Typer(
    name="millpond",
    help="From web pages to a trained model, with one lineage and nothing lost without a reason.",
    cls=_InOrder,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=examples(
        "demo",
        "run corpus.toml --lake lake",
        "ingest warc 'crawl/*.warc.gz' && millpond curate",
        "sql 'select reason, count(*) from corpus.rejects group by 1'",
    ),
)
ingest = typer.Typer(
    help="Bring pages into the lake: WARC files, Common Crawl, text tables, sites.", no_args_is_help=True
)
app.add_typer(ingest, name="ingest", rich_help_panel=STAGES)
app.add_typer(curate, name="curate", rich_help_panel=STAGES)


@app.callback(invoke_without_command=True)
def version(show: Annotated[bool, typer.Option("--version", help="Show the version and exit.")] = False) -> None:
    """Millpond."""
    if show:
        typer.echo(f"millpond {__version__}")
        raise typer.Exit


@ingest.command("warc", epilog=examples("ingest warc 'crawl/*.warc.gz' --set crawl=spring"))
def ingest_warc(
    paths: Annotated[list[str], typer.Argument(help="WARC files: paths, URLs, patterns, @list.")],
    lake: options.Lake = None,
    config: options.Config = None,
    set: options.Set = None,
    format: options.Output = output.Format.TEXT,
) -> None:
    """Read WARC files into web.pages; damage and refusals into web.rejects."""
    need("ingest")
    from millpond.cli.ingesting import ingest_files

    output.outcome(ingest_files(paths, lake, config, set or (), text=False))


@ingest.command("text", epilog=examples("ingest text books.parquet --set text.text_column=body"))
def ingest_text(
    paths: Annotated[list[str], typer.Argument(help="Files or dataset folders: paths, URLs, patterns, @list.")],
    lake: options.Lake = None,
    config: options.Config = None,
    set: options.Set = None,
    format: options.Output = output.Format.TEXT,
) -> None:
    """Read JSON Lines, CSV and Parquet files with a text column, and dataset folders of them."""
    need("ingest")
    from millpond.cli.ingesting import ingest_files

    output.outcome(ingest_files(paths, lake, config, set or (), text=True))


_COMMON_CRAWL = "ingest common-crawl 'index/*.parquet' --set 'common_crawl.domains=[\"example.org\"]'"


@ingest.command("common-crawl", epilog=examples(_COMMON_CRAWL))
def ingest_common_crawl(
    index: Annotated[list[str], typer.Argument(help="Files of the columnar index: paths, addresses or patterns.")],
    lake: options.Lake = None,
    config: options.Config = None,
    set: options.Set = None,
    format: options.Output = output.Format.TEXT,
) -> None:
    """Fetch single records of a Common Crawl snapshot, chosen by host, domain, language, type and status."""
    need("ingest")
    from millpond.cli import ingesting

    output.outcome(ingesting.ingest_common_crawl(index, lake, config, set or ()))


@ingest.command(
    "site",
    epilog=examples(
        "ingest site https://example.org/ --set site.contact=me@example.org",
        "ingest site --seeds addresses.txt --config crawl.toml",
    ),
)
def ingest_site(
    urls: Annotated[list[str] | None, typer.Argument(help="Where to start; only these hosts are visited.")] = None,
    seeds: Annotated[Path | None, typer.Option(help="File with more addresses, one a line.")] = None,
    lake: options.Lake = None,
    config: options.Config = None,
    set: options.Set = None,
    format: options.Output = output.Format.TEXT,
) -> None:
    """Crawl sites politely, in rounds; killed at any time, the same command goes on."""
    need("ingest")
    from millpond.cli import ingesting

    output.outcome(ingesting.ingest_sites(urls or (), seeds, lake, config, set or ()))


@app.command(rich_help_panel=STAGES, epilog=examples("mix --config corpus.toml"))
def mix(
    lake: options.Lake = None,
    config: options.Config = None,
    set: options.Set = None,
    format: options.Output = output.Format.TEXT,
) -> None:
    """Choose which documents a training corpus holds, by weights, caps and repeats, into corpus.mixture."""
    need("quality")
    from millpond.cli import sharing

    sharing.mix(open_lake(lake), config, set or ())


@app.command(rich_help_panel=STAGES, epilog=examples("tokenize --set vocab_size=8192 --set context_length=512"))
def tokenize(
    lake: options.Lake = None,
    config: options.Config = None,
    set: options.Set = None,
    format: options.Output = output.Format.TEXT,
) -> None:
    """Encode the corpus and pack it into WebDataset tar shards."""
    need("tokenize")
    from millpond.tokenize.config import TokenizeConfig
    from millpond.tokenize.job import tokenize

    settings = load(TokenizeConfig, config, "tokenize", set or ())
    output.outcome(tokenize(open_lake(lake), settings))


@app.command(rich_help_panel=STAGES, epilog=examples("train --set model.preset=small --set steps=2000 --processes 2"))
def train(
    lake: options.Lake = None,
    config: options.Config = None,
    set: options.Set = None,
    processes: Annotated[int, typer.Option(min=1, help="Training processes on this machine.")] = 1,
    format: options.Output = output.Format.TEXT,
) -> None:
    """Train a language model on the shards; a run that was stopped goes on."""
    need("train", "quality")
    from millpond.train.job import train_on_lake

    settings = read_section(config, "train", set or ())
    output.outcome(train_on_lake(open_lake(lake), settings, processes))


@app.command("eval", rich_help_panel=STAGES, epilog=examples("eval --set split=test --set prompt='Once '"))
def evaluate(
    lake: options.Lake = None,
    run: Annotated[str | None, typer.Option(help="Training run; the newest by default.")] = None,
    config: options.Config = None,
    set: options.Set = None,
    format: options.Output = output.Format.TEXT,
) -> None:
    """Measure held-out loss, perplexity and bits per byte."""
    need("eval", "quality")
    from millpond.eval.config import EvalConfig
    from millpond.eval.job import evaluate_on_lake

    settings = load(EvalConfig, config, "eval", set or ())
    output.outcome(evaluate_on_lake(open_lake(lake), settings, run))


export = typer.Typer(help="Write what the lake holds for other tools.", no_args_is_help=True)
app.add_typer(export, name="export", rich_help_panel=STAGES)


@export.command("corpus", epilog=examples("export corpus my-corpus --license odc-by", "export corpus mixed --mixture"))
def export_corpus(
    folder: Annotated[Path, typer.Argument(help="New or empty folder.")],
    mixture: Annotated[bool, typer.Option("--mixture", help="The released mixture, with its repeats.")] = False,
    split: Annotated[
        list[str] | None,
        typer.Option(help="A split as tokenization drew it; repeatable.", show_default="all documents, as train"),
    ] = None,
    max_shard_bytes: Annotated[int, typer.Option(min=1, help="Bytes of text of a shard.")] = 500_000_000,
    license: Annotated[str | None, typer.Option(help="For the card, as the Hub names it, e.g. odc-by.")] = None,
    lake: options.Lake = None,
    format: options.Output = output.Format.TEXT,
) -> None:
    """Write the corpus as Parquet shards and a dataset card, as Hugging Face datasets reads them."""
    need("curate")
    from millpond.cli import sharing
    from millpond.curate.export.job import Choice

    sharing.export(open_lake(lake), folder, Choice(mixture, tuple(split or ()), max_shard_bytes, license))


@app.command(rich_help_panel=LOOKING, epilog=examples("report --to report.html"))
def report(
    lake: options.Lake = None,
    to: Annotated[Path | None, typer.Option(help="File to write.", show_default="report.html in the lake")] = None,
    format: options.Output = output.Format.TEXT,
) -> None:
    """Write one self-contained HTML page about corpus, training and evaluation."""
    require("jinja2", "eval")
    from millpond.cli.reporting import make_report

    output.file("report", make_report(open_lake(lake), to))


@app.command(
    rich_help_panel=LOOKING,
    epilog=examples(
        "sql 'select reason, count(*) from corpus.rejects group by 1'",
        "sql 'from ops.ledger' --output json",
        "sql --save lake.duckdb",
        "sql < queries.sql",
    ),
)
def sql(
    query: Annotated[str | None, typer.Argument(help="A query; without one, a prompt or what is piped in.")] = None,
    lake: options.Lake = None,
    save: Annotated[Path | None, typer.Option(help="Write a DuckDB file with these views instead.")] = None,
    format: options.Output = output.Format.TEXT,
) -> None:
    """Ask the lake in SQL: every table is a view over its released snapshot."""
    from millpond.cli import console

    console.run(open_lake(lake), query, save)


@app.command(rich_help_panel=LOOKING, epilog=examples("trace 120", "trace 1 --run run-0a1b2c3d --output json"))
def trace(
    step: Annotated[int, typer.Argument(min=1, help="Training step.")],
    run: Annotated[str | None, typer.Option(help="Training run; the newest by default.")] = None,
    lake: options.Lake = None,
    format: options.Output = output.Format.TEXT,
) -> None:
    """Name the pages, files and offsets whose tokens a training step saw."""
    from millpond.cli import looking

    looking.trace(open_lake(lake), step, run)


@app.command(rich_help_panel=LOOKING)
def tables(lake: options.Lake = None, format: options.Output = output.Format.TEXT) -> None:
    """List the tables of the newest release."""
    from millpond.cli import looking

    looking.tables(open_lake(lake))


@app.command(rich_help_panel=LOOKING, epilog=examples("snapshots corpus.documents"))
def snapshots(
    table: Annotated[str, typer.Argument(help="Such as corpus.documents.")],
    lake: options.Lake = None,
    format: options.Output = output.Format.TEXT,
) -> None:
    """List the released snapshots of a table."""
    from millpond.cli import looking

    looking.snapshots(open_lake(lake), table)


@app.command(rich_help_panel=STAGES, epilog=examples("compact", "compact web.rejects web.frontier"))
def compact(
    table: Annotated[
        list[str] | None, typer.Argument(help="Such as corpus.documents.", show_default="all with small files")
    ] = None,
    target_bytes: Annotated[int, typer.Option(min=1, help="Bytes of a file.")] = 256 << 20,
    lake: options.Lake = None,
    format: options.Output = output.Format.TEXT,
) -> None:
    """Rewrite small files of tables into few sorted ones; the rows stay the same."""
    need("quality")
    from millpond.cli import sharing

    sharing.compact(open_lake(lake), table or (), target_bytes)


@app.command(rich_help_panel=LOOKING)
def doctor(format: options.Output = output.Format.TEXT) -> None:
    """Say what this machine has of what Millpond needs."""
    from millpond.cli.doctor import examine

    raise typer.Exit(examine())


@app.command(rich_help_panel=WHOLE, epilog=examples("run corpus.toml --lake lake --set train.steps=500"))
def run(
    config: Annotated[Path, typer.Argument(help="TOML file with a section run and one per stage.")],
    lake: options.Lake = None,
    set: options.Set = None,
    format: options.Output = output.Format.TEXT,
) -> None:
    """Run every stage a file describes; what is already published is skipped."""
    from millpond.cli.pipeline import run_file

    run_file(config, lake, set or ())


@app.command(rich_help_panel=WHOLE, epilog=examples("demo", "demo somewhere/else"))
def demo(
    folder: Annotated[Path, typer.Argument(help="Where the demo's lake is made.")] = Path("demo"),
    format: options.Output = output.Format.TEXT,
) -> None:
    """Crawl this Python's own documentation from a local server and train a small model on it."""
    need("all")
    from millpond.cli.demo import run_demo

    run_demo(folder)
