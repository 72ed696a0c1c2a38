"""Personal data found, against presidio: `python -m benchmarks.privacy` from the repository's root.

Both sides look for the kinds that both know in two sets of texts: the gold under `MILLPOND_TEST_DATA` (`pii`), and
texts that Faker writes in 16 locales, with what only looks like personal data besides. presidio runs in its pinned
environment, made in `.bench/presidio` from `benchmarks/peers/presidio.txt`. Output: `docs/privacy.md`.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import peer
from benchmarks.machine import describe, pinned
from benchmarks.measure import BenchmarkError
from benchmarks.page import table
from benchmarks.pages import ROOT, gold_folder
from benchmarks.run import BENCH, say

from millpond.curate.privacy.pii import find
from millpond.errors import InputError, MillpondError

SIDE = ROOT / "benchmarks" / "presidio_side.py"
PAGE = ROOT / "docs" / "privacy.md"
SEED = 2

#: presidio's name of a kind → ours, of those that both know and the texts hold.
KINDS = {
    "EMAIL_ADDRESS": "email",
    "PHONE_NUMBER": "phone",
    "IP_ADDRESS": "ip_address",
    "IBAN_CODE": "iban",
    "CREDIT_CARD": "credit_card",
    "US_SSN": "us_ssn",
}
Spans = Sequence[tuple[int, int, str]]
Text = dict[str, Any]

_INTRODUCTION = """\
# Personal data: what is found

Written by `python -m benchmarks.privacy` on {date} at commit {commit}, beside presidio-analyzer {presidio} with its
default recognisers for English.

A find is right where it overlaps a gold span of its kind; a gold span is found where a find of its kind overlaps it,
and found exactly where both have the same ends. presidio runs without a language model, on spaCy's tokenizer and
lookup lemmatizer: persons, places and organisations need one, Millpond does not look for them, and they are not
compared. Nor are the gold's street addresses, dates, ages, titles, post codes, web addresses and driver's licences.
presidio's threshold is its default: whatever it reports counts.

What is found is counted. By default e-mail addresses, public IP addresses, IBANs, card numbers and secrets are masked
besides; telephone numbers and national ids are not, but they are where `[curate.pii] mask` names them.

## The gold: {texts} texts of presidio-research's generator

The rules here were written from the numbering plans and standards that their modules name; this set was looked at
while they were, so it shows no more than that nothing general is missing.

{gold}
## Texts that Faker writes: {made} texts in {locales} locales, of which {empty} hold no personal data

Not looked at while the rules were written, seed {seed}. Half of the values stand behind a label ("Phone: ", in English
whatever the locale), half in a plain sentence. The other texts hold dates, article and book numbers, prices, digests,
versions, coordinates and numbers in groups.

{faker}
The same recall, apart for values behind a label and in a plain sentence. Ours leaves out by design what is a bare
number without a label: local telephone numbers, cards of 12, 13 and 19 digits, and 16 digits outside the ranges that
issuers publish. For `en_CA` and `en_IN` Faker writes British IBANs that are one sign short; neither side takes them.

