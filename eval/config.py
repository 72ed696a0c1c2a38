"""Settings of an evaluation, and the names under which its results are stored."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from millpond.config import StageConfig

#: `eval.results.metric` of the byte trigram baseline: bits per byte on all documents of the split.
TRIGRAM_METRIC = "trigram_bits_per_byte"


class EvalConfig(StageConfig):
    """What to measure of an exported model."""

    split: Literal["train", "validation", "test"] = "validation"
    """Whose shards the loss is measured on."""

    max_rows: int | None = Field(default=None, ge=1)
    """Measure on the first so many contexts of the split; all of them by default."""

    batch_rows: int = Field(default=8, ge=1)
    """Contexts in one forward pass; changes memory and speed, not the result."""

    prompt: str = "The "
    """Start of the sample text."""

    sample_tokens: int = Field(default=120, ge=0)
    """Tokens of sample text; 0 writes none."""

    temperature: float = Field(default=0.8, ge=0)
    """Of sampling; 0 always takes the likeliest token."""

    trigram: bool = True
    """Also fit a byte trigram model on the training documents, as a floor to compare with."""

    seed: int = 0
    """Of the sample text."""
