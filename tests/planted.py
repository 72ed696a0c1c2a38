"""Pairs of generated texts whose Jaccard similarity is known by construction, in scripts of every kind.

A text is a run of tokens (words, or letters where a script sets no spaces); its twin has another tail, or other
tokens at scattered places, as many as its similarity asks for. The similarity is then counted here, over sets of
tuples of tokens: nothing of what is tested takes part. Texts of different pairs share next to nothing.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

NGRAM = 5
TOKENS = 180


def _between(*ranges: tuple[int, int]) -> list[str]:
    return [chr(code) for first, last in ranges for code in range(first, last + 1)]


#: Script → its letters, and whether it sets spaces between words.
SCRIPTS: dict[str, tuple[list[str], bool]] = {
    "Latin": (_between((0x61, 0x7A)), True),
    "Cyrillic": (_between((0x430, 0x44F)), True),
    "Arabic": (_between((0x627, 0x63A), (0x641, 0x64A)), True),
    "Devanagari": (_between((0x905, 0x914), (0x915, 0x939), (0x93E, 0x94C)), True),
    "Han": (_between((0x4E00, 0x9FA5)), False),
    "Thai": (_between((0xE01, 0xE2E), (0xE30, 0xE39)), False),
}


@dataclass(frozen=True)
class Pair:
    """Two texts and what is true of them."""

    script: str
    first: str
    second: str
    similarity: float
    """Jaccard similarity of their sets of runs of five tokens."""


def shingles(tokens: list[str]) -> set[tuple[str, ...]]:
    """Runs of five tokens."""
    return {tuple(tokens[at : at + NGRAM]) for at in range(len(tokens) - NGRAM + 1)}


def similarity(first: set[tuple[str, ...]], second: set[tuple[str, ...]]) -> float:
    """Jaccard similarity of two sets."""
    return len(first & second) / len(first | second)


def planted(count: int, seed: int = 1, lowest: float = 0.3) -> Iterator[Pair]:
    """`count` pairs, their similarities spread evenly from `lowest` to 1, in every script by turns."""
    generator = random.Random(seed)
    names = list(SCRIPTS)
    for number in range(count):
        script = names[number % len(names)]
        wanted = lowest + (1 - lowest) * (number // len(names)) / max((count - 1) // len(names), 1)
        tokens = [_token(generator, script) for _ in range(TOKENS)]
        other = _changed(tokens, wanted, generator, script)
        yield Pair(
            script,
            _text(tokens, generator, script),
            _text(other, generator, script),
            similarity(shingles(tokens), shingles(other)),
        )


def _token(generator: random.Random, script: str) -> str:
    letters, spaced = SCRIPTS[script]
    return "".join(generator.choices(letters, k=generator.randint(3, 9) if spaced else 1))


def _changed(tokens: list[str], wanted: float, generator: random.Random, script: str) -> list[str]:
    """Tokens of which so many are others that about the wanted similarity is left."""
    runs = len(tokens) - NGRAM + 1
    lost = round(runs * (1 - wanted) / (1 + wanted))  # (runs - lost) / (runs + lost) is the similarity
    other = list(tokens)
    if generator.random() < 0.5:
        places = list(range(len(tokens) - lost, len(tokens)))
    else:
        # A token apart from others by five and from the ends is in five runs; the rest comes off the end.
        apart = generator.sample(range(1, (runs - lost % NGRAM) // NGRAM), lost // NGRAM)
        places = [place * NGRAM for place in apart]
        places += range(len(tokens) - lost % NGRAM, len(tokens))
    for place in places:
        other[place] = _token(generator, script)
    return other


def _text(tokens: list[str], generator: random.Random, script: str) -> str:
    """The tokens as text, with line breaks and full stops where they happen to fall."""
    between = " " if SCRIPTS[script][1] else ""
    return "".join(token + generator.choice((between, between, between, between, ". ", ",\n")) for token in tokens)
