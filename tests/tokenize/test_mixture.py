"""A mixture is tokenized as often as it says, each document's copies on one side of the split."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from mixtures import publish_corpus
from pyspark.sql import SparkSession

from millpond.curate.mix.config import MixConfig
from millpond.curate.mix.job import mix
from millpond.errors import LakeError, LedgerError
from millpond.lake import Lake
from millpond.publish import Batch
from millpond.quality.balance import check
from millpond.shard import Shard, index_path
from millpond.tokenize.config import TokenizeConfig
from millpond.tokenize.job import tokenize

DOCUMENTS = [
    {"text": f"Sluice {n}: " + "the pond fell by an inch. " * (n % 5), "registered_domain": f"{'abc'[n % 3]}.test"}
    for n in range(60)
]
MIX = MixConfig.model_validate(
    {
        "components": [
            {"name": "a", "sources": ["a.test"], "weight": 0.8, "max_repeats": 4},
            {"name": "b", "sources": ["b.test"], "weight": 0.2},
        ]
    }
)


def config(**changes: Any) -> TokenizeConfig:
    values = {
        "context_length": 32,
        "rows_per_sample": 2,
        "buckets": 3,
        "vocab_size": 300,
        "fractions": (0.6, 0.2, 0.2),
    }
    return TokenizeConfig.model_validate({**values, **changes})


def test_a_mixture_is_tokenized_as_often_as_it_says(spark: SparkSession, tmp_path: Path) -> None:
    lake = Lake.open(str(tmp_path / "lake"), create=True)
    publish_corpus(lake, DOCUMENTS)
    with pytest.raises(LakeError, match="has no mixture yet"):
        tokenize(lake, config(corpus="mixture"))
    mix(lake, MIX)
    copies = {row["doc_id"]: row["copies"] for row in lake.read("corpus.mixture").to_pylist()}
    assert max(copies.values()) > 1 and len(copies) < len(DOCUMENTS)

    outcome = tokenize(lake, config(corpus="mixture"))
    parts = lake.read("tokens.documents").to_pylist()
    assert Counter(row["doc_id"] for row in parts if row["part"] == 0) == copies
    splits: dict[str, set[str]] = defaultdict(set)
    for row in parts:
        splits[row["doc_id"]].add(row["split"])
    assert all(len(found) == 1 for found in splits.values())
    places = {(row["shard"], row["sample"], row["row"], row["offset"]) for row in parts}
    assert len(places) == len(parts)

    # Every copy decodes to the document's text.
    texts = {row["doc_id"]: row["text"] for row in lake.read("corpus.documents").to_pylist()}
    shards = {row["shard"]: Path(row["path"]) for row in lake.read("tokens.shards").to_pylist()}
    opened = {name: Shard.open(index_path(path.parent, path.name)) for name, path in shards.items()}
    tokens: dict[tuple[str, int], list[int]] = defaultdict(list)
    for row in sorted(parts, key=lambda row: (row["doc_id"], row["copy"], row["part"])):
        ids = opened[row["shard"]].rows(row["sample"])[row["row"]][row["offset"] : row["offset"] + row["length"]]
        tokens[row["doc_id"], row["copy"]] += ids.tolist()
    from transformers import AutoTokenizer

    folder = next(iter(shards.values())).parent / "tokenizer"
    decode = AutoTokenizer.from_pretrained(str(folder)).decode
    assert {key: decode(ids[:-1]) for key, ids in tokens.items()} == {
        (doc_id, copy): texts[doc_id] for doc_id, n in copies.items() for copy in range(n)
    }

    # One copy missing is a ledger that does not balance.
    release = lake.release()
    assert release is not None and release.run_id == outcome.run_id
    inputs = {name: lake.files(name) for name in ("corpus.documents", "corpus.mixture")}
    tables = ("tokens.documents", "tokens.shards", "tokens.rejects")
    new = {name: lake.files(name) for name in tables if lake.files(name)}
    ledger = [row for row in lake.read("ops.ledger").to_pylist() if row["run_id"] == outcome.run_id]
    assert {(r["unit"], r["entry"]): r["amount"] for r in ledger}["documents", "in"] == sum(copies.values())
    batch = Batch(outcome.run_id, "tokenize", new, new, inputs)
    written = _written(lake, tmp_path / "ledger", "ops.ledger", ledger)
    batch = replace(batch, new={**new, "ops.ledger": written})
    check(batch)
    lost = [row for row in parts if (row["doc_id"], row["copy"]) != max((r["doc_id"], r["copy"]) for r in parts)]
    fewer = _written(lake, tmp_path / "lost", "tokens.documents", lost)
    with pytest.raises(LedgerError, match="has neither tokens nor a reason"):
        check(replace(batch, new={**batch.new, "tokens.documents": fewer}))

    publish_corpus(lake, random.Random(1).sample(DOCUMENTS, 50))
    with pytest.raises(LakeError, match="of another corpus than the released one"):
        tokenize(lake, config(corpus="mixture"))


def _written(lake: Lake, folder: Path, table: str, rows: list[dict[str, Any]]) -> list[str]:
    from millpond.datafile import write_rows

    return [entry.path for entry in write_rows(table, folder, rows)]
