from __future__ import annotations

import math
import random
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from millpond.errors import InputError
from millpond.eval import trigram
from millpond.eval.trigram import ByteTrigram

TEXTS = ["the mill on the pond", "the pond", "żółw", "", "\0\0zero\0"]


def by_hand(train: list[bytes], context: bytes, byte: int) -> float:
    """Witten-Bell of the longest context, written as its recursion."""

    def probability(context: bytes) -> float:
        following = []
        for text in train:
            padded = b"\0\0" + text
            for place in range(2, len(padded)):
                if padded[place - len(context) : place] == context:
                    following.append(padded[place])
        shorter = probability(context[1:]) if context else 1 / 256
        if not following:
            return shorter
        kinds = len(set(following))
        return (following.count(byte) + kinds * shorter) / (len(following) + kinds)

    return probability(context)


def test_probabilities_are_the_published_recursion() -> None:
    model = ByteTrigram(TEXTS)
    train = [text.encode() for text in TEXTS]
    for context in (b"\0\0", b"th", b"e ", b"zz", b"xe", "ż".encode()):
        expected = [by_hand(train, context, byte) for byte in range(256)]
        assert model.probabilities(*context) == pytest.approx(expected, rel=1e-12)


@settings(max_examples=5, deadline=None)
@given(st.lists(st.binary(max_size=60), max_size=6), st.binary(min_size=2, max_size=2))
def test_each_context_has_a_distribution_without_zeros(texts: list[bytes], context: bytes) -> None:
    values = ByteTrigram([*texts, b"x"]).probabilities(*context)
    assert values.sum() == pytest.approx(1)
    assert values.min() > 0


def test_the_score_is_the_sum_over_bytes() -> None:
    model = ByteTrigram(TEXTS)
    scored = ["pond on the mill", "", "é"]
    bits = 0.0
    for text in scored:
        padded = b"\0\0" + text.encode()
        for place in range(2, len(padded)):
            bits -= math.log2(model.probabilities(padded[place - 2], padded[place - 1])[padded[place]])
    score = model.score(scored)
    assert score.bits == pytest.approx(bits)
    assert (score.bytes, score.texts) == (18, 3)
    assert score.bits_per_byte == pytest.approx(bits / 18)


def test_the_chunk_size_does_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = ByteTrigram(TEXTS).score(TEXTS)
    monkeypatch.setattr(trigram, "_CHUNK", 3)
    pieces = ByteTrigram(iter(TEXTS)).score(iter(TEXTS))
    assert pieces.bits == pytest.approx(whole.bits)
    assert pieces.bytes == whole.bytes


def test_texts_are_streamed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trigram, "_CHUNK", 1000)
    held = most = 0

    class Text(bytes):
        def __new__(cls) -> Text:
            nonlocal held, most
            held += 1
            most = max(most, held)
            return super().__new__(cls, b"x" * 100)

        def __del__(self) -> None:
            nonlocal held
            held -= 1

    def texts() -> Iterator[bytes]:
        for _ in range(500):
            yield Text()

    ByteTrigram(texts())
    assert most < 40


def test_a_second_order_source_costs_its_entropy_and_noise_no_less_than_eight_bits() -> None:
    numbers = random.Random(1)
    letters = b"ab"
    text = bytearray(b"ab")
    for _ in range(60_000):  # the next letter is the one two places back, three times in four
        text.append(text[-2] if numbers.random() < 0.75 else numbers.choice(letters))
    entropy = -(0.875 * math.log2(0.875) + 0.125 * math.log2(0.125))
    model = ByteTrigram([bytes(text[:50_000])])
    assert model.score([bytes(text[50_000:])]).bits_per_byte == pytest.approx(entropy, abs=0.03)
    noise = np.random.default_rng(0).integers(0, 256, 200_000, dtype=np.uint8).tobytes()
    assert ByteTrigram([noise[:100_000]]).score([noise[100_000:]]).bits_per_byte >= 8


def test_nothing_to_count_or_to_score_is_an_error() -> None:
    with pytest.raises(InputError, match="at least one training document"):
        ByteTrigram(["", ""])
    with pytest.raises(InputError, match="no text to score"):
        ByteTrigram(["x"]).score([])
