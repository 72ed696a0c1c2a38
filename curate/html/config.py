"""How a page's main text is found."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from millpond.config import StageConfig


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
