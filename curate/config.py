"""The configuration of curation: extraction, normalisation, language, rules, line rules, duplicates.

Scores and decisions are separate: every signal is stored with its candidate, and `language`, `rules` and the
thresholds of `dedup` decide over what is stored. Recutting a corpus from stored candidates is not built yet: a
run under any other setting extracts all pages again.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from millpond.config import StageConfig
from millpond.curate.dedup.presets import PRESETS as DEDUP_PRESETS
from millpond.curate.dedup.presets import Banding, Preset
from millpond.curate.rules import LANGUAGE_SCORE, PRESETS, known_rules
from millpond.schemas import SIGNALS


def _off(value: object) -> object:
    """TOML has no null: `false` switches a rule off there."""
    if value is True:
        raise ValueError("give a number, or false to switch the rule off")
    return None if value is False else value


Threshold = Annotated[float | None, BeforeValidator(_off)]


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


class LanguageConfig(StageConfig):
    """Language identification by fastText's lid.176."""

    min_score: float | None = Field(default=None, ge=0, le=1)
    """Lowest score that is kept. Null takes the preset's."""
    allowed: tuple[str, ...] = ()
    """Languages that are kept, as ISO 639 codes such as `en`. Empty keeps any."""


class RulesConfig(StageConfig):
    """The quality rules: a preset, and thresholds that differ from it."""

    preset: Literal["fineweb", "api-docs", "none"] = "fineweb"
    """A named set of thresholds. `none` keeps every document that has text."""
    thresholds: dict[str, Threshold] = Field(default_factory=dict)
    """Rule name → number, or null (in TOML: false) to switch the rule off."""

    @model_validator(mode="after")
    def _rules_exist(self) -> Self:
        known = sorted(known_rules() - {LANGUAGE_SCORE})
        unknown = sorted(set(self.thresholds) - set(known))
        if unknown:
            hint = "; the language score is set by language.min_score" if LANGUAGE_SCORE in unknown else ""
            raise ValueError(f"unknown rule {', '.join(unknown)}{hint} (known: {', '.join(known)})")
        return self


class C4Config(StageConfig):
    """C4's line rules: which lines a document loses, and which C4's and FineWeb's signals leave out."""

    remove_lines: bool | None = None
    """Whether failing lines are removed from the text. Null takes the preset's: yes for `fineweb`."""
    remove_citations: bool = True
    """Remove `[12]`, `[edit]` and `[citation needed]` from kept lines."""
    terminal_punctuation: bool = False
    """Fail lines that do not end a sentence. FineWeb switched this off: it costs 30 % of the tokens."""
    min_words_per_line: int = Field(default=3, ge=0)
    """Fail lines with fewer words; words are what stands between spaces."""
    max_word_length: int = Field(default=1000, ge=1)
    """Fail lines with a word longer than this, in characters."""
    javascript: bool = True
    """Fail lines that mention JavaScript."""
    policy: bool = True
    """Fail lines about cookies, terms of use and privacy policies."""


class LinesConfig(StageConfig):
    """Lines or paragraphs that stand in many documents: menus, notices, quotations."""

    unit: Literal["off", "lines", "paragraphs"] = "off"
    """What is compared. A paragraph ends at an empty line."""
    max_documents: int = Field(default=10, ge=1)
    """What stands in more documents than this is removed from all but the first of them."""


class DedupConfig(StageConfig):
    """URL, exact, near and line duplicates: what is compared, and who stays."""

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
    ngram: int | None = Field(default=None, ge=1)
    """Words or characters in a shingle. Null takes the preset's."""
    bands: int | None = Field(default=None, ge=1)
    """Bands of a signature; two documents are compared when any band agrees. Null takes the preset's."""
    rows: int | None = Field(default=None, ge=1)
    """Signature values in a band. Null takes the preset's."""
    threshold: float = Field(default=0.75, gt=0, le=1)
    """True Jaccard similarity from which a document counts as a copy."""
    anchors: int = Field(default=64, ge=1)
    """In a band shared by more documents than this, each is compared with that many first ones only."""
    seed: int = Field(default=1, ge=0, lt=2**32)
    """Seed of the permutations."""
    priority: tuple[str, ...] = ()
    """Sources whose copy stays before any other's, best first: a crawl, a registered domain, or what a source file's
    name begins with."""
    quality: str | None = None
    """Signal by which the better copy stays, among sources of the same priority: higher is better."""
    lines: LinesConfig = LinesConfig()
    """Lines and paragraphs across documents."""
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
        known = [name for name, _ in SIGNALS]
        if value is not None and value not in known:
            raise ValueError(f"no signal {value!r} (known: {', '.join(known)})")
        return value


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
    """Which lines are kept."""
    dedup: DedupConfig = DedupConfig()
    """Which copies are kept."""

    @property
    def removes_lines(self) -> bool:
        """Whether C4's line rules change the text: `c4.remove_lines`, else what the preset says."""
        if self.c4.remove_lines is not None:
            return self.c4.remove_lines
        return PRESETS[self.rules.preset].removes_lines
