"""`millpond curate …`: curation itself, and what is done with its candidates, rules and models."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from millpond.cli import options, output
from millpond.cli.extras import need
from millpond.cli.options import examples, open_lake
from millpond.config import load

curate = typer.Typer()


@curate.callback(
    invoke_without_command=True, epilog=examples("curate --set rules.preset=fineweb --set dedup.threshold=0.8")
)
def curate_pages(
    context: typer.Context,
    lake: options.Lake = None,
    config: options.Config = None,
    set: options.Set = None,
    format: options.Output = output.Format.TEXT,
) -> None:
    """Extract, normalise, filter and deduplicate the pages into corpus.documents; decide again; or train a model."""
    if context.invoked_subcommand is not None:
        if lake or config or set or format is not output.Format.TEXT:
            raise typer.BadParameter(f"options of `{context.invoked_subcommand}` stand behind it")
        return
    need("curate")
    from millpond.curate.config import CurateConfig
    from millpond.curate.job import curate

    settings = load(CurateConfig, config, "curate", set or ())
    output.outcome(curate(open_lake(lake), settings))


@curate.command(
    "recut",
    epilog=examples(
        "curate recut --set rules.thresholds.min_word_count=100",
        "curate recut --set rules.preset=gopher --set c4.remove_lines=true --predict",
    ),
)
def recut(
    lake: options.Lake = None,
    config: options.Config = None,
    set: options.Set = None,
    predict: Annotated[bool, typer.Option("--predict", help="Only show what the rules would drop.")] = False,
    sql: Annotated[bool, typer.Option("--sql", help="Only show the query that predicts it.")] = False,
    format: options.Output = output.Format.TEXT,
) -> None:
    """Decide again over the candidates that are there, under other thresholds; no page is extracted.

    Settings that candidates depend on have to be as they were. Without --config all settings are those the candidates
    were made with, but for --set.
    """
    need("curate")
    from millpond.cli import curating

    curating.recut(open_lake(lake), config, set or (), predict=predict, query=sql)


@curate.command("explain", epilog=examples("curate explain --examples 5"))
def explain_corpus(
    shown: Annotated[int, typer.Option("--examples", min=0, help="Pages to show of each that dropped any.")] = 2,
    lake: options.Lake = None,
    format: options.Output = output.Format.TEXT,
) -> None:
    """Show what each rule dropped of the released corpus, with examples, and where the time went."""
    need("curate")
    from millpond.cli import explaining

    explaining.show(open_lake(lake), shown)


classifier = typer.Typer(help="Classifiers of text quality.", no_args_is_help=True)
curate.add_typer(classifier, name="classifier")
perplexity = typer.Typer(help="N-gram models for perplexity.", no_args_is_help=True)
curate.add_typer(perplexity, name="perplexity")


@classifier.command("train", epilog=examples("curate classifier train --data labelled.jsonl --to quality.npz"))
def train_classifier(
    data: Annotated[Path, typer.Option(help="JSON Lines or Parquet file of texts and labels.")],
    to: Annotated[Path, typer.Option(help="Model file to write.")],
    text_field: Annotated[str, typer.Option(help="Field with the text.")] = "text",
    label_field: Annotated[str, typer.Option(help="Field with the label.")] = "label",
    positive: Annotated[
        str | None, typer.Option(help="Label whose probability is the score.", show_default="1 of 0 and 1")
    ] = None,
    seed: Annotated[int, typer.Option(help="Decides which texts are held out.")] = 1,
    held_out: Annotated[float, typer.Option(min=0.01, max=0.9, help="Share of texts to score it on.")] = 0.1,
    format: options.Output = output.Format.TEXT,
) -> None:
    """Train a linear classifier on labelled texts and say how well it does on those held out."""
    need("curate")
    from millpond.cli import curating

    curating.train_classifier(data, to, (text_field, label_field), positive, seed, held_out)


@perplexity.command("train", epilog=examples("curate perplexity train --data wiki.jsonl --to en.npz"))
def train_perplexity(
    to: Annotated[Path, typer.Option(help="Model file to write.")],
    data: options.Texts = None,
    text_field: Annotated[str, typer.Option(help="Field with the text.")] = "text",
    language: options.Language = None,
    order: Annotated[int, typer.Option(min=2, max=6, help="Words of the longest n-grams.")] = 3,
    most_words: Annotated[
        int, typer.Option(min=1, help="Words after which reading stops; 100 bytes each.")
    ] = 10_000_000,
    lake: options.Lake = None,
    format: options.Output = output.Format.TEXT,
) -> None:
    """Train an n-gram model on texts, by default those of the released corpus."""
    need("curate")
    from millpond.cli import curating

    curating.train_ngrams(data, text_field, lake, language, to, order, most_words)


@curate.command("unigrams", epilog=examples("curate unigrams --language en --to en.tsv"))
def count_unigrams(
    to: Annotated[Path, typer.Option(help="Tab-separated file to write.")],
    data: options.Texts = None,
    text_field: Annotated[str, typer.Option(help="Field with the text.")] = "text",
    language: options.Language = None,
    at_least: Annotated[int, typer.Option(min=1, help="Leave out words that are there less often.")] = 1,
    lake: options.Lake = None,
    format: options.Output = output.Format.TEXT,
) -> None:
    """Count the words of texts, by default those of the released corpus."""
    need("curate")
    from millpond.cli import curating

    curating.count_unigrams(data, text_field, lake, language, to, at_least)
