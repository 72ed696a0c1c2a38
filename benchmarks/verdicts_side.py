"""datatrove's verdicts on texts, with its own words and sentences or with Millpond's.

    .bench/datatrove/bin/python benchmarks/verdicts_side.py --texts FILE.json --report FILE.json [--words millpond]

Runs in the peer's pinned environment. Input: a JSON list of texts. Output: for each filter, a list with the reason
by which it drops each text, or null. With `--words millpond` every filter gets the words and sentences of
`millpond.curate.signals.words`, which needs NumPy alone, in place of spaCy's for English.
"""

from __future__ import annotations

import argparse
import json
from functools import cache
from pathlib import Path
from typing import Any

from datatrove.data import Document
from datatrove.pipeline.filters import (
    C4ParagraphFilter,
    C4QualityFilter,
    FineWebQualityFilter,
    GopherQualityFilter,
    GopherRepetitionFilter,
    c4_filters,
    fineweb_quality_filter,
    gopher_quality_filter,
    gopher_repetition_filter,
)


def filters() -> dict[str, Any]:
    """The filters by name, with the settings of `examples/fineweb.py`."""
    return {
        "GopherRepetitionFilter": GopherRepetitionFilter(),
        "GopherQualityFilter": GopherQualityFilter(),
        "C4QualityFilter": C4QualityFilter(filter_no_terminal_punct=False),
        "C4QualityFilter, terminal punctuation": C4QualityFilter(filter_no_terminal_punct=True),
        "C4ParagraphFilter": C4ParagraphFilter(),
        "FineWebQualityFilter": FineWebQualityFilter(),
    }


def verdict(judge: Any, text: str) -> str | None:
    """The reason by which a filter drops a text, or None."""
    outcome = judge.filter(Document(text=text, id="0"))
    return None if outcome is True else str(outcome[1])


def main() -> None:
    """Judge every text by every filter."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--texts", required=True, type=Path)
    parser.add_argument("--report", required=True, type=Path)
    parser.add_argument("--words", choices=("spacy", "millpond"), default="spacy")
    options = parser.parse_args()
    words, sentences = gopher_quality_filter.split_into_words, c4_filters.split_into_sentences
    if options.words == "millpond":
        from millpond.curate.signals.words import split_sentences, split_words

        words, sentences = (lambda text, _: split_words(text)), (lambda text, _: split_sentences(text))
    # Each text is split once for all filters.
    known = cache(words)
    for module in (gopher_quality_filter, gopher_repetition_filter, fineweb_quality_filter):
        module.split_into_words = known
    c4_filters.split_into_sentences = cache(sentences)
    texts = json.loads(options.texts.read_text())
    found: dict[str, list[str | None]] = {name: [] for name in filters()}
    for text in texts:
        for name, judge in filters().items():
            found[name].append(verdict(judge, text))
        known.cache_clear()
    options.report.write_text(json.dumps(found))


if __name__ == "__main__":
    main()
