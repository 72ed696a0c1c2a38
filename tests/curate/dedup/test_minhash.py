"""Signatures equal datasketch's value for value, and estimate the true similarity."""

from __future__ import annotations

import random

import datasketch
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from millpond.curate.dedup.minhash import MinHasher
from millpond.curate.dedup.shingles import Kind, character_shingle_hash, jaccard, word_shingle_hash
from millpond.curate.signals.words import content_words

HASHER = MinHasher()


def lowered(text: str) -> str:
    """Each character in lower case by itself."""
    return "".join(character.lower()[0] for character in text).replace("ς", "σ")


def shingles_of(text: str, ngram: int = 5, kind: Kind = "words") -> set[bytes]:
    tokens = content_words(lowered(text)) if kind == "words" else list(text)
    size, between = min(ngram, len(tokens)), " " if kind == "words" else ""
    runs = (tokens[at : at + size] for at in range(len(tokens) - size + 1))
    return {between.join(run).encode("utf-8", "surrogatepass") for run in runs} if tokens else set()


def reference(shingles: set[bytes], num_perm: int = 112, seed: int = 1, kind: Kind = "words") -> datasketch.MinHash:
    hashfunc = word_shingle_hash if kind == "words" else character_shingle_hash
    result = datasketch.MinHash(num_perm, seed, hashfunc=hashfunc, scheme="affine32")
    for shingle in sorted(shingles):
        result.update(shingle)
    return result


def values(hasher: MinHasher, text: str) -> np.ndarray[tuple[int], np.dtype[np.uint32]]:
    [data] = hasher.signatures([text])
    return np.frombuffer(data, "<u4")


TEXTS = st.lists(st.text(max_size=6), max_size=40).map(" ".join)


@settings(max_examples=60, deadline=None)
@given(
    texts=st.lists(TEXTS, min_size=1, max_size=4),
    num_perm=st.integers(1, 130),
    ngram=st.integers(1, 7),
    seed=st.integers(0, 2**32 - 1),
    kind=st.sampled_from(("words", "characters")),
)
def test_values_are_those_of_datasketch(texts: list[str], num_perm: int, ngram: int, seed: int, kind: Kind) -> None:
    """Also where texts are hashed together with others."""
    hasher = MinHasher(num_perm, ngram, seed, kind)
    expected = [reference(shingles_of(text, ngram, kind), num_perm, seed, kind).hashvalues for text in texts]
    assert hasher.signatures(texts) == [row.astype("<u4").tobytes() for row in expected]


def test_values_are_those_of_datasketch_on_real_pages(real_texts: list[str]) -> None:
    some = sorted(real_texts, key=len)[:: len(real_texts) // 6]
    for text, data in zip(some, HASHER.signatures(some), strict=True):
        np.testing.assert_array_equal(np.frombuffer(data, "<u4"), reference(shingles_of(text)).hashvalues)


def test_values_do_not_depend_on_the_texts_beside_them(real_texts: list[str]) -> None:
    texts = [text for real in real_texts for text in (real, "short", "", real[:50])]
    assert HASHER.signatures(texts) == [HASHER.signatures([text])[0] for text in texts]


def test_many_permutations_over_many_shingles() -> None:
    """As many as RefinedWeb's."""
    text = " ".join(f"w{n}" for n in range(200))
    expected = reference(shingles_of(text), 9000).hashvalues
    np.testing.assert_array_equal(values(MinHasher(9000), text), expected)


def test_the_empty_set() -> None:
    assert len(HASHER.shingles.of(" … \n")) == 0
    np.testing.assert_array_equal(values(HASHER, ""), datasketch.MinHash(112).hashvalues)
    assert HASHER.signatures([]) == []


def test_stored_signatures_load_into_datasketch() -> None:
    [data] = HASHER.signatures(["the quick brown fox jumps over the lazy dog"])
    loaded = datasketch.MinHash(hashvalues=np.frombuffer(data, "<u4"), seed=1, scheme="affine32")
    assert loaded.jaccard(reference(shingles_of("The quick, brown fox jumps over the lazy dog!"))) == 1


def test_signatures_estimate_the_jaccard_similarity() -> None:
    generator = random.Random(5)
    words = [f"w{generator.randrange(10_000)}" for _ in range(600)]
    for changed in (0, 5, 20, 60):
        other = list(words)
        for place in generator.sample(range(600), changed):
            other[place] = "changed"
        both = [" ".join(words), " ".join(other)]
        agreement = float(np.mean(values(HASHER, both[0]) == values(HASHER, both[1])))
        assert agreement == pytest.approx(jaccard(*map(HASHER.shingles.of, both)), abs=0.15)
