"""Runs of words that stand in more than one document: `python -m benchmarks.spans [DOCUMENTS]`.

News-like articles (`neardup` under MILLPOND_TEST_DATA), their words shuffled anew for each document, get passages of
known length planted, at and around the bound; what is cut is set against what was planted. Then the rate and the
bytes that Spark shuffles, for so many documents and for four times as many, since both have to grow as the texts do.
Writes `docs/spans.md`; exits with 1 if a bound is missed.
"""

from __future__ import annotations

import random
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import benchmarks.from_tests  # noqa: F401
from benchmarks import peer
from benchmarks.machine import describe
from benchmarks.page import table
from benchmarks.pages import ROOT, gold_folder
from spark_events import event_settings, shuffled_bytes

from millpond.curate.dedup.config import SpansConfig
from millpond.curate.dedup.scratch import Scratch
from millpond.curate.dedup.spans import without_spans
from millpond.errors import MillpondError
from millpond.spark import session

DOCUMENTS = 10_000
CONFIG = SpansConfig(enabled=True)
#: Words of the planted passages, as a difference from the bound.
AROUND = (-10, -1, 0, 1, 10, 100)
#: Four times the documents may shuffle so many times the bytes.
GROWTH = 4.2

#: As for a corpus that no executor could hold: no side of a join is sent to all of them.
NO_BROADCAST = {
    "spark.sql.autoBroadcastJoinThreshold": "-1",
    "spark.sql.adaptive.autoBroadcastJoinThreshold": "-1",
}

_PAGE = """\
# Runs of words in more than one document

Written by `python -m benchmarks.spans` on {date} at commit {commit}.

Machine: {processor}, {cores_used} of {cores} cores used, {memory_gib} GiB, {system}, Python {python}, Java {java}.

Documents are news-like articles whose words are shuffled anew for each, so that they share no run of words but what is
planted: of every ten documents the first two hold the same passage. `min_length` is {length} words.

{found}
{wrong} of {documents:,} documents differ from what they have to be, byte for byte (none may): whole, or without their
passage where another document of smaller rank holds it.

{rates}
A text has {text_bytes:,.0f} bytes and {words:,.0f} words on average. Shuffled is what Spark's tasks wrote for other
tasks, the texts on their way to what was found in them among it, with joins as for a corpus too large to broadcast;
four times the documents shuffle {growth:.2f} times as much (at most {most}). Starting Python's workers is in the
seconds.
"""


@dataclass(frozen=True)
class Planted:
    """Documents, and what is true of them."""

    texts: list[str]
    seconds: dict[int, tuple[int, str]]
    """Place of a document that holds a passage for the second time → words of the passage, and what has to be left."""


@dataclass(frozen=True)
class Done:
    """What became of documents, and what it cost."""

    left: dict[int, str]
    """Place of a document that lost something → what is left of it."""
    seconds: float
    shuffled: int


def main() -> None:
    """Run everything and write the page."""
    try:
        missed = run(int(sys.argv[1]) if len(sys.argv) > 1 else DOCUMENTS)
    except MillpondError as error:
        sys.stderr.write(f"spans: {error}\n")
        sys.exit(error.exit_code)
    if missed:
        sys.stderr.write(f"spans: {'; '.join(missed)}\n")
        sys.exit(1)


def run(count: int) -> list[str]:
    """Measure and write; returns what was missed."""
    cut(plant(200).texts)  # the JVM is warm
    small, planted = cut(plant(count).texts), plant(4 * count)
    large = cut(planted.texts)
    due = {place: left for place, (size, left) in planted.seconds.items() if size >= CONFIG.min_length}
    wrong = sum(large.left.get(place) != due.get(place) for place in range(4 * count))
    growth = large.shuffled / small.shuffled
    missed = [f"{wrong} documents are not what they have to be"] if wrong else []
    if growth > GROWTH:
        missed.append(f"four times the documents shuffle {growth:.2f} times as much")
    facts = describe(ROOT, peer.pins("datatrove"), 2)
    page = _PAGE.format(
        **facts["machine"],
        **{name: facts[name] for name in ("date", "commit")},
        **{name: facts["versions"][name] for name in ("python", "java")},
        length=CONFIG.min_length,
        found=_found(planted, large.left),
        documents=4 * count,
        wrong=wrong or "None",
        rates=table(
            ("documents", "seconds", "documents/s", "shuffled, bytes a document"),
            [
                (f"{size:,}", f"{done.seconds:.1f}", f"{size / done.seconds:,.0f}", f"{done.shuffled / size:,.0f}")
                for size, done in ((count, small), (4 * count, large))
            ],
        ),
        text_bytes=sum(len(text.encode()) for text in planted.texts) / (4 * count),
        words=sum(len(text.split()) for text in planted.texts) / (4 * count),
        growth=growth,
        most=GROWTH,
    )
    (ROOT / "docs" / "spans.md").write_text(page)
    sys.stdout.write(page)
    return missed


def plant(count: int, seed: int = 1) -> Planted:
    """`count` documents that share no run of words but the passages."""
    lines = (gold_folder().parent / "neardup" / "articles_1000.train").read_text(encoding="utf-8").splitlines()
    articles = [[word for word in line.split()[1:] if word.isalnum()] for line in lines]
    generator = random.Random(seed)
    texts: list[str] = []
    seconds: dict[int, tuple[int, str]] = {}
    passage: list[str] = []
    for place in range(count):
        words = list(articles[place % len(articles)])
        generator.shuffle(words)
        if place % 10 == 0:
            passage = generator.choices(articles[place % 997], k=CONFIG.min_length + AROUND[place // 10 % len(AROUND)])
        if place % 10 < 2:
            # What stands beside a passage differs, or it would be longer.
            at = generator.randrange(len(words))
            before, after = [*words[:at], f"b{place}"], [f"a{place}", *words[at:]]
            words = [*before, *passage, *after]
            if place % 10 == 1:
                seconds[place] = (len(passage), " ".join(before + after))
        texts.append(" ".join(words))
    return Planted(texts, seconds)


def cut(texts: Sequence[str]) -> Done:
    """Take out what the documents, in order of rank, hold in common."""
    rows = [(f"{place:032}", "", text) for place, text in enumerate(texts)]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = str(folder / "texts.parquet")
        schema = "rank string, scope string, text string"
        session("millpond spans").createDataFrame(rows, schema).write.parquet(path)
        session("millpond spans").stop()
        (folder / "events").mkdir()
        settings = {"spark.master": "local[2]", **NO_BROADCAST, **event_settings(folder / "events")}
        spark = session("millpond spans", settings)
        start = time.perf_counter()
        with Scratch(folder / "scratch") as scratch:
            changed = without_spans(spark.read.parquet(path), CONFIG, scratch).collect()
        seconds = time.perf_counter() - start
        spark.stop()  # the log of its events is whole
        left = {int(row.rank): row.text for row in changed}
        return Done(left, seconds, shuffled_bytes(folder / "events"))


def _found(planted: Planted, left: dict[int, str]) -> str:
    rows = []
    for size in sorted({size for size, _ in planted.seconds.values()}):
        places = [place for place, (words, _) in planted.seconds.items() if words == size]
        rows.append((f"{size}", f"{len(places):,}", f"{sum(place in left for place in places):,}"))
    return table(("words of the passage", "planted twice", "cut"), rows)


if __name__ == "__main__":
    main()
