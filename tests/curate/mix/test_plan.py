"""Weights become passes and parts of passes, exactly, or an error that says the numbers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from millpond.curate.mix.config import Component, MixConfig
from millpond.curate.mix.plan import Part, plan
from millpond.errors import ConfigError


def component(name: str, weight: float, max_repeats: int = 1) -> Component:
    return Component(name=name, weight=weight, max_repeats=max_repeats)


def test_the_largest_mixture_is_bound_by_the_scarcest_component() -> None:
    both = [component("books", 0.3, max_repeats=2), component("web", 0.7)]
    assert plan(both, {"books": 1000, "web": 10_000}, None, "bytes") == [Part("books", 2, 0), Part("web", 0, 4666)]
    assert plan(both, {"books": 1000, "web": 700}, None, "bytes") == [Part("books", 0, 300), Part("web", 1, 0)]


def test_a_size_is_divided_by_weight() -> None:
    both = [component("books", 3, max_repeats=4), component("web", 7)]
    assert plan(both, {"books": 250, "web": 800}, 1000, "bytes") == [Part("books", 1, 50), Part("web", 0, 700)]


def test_what_cannot_be_filled_is_said_with_its_numbers() -> None:
    both = [component("books", 0.3, max_repeats=2), component("web", 0.7)]
    with pytest.raises(ConfigError) as raised:
        plan(both, {"books": 1000, "web": 100_000}, 10_000, "bytes")
    assert str(raised.value) == (
        "component 'books' is too small: 0.3 of 10,000 bytes is 3,000, and it has 1,000, at most 2,000 with "
        "max_repeats=2; the largest mixture of these weights is size=6,666"
    )
    with pytest.raises(ConfigError, match="component 'web' has no documents"):
        plan(both, {"books": 1000}, None, "bytes")


@given(
    st.lists(
        st.tuples(st.floats(1e-3, 1e3, allow_nan=False), st.integers(1, 5), st.integers(1, 10**9)),
        min_size=1,
        max_size=6,
    ),
    st.floats(0.01, 1),
)
def test_no_part_is_over_its_repeats_or_far_from_its_weight(
    given: list[tuple[float, int, int]], fraction: float
) -> None:
    components = [component(f"c{n}", weight, repeats) for n, (weight, repeats, _) in enumerate(given)]
    available = {f"c{n}": amount for n, (_, _, amount) in enumerate(given)}

    def amounts(size: int | None) -> dict[str, int]:
        return {
            p.component: p.passes * available[p.component] + p.rest for p in plan(components, available, size, "x")
        }

    largest = amounts(None)
    total = sum(weight for weight, _, _ in given)
    size = max(1, int(sum(largest.values()) * fraction))
    for found, wanted in ((largest, sum(largest.values())), (amounts(size), size)):
        for each in components:
            assert 0 <= found[each.name] <= each.max_repeats * available[each.name]
            assert abs(found[each.name] - wanted * each.weight / total) <= 1 + len(components) + wanted * 1e-9
    with pytest.raises(ConfigError, match="the largest mixture"):
        plan(components, available, sum(largest.values()) + len(components) + 2, "x")


def test_settings_that_decide_nothing_are_refused() -> None:
    with pytest.raises(ConfigError, match="two components are named 'a'"):
        MixConfig.from_mapping({"components": [{"name": "a", "weight": 1}, {"name": "a", "weight": 2}]}, "x")
    with pytest.raises(ConfigError, match="the cap by crawl has no bound: give documents or bytes"):
        MixConfig.from_mapping({"components": [{"name": "a", "weight": 1, "caps": [{"by": ["crawl"]}]}]}, "x")
