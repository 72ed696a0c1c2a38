"""Signatures equal datasketch's value for value, and estimate the true similarity."""

from __future__ import annotations

import random

import datasketch
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from millpond.curate.dedup.minhash import MinHasher, shingle_hash
from millpond.curate.words import content_words

HASHER = MinHasher()


def shingles_of(text: str, ngram: int = 5) -> set[bytes]:
    words = content_words(text)
    size = min(ngram, len(words))
    return {" ".join(words[at : at + size]).encode() for at in range(len(words) - size + 1)} if words else set()


def reference(shingles: set[bytes], num_perm: int = 112, seed: int = 1) -> datasketch.MinHash:
    result = datasketch.MinHash(num_perm, seed, hashfunc=shingle_hash, scheme="affine32")
    for shingle in sorted(shingles):
        result.update(shingle)
    return result


@settings(max_examples=60, deadline=None)
@given(
    text=st.lists(st.text(max_size=6), max_size=40).map(" ".join),
    num_perm=st.integers(1, 130),
    ngram=st.integers(1, 7),
    seed=st.integers(0, 2**32 - 1),
)
def test_values_are_those_of_datasketch(text: str, num_perm: int, ngram: int, seed: int) -> None:
    text = text.encode("utf-8", "ignore").decode()
    hasher = MinHasher(num_perm, ngram, seed)
    expected = reference(shingles_of(text, ngram), num_perm, seed).hashvalues
    np.testing.assert_array_equal(hasher.signature(hasher.shingles(text)), expected)
    assert hasher.signatures([text]) == [expected.astype("<u4").tobytes()]


def test_values_are_those_of_datasketch_on_real_pages(real_texts: list[str]) -> None:
    for text in sorted(real_texts, key=len)[:: len(real_texts) // 6]:
        np.testing.assert_array_equal(HASHER.signature(HASHER.shingles(text)), reference(shingles_of(text)).hashvalues)


def test_the_empty_set() -> None:
    assert len(HASHER.shingles(" … \n")) == 0
    np.testing.assert_array_equal(HASHER.signature(HASHER.shingles("")), datasketch.MinHash(112).hashvalues)
    assert HASHER.jaccard(HASHER.shingles(""), HASHER.shingles("")) == 0


def test_stored_signatures_load_into_datasketch() -> None:
    [data] = HASHER.signatures(["the quick brown fox jumps over the lazy dog"])
    loaded = datasketch.MinHash(hashvalues=np.frombuffer(data, "<u4"), seed=1, scheme="affine32")
    assert loaded.jaccard(reference(shingles_of("The quick, brown fox jumps over the lazy dog!"))) == 1


def test_fewer_words_than_a_shingle_make_one() -> None:
    assert HASHER.shingles("two words").tolist() == [shingle_hash(b"two words")]


def test_shingles_ignore_case_and_punctuation_but_not_order() -> None:
    same = HASHER.shingles("One two, three. Four five six")
    np.testing.assert_array_equal(same, HASHER.shingles("one TWO three\nfour five -- six"))
    assert HASHER.jaccard(same, HASHER.shingles("six five four three two one")) == 0


def test_jaccard_is_that_of_the_sets() -> None:
    first, second = "a b c d e f g h", "a b c d e f x y"
    sets = shingles_of(first), shingles_of(second)
    expected = len(sets[0] & sets[1]) / len(sets[0] | sets[1])
    assert HASHER.jaccard(HASHER.shingles(first), HASHER.shingles(second)) == expected


def test_signatures_estimate_the_jaccard_similarity() -> None:
    generator = random.Random(5)
    words = [f"w{generator.randrange(10_000)}" for _ in range(600)]
    for changed in (0, 5, 20, 60):
        other = list(words)
        for place in generator.sample(range(600), changed):
            other[place] = "changed"
        sets = HASHER.shingles(" ".join(words)), HASHER.shingles(" ".join(other))
        agreement = float(np.mean(HASHER.signature(sets[0]) == HASHER.signature(sets[1])))
        assert agreement == pytest.approx(HASHER.jaccard(*sets), abs=0.15)
