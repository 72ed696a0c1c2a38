"""Which personal data is masked, and which words are counted."""

from __future__ import annotations

from pydantic import Field

from millpond.config import StageConfig
from millpond.curate.fields import Words
from millpond.curate.privacy.span import Kind

#: In place of a language code: a list for every text.
ANY = "any"


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
