"""Published MinHash settings, and the chance with which each compares two documents.

Two documents whose shingle sets have Jaccard similarity s agree in one signature value with chance s, in a band of
r values with s^r, and in at least one of b bands with 1 − (1 − s^r)^b: that is the chance that they are compared.
Whether one goes is then decided by their true similarity against `dedup.threshold`.

Sources: FineWeb (Penedo et al. 2024, arXiv 2406.17557, and datatrove's defaults); RefinedWeb (Penedo et al. 2023,
arXiv 2306.01116, after Lee et al. 2021, arXiv 2107.06499); text-dedup's defaults, its bands as datasketch chooses them
for 240 permutations at .7; NeMo Curator's defaults.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from millpond.curate.dedup.shingles import Kind

Preset = Literal["fineweb", "refinedweb", "text-dedup", "nemo-curator"]

#: Similarities at which the chance of a preset is shown.
SHOWN = (0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 1.0)


@dataclass(frozen=True)
class Banding:
    """What is hashed, and how signatures are compared."""

    shingles: Kind
    ngram: int
    bands: int
    rows: int

    @property
    def num_perm(self) -> int:
        """Values in a signature."""
        return self.bands * self.rows

    def probability(self, similarity: float) -> float:
        """Chance that two documents of this Jaccard similarity are compared."""
        return 1.0 - (1.0 - similarity**self.rows) ** self.bands

    def curve(self, similarities: Iterable[float] = SHOWN) -> list[tuple[float, float]]:
        """(similarity, chance to be compared) for each similarity."""
        return [(similarity, self.probability(similarity)) for similarity in similarities]

    def describe(self) -> str:
        """The settings and their curve, for people."""
        chosen = f"MinHash: {self.bands} bands of {self.rows} values over runs of {self.ngram} {self.shingles}"
        curve = self.curve()
        similarity = "  ".join(f"{s:5.2f}" for s, _ in curve)
        chance = "  ".join(f"{chance:5.3f}" for _, chance in curve)
        return f"{chosen}\n  similarity  {similarity}\n  compared    {chance}"


PRESETS: dict[Preset, Banding] = {
    "fineweb": Banding("words", 5, 14, 8),
    "refinedweb": Banding("words", 5, 450, 20),
    "text-dedup": Banding("words", 5, 24, 10),
    "nemo-curator": Banding("characters", 24, 20, 13),
}
