"""Every rule with its published threshold, and the named sets of them.

`CATALOGUE` has all rules in the order in which they are tried: language, Gopher repetition, Gopher quality
(arXiv 2112.11446, table A1), C4 (arXiv 1910.10683; paragraphs: mC4, arXiv 2010.11934), FineWeb (arXiv 2406.17557),
RefinedWeb (arXiv 2306.01116), NeMo Curator's heuristics, personal data (Dolma, arXiv 2402.00159), flagged words
(Data-Juicer, arXiv 2309.02033) and the scores of the user's models. A preset is a choice of them; the last three and
mC4's rule of long lines (`min_c4_long_line_count`) are in none, and a threshold in the configuration switches them on:

    fineweb     order and thresholds of datatrove 0.10.1's `examples/fineweb.py`; C4's failing lines are removed
    refinedweb  Gopher's rules and RefinedWeb's share of removed words; RefinedWeb's failing lines are removed
    gopher      Gopher's rules alone
    c4          C4's rules with terminal punctuation, and bad words where the user gives a list; its failing lines are
                removed. Its language rule (langdetect at .99) is not part of it: the scores do not compare
    curator     NeMo Curator's `heuristic_filter_english_pipeline.yaml`; what it shares with Gopher, in Gopher's
                definition, but for the share of words with a letter: among words and marks, as Gopher's rule is read
                here, it drops one page in three, among words between white space one in twenty-five
    api-docs    FineWeb's, loosened for API reference pages
    none        no rule

Words and sentences are those of `millpond.curate.signals.words`. In languages without spaces between words the mean
length of words is no rule, nor are stop words that are not given. The language rule differs from datatrove's, which
drops a score equal to the threshold too, and whose score comes from another size of the model, over the whole text
(see `millpond.curate.signals.language`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING

from millpond.curate.languages import UNSPACED
from millpond.curate.rules import BLOCKLISTS, HAS_TEXT, LANGUAGE_ALLOWED, LANGUAGE_SCORE, Rule
from millpond.reasons import Reason
from millpond.schemas import UNWANTED_SCORES, WANTED_SCORES

if TYPE_CHECKING:
    from millpond.curate.config import CurateConfig


@dataclass(frozen=True)
class Preset:
    """A named set of rules, and whose line rules change the text."""

    rules: tuple[Rule, ...]
    removes_c4_lines: bool = False
    removes_refinedweb_lines: bool = False
    terminal_punctuation: bool = False
    """Whether C4's line rules want a sentence's end."""


def _maximum(reason: Reason, column: str, bound: float, source: str) -> Rule:
    return Rule(f"max_{column}", reason, column, maximum=bound, source=source)


def _minimum(reason: Reason, column: str, bound: float, source: str) -> Rule:
    return Rule(f"min_{column}", reason, column, minimum=bound, source=source)


def _gopher_repetition() -> tuple[Rule, ...]:
    bounds = {
        "duplicate_paragraph_ratio": 0.3,
        "duplicate_paragraph_char_ratio": 0.2,
        "duplicate_line_ratio": 0.3,
        "duplicate_line_char_ratio": 0.2,
        "top_2gram_char_ratio": 0.2,
        "top_3gram_char_ratio": 0.18,
        "top_4gram_char_ratio": 0.16,
        "duplicate_5gram_char_ratio": 0.15,
        "duplicate_6gram_char_ratio": 0.14,
        "duplicate_7gram_char_ratio": 0.13,
        "duplicate_8gram_char_ratio": 0.12,
        "duplicate_9gram_char_ratio": 0.11,
        "duplicate_10gram_char_ratio": 0.1,
    }
    return tuple(_maximum(Reason.GOPHER_REPETITION, name, bound, "Gopher") for name, bound in bounds.items())


def _gopher_quality() -> tuple[Rule, ...]:
    reason, source = Reason.GOPHER_QUALITY, "Gopher"
    return (
        _minimum(reason, "word_count", 50, source),
        _maximum(reason, "word_count", 100_000, source),
        # Where a letter is a word, words are of one letter.
        replace(_minimum(reason, "mean_word_length", 3, source), languages=tuple((code, None) for code in UNSPACED)),
        _maximum(reason, "mean_word_length", 10, source),
        _maximum(reason, "hash_word_ratio", 0.1, source),
        _maximum(reason, "ellipsis_word_ratio", 0.1, source),
        _maximum(reason, "bullet_line_ratio", 0.9, source),
        _maximum(reason, "ellipsis_line_ratio", 0.3, source),
        _minimum(reason, "alpha_word_ratio", 0.8, source),
        _minimum(reason, "stop_word_count", 2, source),
    )


def _curator() -> tuple[Rule, ...]:
    bounds = {
        "non_alphanumeric_ratio": 0.25,
        "number_ratio": 0.15,
        "url_ratio": 0.2,
        "whitespace_ratio": 0.25,
        "parenthesis_ratio": 0.1,
        "boilerplate_ratio": 0.4,
        "unended_line_ratio": 0.85,
        "longest_word": 1000,
    }
    return (
        *(_maximum(Reason.CURATOR, f"curator_{name}", bound, "NeMo Curator") for name, bound in bounds.items()),
        _minimum(Reason.CURATOR, "curator_alpha_word_ratio", 0.8, "NeMo Curator"),
    )


def _models() -> tuple[Rule, ...]:
    """No preset has these. What perplexity is high depends on the model, so that rule has no bound of its own."""
    return (
        _minimum(Reason.UNIGRAMS, "unigram_log_probability", -10, "peS2o"),
        _maximum(Reason.PERPLEXITY, "perplexity", inf, "CCNet"),
        *(_minimum(Reason.CLASSIFIER, f"{name}_score", 0.5, "even odds") for name in WANTED_SCORES),
        *(_maximum(Reason.CLASSIFIER, f"{name}_score", 0.5, "even odds") for name in UNWANTED_SCORES),
    )


CATALOGUE = (
    Rule(LANGUAGE_SCORE, Reason.LANGUAGE, "language_score", minimum=0.65, source="FineWeb"),
    *_gopher_repetition(),
    *_gopher_quality(),
    _maximum(Reason.C4, "c4_lorem_ipsum_lines", 0, "C4"),
    _maximum(Reason.C4, "c4_curly_bracket_lines", 0, "C4"),
    _minimum(Reason.C4, "c4_sentence_count", 5, "C4"),
    _minimum(Reason.C4, "c4_long_line_count", 3, "mC4"),
    _maximum(Reason.C4, "c4_bad_word_count", 0, "C4"),
    _minimum(Reason.FINEWEB, "fineweb_line_punctuation_ratio", 0.12, "FineWeb"),
    _maximum(Reason.FINEWEB, "fineweb_short_line_ratio", 0.67, "FineWeb"),
    # The paper's text says 0.1; the code that made FineWeb, and the paper's appendix, say 0.01.
    _maximum(Reason.FINEWEB, "fineweb_duplicate_line_char_ratio", 0.01, "FineWeb"),
    _maximum(Reason.FINEWEB, "fineweb_newline_word_ratio", 0.3, "FineWeb"),
    _maximum(Reason.REFINEDWEB, "refinedweb_removed_word_ratio", 0.05, "RefinedWeb"),
    *_curator(),
    # Dolma drops a document with more than five, of e-mail, telephone and IP; here every kind counts.
    _maximum(Reason.PII, "pii_count", 5, "Dolma"),
    _maximum(Reason.FLAGGED_WORDS, "flagged_word_ratio", 0.045, "Data-Juicer"),
    *_models(),
)

#: What API reference text looks like: signatures with braces and little punctuation, short lines, members
#: described in the same words again and again. Tuned on rendered reference pages; null drops the rule.
_API_DOCS: dict[str, float | None] = {
    LANGUAGE_SCORE: 0.2,
    "max_duplicate_paragraph_ratio": 0.5,
    "max_duplicate_paragraph_char_ratio": 0.4,
    "max_duplicate_line_ratio": 0.75,
    "max_duplicate_line_char_ratio": 0.7,
    "max_top_2gram_char_ratio": 0.3,
    "max_top_3gram_char_ratio": 0.3,
    "max_top_4gram_char_ratio": 0.3,
    **{f"max_duplicate_{n}gram_char_ratio": 0.65 for n in range(5, 11)},
    "min_mean_word_length": 2.5,
    "max_mean_word_length": 14,
    "max_ellipsis_word_ratio": 0.2,
    "min_alpha_word_ratio": 0.3,
    "max_c4_curly_bracket_lines": None,
    "min_c4_sentence_count": 3,
    "min_fineweb_line_punctuation_ratio": None,
    "max_fineweb_short_line_ratio": 0.9,
    "max_fineweb_duplicate_line_char_ratio": None,
    "max_fineweb_newline_word_ratio": 0.5,
}


def changed(
    rules: Iterable[Rule],
    thresholds: Mapping[str, float | None],
    by_language: Mapping[str, Mapping[str, float | None]] | None = None,
) -> tuple[Rule, ...]:
    """Rules with other thresholds, for all languages and for some; null drops a rule."""
    result = []
    for rule in rules:
        given = {language: named[rule.name] for language, named in (by_language or {}).items() if rule.name in named}
        own = dict(rule.languages) | given
        bound = thresholds.get(rule.name, rule.threshold)
        if bound is None and not any(value is not None for value in own.values()):
            continue
        languages = tuple(sorted((code, None if value is None else float(value)) for code, value in own.items()))
        if rule.minimum is not None:
            result.append(replace(rule, minimum=-inf if bound is None else float(bound), languages=languages))
        else:
            result.append(replace(rule, maximum=inf if bound is None else float(bound), languages=languages))
    return tuple(result)


def _of(*reasons: Reason, without: Iterable[str] = ()) -> tuple[Rule, ...]:
    return tuple(rule for rule in CATALOGUE if rule.reason in reasons and rule.name not in without)


_GOPHER = (Reason.GOPHER_REPETITION, Reason.GOPHER_QUALITY)
_NOT_FINEWEB = ("min_c4_long_line_count", "max_c4_bad_word_count")
_FINEWEB = _of(Reason.LANGUAGE, *_GOPHER, Reason.C4, Reason.FINEWEB, without=_NOT_FINEWEB)

PRESETS: dict[str, Preset] = {
    "fineweb": Preset(_FINEWEB, removes_c4_lines=True),
    "refinedweb": Preset(_of(Reason.LANGUAGE, *_GOPHER, Reason.REFINEDWEB), removes_refinedweb_lines=True),
    "gopher": Preset(_of(*_GOPHER)),
    "c4": Preset(
        _of(Reason.C4, without=("min_c4_long_line_count",)), removes_c4_lines=True, terminal_punctuation=True
    ),
    "curator": Preset(_of(*_GOPHER, Reason.CURATOR, without=("min_alpha_word_ratio",))),
    "api-docs": Preset(changed(_FINEWEB, _API_DOCS)),
    "none": Preset(()),
}


def known_rules() -> set[str]:
    """Names of all rules that can be given a threshold."""
    return {rule.name for rule in CATALOGUE}


def check_rules_exist(thresholds: Iterable[str], hint: str) -> None:
    """Check the names of rules in settings; `hint` names the setting of the language score.

    Raises:
        ValueError: there is no such rule, or thresholds do not set it.
    """
    known = sorted(known_rules() - {LANGUAGE_SCORE})
    if unknown := sorted(set(thresholds) - set(known)):
        more = f"; the language score is set by {hint}" if LANGUAGE_SCORE in unknown else ""
        raise ValueError(f"unknown rule {', '.join(unknown)}{more} (known: {', '.join(known)})")


def rules_for(config: CurateConfig) -> tuple[Rule, ...]:
    """The rules of a run, in order: its blocklists; the preset's, changed by `rules.thresholds` and `language`; then
    `HAS_TEXT`.

    A threshold given for a rule that the preset leaves out puts the rule back in its place.
    """
    blocklists = [
        Rule(f"blocklist.{name}", Reason.BLOCKLIST, BLOCKLISTS, listed=file.sha256, source=Path(file.path).name)
        for name, file in sorted(config.blocklists.items())
    ]
    kept = {rule.name: rule.threshold for rule in PRESETS[config.rules.preset].rules}
    thresholds = {name: kept.get(name) for name in known_rules()} | config.rules.thresholds
    if config.language.min_score is not None:
        thresholds[LANGUAGE_SCORE] = config.language.min_score
    by_language = {}
    for code, own in config.language.override.items():
        score = {} if own.min_score is None else {LANGUAGE_SCORE: own.min_score}
        by_language[code] = {**own.thresholds, **score}
    rules = changed(CATALOGUE, thresholds, by_language)
    if config.language.allowed:
        allowed = Rule(LANGUAGE_ALLOWED, Reason.LANGUAGE, "language", allowed=config.language.allowed)
        return (*blocklists, allowed, *rules, HAS_TEXT)
    return (*blocklists, *rules, HAS_TEXT)
