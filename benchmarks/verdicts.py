"""What the word splitter alone changes in datatrove's verdicts: `python -m benchmarks.verdicts`.

Every gold page under `MILLPOND_TEST_DATA` is extracted by resiliparse and judged three times: by datatrove's filters
with their own words (spaCy's), by the same with Millpond's words and sentences, and by Millpond's rules.

datatrove's pinned environment is made in `.bench/datatrove` from `benchmarks/peers/datatrove.txt`. Output:
`docs/verdicts.md`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from benchmarks import peer
from benchmarks.machine import describe
from benchmarks.measure import BenchmarkError
from benchmarks.pages import ROOT, gold_folder
from benchmarks.run import BENCH, say
from benchmarks.texts import main_texts

from millpond.curate.normalise import normalise
from millpond.curate.presets import CATALOGUE
from millpond.curate.rules import verdict
from millpond.curate.signals import c4, fineweb, gopher
from millpond.curate.signals.config import C4Config
from millpond.curate.signals.scan import Scan
from millpond.errors import MillpondError

PAGE = ROOT / "docs" / "verdicts.md"

Verdicts = dict[str, list[str | None]]

#: Filter → the rules of the catalogue that are its own, and datatrove's name for each.
_REPETITION = {
    "max_duplicate_paragraph_ratio": "dup_para_frac",
    "max_duplicate_paragraph_char_ratio": "dup_para_char_frac",
    "max_duplicate_line_ratio": "dup_line_frac",
    "max_duplicate_line_char_ratio": "dup_line_char_frac",
    **{f"max_top_{n}gram_char_ratio": f"top_{n}_gram" for n in range(2, 5)},
    **{f"max_duplicate_{n}gram_char_ratio": f"duplicated_{n}_n_grams" for n in range(5, 11)},
}
_QUALITY = {
    "min_word_count": "gopher_short_doc",
    "max_word_count": "gopher_long_doc",
    "min_mean_word_length": "gopher_below_avg_threshold",
    "max_mean_word_length": "gopher_above_avg_threshold",
    "max_hash_word_ratio": "gopher_too_many_hashes",
    "max_ellipsis_word_ratio": "gopher_too_many_ellipsis",
    "max_bullet_line_ratio": "gopher_too_many_bullets",
    "max_ellipsis_line_ratio": "gopher_too_many_end_ellipsis",
    "min_alpha_word_ratio": "gopher_below_alpha_threshold",
    "min_stop_word_count": "gopher_enough_stop_words",
}
_C4 = {
    "max_c4_lorem_ipsum_lines": "lorem_ipsum",
    "max_c4_curly_bracket_lines": "curly_bracket",
    "min_c4_sentence_count": "too_few_sentences",
}
_FINEWEB = {
    "min_fineweb_line_punctuation_ratio": "line_punct_ratio",
    "max_fineweb_short_line_ratio": "short_line_ratio",
    "max_fineweb_duplicate_line_char_ratio": "char_dup_ratio",
    "max_fineweb_newline_word_ratio": "list_ratio",
}
FILTERS = {
    "GopherRepetitionFilter": _REPETITION,
    "GopherQualityFilter": _QUALITY,
    "C4QualityFilter": _C4,
    "C4QualityFilter, terminal punctuation": _C4,
    "C4ParagraphFilter": {"min_c4_long_line_count": "< 3 paragraphs"},
    "FineWebQualityFilter": _FINEWEB,
}


def main() -> None:
    """Judge, compare and write the page."""
    try:
        peer.ensure("datatrove")
        texts = list(map(normalise, main_texts(gold_folder())))
        ours, same, shipped = own_verdicts(texts), theirs(texts, "millpond"), theirs(texts, "spacy")
        PAGE.write_text(page(ours, same, shipped, describe(ROOT, peer.pins("datatrove"), 1)))
        say(f"written: {PAGE.relative_to(ROOT)}")
    except MillpondError as error:
        sys.stderr.write(f"benchmark: {error}\n")
        sys.exit(error.exit_code)


def theirs(texts: Sequence[str], words: str) -> Verdicts:
    """datatrove's verdicts with these words.

    Raises:
        BenchmarkError: its process failed.
    """
    given, report = BENCH / "verdicts-texts.json", BENCH / f"verdicts-{words}.json"
    given.write_text(json.dumps(texts))
    done = subprocess.run(
        [
            *(str(peer.python("datatrove")), str(ROOT / "benchmarks" / "verdicts_side.py")),
            *("--texts", str(given), "--report", str(report), "--words", words),
        ],
        env={**os.environ, "PYTHONPATH": str(ROOT / "src"), "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise BenchmarkError(f"datatrove's side with {words} words exited with {done.returncode}:\n{done.stderr}")
    found: Verdicts = json.loads(report.read_text())
    say(f"{words}: {', '.join(f'{name} drops {_dropped(column)}' for name, column in found.items())}")
    return found


def own_verdicts(texts: Sequence[str]) -> Verdicts:
    """Millpond's verdicts on the same texts, by datatrove's names."""
    found: Verdicts = {name: [] for name in FILTERS}
    for text in texts:
        scan = Scan([text])
        lines = {strict: [c4.lines(text, C4Config(terminal_punctuation=strict))] for strict in (False, True)}
        signals = {
            "GopherRepetitionFilter": gopher.repetition(scan),
            "GopherQualityFilter": gopher.quality(scan),
            "C4QualityFilter": c4.signals(scan, lines[False], [None]),
            "C4QualityFilter, terminal punctuation": c4.signals(scan, lines[True], [None]),
            "C4ParagraphFilter": c4.signals(scan, lines[False], [None]),
            "FineWebQualityFilter": fineweb.signals([text], [len(scan.starts)]),
        }
        for name, names in FILTERS.items():
            rules = [rule for rule in CATALOGUE if rule.name in names]
            rule = verdict(rules, {column: value for column, [value] in signals[name].items()})
            found[name].append(names[rule.name] if rule else None)
    return found


def page(ours: Verdicts, same: Verdicts, shipped: Verdicts, machine: dict[str, Any]) -> str:
    """The page as Markdown."""
    count = len(next(iter(ours.values())))
    agreed = {name: sum(map(_alike, ours[name], same[name])) for name in FILTERS}
    changed = {
        name: sum((a is None) != (b is None) for a, b in zip(same[name], shipped[name], strict=True))
        for name in FILTERS
    }
    filters = [
        (name, f"{agreed[name]:,}", f"{_dropped(same[name]):,}", f"{_dropped(shipped[name]):,}", f"{changed[name]:,}")
        for name in FILTERS
    ]
    rules = []
    for name, names in FILTERS.items():
        ours_by, spacy_by = Counter(same[name]), Counter(shipped[name])
        for rule, reason in names.items():
            moved = sum((a == reason) != (b == reason) for a, b in zip(same[name], shipped[name], strict=True))
            rules.append((name, f"`{rule}`", f"{ours_by[reason]:,}", f"{spacy_by[reason]:,}", f"{moved:,}"))
    versions = machine["versions"]["datatrove"]
    total = sum(agreed.values())
    by_filter = ("filter", "alike, same words", "dropped, Millpond's words", "dropped, spaCy's", "splitter changes")
    by_rule = ("filter", "rule", "Millpond's words", "spaCy's words", "differ")
    return f"""# Verdicts of datatrove's filters

