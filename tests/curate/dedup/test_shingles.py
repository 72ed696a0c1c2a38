"""Which shingles a text has, and that their 32 bits are worth 32 bits."""

from __future__ import annotations

import math
import random
import string

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from millpond.curate.dedup import shingles as module
from millpond.curate.dedup.shingles import Shingles, character_shingle_hash, jaccard, word_shingle_hash
from millpond.curate.signals.words import content_words

WORDS = Shingles(5)


def test_fewer_words_than_a_shingle_make_one() -> None:
    assert WORDS.of("two words").tolist() == [word_shingle_hash(b"two words")]
    assert Shingles(24, "characters").of("short").tolist() == [character_shingle_hash(b"short")]


def test_words_ignore_case_and_punctuation_but_not_order() -> None:
    same = WORDS.of("One two, three. Four five six")
    np.testing.assert_array_equal(same, WORDS.of("one TWO three\nfour five -- six"))
    assert jaccard(same, WORDS.of("six five four three two one")) == 0
    np.testing.assert_array_equal(WORDS.of("ΟΔΟΣ"), WORDS.of("οδος"))


def test_characters_stand_as_they_are() -> None:
    shingles = Shingles(3, "characters")
    assert sorted(shingles.of("aB, c").tolist()) == sorted(map(character_shingle_hash, (b"aB,", b"B, ", b", c")))


@settings(max_examples=200, deadline=None)
@given(text=st.text(max_size=60).filter(lambda text: not {"İ", "Σ", "ς"} & set(text)))
def test_words_are_content_words(text: str) -> None:
    """İ and the final sigma are lower-cased by themselves here."""
    expected = {word_shingle_hash(word.encode("utf-8", "surrogatepass")) for word in content_words(text)}
    assert set(Shingles(1).of(text).tolist()) == expected


def test_every_code_point_is_a_letter_where_it_is_in_a_word() -> None:
    table = module.letter_table()
    for code in (*range(0, 0x30000, 7), 0xE0067, 0xE0FFF, 0xE1000, 0xF0000, 0x10FFFF):
        words = content_words(chr(code) * 2)
        assert (table[code] == 0) == (not words), hex(code)
        assert (table[code] >= 1 << 31) == (len(words) > 1 and len(words[0]) == 1), hex(code)


@pytest.mark.parametrize("block", [1, 2, 3, 7, 64])
def test_a_word_may_cross_blocks(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = ["a bc def 漢字かな ghijklmnopqrstuvwxyz" * 3, "", "x", "...", "one more, 漢"]
    expected = [Shingles(2).of(text).tolist() for text in texts]
    monkeypatch.setattr(module, "_BLOCK", block)
    assert [Shingles(2).of(text).tolist() for text in texts] == expected


def test_jaccard_is_that_of_the_sets() -> None:
    first, second = ["a", "b", "c", "d", "e", "f", "g", "h"], ["a", "b", "c", "d", "e", "f", "x", "y"]
    sets = [{tuple(words[at : at + 5]) for at in range(4)} for words in (first, second)]
    expected = len(sets[0] & sets[1]) / len(sets[0] | sets[1])
    assert jaccard(WORDS.of(" ".join(first)), WORDS.of(" ".join(second))) == expected
    assert jaccard(WORDS.of(""), WORDS.of("")) == 0


def spread(hashes: list[int]) -> tuple[float, float, float]:
    """Deviations from chance in sigmas: of collisions, of the worst bit, of the worst pair of bits."""
    values = np.array(hashes, dtype=np.uint32)
    count = len(values)
    chance = count * (count - 1) / 2 / 2**32
    collisions = (count - len(np.unique(values)) - chance) / math.sqrt(chance)
    signs = 2.0 * ((values[:, None] >> np.arange(32, dtype=np.uint32)) & 1) - 1
    pairs = signs.T @ signs / math.sqrt(count)
    np.fill_diagonal(pairs, 0)
    return collisions, float(np.abs(signs.sum(axis=0)).max()) / math.sqrt(count), float(np.abs(pairs).max())


def test_hashes_are_as_good_as_chance() -> None:
    """Counters, single letters, one script's characters and near-equal words: what a weak hash confuses."""
    generator = random.Random(3)
    letters = string.ascii_lowercase
    near = "".join(generator.choice(letters) for _ in range(40))
    families = {
        "counters": " ".join(map(str, range(60_000))),
        "letters": " ".join(a + " " + b for _ in range(30_000) for a, b in [generator.choices(letters, k=2)]),
        "han": "".join(map(chr, generator.choices(range(0x4E00, 0x9FFF), k=60_000))),
        "near": " ".join(near[:at] + a + b + near[at:] for at in range(0, 40, 4) for a in letters for b in letters),
    }
    for name, text in families.items():
        for kind, ngram in (("words", 5), ("words", 1), ("characters", 24)):
            if (name, ngram) in (("letters", 1), ("han", 1), ("counters", 24), ("near", 24)):
                continue  # few distinct shingles, or as in another family
            shingles = Shingles(ngram, "words" if kind == "words" else "characters")
            hashes, [start], [stop] = shingles.hashes([text])
            tokens = content_words(text) if kind == "words" else list(text)
            distinct: dict[tuple[str, ...], int] = {}
            for at, value in enumerate(hashes[start:stop].tolist()):
                distinct.setdefault(tuple(tokens[at : at + ngram]), value)
            collisions, bit, pair = spread(list(distinct.values()))
            assert collisions < 5 and bit < 5 and pair < 6, (name, kind, ngram, collisions, bit, pair)
