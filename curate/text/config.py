"""What normalisation does to a text."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from millpond.config import StageConfig


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
