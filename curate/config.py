"""The configuration of curation: extraction, normalisation, language, rules, line rules, duplicates.

Scores and decisions are separate: every signal is stored with its candidate, and `language`, `rules` and the
thresholds of `dedup` decide over what is stored. Recutting a corpus from stored candidates is not built yet: a
run under any other setting extracts all pages again.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from millpond.config import StageConfig
from millpond.curate.privacy.span import Kind
from millpond.curate.rules import LANGUAGE_SCORE, PRESETS, known_rules


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

    words: dict[str, str] = Field(default_factory=dict)
    """Language code, or `any` → path of a UTF-8 file with one term a line."""


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
    """Which lines are kept."""
    pii: PiiConfig = PiiConfig()
    """Which personal data is masked."""
    flagged: FlaggedConfig = FlaggedConfig()
    """Which words are counted."""
    dedup: DedupConfig = DedupConfig()
    """Which copies are kept."""

    @property
    def removes_lines(self) -> bool:
        """Whether C4's line rules change the text: `c4.remove_lines`, else what the preset says."""
        if self.c4.remove_lines is not None:
            return self.c4.remove_lines
        return PRESETS[self.rules.preset].removes_lines