{labels}
{seconds}"""


def main() -> None:
    """Compare, and write the page."""
    argparse.ArgumentParser(description=__doc__.partition("\n")[0]).parse_args()
    try:
        run()
    except MillpondError as error:
        sys.stderr.write(f"privacy: {error}\n")
        sys.exit(error.exit_code)


def run() -> None:
    """Compare both sides over both sets.

    Raises:
        InputError: there is no gold.
        BenchmarkError: presidio's side failed.
    """
    python = str(peer.ensure("presidio"))
    folder = BENCH / "privacy"
    folder.mkdir(parents=True, exist_ok=True)
    gold, faker = folder / "gold.json", folder / "faker.json"
    gold.write_text(json.dumps(_gold()))
    _call([python, str(SIDE), "make", str(faker), "--seed", str(SEED)])
    facts = describe(ROOT, peer.pins("datatrove"), 1)
    scores, seconds = {}, []
    for path in (gold, faker):
        texts = json.loads(path.read_text())
        answer = folder / f"{path.stem}.found.json"
        _call([python, str(SIDE), "find", str(path), str(answer)])
        told = json.loads(answer.read_text())
        start = time.perf_counter()
        ours = [_ours(text["text"]) for text in texts]
        seconds.append((len(texts), time.perf_counter() - start, told["seconds"]))
        scores[path.stem] = compared(texts, ours, told["found"])
        say(f"{path.stem}:\n{scores[path.stem]}")
    made = json.loads(faker.read_text())
    labels = by_label(made, ours, told["found"])
    count, own, other = map(sum, zip(*seconds, strict=True))
    PAGE.write_text(
        _INTRODUCTION.format(
            **{name: facts[name] for name in ("date", "commit")},
            presidio=pinned(peer.pins("presidio"), ["presidio_analyzer"])["presidio_analyzer"],
            texts=len(json.loads(gold.read_text())),
            gold=scores["gold"],
            made=len(made),
            empty=sum(not text["spans"] for text in made),
            locales=16,
            seed=SEED,
            faker=scores["faker"],
            labels=labels,
            seconds=f"All {count:,} texts took Millpond {own:.2f} s with all its kinds, presidio {other:.1f} s.\n",
        )
    )
    say(f"written: {PAGE.relative_to(ROOT)}")


def compared(texts: Sequence[Text], ours: Sequence[Spans], theirs: Sequence[Spans]) -> str:
    """A Markdown table of precision and recall by kind, ours beside presidio's."""
    rows = []
    for kind in KINDS:
        gold = [[tuple(span[:2]) for span in text["spans"] if span[2] == kind] for text in texts]
        total = sum(map(len, gold))
        if not total:
            continue
        row = [kind, str(total)]
        for found in (ours, theirs):
            spans = [[(start, end) for start, end, name in one if name == kind] for one in found]
            row += [f"{value:.3f}" for value in score(gold, spans)]
        rows.append(row)
    head = ("kind", "gold", *(f"{side} {what}" for side in ("ours:", "presidio:") for what in _MEASURES))
    return table(head, rows)


def by_label(texts: Sequence[Text], ours: Sequence[Spans], theirs: Sequence[Spans]) -> str:
    """A Markdown table of recall by kind, behind a label and without one."""
    rows = []
    for kind in KINDS:
        row = [kind]
        for labelled in (True, False):
            some = [place for place, text in enumerate(texts) if text.get("labelled") is labelled]
            gold = [[tuple(span[:2]) for span in texts[place]["spans"] if span[2] == kind] for place in some]
            for found in (ours, theirs):
                spans = [[(start, end) for start, end, name in found[place] if name == kind] for place in some]
                row.append(f"{score(gold, spans)[1]:.3f}")
        rows.append(row)
    return table(("recall", "label: ours", "label: presidio", "plain: ours", "plain: presidio"), rows)


_MEASURES = ("precision", "recall", "F1", "exact")


def score(gold: Sequence[Sequence[tuple[int, ...]]], found: Sequence[Sequence[tuple[int, int]]]) -> tuple[float, ...]:
    """Precision, recall and F1 by overlap, and the share of gold spans found exactly."""

    def met(spans: Sequence[tuple[int, ...]], others: Sequence[tuple[int, ...]]) -> int:
        return sum(any(one[0] < other[1] and other[0] < one[1] for other in others) for one in spans)

    pairs = list(zip(gold, found, strict=True))
    total, reported = sum(map(len, gold)), sum(map(len, found))
    precision = sum(met(spans, right) for right, spans in pairs) / reported if reported else 1.0
    recall = sum(met(right, spans) for right, spans in pairs) / total
    f1 = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
    return precision, recall, f1, sum(len(set(right) & set(spans)) for right, spans in pairs) / total


def _ours(text: str) -> Spans:
    named = {ours: kind for kind, ours in KINDS.items()}
    return [
        (span.start, span.end, named[name])
        for span in find(text)
        if (name := span.name if span.kind == "national_id" else span.kind) in named
    ]


def _gold() -> list[Text]:
    path = gold_folder().parent / "pii" / "presidio_synth_a.json"
    try:
        rows = json.loads(path.read_text())
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; set MILLPOND_TEST_DATA") from None
    keys = ("start_position", "end_position", "entity_type")
    return [{"text": row["full_text"], "spans": [[s[key] for key in keys] for s in row["spans"]]} for row in rows]


def _call(command: list[str]) -> None:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise BenchmarkError(f"{Path(command[1]).name} exited with {done.returncode}:\n{done.stderr[-2000:]}")


if __name__ == "__main__":
    main()
