"""Models in a curation run: scores are columns that every engine reads, rules drop by them, the ledger says so."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from millpond.curate.config import CurateConfig
from millpond.curate.job import curate
from millpond.curate.models import fit, kneser_ney, unigrams
from millpond.curate.models.scores import Scores
from millpond.curate.models.texts import released_texts
from millpond.curate.presets import rules_for
from millpond.curate.rules import Value, sql_case, verdict
from millpond.curate.signals.measure import Measure
from millpond.errors import ConfigError, InputError, LakeError
from millpond.ingest.config import IngestConfig
from millpond.ingest.job import ingest_files
from millpond.lake import Lake
from millpond.reasons import Reason

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

GOOD = [f"The heron stands in the still water of pond {n} and waits for frogs, as it did before." for n in range(40)]
BAD = [f"Buy cheap pills now, click here for offer {n}, best price, free shipping, order today!" for n in range(40)]


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A classifier, word frequencies and an n-gram model of the good texts."""
    fit.train([*((text, "good") for text in GOOD), *((text, "bad") for text in BAD)], tmp_path / "q.npz")
    unigrams.count(GOOD, tmp_path / "w.tsv")
    kneser_ney.train(GOOD, tmp_path / "n.npz")
    return tmp_path


def config(models: Path, **more: Any) -> CurateConfig:
    values = {
        "rules": {"preset": "none"},
        "dedup": {"near": False},
        "classifiers": {"quality": {"model": str(models / "q.npz"), "label": "good"}},
        "unigrams": {"en": str(models / "w.tsv")},
        "perplexity": {"en": {"model": str(models / "n.npz"), "head": 5, "tail": 10}},
    }
    return CurateConfig.from_mapping({**values, **more}, "test")


def test_a_rule_over_a_score_drops_documents_and_the_ledger_says_so(
    models: Path, lake: Lake, spark: SparkSession
) -> None:
    rows = [{"url": f"http://h.test/{n}", "text": text} for n, text in enumerate([*GOOD[:6], *BAD[:4]])]
    path = models / "texts.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    ingest_files(lake, [str(path)], IngestConfig.model_validate({"text": {"url_column": "url"}}))
    strict = config(models, rules={"preset": "none", "thresholds": {"min_quality_score": 0.5}})
    outcome = curate(lake, strict)
    assert outcome.counts["in"] == 10 and outcome.counts["out"] == 6
    assert sorted(lake.read("corpus.documents")["text"].to_pylist()) == sorted(GOOD[:6])
    dropped = lake.read("corpus.rejects").to_pylist()
    assert {(row["reason"], row["rule"], row["threshold"]) for row in dropped} == {
        ("classifier", "min_quality_score", 0.5)
    }
    assert all(row["value"] < 0.5 for row in dropped)
    ledger = lake.read("ops.ledger").to_pylist()
    found = {(row["entry"], row["reason"]): row["amount"] for row in ledger if row["unit"] == "documents"}
    assert found["rejected", "classifier"] == 4

    # PyIceberg, Spark and DuckDB read the same plain columns; SQL over them predicts what the rules drop.
    columns = (
        "doc_id",
        "quality_score",
        "unigram_log_probability",
        "perplexity",
        "perplexity_bucket",
        "toxicity_score",
    )
    scanned = lake.table("corpus.candidates").scan(selected_fields=columns).to_arrow().sort_by("doc_id").to_pylist()
    files = lake.files("corpus.candidates")
    by_spark = [row.asDict() for row in spark.read.parquet(*files).select(*columns).orderBy("doc_id").collect()]
    names = ", ".join(columns)
    with duckdb.connect() as connection:
        by_duckdb = connection.execute(f"select {names} from read_parquet(?) order by doc_id", [files]).fetchall()
        query = f"select doc_id from read_parquet(?) where {sql_case(rules_for(strict), 'rule')} is not null"
        predicted = {doc_id for (doc_id,) in connection.execute(query, [files]).fetchall()}
    assert scanned == by_spark == [dict(zip(columns, row, strict=True)) for row in by_duckdb]
    assert predicted == {row["doc_id"] for row in dropped}
    for row in scanned:
        bad = row["doc_id"] in predicted
        assert row["toxicity_score"] is None and row["perplexity_bucket"] == ("tail" if bad else "head")
        assert (row["perplexity"] > 10) == bad and (row["unigram_log_probability"] < -10) == bad, row

    # The same model again is the same run; another one is another run.
    assert curate(lake, config(models, rules=strict.rules.model_dump())).unchanged
    fit.train([*((t, "good") for t in BAD), *((t, "bad") for t in GOOD)], models / "q.npz")
    outcome = curate(lake, config(models, rules=strict.rules.model_dump()))
    assert not outcome.unchanged and outcome.counts["out"] == 4
    assert sorted(released_texts(lake, "en")) == sorted(BAD[:4]) and list(released_texts(lake, "fr")) == []
    # What the settings name, and no longer is there, stops the run before it begins.
    with pytest.raises(InputError, match=r"q\.npz: has been changed"):
        curate(lake, strict)