Written by `python -m benchmarks.verdicts` on {machine["date"]} at commit {machine["commit"]}, with datatrove
{versions["datatrove"]} and spaCy {versions["spacy"]}.

{count:,} pages with gold, main text by resiliparse, each judged by each filter by itself. Given the same words and
sentences, Millpond's rules and datatrove's filter agree on {total:,} of {count * len(FILTERS):,}
verdicts (kept, or dropped by which rule). What is left is the splitter: datatrove as shipped takes spaCy's English
words and sentences, Millpond its own, for every script.

{_table(by_filter, filters)}

By rule: pages that it drops, as the first of its filter that fails; the last column counts the pages that it drops
with one splitter and not with the other.

{_table(by_rule, rules)}

C4's list of bad words is not in the tables: it needs no word splitter. Where a text has both filler and a curly
bracket, datatrove names the one whose line comes first and Millpond the filler; that counts as the same.
"""


def _alike(first: str | None, second: str | None) -> bool:
    return first == second or {first, second} == {"lorem_ipsum", "curly_bracket"}


def _dropped(column: Iterable[str | None]) -> int:
    return sum(reason is not None for reason in column)


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    numbers = [all(cell.replace(",", "").isdigit() for cell in column) for column in zip(*rows, strict=True)]
    rule = ["---:" if number else "---" for number in numbers]
    return "\n".join("| " + " | ".join(row) + " |" for row in (header, rule, *rows))


if __name__ == "__main__":
    main()
