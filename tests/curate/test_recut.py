"""Deciding again over stored candidates: what a full run would decide, foreseen in SQL, without a page being read."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pytest
from archives import gold_pages, write_warc
from command import call

from millpond.curate.config import CurateConfig
from millpond.curate.job import curate, main, recut
from millpond.curate.predict import predicted_rejects, prediction
from millpond.curate.presets import rules_for
from millpond.curate.stored import Stored, candidates_to_recut, recut_config
from millpond.errors import ConfigError, LakeError
from millpond.eval import sql
from millpond.ingest.config import IngestConfig
from millpond.ingest.job import ingest_files
from millpond.lake import Lake
from millpond.publish import Run

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

DECIDED = ("corpus.documents", "corpus.rejects", "corpus.duplicates")
LOOSE: dict[str, Any] = {"rules": {"preset": "none"}, "dedup": {"near": False}}
TIGHT: dict[str, Any] = {
    "rules": {"preset": "gopher", "thresholds": {"min_word_count": 150}},
    "language": {"allowed": ["de", "en"]},
    "dedup": {"threshold": 0.8, "quality": "word_count", "lines": {"unit": "lines", "max_documents": 2}},
}


def config(settings: dict[str, Any]) -> CurateConfig:
    return CurateConfig.from_mapping(settings, "test")


def digests(lake: Lake) -> tuple[str, ...]:
    return tuple(lake.digest(table) for table in DECIDED)


@pytest.fixture(scope="module")
def real(test_data: Path, tmp_path_factory: pytest.TempPathFactory, spark: SparkSession) -> Lake:
    """Forty real pages and four that are nearly others, curated without a rule; tests leave its candidates alone."""
    folder = tmp_path_factory.mktemp("real pages")
    pages = list(islice(gold_pages(test_data / "html_gold"), 0, 40 * 30, 30))
    pages += [(f"{url}/copy", html.replace(b" and ", b" or ", 2)) for url, html in pages[-4:]]
    warc = write_warc(folder / "pages.warc.gz", [*pages, ("http://h.test/", b"<p></p>")])
    lake = Lake.open(str(folder / "lake"))
    ingest_files(lake, [str(warc)], IngestConfig())
    curate(lake, config(LOOSE))
    return lake


def test_a_recut_decides_what_a_full_run_decides(real: Lake) -> None:
    lake, before = real, real.tables()["corpus.candidates"]
    loose = digests(lake)
    files = set(Path(lake.data_folder("corpus.candidates")).iterdir())
    outcome = recut(lake, config(TIGHT))
    tight = digests(lake)
    assert lake.tables()["corpus.candidates"] == before, "candidates were read, and not written"
    assert set(Path(lake.data_folder("corpus.candidates")).iterdir()) == files
    assert {row["stage"] for row in lake.read("corpus.rejects").to_pylist()} >= {"extract", "filter"}
    assert "near" in lake.read("corpus.duplicates")["kind"].to_pylist()
    assert outcome.counts["in"] == 45 and outcome.counts["out"] < 35
    assert recut(lake, config(TIGHT)).unchanged
    pages = {"web.pages": lake.tables()["web.pages"]}
    assert Run(lake, "curate", config(LOOSE), pages).released(standing=True) is None, "its result was replaced"

    curate(lake, config(TIGHT))
    assert lake.tables()["corpus.candidates"] != before and digests(lake) == tight != loose
    recut(lake, config(LOOSE))
    assert digests(lake) == loose, "what a threshold dropped comes back under another"


PRESETS: list[dict[str, Any]] = [
    {"rules": {"preset": "fineweb"}, "c4": {"remove_lines": False}},
    {"rules": {"preset": "curator"}, "dedup": {"bands": 9}},
    {"rules": {"preset": "api-docs", "thresholds": {"min_word_count": 80.5}}, "language": {"min_score": 0.9}},
]


def test_what_rules_will_drop_is_known_before(real: Lake) -> None:
    """In DuckDB, by rule and by candidate, with the value and the threshold that a reject will name."""
    columns = ("doc_id", "stage", "rule", "reason", "value", "threshold", "text_bytes")
    rules_found = set()
    for settings in PRESETS:
        asked = config(settings)
        with sql.connect(real) as connection:
            foreseen = sql.run(connection, predicted_rejects(rules_for(asked)))
            totals = sql.run(connection, prediction(rules_for(asked)))
        assert foreseen.columns == columns
        recut(real, asked)
        rejects = real.read("corpus.rejects", columns).to_pylist()
        assert sorted(foreseen.rows) == sorted(tuple(row.values()) for row in rejects)
        by_rule = [row for row in sql.run(sql.connect(real), prediction(rules_for(asked))).rows if row[3]]
        assert [row[:5] for row in totals.rows if row[3]] == [row[:5] for row in by_rule]
        assert all(row[3] == row[5] for row in by_rule), "now they are what was foreseen"
        rules_found |= {row[1] for row in by_rule}
    assert len(rules_found) > 8


def test_settings_that_candidates_depend_on_have_to_be_as_they_were(real: Lake) -> None:
    made, before = candidates_to_recut(real), real.release()
    assert made.config.rules.preset in ("none", "gopher")
    changed = {**LOOSE, "extract": {"extractor": "resiliparse"}, "pii": {"mask": ["email"]}}
    with pytest.raises(ConfigError) as refused:
        recut(real, config(changed))
    said = str(refused.value)
    assert said.startswith(f"the candidates were made with other settings, by {made.run_id}: ")
    assert 'extract.extractor was "millpond" and is "resiliparse"; pii.mask was ["email", "ip_addr' in said
    assert said.endswith("run `millpond curate` (not incremental), which extracts all pages again")
    for settings, sentence in (
        ({"rules": {"preset": "c4"}}, "c4.remove_lines was false and is true; c4.terminal_punctuation was false and "),
        ({"dedup": {"bands": 15}}, "dedup.bands × dedup.rows was 112 and is 120"),
        ({"dedup": {"ngram": 4}}, "dedup.ngram was 5 and is 4"),
        ({"language": {"override": {"de": {"stop_words": ["und"]}}}}, 'override.de.stop_words was not set and is ["u'),
        ({"flagged": {"words": {"any": ["spam"]}}}, 'flagged.words.any was not set and is ["spam"]'),
    ):
        with pytest.raises(ConfigError, match="made with other settings") as refused:
            recut(real, config({"rules": {"preset": "none"}} | settings))
        assert sentence in str(refused.value)
    fewer = config(LOOSE | {"dedup": {"near": False, "bands": 13}})
    made.check(fewer)
    with pytest.raises(ConfigError, match="rows was 112 and is 104"):
        made.check(fewer, extend=True)
    older = Stored(made.snapshot, made.run_id, "0.0.1", made.settings)
    with pytest.raises(ConfigError, match=r"Millpond 0\.0\.1 made the candidates, and this is"):
        older.check(config(LOOSE))
    assert real.release() == before


def test_settings_begin_with_those_of_the_candidates_or_with_a_file(real: Lake, tmp_path: Path) -> None:
    made = candidates_to_recut(real).config
    told = recut_config(real, None, ["rules.thresholds.min_word_count=7"])
    assert told.rules.thresholds == {**made.rules.thresholds, "min_word_count": 7}
    assert told.model_dump(exclude={"rules"}) == made.model_dump(exclude={"rules"})
    path = tmp_path / "run.toml"
    path.write_text('[curate.rules]\npreset = "gopher"\n')
    told = recut_config(real, path, ["dedup.threshold=0.9"])
    assert told == config({"rules": {"preset": "gopher"}, "dedup": {"threshold": 0.9}})


def test_there_is_nothing_to_recut(lake: Lake) -> None:
    with pytest.raises(LakeError, match="no candidates to decide over: run `millpond curate` first"):
        recut_config(lake, None)


def test_models_are_known_by_their_content(tmp_path: Path) -> None:
    for name in ("a.npz", "b.npz"):
        (tmp_path / name).write_bytes(b"model")
    one, other = ({"quality": {"model": str(tmp_path / name)}} for name in ("a.npz", "b.npz"))
    measured = config({"classifiers": one}).measured()
    assert measured == config({"classifiers": other}).measured()
    assert measured != config({}).measured()
    (tmp_path / "b.npz").write_bytes(b"another")
    assert measured != config({"classifiers": other}).measured()


#: Of every section, a setting that only decides.
DECIDING: dict[str, Any] = {
    "language": {"min_score": 0.1, "allowed": ["en"], "override": {"de": {"thresholds": {"min_word_count": 1}}}},
    "rules": {"preset": "gopher", "thresholds": {"min_word_count": 1}},
    "blocklists": {"ads": {"path": "list", "sha256": "0" * 64}},
    "c4": {"remove_lines": True},
    "dedup": {
        "scope": "crawl",
        "url": "newest",
        "exact": False,
        "near": False,
        "threshold": 0.5,
        "anchors": 2,
        "priority": ["a"],
        "quality": "word_count",
        "lines": {"unit": "lines"},
        "spans": {"enabled": True},
        "semantic": {"threshold": 0.9},
        "preset": "fineweb",
        "max_cluster_share": 0.1,
        "max_removed_share": 0.1,
        "judged_from": 2,
        "bands": 8,
        "rows": 14,
    },
    "decontaminate": {"ngram": 12},
    "incremental": True,
}


def test_every_setting_either_measures_or_decides() -> None:
    plain = config({})
    assert config(DECIDING).measured() == plain.measured()
    decides = {"language", "rules", "blocklists", "decontaminate", "dedup", "incremental"}
    for name in CurateConfig.model_fields.keys() - decides:
        assert any(key == name or key.startswith(f"{name}.") for key in _full().measured()), name
    asked = {f"dedup.{name}" for name in DECIDING["dedup"]} | {"dedup.shingles", "dedup.ngram", "dedup.seed"}
    assert {f"dedup.{name}" for name in type(plain.dedup).model_fields} == asked, "say of a new setting which it is"


def _full() -> CurateConfig:
    model = {"path": "m", "sha256": "0" * 64}
    settings = {
        "flagged": {"words": {"any": ["spam"]}},
        "unigrams": {"en": model},
        "perplexity": {"en": {"model": model}},
        "classifiers": {"quality": {"model": model}},
    }
    return config(settings)


def test_the_command_predicts_and_recuts(real: Lake, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ("curate", "recut", "--lake", real.uri, "--set", "rules.thresholds.min_word_count=400")
    shown = json.loads(call(*asked, "--predict", "--output", "json").out)
    [short] = [row for row in shown if row["rule"] == "min_word_count"]
    assert short["documents"] > 5 and short["bytes"] > 500
    query = call(*asked, "--sql").out
    assert json.loads(call("sql", query, "--lake", real.uri, "--output", "json").out) == shown
    before = real.release()
    ended = call(*asked, "--set", "extract.tables=false")
    assert ended.code == 2 and "extract.tables was true and is false" in ended.err and real.release() == before
    assert call(*asked).out.startswith("curate: release")
    dropped = duckdb.execute(
        "select count(*) from read_parquet(?) where rule = 'min_word_count'", [real.files("corpus.rejects")]
    ).fetchone()
    assert dropped == (short["documents"],)
    main(["--recut", *asked[2:]])
    assert json.loads(capsys.readouterr().out)["unchanged"], "spark-submit curate/job.py --recut is the same run"
