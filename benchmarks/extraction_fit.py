"""Trains the model of `millpond.curate.html.main_text` on the gold pages; run by `benchmarks.extraction`.

    python -m benchmarks.extraction_fit HTML_GOLD RESULTS.json MODEL.npz

Runs in the environment of `benchmarks/peers/extraction.txt`. A block's label is the share of its words that an
alignment of the page's words with the gold text's (longest common subsequence) finds in the gold. Folds hold whole
registered domains. Names of containers are scored by the mean share of gold text under them, a domain counting once;
a page's features in training never see its own domain's share, as those of an unseen page will not.

Writes the cross-validated choice's F1 of each page, with the ceiling of the blocks and the page types given, and
the model trained on all pages. Seed, folds and settings are constants here: the same pages give the same model.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from benchmarks.gold import WCXB, GoldPage, f1, gold_pages, unwanted_found, words
from catboost import CatBoost, Pool
from rapidfuzz.distance import LCSseq
from selectolax.lexbor import LexborHTMLParser

from millpond.curate.html.blocks import Blocks, read_blocks
from millpond.curate.html.container_names import Names, name_words
from millpond.curate.html.features import FEATURES, Features, features, page_features
from millpond.curate.html.forest import Forest
from millpond.curate.html.main_text import PAGE_TYPES, best_choice, without_copies
from millpond.curate.html.metadata import Metadata, read_metadata

FOLDS = 5
SEED = 7
#: A word of names is scored where this many domains use it; what a domain less says is pulled towards one half.
_DOMAINS, _PRIOR = 3, 2.0
_BLOCKS = {
    "loss_function": "CrossEntropy",
    "iterations": 300,
    "depth": 6,
    "learning_rate": 0.12,
    "l2_leaf_reg": 5,
    "rsm": 0.3,
    "border_count": 64,
    "leaf_estimation_iterations": 1,
    "bootstrap_type": "Bernoulli",
    "subsample": 0.7,
    "thread_count": 2,
    "random_seed": 1,
    "verbose": 0,
    "allow_writing_files": False,
}
_PAGES = _BLOCKS | {
    "loss_function": "MultiClass",
    "iterations": 150,
    "depth": 4,
    "learning_rate": 0.1,
    "rsm": 0.5,
    "leaf_estimation_iterations": 5,
}

Floats = npt.NDArray[np.float64]


@dataclass
class Page:
    """A gold page as the model sees it."""

    gold: GoldPage
    blocks: Blocks
    metadata: Metadata
    words: list[list[str]]
    wanted: list[str]
    share: Floats  # of each block's words in the gold text

    @property
    def counts(self) -> Floats:
        """Words of each block."""
        return np.array([len(block) for block in self.words], dtype=np.float64)

    def score(self, kept: Sequence[int]) -> float:
        """F1 of a choice of blocks."""
        return f1([word for block in kept for word in self.words[block]], self.wanted)


def read_page(gold: GoldPage) -> Page:
    """Parse a page and align its blocks with its gold text."""
    tree = LexborHTMLParser(gold.html.decode(errors="replace"))
    blocks = read_blocks(tree)
    found, wanted = [words(text) for text in blocks.text], words(gold.text)
    numbers: dict[str, int] = {}
    page = [numbers.setdefault(word, len(numbers)) for block in found for word in block]
    text = [numbers.setdefault(word, len(numbers)) for word in wanted]
    hit = np.zeros(len(page) + 1)
    for part in LCSseq.opcodes(page, text):
        if part.tag == "equal":
            hit[part.src_start + 1 : part.src_end + 1] = 1
    sums = np.cumsum(hit)
    ends = np.cumsum([0] + [len(block) for block in found])
    share = np.diff(sums[ends]) / np.maximum(np.diff(ends), 1)
    return Page(gold, blocks, read_metadata(tree, gold.url or None), found, wanted, share)


Shares = dict[str, dict[str, float]]


def name_shares(pages: Sequence[Page]) -> Shares:
    """Word of a name → domain → share of the text under it that is gold."""
    sums: dict[str, dict[str, Floats]] = defaultdict(lambda: defaultdict(lambda: np.zeros(2)))
    for page in pages:
        counts = page.counts
        total = max(counts.sum(), 1.0)
        held = np.concatenate(([0.0], np.cumsum(counts))) / total
        gold = np.concatenate(([0.0], np.cumsum(counts * page.share))) / total
        for key, first, end in zip(page.blocks.key, page.blocks.first, page.blocks.end, strict=True):
            if end > first:
                part = np.array([gold[end] - gold[first], held[end] - held[first]])
                for word in name_words(key):
                    sums[word][page.gold.domain] += part
    return {
        word: {domain: float(part[0] / part[1]) for domain, part in domains.items() if part[1] > 0}
        for word, domains in sums.items()
        if len(domains) >= _DOMAINS
    }


def scored(shares: Shares, without: str | None = None) -> dict[str, float]:
    """Log-odds of each word, as they would be had a domain not been seen."""
    scores = {}
    for word, domains in shares.items():
        seen = [share for domain, share in domains.items() if domain != without]
        if len(seen) >= _DOMAINS - 1:
            odds = (sum(seen) + 0.5 * _PRIOR) / (len(seen) + _PRIOR)
            scores[word] = float(np.log(odds / (1 - odds)))
    return scores


def columns(pages: Sequence[Page], shares: Shares, seen: bool) -> list[Features]:
    """Features of pages that the names' shares were taken from (`seen`), or were not."""
    names = cache(lambda without: Names(scored(shares, without)))
    return [
        features(page.blocks, page.metadata, page.gold.url or None, names(page.gold.domain if seen else None))
        for page in pages
    ]


