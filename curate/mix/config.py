"""The configuration of a mixture: which documents are in which component, and how much of it each one is.

[mix]
size = 2_000_000_000
[[mix.components]]
name = "reference"
sources = ["docs.python.org", "/data/books/"]
weight = 0.3
max_repeats = 4
[[mix.components]]
name = "web"
languages = ["en"]
weight = 0.7
caps = [{ by = ["registered_domain"], documents = 1000 }]

A stratified sample with a share for each stratum has a component for each, and weights are the shares, exactly:

[mix]
unit = "documents"
size = 10_000
components = [
    { name = "de-forums", languages = ["de"], page_types = ["forum"], weight = 0.2 },
    { name = "de", languages = ["de"], weight = 0.3 },
    { name = "en", languages = ["en"], weight = 0.5 },
]

A document belongs to the first component that selects it, so the narrower stratum comes first. Strata of equal size
need no components: one cap by their columns does it.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from millpond.config import StageConfig

#: What documents can be grouped by.
Column = Literal["registered_domain", "source_file", "crawl", "language", "page_type"]
Name = Annotated[str, Field(min_length=1)]


class Cap(StageConfig):
    """A bound for each group of a component's documents: by domain or source, or by strata for a sample that has as
    much of each. For shares that differ give each stratum a component."""

    by: tuple[Column, ...] = Field(min_length=1)
    """Documents that agree in these columns are a group; where a column is null, null is a value."""
    documents: int | None = Field(default=None, ge=1)
    """At most so many of a group."""
    bytes: int | None = Field(default=None, ge=1)
    """At most so many bytes of text of a group."""

    @model_validator(mode="after")
    def _bounds_something(self) -> Self:
        if self.documents is None and self.bytes is None:
            raise ValueError(f"the cap by {', '.join(self.by)} has no bound: give documents or bytes")
        return self


class Component(StageConfig):
    """Some of the corpus's documents, and their share of the mixture. What is not given selects any."""

    name: str = Field(pattern=r"^[\w.-]+$")
    """Name of the component, as it stands in the column `component`."""
    weight: float = Field(gt=0, allow_inf_nan=False)
    """Its share of the mixture is its weight over the sum of all weights."""
    sources: tuple[Name, ...] = ()
    """Crawls, registered domains, or what a source file's absolute path or URL begins with."""
    languages: tuple[Name, ...] = ()
    """ISO 639 codes."""
    page_types: tuple[Name, ...] = ()
    """Such as `article` or `forum`."""
    caps: tuple[Cap, ...] = ()
    """Bounds, in order; each is over what those before it leave."""
    max_repeats: int = Field(default=1, ge=1, le=1000)
    """A document stands in the mixture at most so often."""


class MixConfig(StageConfig):
    """Which documents a mixture holds, and how often."""

    components: tuple[Component, ...] = Field(min_length=1)
    """A document belongs to the first component that selects it."""
    unit: Literal["bytes", "documents"] = "bytes"
    """What weights and `size` count: bytes of text, which tokens follow closely within a language, or documents."""
    size: int | None = Field(default=None, ge=1)
    """Bytes or documents of the mixture, repeats included. Null takes as many as the components allow."""
    seed: int = Field(default=0, ge=0)
    """Decides which documents are taken where not all are."""

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        names = [component.name for component in self.components]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"two components are named {twice[0]!r}")
        return self
