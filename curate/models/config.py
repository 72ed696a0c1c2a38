"""Which of the user's models score a text."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from millpond.config import StageConfig
from millpond.curate.fields import InputFile


class PerplexityConfig(StageConfig):
    """Perplexity of the texts in one language, and CCNet's buckets of it."""

    model: InputFile
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

    model: InputFile
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
