"""The configuration of curation: extraction, normalisation, language, rules, line rules, duplicates.

Scores and decisions are separate: every signal is stored with its candidate, and `language`, `rules` and the
thresholds of `dedup` decide over what is stored. `CurateConfig.measured` names the settings that candidates depend
on; under any others `millpond curate recut` decides again without a page being read.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, StringConstraints, field_validator, model_validator

from millpond.config import StageConfig
from millpond.curate.dedup.presets import PRESETS as DEDUP_PRESETS
from millpond.curate.dedup.presets import Banding, Preset
from millpond.curate.presets import PRESETS, known_rules
from millpond.curate.privacy.span import Kind
from millpond.curate.rules import LANGUAGE_SCORE
from millpond.schemas import SCORES, SIGNALS, UNWANTED_SCORES


def _off(value: object) -> object:
    """TOML has no null: `false` switches a rule off there."""
    if value is True:
        raise ValueError("give a number, or false to switch the rule off")
    return None if value is False else value


Threshold = Annotated[Annotated[float, Field(allow_inf_nan=False)] | None, BeforeValidator(_off)]


def _words(value: object) -> object:
    """A list may stand in a file of its own: UTF-8, one word or phrase a line, none where a line is empty or begins
    with `#`. Its content becomes the setting."""
    if not isinstance(value, str):
        return value
    try:
        lines = Path(value).read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise ValueError(f"not a readable list of words: {error}") from error
    words = tuple(line.strip() for line in lines if line.strip() and not line.startswith("#"))
    if not words:
        raise ValueError(f"{value}: no words; write one a line")
    return words


Word = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
Words = Annotated[tuple[Word, ...], BeforeValidator(_words)]


#: The name under which `CurateConfig.measured` tells the values in a signature.
SIGNATURE_VALUES = "dedup.bands × dedup.rows"


def _flat(settings: object, name: str = "") -> Iterator[tuple[str, Any]]:
    """Settings by dotted name; those that are null are left out."""
    if isinstance(settings, ModelFile):
        yield name, settings.sha256
    elif isinstance(settings, StageConfig | dict):
        for key, value in dict(settings).items():
            yield from _flat(value, f"{name}.{key}" if name else key)
    elif settings is not None:
        yield name, settings


def _check_names(thresholds: Mapping[str, object], hint: str) -> None:
    known = sorted(known_rules() - {LANGUAGE_SCORE})
    if unknown := sorted(set(thresholds) - set(known)):
        more = f"; the language score is set by {hint}" if LANGUAGE_SCORE in unknown else ""
        raise ValueError(f"unknown rule {', '.join(unknown)}{more} (known: {', '.join(known)})")


class ExtractConfig(StageConfig):
    """From a page's bytes to its main text."""

    extractor: Literal["millpond", "trafilatura", "resiliparse"] = "millpond"
    """Who finds the main text. Pages too large or too deep for the other two go to resiliparse either way."""
    markup: Literal["text", "markdown"] = "text"
    """How headings, quotations and code are marked: not at all, or as Markdown. Lists always have dashes."""
    code: bool = True
    """Keep preformatted text."""
    tables: bool = True
    """Keep the text in tables."""
    captions: bool = True
    """Keep the captions of pictures. Pages that go to resiliparse are plain text with all of these."""

    timeout_seconds: float = Field(default=10.0, gt=0)
    """Wall-clock limit of one page, against a faulty machine. A page that hits it twice is `extract_timeout`."""
    memory_mb: int = Field(default=2048, ge=256)
    """Address space of the extracting child process, in MiB."""
    max_body_bytes: int = Field(default=20 * 1024 * 1024, ge=1)
    """Larger bodies are not extracted; their outcome is `too_large`."""

    @model_validator(mode="after")
    def _choices_apply(self) -> Self:
        fields = type(self).model_fields
        choices = ("markup", "code", "tables", "captions")
        changed = [name for name in choices if getattr(self, name) != fields[name].default]
        if changed and self.extractor != "millpond":
            raise ValueError(f"{', '.join(changed)}: {self.extractor} has no such choice")
        return self


