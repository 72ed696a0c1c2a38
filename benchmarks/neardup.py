"""Which near duplicates are found and which are not: `python -m benchmarks.neardup [PAIRS]`.

Generated pairs of known Jaccard similarity from .3 to 1.0 in six scripts go through deduplication together; what was
compared and what was removed is set against the curve of the preset. Then the planted copies in news-like articles
(`neardup` under MILLPOND_TEST_DATA). Every removal is checked: its keeper stayed, and their true similarity, counted
anew over sets of tuples of tokens, reaches the threshold. Writes `docs/neardup.md`; exits with 1 if a bound is
missed.
"""

from __future__ import annotations

import hashlib
import re
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from benchmarks import peer
from benchmarks.machine import describe
from benchmarks.page import table
from benchmarks.pages import ROOT, gold_folder

from millpond.curate.dedup.config import DedupConfig
from millpond.curate.dedup.find import find_duplicates
from millpond.curate.dedup.minhash import MinHasher
from millpond.curate.dedup.rank import ranked
from millpond.curate.dedup.scratch import Scratch
from millpond.errors import MillpondError
from millpond.spark import session

sys.path.append(str(ROOT / "tests"))  # no package; its helpers are imported by their own names, as the tests do
from planted import Pair, planted, shingles, similarity

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

PAIRS = 10_800
BINS = [round(0.3 + 0.05 * n, 2) for n in range(15)]
RECALL, FALSE_REMOVALS = 0.98, 0.001
_SCHEMA = "doc_id string, url string, text string, text_digest string, minhash binary"
_WORDS = re.compile(r"\w+")

_PAGE = """\
# Near duplicates found

Written by `python -m benchmarks.neardup` on {date} at commit {commit}.

{pairs:,} generated pairs (seeded) in {scripts}, their Jaccard similarity over runs of five words or
letters known by construction, deduplicated together at the defaults: `fineweb` ({bands} × {rows}), threshold
{threshold}. "Compared" is how many pairs shared a band, beside the mean of 1 − (1 − s^{rows})^{bands} over the bin's
pairs; a pair below the threshold is compared and stays.

{bins}
{scripts_table}
Of pairs at .9 and above {recall:.2%} lost one side (at least {least:.0%}); of pairs at .5 and below {false:.2%}
(at most {most:.1%}). Each of the {removed:,} removals names a keeper that stayed, with a true similarity at or over
the threshold.

Who goes is decided in order of rank: a document goes only if one that stays is truly similar to it, which gives the
lexicographically first maximal independent set of the confirmed pairs, not bare connected components. A component also
joins documents that only a chain of others links, and would remove some that are like none that stays.

## News-like articles with planted copies

At threshold {threshold}. Beyond the planted pairs nothing may go but what is as similar as that.

{articles}
"""


@dataclass(frozen=True)
class Found:
    """What deduplication did to a list of texts: place of each removed text → place of its keeper, and similarity."""

    keepers: dict[int, tuple[int, float]]
    compared: frozenset[tuple[int, int]]


def main() -> None:
    """Run everything and write the page."""
    try:
        missed = run(int(sys.argv[1]) if len(sys.argv) > 1 else PAIRS)
    except MillpondError as error:
        sys.stderr.write(f"neardup: {error}\n")
        sys.exit(error.exit_code)
    if missed:
        sys.stderr.write(f"neardup: {'; '.join(missed)}\n")
        sys.exit(1)


def run(count: int) -> list[str]:
    """Measure and write; returns what was missed."""
    spark, config = session("millpond neardup"), DedupConfig()
    pairs = list(planted(count))
    texts = [text for pair in pairs for text in (pair.first, pair.second)]
    found = deduplicate(spark, texts, config)
    caught = [2 * n in found.keepers or 2 * n + 1 in found.keepers for n in range(count)]
    missed = check_pairs(pairs, found, config)
    high = [gone for pair, gone in zip(pairs, caught, strict=True) if pair.similarity >= 0.9]
    low = [gone for pair, gone in zip(pairs, caught, strict=True) if pair.similarity <= 0.5]
    recall, false = sum(high) / len(high), sum(low) / len(low)
    if recall < RECALL:
        missed.append(f"recall {recall:.3f} at .9 and above")
    if false > FALSE_REMOVALS:
        missed.append(f"{false:.4f} false removals at .5 and below")
    rows = [_articles(spark, size, config, missed) for size in (100, 1000)]
    facts = describe(ROOT, peer.pins("datatrove"), 2)
    page = _PAGE.format(
        date=facts["date"],
        commit=facts["commit"],
        pairs=count,
        scripts=", ".join(sorted({pair.script for pair in pairs})),
        bands=config.banding.bands,
        rows=config.banding.rows,
        threshold=config.threshold,
        bins=_bins(pairs, caught, found, config, missed),
        scripts_table=_scripts(pairs, caught),
        recall=recall,
        least=RECALL,
        false=false,
        most=FALSE_REMOVALS,
        removed=len(found.keepers),
        articles=table(("", "planted", "of them found", "removed in all", "least similarity"), rows).rstrip(),
    )
    (ROOT / "docs" / "neardup.md").write_text(page)
    sys.stdout.write(page)
    return missed


