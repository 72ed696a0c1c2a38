"""What a curation run makes anew, and what it keeps, where another release came before its own."""

from __future__ import annotations

from mixtures import publish_corpus

from millpond.compact import CompactConfig, compact
from millpond.config import StageConfig
from millpond.curate.config import CurateConfig
from millpond.curate.job import _Corpus, _same_candidates
from millpond.curate.times import Times
from millpond.lake import Lake
from millpond.publish import Batch, Mode, Run


def passes(batch: Batch) -> list[dict[str, object]]:
    """An audit."""
    return []


def test_decisions_over_candidates_that_were_compacted_meanwhile_stand(lake: Lake) -> None:
    publish_corpus(lake, [{"text": f"text {n}"} for n in range(4)], parts=2)
    at, config = lake.tables()["corpus.candidates"], CurateConfig()
    run = Run(lake, "curate", config, {"corpus.candidates": at})
    made = _Corpus(config, _same_candidates, ("corpus.candidates",), made_on={"corpus.candidates": at})
    compact(lake, CompactConfig(), passes)
    base = lake.release()
    assert base is not None and base.tables["corpus.candidates"] != at
    made(run, base)
    assert made.made_on == {"corpus.candidates": at}
    assert sorted(_same_candidates(run, config, base, Times())) == sorted(lake.files("corpus.candidates", at))


def test_contamination_that_another_run_published_meanwhile_goes_with_its_corpus(lake: Lake) -> None:
    config = CurateConfig()
    run = Run(lake, "curate", config, {})
    made = _Corpus(config, lambda run, config, base, times: [], (), made_on={})
    made(run, lake.release())
    assert "corpus.contamination" not in run._staged
    other = Run(lake, "curate", StageConfig(), {})
    row = {"doc_id": "0", "url": "u", "benchmark": "b", "example": 1, "ngrams": 1, "share": 1.0, "first_ngram": "n"}
    other.stage_rows("corpus.contamination", [row], Mode.REPLACE)
    other.publish(passes)
    made(run, lake.release())
    run.publish(passes, made)
    assert lake.rows("corpus.contamination") == 0
