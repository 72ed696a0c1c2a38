"""Which n-grams of evaluation sets stand in a text, word by word."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from millpond.curate.config import DecontaminateConfig
from millpond.curate.dedup.cutting import Words
from millpond.curate.eval_sets import Example, read_examples
from millpond.curate.ngram_index import Index, Overlap, build_index
from millpond.curate.signals.words import content_words
from millpond.errors import ConfigError, InputError

LONG = "When the river rose in spring, the miller's daughter carried nine sacks of flour over the old bridge."
SHORT = "Who carried the nine sacks over the bridge?"


def index_of(*texts: str, ngram: int = 13, min_words: int = 8) -> Index:
    return build_index([Example("set", n, None, (text,)) for n, text in enumerate(texts, 1)], ngram, min_words)


def overlaps(index: Index, text: str, beside: Sequence[str] = ("", "Nothing of it.")) -> list[Overlap]:
    """What a text shares with each example; other texts are looked through in the same batch."""
    found = [(place, number) for at, number, place in index.found([*beside, text]) if at == len(beside)]
    return index.overlaps(found)


@pytest.mark.parametrize(
    "text",
    [
        LONG,
        f"He said: {LONG.upper()} And more.",
        " \n".join(LONG.split()),
        LONG.replace(",", " --").replace("'", "’").rstrip("."),
    ],
)
def test_an_example_is_found_whatever_its_case_spacing_and_punctuation(text: str) -> None:
    words = content_words(LONG)
    [found] = overlaps(index_of("Of no matter here, but long enough to be looked for.", LONG), text)
    assert found == Overlap(1, len(words) - 12, 1.0, " ".join(words[:13]))


def test_twelve_of_thirteen_words_are_not_enough() -> None:
    words = content_words(LONG)
    index = index_of(LONG)
    for begin in range(len(words) - 12):
        gram = words[begin : begin + 13]
        assert [found.ngrams for found in overlaps(index, " ".join(gram))] == [1]
        for place in range(13):
            assert not overlaps(index, " ".join([*gram[:place], "otherwise", *gram[place + 1 :]]))
            assert not overlaps(index, " ".join(gram[:place] + gram[place + 1 :]))


def test_a_short_text_is_found_as_a_whole_and_a_shorter_one_not_at_all() -> None:
    index = index_of(SHORT, "Who carried the sacks?")
    assert overlaps(index, f"A question. {SHORT} The miller.") == [Overlap(0, 1, 1.0, " ".join(content_words(SHORT)))]
    assert not overlaps(index, SHORT.replace("bridge", "river")) and not overlaps(index, "Who carried the sacks?")
    assert index.describe() == "decontaminate: 1 n-grams of set (2 examples, 1 of them too short to be found)"


def test_no_run_crosses_from_one_text_into_the_next() -> None:
    words = LONG.split()
    index = build_index([Example("set", 1, None, (" ".join(words[:9]), " ".join(words[9:])))], 13, 8)
    assert [index.spelled(number).split() for number in range(2)] == [
        content_words(" ".join(part)) for part in (words[9:], words[:9])
    ]
    assert not list(index_of(LONG).found([" ".join(words[:9]), " ".join(words[9:])]))


def test_what_examples_share_counts_for_each() -> None:
    first, second = (f"{LONG} {end}" for end in ("So they say in the valley.", "Nobody saw her again."))
    index = index_of(first, second)
    sizes = [len(content_words(text)) - 12 for text in (first, second)]
    shared = len(content_words(LONG)) - 12
    assert [(o.example, o.ngrams, o.share) for o in overlaps(index, LONG)] == [
        (0, shared, shared / sizes[0]),
        (1, shared, shared / sizes[1]),
    ]
    assert overlaps(index, f"{LONG} {first}")[0].share == 1.0


def test_a_hash_that_is_met_by_chance_is_no_hit() -> None:
    """The index of one text, with the hashes of another: every look-up hits, and no word agrees."""
    other = " ".join(f"word{number}" for number in range(len(content_words(LONG))))
    mine, theirs = index_of(LONG), index_of(other)
    [own], [foreign] = mine.grams, theirs.grams
    collided = replace(mine, grams=(replace(own, hashes=foreign.hashes, sieve=foreign.sieve),))
    assert len(list(theirs.found([other]))) == len(own.hashes)
    assert not list(collided.found([other]))


def test_as_a_search_word_by_word_would_find() -> None:
    generator = random.Random(3)
    examples = [" ".join(generator.choices("abc", k=generator.randrange(0, 9))) for _ in range(40)]
    texts = [" ".join(generator.choices("abc", k=generator.randrange(0, 30))) for _ in range(60)]
    index = index_of(*examples, ngram=5, min_words=3)
    expected = set()
    for at, text in enumerate(texts):
        words = text.split()
        for length in (3, 4, 5):
            sought = {
                tuple(each[start : start + length])
                for each in map(str.split, examples)
                for start in range(len(each) - length + 1)
                if length == 5 or len(each) == length
            }
            for start in reversed(range(len(words) - length + 1)):
                if (gram := tuple(words[start : start + length])) in sought:
                    expected.add((at, gram))
    found = list(index.found(texts))
    assert {(at, tuple(index.spelled(number).split())) for at, number, _ in found} == expected and len(expected) > 100
    assert len(found) == len(expected)
    assert found == sorted(found, key=lambda hit: (hit[0], hit[2]))
    for at, number, place in found:
        looked_for, words = index.spelled(number).split(), texts[at].split()
        starts = [start for start in range(len(words)) if words[start : start + len(looked_for)] == looked_for]
        assert place == starts[0]


def test_no_example_of_real_sets_is_missed(test_data: Path) -> None:
    files = {"arc": "arc_easy.a.jsonl", "lambada": "lambada_openai.a.jsonl", "piqa": "piqa.a.jsonl"}
    sets = {name: [str(test_data / "eval" / file)] for name, file in files.items()}
    examples = list(read_examples(DecontaminateConfig.model_validate({"sets": sets}).sets))
    index = build_index(examples, 13, 8)
    chosen = [n for n in range(0, len(examples), 7) if index.sizes[n]]
    texts = [" / ".join(examples[n].texts).swapcase().replace(" ", "\t") for n in chosen]
    found: dict[int, list[tuple[int, int]]] = {}
    for at, number, place in index.found(texts):
        found.setdefault(at, []).append((place, number))
    assert len(chosen) > 500
    for at, example in enumerate(chosen):
        assert any(o.example == example and o.share == 1.0 for o in index.overlaps(found[at]))


def test_rows_give_their_strings_and_their_place(tmp_path: Path) -> None:
    lines, table = tmp_path / "a.jsonl", tmp_path / "b.parquet"
    rows: list[dict[str, Any]] = [
        {"id": 17, "query": "one?", "choices": ["a", {"b": ["c"]}], "gold": 0},
        {"query": "two?", "gold": None},
    ]
    lines.write_text("".join(json.dumps(row) + "\n" for row in rows))
    pq.write_table(pa.table({"id": ["x"], "query": ["three?"]}), table)

    def read(**chosen: Any) -> list[Example]:
        config = DecontaminateConfig.model_validate({"sets": {"s": {"files": [str(lines), str(table)]} | chosen}})
        return list(read_examples(config.sets))

    assert read() == [
        Example("s", 1, "17", ("one?", "a", "c")),
        Example("s", 2, None, ("two?",)),
        Example("s", 3, "x", ("x", "three?")),
    ]
    assert [example.texts for example in read(fields=["query"])] == [("one?",), ("two?",), ("three?",)]
    with pytest.raises(InputError, match=r"a.jsonl: line 2 has no field 'choices' \(its fields: query, gold\)"):
        read(fields=["choices"])
    config = DecontaminateConfig.model_validate({"sets": {"s": str(lines)}})
    lines.write_text("{}\n")
    with pytest.raises(InputError, match=r"has sha256 .*, the settings say"):
        list(read_examples(config.sets))
    lines.write_text("\n")
    with pytest.raises(InputError, match=r"decontaminate.sets.s: no examples in"):
        list(read_examples(DecontaminateConfig.model_validate({"sets": {"s": str(lines)}}).sets))
    with pytest.raises(ConfigError, match="min_words=9 is more than ngram=8"):
        DecontaminateConfig.from_mapping({"ngram": 8, "min_words": 9}, "x")


def test_odd_rows(tmp_path: Path) -> None:
    """Fields alone do not cost the id; maps of Parquet are pairs, and JSON may hold half of a character."""
    lines, table = tmp_path / "a.jsonl", tmp_path / "b.parquet"
    lines.write_text('{"id": "\\ud83d", "query": null}\n{"id": true, "query": {"a": []}}\n')
    answers = pa.array([[("a", "four"), ("b", None)]], pa.map_(pa.string(), pa.string()))
    pq.write_table(pa.table({"id": ["x"], "query": ["three?"], "answers": answers}), table)

    def read(*fields: str, file: Path) -> list[Example]:
        sets = {"s": {"files": [str(file)], "fields": fields}}
        return list(read_examples(DecontaminateConfig.model_validate({"sets": sets}).sets))

    assert read("query", file=lines) == [Example("s", 1, "?", ()), Example("s", 2, "True", ())]
    assert read("query", "answers", file=table) == [Example("s", 1, "x", ("three?", "four"))]
    with pytest.raises(InputError, match=r"b.parquet: row 1 has no field 'choices' \(its fields: id, query"):
        read("choices", file=table)


def test_a_text_is_split_once_however_much_of_it_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page that holds a whole set, of more texts than are kept at hand."""
    split, words_of = [], Words.of

    def of(text: str) -> Words:
        split.append(text)
        return words_of(text)

    monkeypatch.setattr(Words, "of", of)
    texts = [" ".join(f"{name}{number}" for number in range(30)) for name in map(str, range(0, 100_000, 500))]
    page = "\n".join(texts)
    assert len(list(index_of(*texts).found([page]))) == len(texts) * 18
    assert len(split) == len(texts) + 1 and split[0] == page


def test_empty_sets_and_texts() -> None:
    assert not list(index_of("too short").found(["anything at all"]))
    assert not list(index_of(LONG).found([])) and not list(index_of(LONG).found(["", ""]))
    assert np.array_equal(build_index([Example("s", 1, None, ())], 13, 8).sizes, [0])