def weights(page: Page) -> Floats:
    """A block's weight: pages count alike, half of it by words, half by their square roots."""
    counts = page.counts
    roots = np.sqrt(counts)
    weight: Floats = roots / max(roots.sum(), 1) + counts / max(counts.sum(), 1)
    return weight


def fit_blocks(pages: Sequence[Page], seen: Sequence[Features]) -> CatBoost:
    """The model of blocks."""
    weight = np.concatenate([weights(page) for page in pages])
    pool = Pool(
        np.concatenate([found.columns.T for found in seen]),
        np.clip(np.concatenate([page.share for page in pages]), 0, 1),
        weight=weight * len(weight) / weight.sum(),
    )
    return CatBoost(_BLOCKS).fit(pool)


def fit_pages(pages: Sequence[Page], seen: Sequence[Features]) -> CatBoost:
    """The model of page types, from the pages whose type a person gave."""
    typed = [(page, found) for page, found in zip(pages, seen, strict=True) if page.gold.set == WCXB]
    kinds = [PAGE_TYPES.index(page.gold.page_type) for page, _ in typed]
    return CatBoost(_PAGES).fit(Pool(np.stack([page_features(found) for _, found in typed]), kinds))


def arrays_of(model: CatBoost, prefix: str) -> dict[str, npt.NDArray[Any]]:
    """A trained model as the arrays of a `Forest`."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.json"
        model.save_model(str(path), format="json")
        dump = json.loads(path.read_text())
    trees = dump["oblivious_trees"]
    scale, bias = dump["scale_and_bias"]
    depth = max(len(tree["splits"]) for tree in trees)
    feature = np.zeros((len(trees), depth), dtype=np.uint16)
    border = np.full((len(trees), depth), np.inf, dtype=np.float32)
    leaves = np.zeros((len(trees), 1 << depth, len(bias)), dtype=np.float32)
    for number, tree in enumerate(trees):
        for level, split in enumerate(tree["splits"]):
            feature[number, level], border[number, level] = split["float_feature_index"], split["border"]
        values = np.array(tree["leaf_values"]).reshape(-1, len(bias)) * scale
        leaves[number, : len(values)] = values
    result: dict[str, npt.NDArray[Any]] = {
        "feature": feature,
        "border": border,
        "leaves": leaves,
        "bias": np.array(bias, dtype=np.float32),
    }
    return {prefix + name: array for name, array in result.items()}


def forest_of(model: CatBoost) -> Forest:
    """A trained model as it will run."""
    return Forest.from_arrays(arrays_of(model, ""), "")


def folds_of(pages: Sequence[Page]) -> dict[str, int]:
    """Domain → fold."""
    domains = sorted({page.gold.domain for page in pages})
    order = np.random.RandomState(SEED).permutation(len(domains))
    return {domains[place]: number % FOLDS for number, place in enumerate(order.tolist())}


def cross_validated(pages: Sequence[Page]) -> list[dict[str, Any]]:
    """Each page's scores by a model that saw nothing of its domain."""
    folds = folds_of(pages)
    results = []
    for fold in range(FOLDS):
        training = [page for page in pages if folds[page.gold.domain] != fold and len(page.blocks)]
        shares = name_shares(training)
        seen = columns(training, shares, seen=True)
        blocks, kinds = forest_of(fit_blocks(training, seen)), forest_of(fit_pages(training, seen))
        for page in pages:
            if folds[page.gold.domain] == fold:
                results.append(_judged(page, shares, blocks, kinds))
        sys.stdout.write(f"fold {fold + 1} of {FOLDS}\n")
        sys.stdout.flush()
    return sorted(results, key=lambda result: (result["set"], result["id"]))