@pytest.mark.parametrize("name", ["toxicity", "adult"])
def test_what_has_too_high_a_score_is_dropped(name: str, models: Path) -> None:
    classifier = {name: {"model": str(models / "q.npz"), "label": "bad"}}
    settings = config(
        models, rules={"preset": "none", "thresholds": {f"max_{name}_score": 0.5}}, classifiers=classifier
    )
    texts = [*GOOD[:3], *BAD[:3]]
    signals, _ = Measure(settings)(texts, ["en"] * len(texts))
    rows: list[dict[str, Value]] = [
        {**{column: values[place] for column, values in signals.items()}, "text_bytes": 1}
        for place in range(len(texts))
    ]
    rules = rules_for(settings)
    dropped = [verdict(rules, row) for row in rows]
    assert [rule and rule.name for rule in dropped] == [None] * 3 + [f"max_{name}_score"] * 3
    assert {rule.reason for rule in dropped if rule} == {Reason.CLASSIFIER}
    query = f"select {sql_case(rules, 'rule')} from (select $score::double as {name}_score, 1 as text_bytes)"
    with duckdb.connect() as connection:
        asked = [connection.execute(query, {"score": row[f"{name}_score"]}).fetchone() for row in rows]
    assert asked == [(rule and rule.name,) for rule in dropped]
    loose = config(models, rules={"preset": "none", "thresholds": {f"max_{name}_score": 1}}, classifiers=classifier)
    assert [verdict(rules_for(loose), row) for row in rows] == [None] * 6


def test_scores_are_of_the_languages_they_are_for(models: Path) -> None:
    measure = Measure(config(models, classifiers={"adult": {"model": str(models / "q.npz"), "label": "bad"}}))
    signals, _ = measure([GOOD[0], GOOD[0], BAD[0], ""], ["en", "fr", None, "en"])
    for name in ("perplexity", "unigram_log_probability"):
        assert [value is None for value in signals[name]] == [False, True, True, True]
    low, same, high, none = signals["adult_score"]
    assert low == same and none is None and 0 < low < 0.5 < high < 1  # type: ignore[operator]
    assert signals["quality_score"] == [None] * 4
    only = {"quality": {"model": str(models / "q.npz"), "label": "good", "languages": ["fr"]}}
    signals, _ = Measure(config(models, classifiers=only))([GOOD[0], GOOD[0]], ["en", "fr"])
    assert signals["quality_score"][0] is None and signals["quality_score"][1] is not None


def test_settings_hold_the_digests_and_can_be_read_again(models: Path) -> None:
    first = config(models)
    assert (
        first.perplexity["en"].model.path == str(models / "n.npz") and len(first.perplexity["en"].model.sha256) == 64
    )
    assert CurateConfig.from_mapping(first.model_dump(mode="json"), "written") == first
    before = first.digest()
    (models / "w.tsv").write_text("word\tcount\nthe\t1\n")
    assert config(models).digest() != before
    with pytest.raises(InputError, match=r"w\.tsv: has been changed"):
        Scores(first)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"classifiers": {"quality": {"model": "nowhere.npz"}}}, "not a readable file"),
        ({"classifiers": {"quality": {"model": {"path": 3}}}}, "not a readable file"),
        ({"classifiers": {"quality": {"label": "x"}}}, "classifiers.quality.model"),
        ({"classifiers": {"taste": {"model": "m.npz"}}}, "known here: adult, education, quality, toxicity"),
        ({"perplexity": {"en": {"model": "/"}}}, "not a readable file"),
        ({"perplexity": {"en": {"model": __file__, "head": 2}}}, "head=2.0 and tail=None: give both"),
        ({"perplexity": {"en": {"model": __file__, "head": 9, "tail": 2}}}, "head=9.0 and tail=2.0: give both"),
        ({"unigrams": "words.tsv"}, "unigrams"),
    ],
)
def test_impossible_settings_are_explained(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        CurateConfig.from_mapping(values, "run.toml")


def test_a_label_must_be_known_and_a_model_of_its_kind(models: Path) -> None:
    model = str(models / "q.npz")
    for settings in ({"model": model}, {"model": model, "label": "best"}):
        with pytest.raises(ConfigError, match=r"classifiers\.quality\.label=.*knows the labels bad, good"):
            Scores(config(models, classifiers={"quality": settings}))
    with pytest.raises(InputError, match="no perplexity model of Millpond: its metadata says kind 'classifier'"):
        Scores(config(models, perplexity={"en": {"model": model}}))


def test_there_must_be_a_corpus_to_learn_from(lake: Lake) -> None:
    with pytest.raises(LakeError, match="no corpus yet"):
        next(released_texts(lake, None))
