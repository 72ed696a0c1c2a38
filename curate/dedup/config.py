"""What counts as a duplicate, of documents, lines and runs of words, and who stays."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Literal

from pydantic import Field, field_validator

from millpond.config import StageConfig
from millpond.curate.dedup.presets import PRESETS, Banding, Preset
from millpond.schemas import SIGNALS, UNWANTED_SCORES


class LinesConfig(StageConfig):
    """Lines or paragraphs that stand in many documents: menus, notices, quotations."""

    unit: Literal["off", "lines", "paragraphs"] = "off"
    """What is compared. A paragraph ends at an empty line."""
    max_documents: int = Field(default=10, ge=1)
    """What stands in more documents than this is removed from all but the first of them."""


class SpansConfig(StageConfig):
    """Runs of words that stand in another document: quoted passages, press releases, templates."""

    enabled: bool = False
    """Remove them from all but the first document that holds them."""
    min_length: int = Field(default=50, ge=10)
    """Words from which a run counts; a letter of a script without spaces is a word. Lee et al. 2021 and RefinedWeb
    take 50 subword tokens, which is fewer words."""


class SemanticConfig(StageConfig):
    """Documents that say the same in other words, by embeddings of how they begin; needs the extra `semantic`."""

    enabled: bool = False
    """Remove all but one of them, after exact and near copies."""
    threshold: float = Field(default=0.95, gt=0, le=1)
    """Cosine similarity from which a document counts as a copy."""
    languages: tuple[str, ...] = Field(default=("en",), min_length=1)
    """ISO 639 codes of the documents that are compared: the model has read English."""
    cluster_size: int = Field(default=1000, ge=1)
    """Documents in a cluster, on average; only those of one cluster are compared."""


class DedupConfig(StageConfig):
    """Duplicates, of documents, lines and runs of words: what is compared, and who stays."""

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
    """Shingles and bands as published: fineweb, refinedweb, text-dedup or nemo-curator. `threshold` is no part of it:
    some of these remove all that share a band, without a threshold."""
    shingles: Literal["words", "characters"] | None = None
    """What a shingle is a run of. Null takes the preset's."""
    ngram: int | None = Field(default=None, ge=1, le=1000)
    """Words or characters in a shingle. Null takes the preset's."""
    bands: int | None = Field(default=None, ge=1, le=2000)
    """Bands of a signature; two documents are compared when any band agrees. Null takes the preset's."""
    rows: int | None = Field(default=None, ge=1, le=100)
    """Signature values in a band. Null takes the preset's."""
    threshold: float = Field(default=0.75, gt=0, le=1)
    """True Jaccard similarity from which a document counts as a copy."""
    anchors: int = Field(default=64, ge=1)
    """In a band shared by more documents than this, each is compared with that many first ones only."""
    seed: int = Field(default=1, ge=0, lt=2**32)
    """Seed of the permutations."""
    priority: tuple[Annotated[str, Field(min_length=1)], ...] = ()
    """Sources whose copy stays before any other's, best first: a crawl, a registered domain, or what a source file's
    absolute path or URL begins with."""
    quality: str | None = None
    """Signal by which the better copy stays, among sources of the same priority: higher is better."""
    lines: LinesConfig = LinesConfig()
    """Lines and paragraphs across documents."""
    spans: SpansConfig = SpansConfig()
    """Runs of words across documents, after lines."""
    semantic: SemanticConfig = SemanticConfig()
    """Copies in meaning."""
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
        return replace(PRESETS[self.preset], **{name: value for name, value in given.items() if value is not None})

    @field_validator("quality")
    @classmethod
    def _is_a_signal(cls, value: str | None) -> str | None:
        worse = ("perplexity", *(f"{name}_score" for name in UNWANTED_SCORES))
        known = [name for name, _ in SIGNALS if name not in worse]
        if value in worse:
            raise ValueError(f"a higher {value} is a worse text")
        if value is not None and value not in known:
            raise ValueError(f"no signal {value!r} (known: {', '.join(known)})")
        return value
