"""Trained vocabularies: the same texts give the same tokenizer, and every text comes back from its tokens."""

from __future__ import annotations

import json
import random
import time
from functools import cache
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoTokenizer

from millpond.errors import ConfigError
from millpond.tokenize.encode import Encoder
from millpond.tokenize.training import Model, train
from millpond.tokenize.vocabulary import END_OF_TEXT, Vocabulary

MODELS: tuple[Model, ...] = get_args(Model)
TEXTS = [f"The miller opened sluice {n}, and the pond fell by {n * n} inches." for n in range(300)]
TEXTS += ["水車が回る。", "المطحنة", f"## say {END_OF_TEXT} twice #", "\x00\u0120▁"] * 3


@cache
def vocabulary(model: Model) -> Vocabulary:
    return train(TEXTS, vocab_size=520, model=model)


def decoded(model: Model, text: str) -> str:
    (ids,) = Encoder(vocabulary(model)).batch([text])
    assert vocabulary(model).eos_id not in ids
    return vocabulary(model).tokenizer.decode(ids.tolist(), skip_special_tokens=False)


@pytest.mark.parametrize("model", MODELS)
def test_training_does_not_depend_on_the_order_of_texts(model: Model) -> None:
    for seed in range(3):
        shuffled = random.Random(seed).sample(TEXTS, len(TEXTS))
        assert train(iter(shuffled), vocab_size=520, model=model).digest == vocabulary(model).digest
    assert train(TEXTS, vocab_size=515, model=model).digest != vocabulary(model).digest
    assert vocabulary(model).size == 520 and vocabulary(model).eos_id == 0


@pytest.mark.parametrize("model", MODELS)
def test_nor_does_that_of_real_texts_in_many_scripts(test_data: Path, model: Model) -> None:
    examples = _texts(json.loads((test_data / "langid" / "whatlang_examples.json").read_text()))
    text = (test_data / "lm" / "tinyshakespeare" / "input.txt").read_text()[:60_000]
    texts = [*examples, *text.split("\n\n")]
    found = {train(random.Random(seed).sample(texts, len(texts)), 1500, model=model).digest for seed in range(4)}
    assert len(found) == 1


def test_a_word_without_end_takes_no_time_without_end() -> None:
    start = time.monotonic()
    for model in MODELS:
        train(["x" * 200_000 + "水車" * 100_000], vocab_size=600, model=model)
    assert time.monotonic() - start < 20


@given(st.sampled_from(MODELS), st.lists(st.text() | st.sampled_from([END_OF_TEXT, "##", "#a#", "▁", "x" * 300])))
def test_every_text_comes_back(model: Model, parts: list[str]) -> None:
    assert decoded(model, "".join(parts)) == "".join(parts)


@pytest.mark.parametrize("model", MODELS)
def test_a_real_text_is_compressed_and_comes_back(test_data: Path, model: Model) -> None:
    text = (test_data / "lm" / "tinyshakespeare" / "input.txt").read_text()[:200_000]
    trained = train([text[:100_000]], vocab_size=2000, model=model)
    (ids,) = Encoder(trained).batch([text[100_000:]])
    assert 1800 < trained.size <= 2000 and len(ids) < 100_000 / 2.2
    assert trained.tokenizer.decode(ids.tolist(), skip_special_tokens=False) == text[100_000:]


@pytest.mark.parametrize("model", MODELS)
def test_every_language_comes_back(test_data: Path, model: Model) -> None:
    """Real sentences in more than a hundred languages, of which the vocabulary has seen none."""
    examples = json.loads((test_data / "langid" / "whatlang_examples.json").read_text())
    texts = [text for text in _texts(examples) if text]
    assert len(texts) > 60
    for ids, text in zip(Encoder(vocabulary(model)).batch(texts), texts, strict=True):
        assert vocabulary(model).tokenizer.decode(ids.tolist(), skip_special_tokens=False) == text


def _texts(found: object) -> list[str]:
    if isinstance(found, dict):
        return [text for value in found.values() for text in _texts(value)]
    if isinstance(found, list):
        return [text for value in found for text in _texts(value)]
    return [found] if isinstance(found, str) else []


@pytest.mark.parametrize(("model", "least"), [("bpe", 257), ("wordpiece", 513), ("unigram", 257)])
def test_too_small_a_vocabulary_is_refused(model: Model, least: int) -> None:
    smallest = train([], vocab_size=least, model=model)
    assert smallest.size == least
    text = "a ß 水"
    (ids,) = Encoder(smallest).batch([text])
    assert len(ids) == len(text.encode())
    assert smallest.tokenizer.decode(ids.tolist(), skip_special_tokens=False) == text
    with pytest.raises(ConfigError, match=f"vocab_size={least - 1}: every byte"):
        train(TEXTS, vocab_size=least - 1, model=model)


@pytest.mark.parametrize("model", MODELS)
def test_a_saved_one_is_the_same_in_transformers(model: Model, tmp_path: Path) -> None:
    vocabulary(model).save(tmp_path)
    theirs = AutoTokenizer.from_pretrained(str(tmp_path))
    text = "  The pond — 池 — fell ##.\n\n by 12 inches"
    (ids,) = Encoder(vocabulary(model)).batch([text])
    assert theirs(text)["input_ids"] == ids.tolist()
    assert theirs.decode(ids.tolist()) == text
    assert theirs.eos_token_id == 0 and len(theirs) == vocabulary(model).size
