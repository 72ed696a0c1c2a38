"""What language identification and the line rules are told: signals, and lines that a text loses."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from millpond.config import StageConfig
from millpond.curate.fields import Threshold, Words
from millpond.curate.presets import check_rules_exist


class LanguageOverride(StageConfig):
    """What holds for documents in one language instead."""

    min_score: float | None = Field(default=None, ge=0, le=1)
    """Lowest score that is kept. Null takes what holds for all."""
    stop_words: Words | None = None
    """Its stop words, or a file with one a line; single words alone are found. Null takes what
    `language.stop_words` says."""
    min_words_per_line: int | None = Field(default=None, ge=0)
    """C4's fewest words of a line. Null takes what `c4.min_words_per_line` says."""
    terminal_punctuation: bool | None = None
    """Whether C4's lines must end a sentence; its signs are those of Latin script. Null takes what holds for all."""
    thresholds: dict[str, Threshold] = Field(default_factory=dict)
    """Rule name → number, or null (in TOML: false) to switch the rule off for it."""

    @model_validator(mode="after")
    def _rules_exist(self) -> Self:
        check_rules_exist(self.thresholds, "min_score")
        return self


class LanguageConfig(StageConfig):
    """Language identification by fastText's lid.176, and what depends on the language."""

    min_score: float | None = Field(default=None, ge=0, le=1)
    """Lowest score that is kept. Null takes the preset's."""
    allowed: tuple[str, ...] = ()
    """Languages that are kept, as ISO 639 codes such as `en`. Empty keeps any."""
    stop_words: Literal["gopher", "packaged"] = "gopher"
    """`gopher`: Gopher's eight English words for any language but those that set no spaces between words; there the
    signal is null, and no rule looks. `packaged`: the eight most frequent words of the
    document's own language where justext has a list for it; elsewhere the signal is null, and no rule looks."""
    override: dict[str, LanguageOverride] = Field(default_factory=dict)
    """Language code → settings for it: a section such as `[curate.language.override.de]`."""


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
    """Fail lines with fewer words; words are what stands between spaces. In texts of a language that sets none, such
    as Chinese or Thai, each letter of its script is a word."""
    max_word_length: int = Field(default=1000, ge=1)
    """Fail lines with a word longer than this, in characters."""
    javascript: bool = True
    """Fail lines that mention JavaScript."""
    policy: bool = True
    """Fail lines about cookies, terms of use and privacy policies."""
    bad_words: dict[str, Words] = Field(default_factory=dict)
    """Language code → words and phrases that no kept document of that language holds, or a file with one a line."""


class RefinedWebConfig(StageConfig):
    """RefinedWeb's line rules."""

    remove_lines: bool | None = None
    """Whether failing lines are removed from the text. Null takes the preset's: yes for `refinedweb`."""
    max_uppercase: float = Field(default=0.5, ge=0, le=1)
    """Fail lines with a larger share of upper-case characters."""
    min_words: int = Field(default=2, ge=0)
    """Fail lines with fewer words; words are what stands between spaces, or as in `c4` letters."""