def _judged(page: Page, shares: Shares, blocks: Forest, kinds: Forest) -> dict[str, Any]:
    score, ceiling, kind = 0.0, 0.0, ""
    kept: list[int] = []
    if len(page.blocks):
        [found] = columns([page], shares, seen=False)
        chances = 1 / (1 + np.exp(-blocks.judge(found.columns)[:, 0]))
        kept = without_copies(page.blocks, best_choice(chances, found.words).tolist(), found.words)
        score = page.score(kept)
        choices = (best_choice(np.clip(page.share, 0, 1), page.counts + 1e-9), np.flatnonzero(page.share > 0.5))
        ceiling = max(page.score(choice.tolist()) for choice in choices)
        kind = PAGE_TYPES[int(kinds.judge(page_features(found)[:, None])[0].argmax())]
    gold = page.gold
    return {
        "set": gold.set,
        "id": gold.id,
        "page_type": gold.page_type,
        "given_type": kind,
        "f1": score,
        "ceiling": ceiling,
        "whole_page": f1([word for block in page.words for word in block], page.wanted),
        "unwanted": {
            "Millpond": unwanted_found(gold, [word for block in kept for word in page.words[block]]),
            "whole page": unwanted_found(gold, [word for block in page.words for word in block]),
        },
    }


def final_model(pages: Sequence[Page]) -> dict[str, npt.NDArray[Any]]:
    """The arrays of the model trained on every page."""
    pages = [page for page in pages if len(page.blocks)]
    shares = name_shares(pages)
    seen = columns(pages, shares, seen=True)
    scores = scored(shares)
    return {
        **arrays_of(fit_blocks(pages, seen), "blocks_"),
        **arrays_of(fit_pages(pages, seen), "pages_"),
        "names_word": np.array(sorted(scores)),
        "names_score": np.array([scores[word] for word in sorted(scores)], dtype=np.float32),
        "feature_names": np.array(FEATURES),
    }


def main() -> None:
    """Cross-validate, train on everything, write both."""
    folder, results, model = (Path(argument) for argument in sys.argv[1:])
    pages = [read_page(gold) for gold in gold_pages(folder)]
    ids: Counter[str] = Counter(page.gold.set for page in pages)
    sys.stdout.write(f"{dict(ids)}\n")
    scores = cross_validated(pages)
    arrays: dict[str, Any] = final_model(pages)
    np.savez_compressed(model, **arrays)
    results.write_text(json.dumps(scores))


if __name__ == "__main__":
    main()
