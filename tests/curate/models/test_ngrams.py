"""The n-gram model gives the probabilities of its definition, which add up to one."""

from __future__ import annotations

import math
import random
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from millpond.curate.models import archive, kneser_ney
from millpond.curate.models.lookup import Lookup
from millpond.curate.models.ngrams import KIND, NGramModel, Stream
from millpond.curate.signals.scan import Scan
from millpond.curate.signals.words import split_words
from millpond.errors import InputError

LINE = "\n"
_SOME = "the pond turns a mill and heron by water ? frogs , reeds in still grain"
WORDS = _SOME.split()
Gram = tuple[str, ...]


def made(number: int = 200, seed: int = 3) -> list[str]:
    """Texts of a few lines, in which some words follow others more often."""
    chance = random.Random(seed)
    texts = []
    for _ in range(number):
        lines, at = [], 0
        for _ in range(chance.randint(1, 3)):
            line = []
            for _ in range(chance.randint(1, 9)):
                at = (at + chance.choice((1, 1, 1, 2, 5))) % chance.randint(2, len(WORDS))
                line.append(WORDS[at])
            lines.append(" ".join(line))
        texts.append("\n".join(lines))
    return texts


class ByDefinition:
    """Interpolated, modified Kneser–Ney with dictionaries, straight from the paper's equations."""

    def __init__(self, texts: Sequence[str], order: int) -> None:
        streams = [stream_of(text) for text in texts]
        raw: Counter[Gram] = Counter()
        before: defaultdict[Gram, set[str]] = defaultdict(set)
        for stream in streams:
            for end in range(1, len(stream)):
                for n in range(1, order + 1):
                    if n > end + 1:
                        break
                    gram = tuple(stream[end - n + 1 : end + 1])
                    raw[gram] += 1
                    before[gram].add(stream[end - n] if end >= n else "the beginning")
        self.order = order
        self.words = {gram[0] for gram in raw if len(gram) == 1}
        self.counts = {gram: raw[gram] if len(gram) == order else len(before[gram]) for gram in raw}
        self.kept = {gram for gram in raw if len(gram) < 3 or raw[gram] > 1}
        self.discounts = {n: self._discounts(n) for n in range(1, order + 1)}
        self.followers: defaultdict[Gram, list[Gram]] = defaultdict(list)
        for gram in raw:
            self.followers[gram[:-1]].append(gram)

    def _discounts(self, n: int) -> tuple[float, ...]:
        of = Counter(count for gram, count in self.counts.items() if len(gram) == n)
        if not (of[1] and of[2] and of[3] and of[4]):
            return 0.0, 0.5, 1.0, 1.5
        y = of[1] / (of[1] + 2 * of[2])
        found = 1 - 2 * y * of[2] / of[1], 2 - 3 * y * of[3] / of[2], 3 - 4 * y * of[4] / of[3]
        fits = all(0 < value < count for count, value in enumerate(found, 1))
        return (0.0, *found) if fits else (0.0, 0.5, 1.0, 1.5)

    def _alone(self, gram: Gram) -> float:
        if gram not in self.kept:
            return 0.0
        count = self.counts[gram]
        total = sum(self.counts[other] for other in self.followers[gram[:-1]])
        return max(count - self.discounts[len(gram)][min(count, 3)], 0) / total

    def chance(self, context: Gram, word: str) -> float:
        context = context[-(self.order - 1) :]
        lower = self.chance(context[1:], word) if context else 1 / (len(self.words) + 1)
        if context and context not in self.followers:
            return lower
        left = 1 - sum(self._alone(gram) for gram in self.followers[context])
        return self._alone((*context, word)) + left * lower


def stream_of(text: str) -> list[str]:
    lines = [split_words(line) for line in text.lower().split("\n")]
    return [LINE, *(word for line in lines if line for word in (*line, LINE))]


@pytest.mark.parametrize("order", [2, 3, 4])
def test_probabilities_are_those_of_the_definition(tmp_path: Path, order: int) -> None:
    texts = made()
    trained = kneser_ney.train(texts, tmp_path / "m.npz", order=order)
    model, wanted = NGramModel(tmp_path / "m.npz"), ByDefinition(texts, order)
    assert trained.ngrams == tuple(sum(len(gram) == n for gram in wanted.kept) for n in range(1, order + 1)), (
        "the same n-grams"
    )
    assert wanted.discounts[2] != (0.0, 0.5, 1.0, 1.5) and trained.ngrams[-1] > 20
    seen = Stream(Scan(fresh := [*made(20, 9), "mill of nothing known\nthe unknown pond", "pond"]))
    logs = model.log_probabilities(seen)
    place = 0
    for text in fresh:
        stream = stream_of(text)
        for depth in range(1, len(stream)):
            chance = wanted.chance(tuple(stream[:depth]), stream[depth])
            assert logs[place + depth] == pytest.approx(math.log(chance), rel=1e-5, abs=1e-6), stream[: depth + 1]
        place += len(stream)
    assert place == len(logs)


def test_probabilities_of_all_words_add_up_to_one(tmp_path: Path) -> None:
    kneser_ney.train(texts := made(), tmp_path / "m.npz", order=4)
    model = NGramModel(tmp_path / "m.npz")
    known = {word for text in texts for word in stream_of(text)} - {LINE}
    for context in ("the pond turns", "water water water", "never seen words", "a mill\nand"):
        # What may follow: any word, one that is not known, the end of the line.
        streams = [Stream(Scan([f"{context} {word}"])) for word in (*known, "zzz")]
        logs = [float(model.log_probabilities(stream)[-2]) for stream in streams]
        logs.append(float(model.log_probabilities(Stream(Scan([context])))[-1]))
        assert sum(map(math.exp, logs)) == pytest.approx(1, abs=1e-5)


