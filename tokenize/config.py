"""Settings of the tokenize stage.

Everything here decides the bytes of the shards; nothing about the machine does.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from millpond.config import StageConfig

#: Tokens a sample should hold: tar and array headers then cost 3 % with two bytes a token, less with four.
SAMPLE_TOKENS = 16_384

Fraction = Annotated[float, Field(ge=0, le=1)]


class TokenizeConfig(StageConfig):
    """How documents become token shards."""

    corpus: Literal["documents", "mixture"] = "documents"
    """What is tokenized: every document of the corpus, or those of its mixture, each as often as the mixture says."""
    tokenizer: Path | None = None
    """A `tokenizer.json`, or a folder that holds one. None trains one on the training split."""
    eos_token: str | None = None
    """End-of-text token of a given tokenizer. None finds it in the tokenizer's own files."""
    vocab_size: int = Field(default=32_768, ge=257, le=1 << 24)
    """Size of a trained vocabulary, at most; a small corpus gives a smaller one."""
    model: Literal["bpe", "wordpiece", "unigram"] = "bpe"
    """What a trained vocabulary is, over bytes in each case."""
    training_bytes: int = Field(default=1 << 30, ge=1)
    """Text to train a vocabulary on, about: of a larger split a sample, drawn by the seed."""
    min_frequency: int = Field(default=2, ge=1)
    """A pair seen less often is not merged when training `bpe` or `wordpiece`."""
    context_length: int = Field(default=1024, ge=2, le=1 << 22)
    """Tokens in a row."""
    rows_per_sample: int | None = Field(default=None, ge=1, le=1 << 20)
    """Rows in a sample. None takes 16, or as many as make 16,384 tokens, so that headers cost under 5 %."""
    buckets: int = Field(default=16, ge=1, le=100_000)
    """Hash buckets a split is written in, one or more shards each; more buckets, more parallel writers."""
    fractions: tuple[Fraction, Fraction, Fraction] = (0.98, 0.01, 0.01)
    """Shares of train, validation and test; (0.7, 0.15, 0.15) suits a corpus of some hundred documents."""
    seed: int = Field(default=0, ge=0)
    """Decides splits, buckets and the order of documents."""
    shard_max_bytes: int = Field(default=256 << 20, ge=1 << 16)
    """Size at which a shard is closed and the next one begun; one sample fits always."""

    @model_validator(mode="after")
    def _fractions_are_a_whole(self) -> Self:
        if abs(sum(self.fractions) - 1) > 1e-9:
            raise ValueError(f"fractions {self.fractions} must add up to 1")
        return self

    @property
    def sample_rows(self) -> int:
        """Rows in a sample, `rows_per_sample` resolved."""
        return self.rows_per_sample or max(16, math.ceil(SAMPLE_TOKENS / self.context_length))
