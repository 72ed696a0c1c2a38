"""One side of `benchmarks.minhash`: the processor seconds it takes to sign texts on one core, as one line of JSON.

    PYTHON minhash_side.py SIDE TEXTS.json PERMUTATIONS

What is timed starts from the texts as Python strings, unless the side's name says that shingles are ready.
Imports and a first pass over the first hundred are not timed.
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

NGRAM = 5
_WORDS = re.compile(r"\w+")

Work = Callable[[Sequence[Any]], object]


def regex_shingles(text: str) -> list[str]:
    """Runs of five words, as a peer's user writes it."""
    return _joined(_WORDS.findall(text.lower()))


def split_shingles(text: str) -> list[str]:
    """The same, with words that are only split at white space: the cheapest there is."""
    return _joined(text.lower().split())


def _joined(words: list[str]) -> list[str]:
    return [" ".join(words[at : at + NGRAM]) for at in range(max(len(words) - NGRAM + 1, 1))]


def _millpond(permutations: int) -> Work:
    from millpond.curate.dedup.minhash import MinHasher

    return MinHasher(permutations, NGRAM).signatures


def _update(permutations: int) -> Work:
    from datasketch import MinHash

    def sign(texts: Sequence[str]) -> None:
        for text in texts:
            signature = MinHash(permutations)
            for shingle in regex_shingles(text):
                signature.update(shingle.encode())

    return sign


def _update_batch(permutations: int) -> Work:
    from datasketch import MinHash

    def sign(texts: Sequence[str]) -> None:
        for text in texts:
            MinHash(permutations).update_batch([shingle.encode() for shingle in regex_shingles(text)])

    return sign


def _rensa(shingles: Callable[[Any], list[str]]) -> Callable[[int], Work]:
    def make(permutations: int) -> Work:
        from rensa import RMinHash

        def sign(texts: Sequence[Any]) -> None:
            for text in texts:
                signature = RMinHash(permutations, 1)
                signature.update(shingles(text))
                signature.digest()

        return sign

    return make


def _as_they_are(shingles: list[str]) -> list[str]:
    return shingles


READY = "rensa, shingles ready"
SIDES: dict[str, Callable[[int], Work]] = {
    "Millpond": _millpond,
    "datasketch, update": _update,
    "datasketch, update_batch": _update_batch,
    "rensa, words by regular expression": _rensa(regex_shingles),
    "rensa, words by str.split": _rensa(split_shingles),
    READY: _rensa(_as_they_are),
}


def main() -> None:
    """Measure one side."""
    name, path, permutations = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    texts: list[Any] = json.loads(path.read_text())
    if name == READY:
        texts = [regex_shingles(text) for text in texts]
    work = SIDES[name](permutations)
    work(texts[:100])
    start = time.process_time()
    work(texts)
    sys.stdout.write(json.dumps(time.process_time() - start) + "\n")


if __name__ == "__main__":
    main()