def test_what_was_trained_on_is_less_surprising(tmp_path: Path, test_data: Path) -> None:
    english = (test_data / "lm" / "tinyshakespeare" / "input.txt").read_text().split("\n\n")
    kneser_ney.train(english[:-200], tmp_path / "m.npz")
    model = NGramModel(tmp_path / "m.npz")
    held_out = "\n\n".join(english[-200:])
    words = held_out.split()
    random.Random(1).shuffle(words)
    shown, [plain], [shuffled], [code] = (
        model.perplexities(Scan([text])) for text in (english[0], held_out, " ".join(words), "xqz kjw " * 50)
    )
    assert None not in (shown[0], plain, shuffled, code)
    assert shown[0] < plain < shuffled < code  # type: ignore[operator]
    assert 100 < plain < 600  # type: ignore[operator]


def test_texts_in_any_order_give_the_same_bytes_and_their_own_figures(tmp_path: Path) -> None:
    texts = made()
    for name, some in (("one", texts), ("two", texts[::-1])):
        kneser_ney.train(some, tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    model = NGramModel(tmp_path / "one")
    few = [*texts[:30], "", " \n "]
    together = model.perplexities(Scan(few))
    assert together == [model.perplexities(Scan([text]))[0] for text in few]
    assert together[-2:] == [None, None] and None not in together[:-2]
    assert model.perplexities(Scan(["THE POND"])) == model.perplexities(Scan(["\n\nthe  pond\n\n"]))


def test_reading_stops_at_the_limit(tmp_path: Path) -> None:
    read = []

    def texts() -> object:
        for text in made(5000):
            read.append(text)
            yield text

    trained = kneser_ney.train(texts(), tmp_path / "m.npz", most_words=1000)  # type: ignore[arg-type]
    assert trained.cut_off and 1000 <= trained.words < 3000 and len(read) < 1000
    with pytest.raises(InputError, match="needs texts with words"):
        kneser_ney.train(["", " "], tmp_path / "n.npz")
    assert not (tmp_path / "n.npz").exists()


def test_lookup_finds_what_is_known_and_nothing_else() -> None:
    chance = np.random.default_rng(5)
    for size in (1, 2, 3, 1000, 50_000):
        known = np.unique(chance.integers(0, 1 << 64, size, dtype=np.uint64))
        crowded = np.unique(np.concatenate((known, np.arange(300, dtype=np.uint64), known[:1] | np.uint64(0xFF))))
        table = Lookup(crowded)
        assert len(table) == len(crowded)
        assert (table.rows(crowded) == np.arange(len(crowded))).all()
        others = chance.integers(0, 1 << 64, 1000, dtype=np.uint64)
        others = np.append(others[~np.isin(others, crowded)], [np.uint64(300), np.uint64((1 << 64) - 1)])
        assert (table.rows(others) == -1).all()
    with pytest.raises(ValueError, match="do not ascend"):
        Lookup(np.array([2, 1], dtype=np.uint64))


@pytest.mark.parametrize(
    ("metadata", "changes", "message"),
    [
        ({"order": 9}, {}, "its order is 9"),
        ({"order": "2"}, {}, "its order is '2'"),
        ({"order": 3}, {}, "and not hashes1, hashes2, hashes3"),
        ({"unknown": 1.0}, {}, "an unknown word has log probability 1.0"),
        ({"unknown": None}, {}, "an unknown word has log probability None"),
        ({}, {"hashes1": np.array([2, 1], "<u8")}, "do not ascend"),
        ({}, {"hashes1": np.array([2], "<u8")}, "1-grams and their figures do not match"),
        ({}, {"weights1": np.zeros(1, "<f4")}, "1-grams and their figures do not match"),
        ({}, {"hashes2": np.zeros(0, "<u8"), "logs2": np.zeros(0, "<f4")}, "2-grams and their figures do not match"),
        ({}, {"logs2": np.full(1, np.nan, "<f4")}, "2-grams have figures"),
        ({}, {"weights1": np.full(2, np.inf, "<f4")}, "1-grams have figures"),
    ],
)
def test_files_that_do_not_fit_together_are_refused(
    tmp_path: Path, metadata: dict[str, object], changes: dict[str, archive.Array], message: str
) -> None:
    arrays: dict[str, archive.Array] = {
        "hashes1": np.array([1, 2], "<u8"),
        "logs1": np.full(2, -1, "<f4"),
        "weights1": np.full(2, -1, "<f4"),
        "hashes2": np.array([5], "<u8"),
        "logs2": np.full(1, -1, "<f4"),
    }
    path = tmp_path / "m.npz"
    archive.write(path, KIND, {"order": 2, "unknown": -9.0}, arrays)
    assert NGramModel(path).order == 2
    archive.write(path, KIND, {"order": 2, "unknown": -9.0, **metadata}, arrays | changes)
    with pytest.raises(InputError) as refused:
        NGramModel(path)
    assert message in str(refused.value)


def test_an_order_that_no_text_has_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no run of 5 words is there twice"):
        kneser_ney.train(["a b c x a b c y", "a b c z"], tmp_path / "model.npz", order=5)
    assert not (tmp_path / "model.npz").exists()
