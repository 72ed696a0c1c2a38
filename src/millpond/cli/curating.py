"""What `millpond curate` has below it: `recut`, and models for the rules (`classifier train`, `perplexity train`,
`unigrams`)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from millpond.cli import output
from millpond.cli.options import open_lake
from millpond.curate.blocklists.blocked import hold_blocked
from millpond.curate.models import fit, kneser_ney, unigrams
from millpond.curate.models.texts import read_labelled, read_texts, released_texts
from millpond.curate.predict import in_sql_alone, prediction
from millpond.curate.presets import rules_for
from millpond.curate.stored import candidates_to_recut, recut_config
from millpond.errors import InputError
from millpond.eval import sql
from millpond.lake import Lake
from millpond.schemas import CANDIDATES


def recut(lake: Lake, config: Path | None, overrides: Sequence[str], *, predict: bool, query: bool) -> None:
    """Decide again over the released candidates; or predict what the rules drop, or show the query that does.

    Raises:
        ConfigError: the settings are not usable, or ask for other candidates.
        InputError: a blocklist is missing, has changed, or is no list.
        LakeError: there are no candidates.
    """
    settings = recut_config(lake, config, overrides)
    if not predict and not query:
        from millpond.curate import job

        output.outcome(job.recut(lake, settings))
        return
    candidates_to_recut(lake).check(settings)
    rules = rules_for(settings)
    if query:
        kept, comment = in_sql_alone(rules)
        predicting = comment + prediction(kept)
        output.value({"sql": predicting}) if output.is_json() else output.line(predicting)
        return
    with sql.connect(lake) as connection:
        if settings.blocklists:
            hold_blocked(connection, CANDIDATES.name, settings.blocklists)
        found = sql.run(connection, prediction(rules))
    output.table(found.columns, found.rows)


def train_classifier(
    data: Path, to: Path, fields: tuple[str, str], positive: str | None, seed: int, held_out: float
) -> None:
    """Train a classifier and show its scores on what was held out.

    Raises:
        InputError: the data cannot be used or the file not be written; nothing is written then.
    """
    _check(to, ".npz")
    trained = fit.train(read_labelled(data, *fields), to, positive=positive, seed=seed, held_out=held_out)
    if output.is_json():
        output.value({"model": str(to), **asdict(trained)})
        return
    scored = trained.held_out
    f1 = f"F1 of {trained.positive}" if trained.positive is not None else "mean F1"
    output.line(f"{to}: labels {_some(trained.labels)}; {trained.rows:,} texts, {trained.distinct:,} features")
    if trained.skipped:
        output.line(f"left out {trained.skipped:,} texts without a word")
    output.line(
        f"on {scored.rows:,} texts held out: accuracy {scored.accuracy:.4f}, {f1} {scored.f1:.4f}, "
        f"area under the ROC curve {scored.auc:.4f}"
    )
    if trained.positive is None:
        output.line("none of its labels is the positive one: name one as classifiers.NAME.label where it is used")


def train_ngrams(
    data: Sequence[Path] | None,
    text_field: str,
    lake: str | None,
    language: str | None,
    to: Path,
    order: int,
    most_words: int,
) -> None:
    """Train an n-gram model and show its size.

    Raises:
        InputError: the data cannot be used or the file not be written; nothing is written then.
        LakeError: there is no released corpus and no data.
    """
    _check(to, ".npz")
    texts = _texts(data, text_field, lake, language)
    trained = kneser_ney.train(texts, to, order=order, most_words=most_words)
    if output.is_json():
        output.value({"model": str(to), **asdict(trained)})
        return
    counts = ", ".join(f"{count:,} {n}-grams" for n, count in enumerate(trained.ngrams, 1))
    output.line(f"{to}: {counts} of {trained.words:,} words in {trained.texts:,} texts")
    if trained.cut_off:
        output.line(f"there are more texts: reading stopped at {most_words:,} words")


def count_unigrams(
    data: Sequence[Path] | None, text_field: str, lake: str | None, language: str | None, to: Path, at_least: int
) -> None:
    """Count words and show how many there are.

    Raises:
        InputError: the data cannot be used or the file not be written; nothing is written then.
        LakeError: there is no released corpus and no data.
    """
    _check(to, ".tsv")
    total, kept = unigrams.count(_texts(data, text_field, lake, language), to, at_least=at_least)
    if output.is_json():
        output.value({"unigrams": str(to), "words": total, "different": kept})
    else:
        output.line(f"{to}: {kept:,} different words of {total:,}")


def _check(to: Path, suffix: str) -> None:
    """What can be said of the output before the work."""
    if to.suffix != suffix:
        raise InputError(f"{to}: give the file to write a name that ends in {suffix}")
    if not to.parent.is_dir():
        raise InputError(f"{to}: there is no folder {to.parent}")


def _texts(data: Sequence[Path] | None, text_field: str, lake: str | None, language: str | None) -> Iterable[str]:
    if not data:
        return released_texts(open_lake(lake), language)
    if language is not None:
        raise InputError("--language chooses from the released corpus: leave it out with --data")
    return _each(data, text_field)


def _each(data: Sequence[Path], text_field: str) -> Iterator[str]:
    for path in data:
        yield from read_texts(path, text_field)


def _some(labels: Sequence[str]) -> str:
    return ", ".join(labels[:10]) + (f" and {len(labels) - 10} more" if len(labels) > 10 else "")
