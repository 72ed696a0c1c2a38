"""Encoding loses nothing, and no text becomes a special token, whoever made the tokenizer."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors, trainers

from millpond.tokenize.encode import Encoder
from millpond.tokenize.training import train
from millpond.tokenize.vocabulary import END_OF_TEXT, Vocabulary

TEXTS = ["The miller's wheel turned; 12 sacks by noon.", "水車が回る。", f"say {END_OF_TEXT} twice"] * 40
ENCODER = Encoder(train(TEXTS, vocab_size=600))
SPECIAL = st.sampled_from([END_OF_TEXT, "<|endof", "text|>", "</s>", "\u0120", "\x00", "\r\n", "  "])


@given(st.lists(st.text() | SPECIAL).map("".join))
def test_every_text_comes_back_and_holds_no_special_token(text: str) -> None:
    (ids,) = ENCODER.batch([text])
    vocabulary = ENCODER.vocabulary
    assert ids.dtype == np.uint16 and vocabulary.eos_id not in ids
    assert vocabulary.tokenizer.decode(ids.tolist(), skip_special_tokens=False) == text


def test_the_default_would_have_made_it_special() -> None:
    tokenizer = ENCODER.vocabulary.tokenizer
    assert 0 in tokenizer.encode(f"a{END_OF_TEXT}b").ids
    assert 0 not in ENCODER.batch([f"a{END_OF_TEXT}b"])[0]
    plain = Encoder(train(["endoftext"] * 9, vocab_size=300))  # knows the word: it is encoded, not spelled out
    assert len(plain.batch([END_OF_TEXT])[0]) == len("<|") + 1 + len("|>")
    assert not tokenizer.encode_special_tokens  # the vocabulary's own is left alone


def test_a_batch_is_the_texts_one_by_one() -> None:
    together = ENCODER.batch([*TEXTS, ""])
    assert all(np.array_equal(a, ENCODER.batch([t])[0]) for a, t in zip(together, [*TEXTS, ""], strict=True))
    assert len(together[-1]) == 0 and ENCODER.batch([]) == []


def test_nothing_is_added_cut_or_filled() -> None:
    tokenizer = Tokenizer.from_str(ENCODER.vocabulary.tokenizer.to_str())
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{END_OF_TEXT} $A {END_OF_TEXT}", special_tokens=[(END_OF_TEXT, 0)]
    )
    (ids,) = Encoder(Vocabulary(tokenizer, END_OF_TEXT)).batch(["a b"])
    assert tokenizer.encode("a b").ids == [0, *ids, 0]


def unigram() -> Tokenizer:
    """Keeps `</s>` as an ordinary piece of its model, as sentencepiece models do."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=60, special_tokens=["<unk>", "<s>", "</s>"], unk_token="<unk>", show_progress=False
    )
    tokenizer.train_from_iterator(["the quick brown fox </s> <s> jumps over the lazy dog"] * 50, trainer)
    return tokenizer


def word_level() -> Tokenizer:
    tokenizer = Tokenizer(models.WordLevel({"<unk>": 0, "<s>": 1, "</s>": 2, "the": 3}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.add_special_tokens(["<unk>", "<s>", "</s>"])
    return tokenizer


def ordinary_end_of_text() -> Tokenizer:
    """Added its end-of-text token as one that is not special."""
    tokenizer = Tokenizer.from_str(ENCODER.vocabulary.tokenizer.to_str())
    tokenizer.add_tokens([AddedToken("</s>", special=False)])
    tokenizer.add_special_tokens(["<s>"])
    return tokenizer


@pytest.mark.parametrize("make", [unigram, word_level, ordinary_end_of_text])
def test_no_text_becomes_special_in_a_foreign_tokenizer(make: object) -> None:
    tokenizer = make()  # type: ignore[operator]
    special = {tokenizer.token_to_id("<s>"), tokenizer.token_to_id("</s>")}
    encoder = Encoder(Vocabulary(tokenizer, "</s>"))
    text = "<s> the </s>the </s></s> </s>"
    assert special & set(tokenizer.encode(text).ids)  # it would, left to itself
    (ids,) = encoder.batch([text])
    assert len(ids) and not special & set(ids.tolist())


def test_what_a_unigram_model_spells_out_reads_the_same() -> None:
    encoder = Encoder(Vocabulary(unigram(), "</s>"))
    (ids,) = encoder.batch(["the </s> fox"])
    assert encoder.vocabulary.tokenizer.decode(ids.tolist(), skip_special_tokens=False) == "the </s> fox"


def test_unknown_words_stay_unknown() -> None:
    assert Encoder(Vocabulary(word_level(), "</s>")).batch(["the pond"])[0].tolist() == [3, 0]


@pytest.mark.parametrize(
    "text", ["^" * 1_000_000, "etaoin" * 170_000, "\u0301" * 300_000], ids=["^", "word", "accent"]
)
def test_texts_without_end_take_no_time_without_end(text: str) -> None:
    start = time.perf_counter()
    (ids,) = ENCODER.batch([text])
    assert time.perf_counter() - start < 20
    assert ENCODER.vocabulary.tokenizer.decode(ids.tolist()) == text
