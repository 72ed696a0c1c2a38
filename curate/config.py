"""The configuration of curation: extraction, normalisation, language, rules, line rules, duplicates.

Scores and decisions are separate: every signal is stored with its candidate, and `language`, `rules` and the
thresholds of `dedup` decide over what is stored. Recutting a corpus from stored candidates is not built yet: a
run under any other setting extracts all pages again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from millpond.config import StageConfig
from millpond.curate.presets import PRESETS, known_rules
from millpond.curate.rules import LANGUAGE_SCORE


def _off(value: object) -> object:
    """TOML has no null: `false` switches a rule off there."""
    if value is True:
        raise ValueError("give a number, or false to switch the rule off")
    return None if value is False else value


Threshold = Annotated[float | None, BeforeValidator(_off)]


def _words(value: object) -> object:
    """A list may stand in a file of its own: UTF-8, one word or phrase a line. Its content becomes the setting."""
    if not isinstance(value, str):
        return value
    try:
        lines = Path(value).read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise ValueError(f"not a readable list of words: {error}") from error
    return tuple(line.strip() for line in lines if line.strip())


Words = Annotated[tuple[str, ...], BeforeValidator(_words)]


def _check_names(thresholds: Mapping[str, object], hint: str) -> None:
    known = sorted(known_rules() - {LANGUAGE_SCORE})
    if unknown := sorted(set(thresholds) - set(known)):
        more = f"; the language score is set by {hint}" if LANGUAGE_SCORE in unknown else ""
        raise ValueError(f"unknown rule {', '.join(unknown)}{more} (known: {', '.join(known)})")


class ExtractConfig(StageConfig):
    """From a page's bytes to its main text."""

    extractor: Literal["trafilatura", "resiliparse"] = "trafilatura"
    """Who finds the main text. Pages too large or too deep for trafilatura go to resiliparse either way."""
    timeout_seconds: float = Field(default=10.0, gt=0)
    """Wall-clock limit of one page, against a faulty machine. A page that hits it twice is `extract_timeout`."""
    memory_mb: int = Field(default=2048, ge=256)
    """Address space of the extracting child process, in MiB."""
    max_body_bytes: int = Field(default=20 * 1024 * 1024, ge=1)
    """Larger bodies are not extracted; their outcome is `too_large`."""


class NormaliseConfig(StageConfig):
    """Bounds on repairing text that was decoded wrongly, counted per document."""

    max_repair_lines: int = Field(default=2000, ge=0)
    """With more suspicious lines than this, lines are not repaired one by one, only the text as a whole."""
    max_repair_sequences: int = Field(default=500, ge=0)
    """With more damaged sequences than this, those inside an otherwise sound line are left as they are."""


class LanguageOverride(StageConfig):
    """What holds for documents in one language instead."""

    min_score: float | None = Field(default=None, ge=0, le=1)
    """Lowest score that is kept. Null takes what holds for all."""
    stop_words: Words | None = None
    """Its stop words, or a file with one a line; single words alone are found. Null takes what
    `language.stop_words` says."""
    thresholds: dict[str, Threshold] = Field(default_factory=dict)
    """Rule name → number, or null (in TOML: false) to switch the rule off for it."""

    @model_validator(mode="after")
    def _rules_exist(self) -> Self:
        _check_names(self.thresholds, "min_score")
        return self


class LanguageConfig(StageConfig):
    """Language identification by fastText's lid.176, and what depends on the language."""

    min_score: float | None = Field(default=None, ge=0, le=1)
    """Lowest score that is kept. Null takes the preset's."""
    allowed: tuple[str, ...] = ()
    """Languages that are kept, as ISO 639 codes such as `en`. Empty keeps any."""
    stop_words: Literal["gopher", "packaged"] = "gopher"
    """`gopher`: Gopher's eight English words for any language. `packaged`: the eight most frequent words of the
    document's own language where justext has a list for it; elsewhere the signal is null, and no rule looks."""
    override: dict[str, LanguageOverride] = Field(default_factory=dict)
    """Language code → settings for it: a section such as `[curate.language.override.de]`."""


class RulesConfig(StageConfig):
    """The quality rules: a preset, and thresholds that differ from it."""

    preset: Literal["fineweb", "refinedweb", "gopher", "c4", "curator", "api-docs", "none"] = "fineweb"
    """A named set of thresholds (`millpond.curate.presets`). `none` keeps every document that has text."""
    thresholds: dict[str, Threshold] = Field(default_factory=dict)
    """Rule name → number, or null (in TOML: false) to switch the rule off."""

    @model_validator(mode="after")
    def _rules_exist(self) -> Self:
        _check_names(self.thresholds, "language.min_score")
        return self


class C4Config(StageConfig):
    """C4's line rules: which lines a document loses, and which C4's and FineWeb's signals leave out."""

    remove_lines: bool | None = None
    """Whether failing lines are removed from the text. Null takes the preset's: yes for `fineweb` and `c4`."""
    remove_citations: bool = True
    """Remove `[12]`, `[edit]` and `[citation needed]` from kept lines."""
    terminal_punctuation: bool | None = None
    """Fail lines that do not end a sentence. Null takes the preset's: yes for `c4`. FineWeb switched this off: it
    costs 30 % of the tokens."""
    min_words_per_line: int = Field(default=3, ge=0)
    """Fail lines with fewer words; words are what stands between spaces."""
    max_word_length: int = Field(default=1000, ge=1)
    """Fail lines with a word longer than this, in characters."""
    javascript: bool = True
    """Fail lines that mention JavaScript."""
    policy: bool = True
    """Fail lines about cookies, terms of use and privacy policies."""
    bad_words: dict[str, Words] = Field(default_factory=dict)
    """Language code → words and phrases that no kept document of that language holds, or a file with one a line."""


