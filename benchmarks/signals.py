"""What signals cost: `python -m benchmarks.signals` prints processor time a page for each family, on one core.

The texts are those of the gold pages under `MILLPOND_TEST_DATA`, extracted by resiliparse before the clock runs.
Each family is timed over all texts, as `millpond.curate.candidates` takes them; the best of some rounds counts.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from statistics import mean
from typing import TypeVar

from benchmarks.pages import gold_folder
from benchmarks.texts import main_texts

from millpond.curate.config import CurateConfig
from millpond.curate.normalise import normalise
from millpond.curate.signals import c4, curator, fineweb, gopher, refinedweb
from millpond.curate.signals.language import identify
from millpond.curate.signals.measure import Measure
from millpond.curate.signals.scan import Scan, groups
from millpond.errors import MillpondError

ROUNDS = 3

T = TypeVar("T")


class Clock:
    """Least processor time of each family over some rounds."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def __call__(self, family: str, work: Callable[[], T]) -> T:
        """Do some work and remember how long it took."""
        start = time.process_time()
        result = work()
        taken = time.process_time() - start
        self.seconds[family] = min(taken, self.seconds.get(family, taken))
        return result


def main() -> None:
    """Measure and print."""
    try:
        raw = main_texts(gold_folder())
    except MillpondError as error:
        sys.stderr.write(f"benchmark: {error}\n")
        sys.exit(error.exit_code)
    clock, config = Clock(), CurateConfig()
    Measure(config)(["warm"], ["en"])
    identify("warm")
    for _ in range(ROUNDS):
        texts = one_round(clock, raw, config)
    lines = [f"{len(raw):,} texts of {mean(map(len, texts)):,.0f} characters; best of {ROUNDS} rounds, core-ms a page"]
    lines += [f"{family:28} {seconds / len(raw) * 1e3:6.3f}" for family, seconds in clock.seconds.items()]
    sys.stdout.write("\n".join(lines) + "\n")


def one_round(clock: Clock, raw: list[str], config: CurateConfig) -> list[str]:
    """Time every step once; the normalised texts."""
    texts = clock("normalise", lambda: [normalise(text) for text in raw])
    languages = clock("language", lambda: [identify(text)[0] for text in texts])
    families(clock, texts, config)
    clock("all signals together", lambda: Measure(config)(texts, languages))
    return texts


def families(clock: Clock, texts: list[str], config: CurateConfig) -> None:
    """Time each family alone, over what it shares with the others."""
    scans = clock("words and their hashes", lambda: [prepared(group) for group in groups(texts)])
    clock("Gopher quality", lambda: [gopher.quality(scan) for scan in scans])
    clock("Gopher repetition", lambda: [gopher.repetition(scan) for scan in scans])
    lines = clock("C4 lines", lambda: [[c4.lines(text, config.c4_lines) for text in scan.texts] for scan in scans])
    clock("C4 counts", lambda: [c4.signals(*pair, [None] * len(pair[1])) for pair in zip(scans, lines, strict=True)])
    left = [[found.text for found in part] for part in lines]
    clock("FineWeb", lambda: [fineweb.signals(part, Scan(part).word_counts) for part in left])
    clock(
        "RefinedWeb", lambda: [refinedweb.signals(scan, refinedweb.judge(scan, config.refinedweb)) for scan in scans]
    )
    clock("Curator", lambda: [curator.signals(scan) for scan in scans])


def prepared(texts: Sequence[str]) -> Scan:
    """A scan with all that families share."""
    scan = Scan(texts)
    _ = scan.hashes, scan.word_kinds, scan.text_of, scan.lower, scan.chunks, scan.lines
    return scan


if __name__ == "__main__":
    main()
