"""NeMo Curator's filters beside Millpond's signals: which is which, and why two differ, for `benchmarks.curator`.

Read from NeMo Curator 1.4.0's filters and from `millpond.curate.signals`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from millpond.curate.rules import Value


@dataclass(frozen=True)
class Compared:
    """One filter, Millpond's signals of the same, and why values differ (empty where none has to)."""

    filter: str
    columns: tuple[str, ...]
    differs: str = ""
    reading: Literal["sum", "rest", "capped"] = "sum"
    """How the filter's score follows: the signals' sum, what they leave of 1, or their sum but 2 at most."""

    def value(self, row: Mapping[str, Value]) -> float | None:
        """Millpond's value, as the filter would say it; null where a signal is."""
        total = 0.0
        for column in self.columns:
            part = row[column]
            if not isinstance(part, int | float):
                return None
            total += part
        return {"sum": total, "rest": 1 - total, "capped": min(total, 2)}[self.reading]


_BY_CHAR = "NeMo Curator divides by the characters of lines or paragraphs alone, Millpond by those of the whole text"
_PARAGRAPHS = (
    "of three newlines in a row NeMo Curator leaves the last one to the next paragraph, which then equals no other; "
    "Millpond leaves it out, and white space around the text"
)
_TOP = (
    "the words; NeMo Curator counts the n-gram's characters wherever they stand with single spaces between, inside "
    "longer words too, but not where a line breaks within; it chooses among equally frequent n-grams by chance; a "
    "text of fewer than n words has 1"
)
_DUPLICATE = (
    "the words; where a repeated n-gram overlaps the one counted before, NeMo Curator counts its new words, "
    "Millpond, in datatrove's reading, steps over a counted one whole; NeMo Curator counts spaces too; a text of "
    "fewer than n words has 1"
)

COMPARED = (
    Compared("NonAlphaNumericFilter", ("curator_non_alphanumeric_ratio",)),
    Compared(
        "SymbolsToWordsFilter",
        ("hash_word_ratio", "ellipsis_word_ratio"),
        "NeMo Curator counts words that are an ellipsis or more than half `#`; Millpond, as Gopher, has a rule for "
        "every ellipsis and one for every `#` (their values are added here)",
    ),
    Compared("NumbersFilter", ("curator_number_ratio",)),
    Compared("UrlsFilter", ("curator_url_ratio",)),
    Compared("WhiteSpaceFilter", ("curator_whitespace_ratio",)),
    Compared("ParenthesesFilter", ("curator_parenthesis_ratio",)),
    Compared("BoilerPlateStringFilter", ("curator_boilerplate_ratio",)),
    Compared(
        "RepeatedLinesFilter",
        ("duplicate_line_ratio",),
        "an empty first or last line is a line to Millpond",
        "rest",
    ),
    Compared(
        "RepeatedParagraphsFilter",
        ("duplicate_paragraph_ratio",),
        _PARAGRAPHS,
        "rest",
    ),
    Compared("RepeatedLinesByCharFilter", ("duplicate_line_char_ratio",), _BY_CHAR, "rest"),
    Compared(
        "RepeatedParagraphsByCharFilter",
        ("duplicate_paragraph_char_ratio",),
        "both of these reasons",
        "rest",
    ),
    Compared("WordCountFilter", ("word_count",), "the words; Millpond counts no marks among them"),
    Compared("PunctuationFilter", ("curator_unended_line_ratio",)),
    Compared("WordsWithoutAlphabetsFilter", ("curator_alpha_word_ratio",)),
    Compared(
        "CommonEnglishWordsFilter",
        ("stop_word_count",),
        "NeMo Curator counts up to two stop words, the same one twice too, but none with a mark beside it; Millpond "
        "counts different ones, of a list for the text's language (values are compared up to two)",
        "capped",
    ),
    Compared("MeanWordLengthFilter", ("mean_word_length",), "NeMo Curator counts the marks beside a word with it"),
    Compared("LongWordFilter", ("curator_longest_word",)),
    Compared(
        "EllipsisFilter",
        ("ellipsis_line_ratio",),
        "NeMo Curator leaves blank lines out, and counts lines that end in `[...]`, `(...)`, `-»` or `read more` too",
    ),
    *(Compared(f"RepeatingTopNGramsFilter {n}", (f"top_{n}gram_char_ratio",), _TOP) for n in (2, 3, 4)),
    *(
        Compared(f"RepeatingDuplicateNGramsFilter {n}", (f"duplicate_{n}gram_char_ratio",), _DUPLICATE)
        for n in range(5, 11)
    ),
    Compared(
        "BulletsFilter",
        ("bullet_line_ratio",),
        "NeMo Curator knows twelve round signs but no `-`, and leaves blank lines out; Millpond knows `•` and `-`",
    ),
)
