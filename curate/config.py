"""The configuration of curation; each room's sections stand in its own `config`.

Scores and decisions are separate: every signal is stored with its candidate, and `language`, `rules` and the
thresholds of `dedup` decide over what is stored. `CurateConfig.measured` names the settings that candidates depend
on; under any others `millpond curate recut` decides again without a page being read.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from millpond.config import StageConfig
from millpond.curate.dedup.config import DedupConfig
from millpond.curate.fields import InputFile, Name, Threshold
from millpond.curate.html.config import ExtractConfig
from millpond.curate.languages import check_languages
from millpond.curate.models.config import ClassifiersConfig, PerplexityConfig
from millpond.curate.presets import PRESETS, check_rules_exist
from millpond.curate.privacy.config import ANY, FlaggedConfig, PiiConfig
from millpond.curate.signals.config import C4Config, LanguageConfig, LanguageOverride, RefinedWebConfig
from millpond.curate.text.config import NormaliseConfig
from millpond.schemas import SCORES

#: The name under which `CurateConfig.measured` tells the values in a signature.
SIGNATURE_VALUES = "dedup.bands × dedup.rows"


def _flat(settings: object, name: str = "") -> Iterator[tuple[str, Any]]:
    """Settings by dotted name; those that are null are left out."""
    if isinstance(settings, InputFile):
        yield name, settings.sha256
    elif isinstance(settings, StageConfig | dict):
        for key, value in dict(settings).items():
            yield from _flat(value, f"{name}.{key}" if name else key)
    elif settings is not None:
        yield name, settings


class RulesConfig(StageConfig):
    """The quality rules: a preset, and thresholds that differ from it."""

    preset: Literal["fineweb", "refinedweb", "gopher", "c4", "curator", "api-docs", "none"] = "fineweb"
    """A named set of thresholds (`millpond.curate.presets`). `none` keeps every document that has text."""
    thresholds: dict[str, Threshold] = Field(default_factory=dict)
    """Rule name → number, or null (in TOML: false) to switch the rule off."""

    @model_validator(mode="after")
    def _rules_exist(self) -> Self:
        check_rules_exist(self.thresholds, "language.min_score")
        return self


class EvalSet(StageConfig):
    """The files of one evaluation set: a list of paths will do."""

    files: tuple[InputFile, ...] = Field(min_length=1)
    """JSON Lines or Parquet files, one example a row."""
    fields: tuple[Annotated[str, Field(min_length=1)], ...] = ()
    """Fields whose text counts. Empty takes every string of a row, those in lists too. Words that a prompt adds to
    each example, such as `Question:`, are best left out of the files: pages do not have them."""

    @model_validator(mode="before")
    @classmethod
    def _files_alone(cls, value: object) -> object:
        if isinstance(value, str | Path):
            return {"files": [value]}
        return {"files": value} if isinstance(value, list | tuple) else value


class DecontaminateConfig(StageConfig):
    """Which documents go because they hold texts that models are evaluated on."""

    sets: dict[Name, EvalSet] = Field(default_factory=dict)
    """Name → files: `[curate.decontaminate.sets]` with lines such as `piqa = ["piqa/valid.jsonl"]`. Their content is
    part of the settings."""
    ngram: int = Field(default=13, ge=1, le=50)
    """Words that a document and an example must share in a row. GPT-3 takes 13. In scripts without spaces,
    such as Han or Thai, a character is a word: take more for sets in those."""
    min_words: int = Field(default=8, ge=1)
    """Texts of fewer than `ngram` words are found as a whole if they have so many; shorter ones are not looked for.
    GPT-3 goes down to 8."""
    max_documents: int = Field(default=10, ge=1)
    """An n-gram that more documents of different text hold is commonplace and does not count. GPT-3 takes 10."""
    max_ngrams: int = Field(default=0, ge=0)
    """A document with more such n-grams than this is rejected."""
    reject: bool = True
    """Off: documents with examples are only listed, in `corpus.contamination`."""

    @model_validator(mode="after")
    def _shortest_is_shorter(self) -> Self:
        if self.min_words > self.ngram:
            raise ValueError(f"min_words={self.min_words} is more than ngram={self.ngram}")
        return self


class CurateConfig(StageConfig):
    """Everything a curation run is told."""

    extract: ExtractConfig = ExtractConfig()
    """From bytes to text."""
    normalise: NormaliseConfig = NormaliseConfig()
    """From text to clean text."""
    language: LanguageConfig = LanguageConfig()
    """Which languages are kept."""
    rules: RulesConfig = RulesConfig()
    """Which documents are kept."""
    blocklists: dict[Name, InputFile] = Field(default_factory=dict)
    """Name → file of domains and addresses, one a line (`millpond.curate.blocklists.lists`): candidates from there are
    rejected before all rules. `[curate.blocklists]` with lines such as `adult = "ut1/adult/domains"`."""
    c4: C4Config = C4Config()
    """Which lines are kept, by C4's rules."""
    refinedweb: RefinedWebConfig = RefinedWebConfig()
    """Which lines are kept, by RefinedWeb's rules."""
    pii: PiiConfig = PiiConfig()
    """Which personal data is masked."""
    flagged: FlaggedConfig = FlaggedConfig()
    """Which words are counted."""
    unigrams: dict[str, InputFile] = Field(default_factory=dict)
    """Language code → file of word frequencies (`millpond curate unigrams`): fills `unigram_log_probability`."""
    perplexity: dict[str, PerplexityConfig] = Field(default_factory=dict)
    """Language code → how its texts' `perplexity` is taken: a section such as `[curate.perplexity.en]`."""
    classifiers: ClassifiersConfig = ClassifiersConfig()
    """Which scores classifiers give."""
    decontaminate: DecontaminateConfig = DecontaminateConfig()
    """Which evaluation texts documents may not hold."""
    dedup: DedupConfig = DedupConfig()
    """Which copies are kept."""
    incremental: bool = False
    """Extract only pages that have no candidate yet, and among copies keep what is published. Decisions are still
    made over all candidates, so two things differ from a run over everything. The documents of the released corpus
    come before all others, `dedup.priority`, `dedup.quality` and `dedup.url` notwithstanding: none goes as a copy of
    one that is new, and the corpus depends on the order in which pages came. (It may go as a copy of another
    published one, by a rule, or lose lines that stand in many documents.) And what `measured` names is as it was for
    the candidates that are there, or the run is refused. A first run has none and extracts all pages."""

    @model_validator(mode="after")
    def _signals_are_there(self) -> Self:
        """What is decided by a model's signal, or one of lists of words, needs those: without them the signal is null
        and decides nothing. A preset's own rules may wait for them."""
        sources: dict[str, tuple[str, str, object]] = {
            "unigram_log_probability": ("a model", "unigrams", self.unigrams),
            "perplexity": ("a model", "perplexity", self.perplexity),
            "flagged_word_ratio": ("lists of words", "flagged.words", self.flagged.words),
            "c4_bad_word_count": ("lists of words", "c4.bad_words", self.c4.bad_words),
        }
        for name in SCORES:
            sources[f"{name}_score"] = ("a model", f"classifiers.{name}", getattr(self.classifiers, name))
        asked = {"dedup.quality": self.dedup.quality}
        by_language = (override.thresholds for override in self.language.override.values())
        for thresholds in (self.rules.thresholds, *by_language):
            asked |= {name: name[len("min_") :] for name, bound in thresholds.items() if bound is not None}
        for setting, signal in asked.items():
            what, section, given = sources.get(signal or "", ("", "", True))
            if not given:
                raise ValueError(f"{setting} needs {what}: [curate.{section}] is not given")
        return self

    @model_validator(mode="after")
    def _languages_are_known(self) -> Self:
        """A language that no text is found to be in decides nothing, or keeps nothing."""
        classifiers = {name: getattr(self.classifiers, name) for name in SCORES}
        check_languages(
            {
                "language.allowed": self.language.allowed,
                "language.override": self.language.override,
                "c4.bad_words": self.c4.bad_words,
                "flagged.words": self.flagged.words.keys() - {ANY},
                "unigrams": self.unigrams,
                "perplexity": self.perplexity,
                **{f"classifiers.{name}.languages": own.languages for name, own in classifiers.items() if own},
            }
        )
        return self

    def measured(self) -> dict[str, Any]:
        """The settings that candidates depend on, by dotted name, as they work out: every other one only decides.

        What the preset says of lines is filled in, models are named by their content, and of bands and rows their
        product counts: the values in a signature.
        """
        sections = ("extract", "normalise", "pii", "flagged", "unigrams", "perplexity", "classifiers")
        settings = {name: getattr(self, name) for name in sections}
        own_lines = ("stop_words", "min_words_per_line", "terminal_punctuation")
        override = {
            code: {name: getattr(own, name) for name in own_lines} for code, own in self.language.override.items()
        }
        settings["language"] = {"stop_words": self.language.stop_words, "override": override}
        settings["c4"] = {**self.c4_lines.model_dump(), "remove_lines": self.removes_c4_lines}
        settings["refinedweb"] = {**self.refinedweb.model_dump(), "remove_lines": self.removes_refinedweb_lines}
        banding = self.dedup.banding
        hashed = {"shingles": banding.shingles, "ngram": banding.ngram, "seed": self.dedup.seed}
        return dict(_flat(settings)) | dict(_flat({"dedup": hashed})) | {SIGNATURE_VALUES: banding.num_perm}

    @property
    def c4_lines(self) -> C4Config:
        """C4's line rules, with terminal punctuation as the preset has it where it is left to it."""
        if self.c4.terminal_punctuation is not None:
            return self.c4
        return self.c4.model_copy(update={"terminal_punctuation": PRESETS[self.rules.preset].terminal_punctuation})

    def c4_lines_in(self, language: str) -> C4Config:
        """C4's line rules for texts in a language."""
        own = self.language.override.get(language, LanguageOverride())
        given = {"min_words_per_line": own.min_words_per_line, "terminal_punctuation": own.terminal_punctuation}
        return self.c4_lines.model_copy(update={name: value for name, value in given.items() if value is not None})

    @property
    def removes_c4_lines(self) -> bool:
        """Whether C4's line rules change the text: `c4.remove_lines`, else what the preset says."""
        chosen = self.c4.remove_lines
        return PRESETS[self.rules.preset].removes_c4_lines if chosen is None else chosen

    @property
    def removes_refinedweb_lines(self) -> bool:
        """Whether RefinedWeb's line rules change the text: `refinedweb.remove_lines`, else what the preset says."""
        chosen = self.refinedweb.remove_lines
        return PRESETS[self.rules.preset].removes_refinedweb_lines if chosen is None else chosen
