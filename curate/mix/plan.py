"""How much of each component a mixture takes: whole passes over it and a part of one more.

Amounts are integers, of bytes or of documents, and weights are exact fractions of them, so a mixture is the same on
every machine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from millpond.curate.mix.config import Component
from millpond.errors import ConfigError


@dataclass(frozen=True)
class Part:
    """What a mixture takes of one component."""

    component: str
    passes: int
    """Copies of every document."""
    rest: int
    """The amount of documents that get one copy more."""


def shares(components: Sequence[Component]) -> dict[str, Fraction]:
    """Each component's share of the mixture; they add up to 1."""
    weights = {component.name: Fraction(str(component.weight)) for component in components}
    total = sum(weights.values())
    return {name: weight / total for name, weight in weights.items()}


def plan(components: Sequence[Component], available: Mapping[str, int], size: int | None, unit: str) -> list[Part]:
    """What to take of each component, of which `available` says how much there is.

    Args:
        size: of the mixture; None takes the largest that every component can fill.
        unit: of the amounts, for messages.

    Raises:
        ConfigError: a component selects nothing, or is too small for its share even if repeated.
    """
    wanted = shares(components)
    for component in components:
        if not available.get(component.name):
            raise ConfigError(
                f"component {component.name!r} has no documents: it selects none that the components before it leave"
            )
    most = {c.name: c.max_repeats * available[c.name] for c in components}
    largest = min(most[name] / share for name, share in wanted.items())
    whole = largest if size is None else Fraction(size)
    for component in components:
        name = component.name
        if (needed := whole * wanted[name]) > most[name]:
            raise ConfigError(
                f"component {name!r} is too small: {float(wanted[name]):.4g} of {size:,} {unit} is {int(needed):,}, "
                f"and it has {available[name]:,}, at most {most[name]:,} with max_repeats={component.max_repeats}; "
                f"the largest mixture of these weights is size={int(largest):,}"
            )
    return [Part(name, *divmod(int(whole * share), available[name])) for name, share in wanted.items()]
