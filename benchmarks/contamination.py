"""What decontamination finds and what it costs: `python -m benchmarks.contamination` writes `docs/contamination.md`.

Examples of real evaluation sets are planted in texts of real pages: in capitals with other spacing, and with every
eighth word exchanged, which must not be found. Timed is the search alone, in processor time on one core.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Sequence
from itertools import cycle
from typing import Any

from benchmarks import peer
from benchmarks.machine import describe
from benchmarks.page import table
from benchmarks.pages import ROOT, gold_folder
from benchmarks.run import say
from benchmarks.texts import main_texts

from millpond.curate.config import DecontaminateConfig
from millpond.curate.dedup.minhash import MinHasher
from millpond.curate.eval_sets import Example, read_examples
from millpond.curate.ngram_index import Index, build_index
from millpond.curate.signals.words import content_words
from millpond.errors import MillpondError

PAGE = ROOT / "docs" / "contamination.md"
ROUNDS = 5
_BATCH = 500

_PAGE = """\
# Decontamination

Written by `python -m benchmarks.contamination` on {date} at commit {commit}.

Machine: {processor}, one core used, {memory_gib} GiB, {system}, Python {python}, numpy {numpy}.

Examples of six evaluation sets (n-grams of 13 words; whole texts of 8 to 12; shorter ones are not looked for), each
planted in the middle of a real page's text: in capitals, with tabs and line breaks for spaces, and with every
eighth word exchanged, which leaves seven in a row. In capitals an example counts as found if all its n-grams are, with
words exchanged if any is.

{sets}
Of {pages:,} texts of real pages as they are, {held} hold an n-gram of a set: {names}.

The index of {ngrams:,} n-grams was built in {build:.1f} s. Searching {pages:,} texts, {size:.1f} MB, took
{search:.2f} s, {rate:.0f} MB/s (median of {rounds}, from {low:.2f} to {high:.2f} s); their MinHash signatures take
{minhash:.2f} s.
"""


def main() -> None:
    """Measure and write the page; exits with 1 if an example is missed, or found where it is not."""
    try:
        wrong = run()
    except MillpondError as error:
        sys.stderr.write(f"benchmark: {error}\n")
        sys.exit(error.exit_code)
    sys.exit(1 if wrong else 0)


def run() -> int:
    """Write the page; returns how many planted examples were missed or wrongly found."""
    folder = gold_folder().parent / "eval"
    files = {path.name.split(".")[0]: [str(path)] for path in sorted(folder.glob("*.jsonl"))}
    files["blimp"] = [str(path) for path in sorted((folder / "blimp").glob("*.jsonl"))]
    config = DecontaminateConfig.from_mapping({"sets": files}, "benchmark")
    texts = main_texts(gold_folder())
    examples = list(read_examples(config.sets))
    start = time.process_time()
    index = build_index(examples, config.ngram, config.min_words)
    build = time.process_time() - start
    rows, wrong = _planted(index, texts, list(config.sets))
    held = [(at, index.overlaps([(place, number)])) for at, number, place in index.found(texts)]
    names = sorted({index.examples[overlap.example].benchmark for _, found in held for overlap in found})
    times = _timed(lambda: list(index.found(texts)))
    size = sum(len(text.encode()) for text in texts) / 1e6
    machine = describe(ROOT, peer.pins("datatrove"), 1)
    PAGE.write_text(
        _PAGE.format(
            **machine["machine"] | {"date": machine["date"], "commit": machine["commit"]},
            python=machine["versions"]["python"],
            numpy=machine["versions"]["millpond"]["numpy"],
            sets=table(("set", "examples", "long enough", "found, in capitals", "found, a word exchanged"), rows),
            pages=len(texts),
            held=len({at for at, _ in held}),
            names=", ".join(names) or "none",
            ngrams=sum(len(grams.hashes) for grams in index.grams),
            build=build,
            size=size,
            search=statistics.median(times),
            rate=size / statistics.median(times),
            rounds=ROUNDS,
            low=min(times),
            high=max(times),
            minhash=statistics.median(_timed(lambda: MinHasher().signatures(texts))),
        )
    )
    say(f"written: {PAGE.relative_to(ROOT)}")
    return wrong


def _planted(index: Index, texts: Sequence[str], names: Sequence[str]) -> tuple[list[tuple[str, ...]], int]:
    """A row of the page for each set, and how many planted examples came out wrong."""
    rows, wrong = [], 0
    for name in names:
        own = [n for n, example in enumerate(index.examples) if example.benchmark == name]
        long = [n for n in own if index.sizes[n]]
        capitals = _found(index, long, texts, lambda text: "\t".join(text.upper().split(" ")), least=1.0)
        changed = _found(index, long, texts, _exchanged, least=0.0)
        rows.append((name, *(f"{count:,}" for count in (len(own), len(long), capitals, changed))))
        wrong += len(long) - capitals + changed
    return rows, wrong


def _found(
    index: Index, chosen: Sequence[int], texts: Sequence[str], change: Callable[[str], str], least: float
) -> int:
    """How many of the chosen examples are found where they are planted, at least this share of them."""
    count, pages = 0, cycle(texts)
    for start in range(0, len(chosen), _BATCH):
        batch = chosen[start : start + _BATCH]
        planted = [_in_the_middle(next(pages), index.examples[n], change) for n in batch]
        found: dict[int, list[tuple[int, int]]] = {}
        for at, number, place in index.found(planted):
            found.setdefault(at, []).append((place, number))
        for at, example in enumerate(batch):
            count += any(o.example == example and o.share >= least for o in index.overlaps(found.get(at, [])))
    return count


def _in_the_middle(page: str, example: Example, change: Callable[[str], str]) -> str:
    middle = page.find(" ", len(page) // 2) % max(len(page), 1)
    return f"{page[:middle]}\n{' or else '.join(map(change, example.texts))}\n{page[middle:]}"


def _exchanged(text: str) -> str:
    """Every eighth word is another: no run as long as the shortest that is looked for is left."""
    words = content_words(text)
    words[7::8] = ["exchanged"] * len(words[7::8])
    return " ".join(words)


def _timed(work: Callable[[], Any]) -> list[float]:
    times = []
    for _ in range(ROUNDS):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return times


if __name__ == "__main__":
    main()