def deduplicate(spark: SparkSession, texts: Sequence[str], config: DedupConfig) -> Found:
    """Run deduplication as a curation run does, over texts whose ids are in random order."""
    banding = config.banding
    signatures = MinHasher(banding.num_perm, banding.ngram, config.seed, banding.shingles).signatures(texts)
    ids = [hashlib.sha256(f"{place}".encode()).hexdigest()[:32] for place in range(len(texts))]
    rows: list[tuple[Any, ...]] = [
        (doc_id, f"http://h.test/{doc_id}", text, hashlib.sha256(text.encode()).hexdigest(), signature)
        for doc_id, text, signature in zip(ids, texts, signatures, strict=True)
    ]
    documents = ranked(spark.createDataFrame(rows, _SCHEMA), config)
    with tempfile.TemporaryDirectory() as folder, Scratch(Path(folder) / "scratch") as scratch:
        copies = find_duplicates(documents, documents.select("rank", "text"), config, scratch).collect()
    places = {doc_id: place for place, doc_id in enumerate(ids)}
    bands = np.frombuffer(b"".join(signatures), "<u4").reshape(len(texts), banding.bands, banding.rows)
    agree = (bands[0::2] == bands[1::2]).all(axis=2).any(axis=1) if len(texts) % 2 == 0 else []
    return Found(
        {places[copy.doc_id]: (places[copy.keeper_id], copy.jaccard) for copy in copies},
        frozenset((2 * int(n), 2 * int(n) + 1) for n in np.flatnonzero(agree)),
    )


def check_pairs(pairs: Sequence[Pair], found: Found, config: DedupConfig) -> list[str]:
    """What is wrong with removals: a keeper that is not the twin or went itself, a similarity that is not true."""
    wrong = []
    for place, (keeper, said) in found.keepers.items():
        true = pairs[place // 2].similarity
        if keeper // 2 != place // 2 or keeper in found.keepers or abs(said - true) > 1e-9 or true < config.threshold:
            wrong.append(f"text {place} went to {keeper} at {said}, its pair has {true}")
    return wrong[:5]


def _bins(pairs: Sequence[Pair], caught: Sequence[bool], found: Found, config: DedupConfig, missed: list[str]) -> str:
    rows = []
    for low, high in zip(BINS, [*BINS[1:], 1.01], strict=True):
        inside = [n for n, pair in enumerate(pairs) if low <= pair.similarity + 1e-9 < high]
        if not inside:
            continue
        chances = [config.banding.probability(pairs[n].similarity) for n in inside]
        due = [chance * (pairs[n].similarity >= config.threshold) for n, chance in zip(inside, chances, strict=True)]
        seen = [(2 * n, 2 * n + 1) in found.compared for n in inside]
        gone = [caught[n] for n in inside]
        for name, had, chance in (("compared", seen, chances), ("removed", gone, due)):
            sigma = sum(p * (1 - p) for p in chance) ** 0.5
            if abs(sum(had) - sum(chance)) > 4 * sigma + 1:
                missed.append(f"{name} {sum(had)} of {len(had)} pairs from {low}, {sum(chance):.1f} expected")
        count = len(inside)
        rows.append(
            (
                f"{low:.2f} – {min(high, 1.0):.2f}" if low < 1 else "1.00",
                f"{count:,}",
                f"{sum(chances) / count:.4f}",
                f"{sum(seen) / count:.4f}",
                f"{sum(due) / count:.4f}",
                f"{sum(gone) / count:.4f}",
            )
        )
    return table(("similarity", "pairs", "compared, theory", "compared", "removed, theory", "removed"), rows)


def _scripts(pairs: Sequence[Pair], caught: Sequence[bool]) -> str:
    rows = []
    for script in sorted({pair.script for pair in pairs}):
        mine = [(pair.similarity, gone) for pair, gone in zip(pairs, caught, strict=True) if pair.script == script]
        high, low = [gone for s, gone in mine if s >= 0.9], [gone for s, gone in mine if s <= 0.5]
        rows.append((script, f"{len(mine):,}", f"{sum(high)} of {len(high)}", f"{sum(low)} of {len(low)}"))
    return table(("script", "pairs", "removed at .9 and above", "removed at .5 and below"), rows)


def _articles(spark: SparkSession, size: int, config: DedupConfig, missed: list[str]) -> tuple[str, ...]:
    folder = gold_folder().parent / "neardup"
    lines = (folder / f"articles_{size}.train").read_text(encoding="utf-8").splitlines()
    names, texts = zip(*(line.split(" ", 1) for line in lines), strict=True)
    truth = {frozenset(line.split()) for line in (folder / f"articles_{size}.truth").read_text().splitlines() if line}
    found = deduplicate(spark, texts, config)
    sets = {}
    for place in {*found.keepers, *(keeper for keeper, _ in found.keepers.values())}:
        sets[place] = shingles(_WORDS.findall(texts[place].lower()))
    true = [similarity(sets[place], sets[keeper]) for place, (keeper, _) in found.keepers.items()]
    pairs = {frozenset((names[place], names[keeper])) for place, (keeper, _) in found.keepers.items()}
    if truth - pairs:
        missed.append(f"articles_{size}: not found {sorted(map(sorted, truth - pairs))}")
    if any(s < config.threshold for s in true) or {keeper for keeper, _ in found.keepers.values()} & set(
        found.keepers
    ):
        missed.append(f"articles_{size}: a removal below the threshold, or of a keeper")
    return (f"{size:,} articles", f"{len(truth)}", f"{len(truth & pairs)}", f"{len(pairs)}", f"{min(true):.3f}")


if __name__ == "__main__":
    main()