class ModelFile(StageConfig):
    """A file that scores depend on. Its digest is part of the settings: another content is another run."""

    path: str
    """Where every process of the run finds it."""
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    """Of its content. Left out, it is taken when the settings are read."""

    @model_validator(mode="before")
    @classmethod
    def _with_digest(cls, value: object) -> object:
        values = {"path": value} if isinstance(value, str | Path) else value
        if not isinstance(values, dict) or "path" not in values or values.get("sha256") is not None:
            return values
        try:
            with Path(values["path"]).open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
            return {"path": str(Path(values["path"]).resolve()), "sha256": found}
        except (OSError, TypeError) as error:
            raise ValueError(f"not a readable file: {error}") from error


class PerplexityConfig(StageConfig):
    """Perplexity of the texts in one language, and CCNet's buckets of it."""

    model: ModelFile
    """The n-gram model (`millpond curate perplexity train`)."""
    head: float | None = Field(default=None, gt=1)
    """Texts up to this perplexity are `head` in the column `perplexity_bucket`, which is null without it. CCNet takes
    the 30th percentile of the corpus."""
    tail: float | None = Field(default=None, gt=1)
    """Texts over this perplexity are `tail`, those between `middle`. CCNet takes the 60th percentile."""

    @model_validator(mode="after")
    def _ascend(self) -> Self:
        if (self.head is None) != (self.tail is None) or (self.head or 0) > (self.tail or 0):
            raise ValueError(f"head={self.head} and tail={self.tail}: give both, head first, or neither")
        return self

    def bucket(self, perplexity: float | int | None) -> str | None:
        """`head`, `middle` or `tail`; null without a perplexity or bounds."""
        if perplexity is None or self.head is None or self.tail is None:
            return None
        return "head" if perplexity <= self.head else "middle" if perplexity <= self.tail else "tail"


class ClassifierConfig(StageConfig):
    """One score by a classifier (`millpond curate classifier train`)."""

    model: ModelFile
    """The model file."""
    label: str | None = None
    """The label whose probability is the score. Null takes the model's positive label."""
    languages: tuple[str, ...] = ()
    """ISO 639 codes of the texts that are scored. Empty scores any."""


class ClassifiersConfig(StageConfig):
    """Scores by classifiers: a section such as `[curate.classifiers.quality]` fills the column `quality_score`."""

    quality: ClassifierConfig | None = None
    """Fills `quality_score`, which `min_quality_score` bounds."""
    education: ClassifierConfig | None = None
    """Fills `education_score`, which `min_education_score` bounds."""
    toxicity: ClassifierConfig | None = None
    """Fills `toxicity_score`, which `max_toxicity_score` bounds."""
    adult: ClassifierConfig | None = None
    """Fills `adult_score`, which `max_adult_score` bounds."""


class RefinedWebConfig(StageConfig):
    """RefinedWeb's line rules."""

    remove_lines: bool | None = None
    """Whether failing lines are removed from the text. Null takes the preset's: yes for `refinedweb`."""
    max_uppercase: float = Field(default=0.5, ge=0, le=1)
    """Fail lines with a larger share of upper-case characters."""
    min_words: int = Field(default=2, ge=0)
    """Fail lines with fewer words; words are what stands between spaces."""


class DedupConfig(StageConfig):
    """Exact and near duplicates."""

    exact: bool = True
    """Remove documents whose text has the same digest."""
    near: bool = True
    """Remove documents whose shingles overlap by `threshold` or more with their keeper's."""
    ngram: int = Field(default=5, ge=1)
    """Words in a shingle."""
    bands: int = Field(default=14, ge=1)
    """Bands of a signature; two documents are compared when any band agrees."""
    rows: int = Field(default=8, ge=1)
    """Signature values in a band. A pair of similarity s is compared with chance 1 − (1 − s^rows)^bands."""
    threshold: float = Field(default=0.75, gt=0, le=1)
    """True Jaccard similarity from which a document counts as a copy."""
    anchors: int = Field(default=64, ge=1)
    """In a band shared by more documents than this, each is compared with that many smallest ones only."""
    seed: int = Field(default=1, ge=0, lt=2**32)
    """Seed of the permutations."""

    @property
    def num_perm(self) -> int:
        """Values in a signature."""
        return self.bands * self.rows


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
    c4: C4Config = C4Config()
    """Which lines are kept, by C4's rules."""
    refinedweb: RefinedWebConfig = RefinedWebConfig()
    """Which lines are kept, by RefinedWeb's rules."""
    unigrams: dict[str, ModelFile] = Field(default_factory=dict)
    """Language code → file of word frequencies (`millpond curate unigrams`): fills `unigram_log_probability`."""
    perplexity: dict[str, PerplexityConfig] = Field(default_factory=dict)
    """Language code → how its texts' `perplexity` is taken: a section such as `[curate.perplexity.en]`."""
    classifiers: ClassifiersConfig = ClassifiersConfig()
    """Which scores classifiers give."""
    dedup: DedupConfig = DedupConfig()
    """Which copies are kept."""

    @property
    def c4_lines(self) -> C4Config:
        """C4's line rules, with terminal punctuation as the preset has it where it is left to it."""
        if self.c4.terminal_punctuation is not None:
            return self.c4
        return self.c4.model_copy(update={"terminal_punctuation": PRESETS[self.rules.preset].terminal_punctuation})

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