class NormaliseConfig(StageConfig):
    """What normalisation does beyond its repairs, and how far they go; bounds are counted per document."""

    unicode_form: Literal["NFC", "NFKC"] = "NFC"
    """`NFC` composes letters and their marks. `NFKC` also replaces what Unicode calls compatible: ligatures, ½, ²,
    ™, full-width forms, Chinese full-width punctuation and no-break spaces. It loses meaning (2² becomes 22)."""
    fold_width: bool = False
    """Full-width Latin letters and digits become ASCII, half-width katakana and Korean letters the usual ones;
    punctuation stays, since full width is how Chinese and Japanese set it. Off: widths are the author's, and few
    texts have any, but Japanese corpora are often built this way."""
    fold_punctuation: bool = False
    """Curly quotes become straight, hyphens, en dashes and minus signs `-`, em dashes `--`, ellipses `...`. Guillemets
    and the marks of other scripts stay. Off: it is for models of plain text, as the one CCNet scores with."""
    lower_case: bool = False
    """Lower-case letters only, by Unicode's rules for all languages (no dotless i)."""
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


class LinesConfig(StageConfig):
    """Lines or paragraphs that stand in many documents: menus, notices, quotations."""

    unit: Literal["off", "lines", "paragraphs"] = "off"
    """What is compared. A paragraph ends at an empty line."""
    max_documents: int = Field(default=10, ge=1)
    """What stands in more documents than this is removed from all but the first of them."""


class SpansConfig(StageConfig):
    """Runs of words that stand in another document: quoted passages, press releases, templates."""

    enabled: bool = False
    """Remove them from all but the first document that holds them."""
    min_length: int = Field(default=50, ge=10)
    """Words from which a run counts; a letter of a script without spaces is a word. Lee et al. 2021 and RefinedWeb
    take 50 subword tokens, which is fewer words."""


class SemanticConfig(StageConfig):
    """Documents that say the same in other words, by embeddings of how they begin; needs the extra `semantic`."""

    enabled: bool = False
    """Remove all but one of them, after exact and near copies."""
    threshold: float = Field(default=0.95, gt=0, le=1)
    """Cosine similarity from which a document counts as a copy."""
    languages: tuple[str, ...] = Field(default=("en",), min_length=1)
    """ISO 639 codes of the documents that are compared: the model has read English."""
    cluster_size: int = Field(default=1000, ge=1)
    """Documents in a cluster, on average; only those of one cluster are compared."""


class PiiConfig(StageConfig):
    """Personal data and secrets: all kinds are counted, some are replaced by a placeholder such as `<EMAIL>`."""

    mask: tuple[Kind, ...] = ("email", "ip_address", "iban", "credit_card", "secret")
    """Kinds that are replaced. By default FineWeb's two, and those whose check digits or prefixes leave little doubt.
    Telephones and national ids are only counted: some of them are told by their neighbourhood alone, and the
    telephones of shops and offices are no one's secret."""
    public_ips_only: bool = True
    """Leave private, local and documentation IP addresses alone, such as 192.168.0.1."""


class FlaggedConfig(StageConfig):
    """Words that documents may have little of. The rule `max_flagged_word_ratio` drops by it where it is given."""

    words: dict[str, Words] = Field(default_factory=dict)
    """Language code, or `any` for every text → words and phrases, or a file with one a line."""


class DedupConfig(StageConfig):
    """Duplicates, of documents, lines and runs of words: what is compared, and who stays."""

    scope: Literal["global", "crawl"] = "global"
    """Compare all documents, or only those of one crawl: FineWeb found what crawls share worth keeping."""
    url: Literal["off", "newest", "oldest"] = "off"
    """Keep one fetch of an address: the newest or the oldest. Off, because what differs under one address (front
    pages, forums) is text of its own, and what does not differ is found as exact or near."""
    exact: bool = True
    """Remove documents whose text has the same digest."""
    near: bool = True
    """Remove documents whose shingles overlap by `threshold` or more with their keeper's."""
    preset: Preset = "fineweb"
    """Shingles and bands as published: fineweb, refinedweb, text-dedup or nemo-curator."""
    shingles: Literal["words", "characters"] | None = None
    """What a shingle is a run of. Null takes the preset's."""
    ngram: int | None = Field(default=None, ge=1, le=1000)
    """Words or characters in a shingle. Null takes the preset's."""
    bands: int | None = Field(default=None, ge=1, le=2000)
    """Bands of a signature; two documents are compared when any band agrees. Null takes the preset's."""
    rows: int | None = Field(default=None, ge=1, le=100)
    """Signature values in a band. Null takes the preset's."""
    threshold: float = Field(default=0.75, gt=0, le=1)
    """True Jaccard similarity from which a document counts as a copy."""
    anchors: int = Field(default=64, ge=1)
    """In a band shared by more documents than this, each is compared with that many first ones only."""
    seed: int = Field(default=1, ge=0, lt=2**32)
    """Seed of the permutations."""
    priority: tuple[Annotated[str, Field(min_length=1)], ...] = ()
    """Sources whose copy stays before any other's, best first: a crawl, a registered domain, or what a source file's
    absolute path or URL begins with."""
    quality: str | None = None
    """Signal by which the better copy stays, among sources of the same priority: higher is better."""
    lines: LinesConfig = LinesConfig()
    """Lines and paragraphs across documents."""
    spans: SpansConfig = SpansConfig()
    """Runs of words across documents, after lines."""
    semantic: SemanticConfig = SemanticConfig()
    """Copies in meaning."""
    max_cluster_share: float = Field(default=0.5, gt=0, le=1)
    """The audit refuses a corpus of which one document and its copies were a larger share."""
    max_removed_share: float = Field(default=0.95, gt=0, le=1)
    """The audit refuses a corpus that lost a larger share of a crawl or a registered domain as copies."""
    judged_from: int = Field(default=1000, ge=1)
    """Sources, and a corpus, of fewer documents have no shares that are judged."""

    @property
    def banding(self) -> Banding:
        """The preset with what differs from it."""
        given = {name: getattr(self, name) for name in ("shingles", "ngram", "bands", "rows")}
        return replace(
            DEDUP_PRESETS[self.preset], **{name: value for name, value in given.items() if value is not None}
        )

    @field_validator("quality")
    @classmethod
    def _is_a_signal(cls, value: str | None) -> str | None:
        worse = ("perplexity", *(f"{name}_score" for name in UNWANTED_SCORES))
        known = [name for name, _ in SIGNALS if name not in worse]
        if value in worse:
            raise ValueError(f"a higher {value} is a worse text")
        if value is not None and value not in known:
            raise ValueError(f"no signal {value!r} (known: {', '.join(known)})")
        return value


class EvalSet(StageConfig):
    """The files of one evaluation set: a list of paths will do."""

    files: tuple[ModelFile, ...] = Field(min_length=1)
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

    sets: dict[Annotated[str, StringConstraints(pattern=r"^[\w.-]+$")], EvalSet] = Field(default_factory=dict)
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
    c4: C4Config = C4Config()
    """Which lines are kept, by C4's rules."""
    refinedweb: RefinedWebConfig = RefinedWebConfig()
    """Which lines are kept, by RefinedWeb's rules."""
    pii: PiiConfig = PiiConfig()
    """Which personal data is masked."""
    flagged: FlaggedConfig = FlaggedConfig()
    """Which words are counted."""
    unigrams: dict[str, ModelFile] = Field(default_factory=dict)
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
    def _models_are_there(self) -> Self:
        """What is decided by a model's signal needs that model: without it the signal is null and decides nothing."""
        models = {
            "unigram_log_probability": ("unigrams", self.unigrams),
            "perplexity": ("perplexity", self.perplexity),
        }
        for name in SCORES:
            models[f"{name}_score"] = (f"classifiers.{name}", getattr(self.classifiers, name))
        asked = {"dedup.quality": self.dedup.quality}
        by_language = (override.thresholds for override in self.language.override.values())
        for thresholds in (self.rules.thresholds, *by_language):
            asked |= {name: name[len("min_") :] for name, bound in thresholds.items() if bound is not None}
        for setting, signal in asked.items():
            section, given = models.get(signal or "", ("", True))
            if not given:
                raise ValueError(f"{setting} needs a model: [curate.{section}] is not given")
        return self

    def measured(self) -> dict[str, Any]:
        """The settings that candidates depend on, by dotted name, as they work out: every other one only decides.

        What the preset says of lines is filled in, models are named by their content, and of bands and rows their
        product counts: the values in a signature.
        """
        sections = ("extract", "normalise", "pii", "flagged", "unigrams", "perplexity", "classifiers")
        settings = {name: getattr(self, name) for name in sections}
        override = {code: {"stop_words": own.stop_words} for code, own in self.language.override.items()}
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
