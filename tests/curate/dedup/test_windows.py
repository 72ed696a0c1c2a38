"""Windows of words, and that marks miss none that is repeated."""

from __future__ import annotations

from collections import Counter

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from millpond.curate.dedup.shingles import rolled
from millpond.curate.dedup.windows import Windows, _lowest

#: Texts of few different words, so that much is repeated.
TEXTS = st.lists(st.text("ab", max_size=40).map(" ".join), max_size=4)


@settings(max_examples=300, deadline=None)
@given(TEXTS, st.integers(1, 9))
def test_equal_windows_have_equal_hashes_and_marks(texts: list[str], length: int) -> None:
    mark_of: dict[tuple[str, ...], set[tuple[int, int]]] = {}
    for text, (hashes, marks) in zip(texts, Windows(length).of(texts), strict=True):
        words = text.split()
        windows = [tuple(words[at : at + length]) for at in range(len(words) - length + 1)]
        for window, value, mark in zip(windows, hashes.tolist(), marks.tolist(), strict=True):
            mark_of.setdefault(window, set()).add((value, mark))
    assert all(len(found) == 1 for found in mark_of.values())
    assert len({value for found in mark_of.values() for value, _ in found}) == len(mark_of)


@settings(max_examples=300, deadline=None)
@given(TEXTS, st.integers(1, 9))
def test_the_mark_of_what_is_repeated_is_chosen_twice(texts: list[str], length: int) -> None:
    windows = Windows(length)
    found = list(windows.of(texts))
    often = Counter(mark for _, marks in found for mark in windows.chosen(marks).tolist())
    places = [
        (value, mark, text, place)
        for text, (hashes, marks) in enumerate(found)
        for place, (value, mark) in enumerate(zip(hashes.tolist(), marks.tolist(), strict=True))
    ]
    for value, mark, text, place in places:
        for other, _, elsewhere, at in places:
            if value == other and (text != elsewhere or place + length <= at):
                assert often[mark] > 1


def test_few_marks_are_chosen_where_nothing_is_repeated() -> None:
    windows = Windows(50)
    [(hashes, marks)] = windows.of([" ".join(map(str, range(20_000)))])
    chosen = windows.chosen(marks)
    assert len(hashes) == len(marks) == 19_951
    assert len(np.unique(chosen)) == len(chosen) and 0.065 < len(chosen) / 20_000 < 0.085


@given(st.lists(st.integers(0, 9), max_size=30), st.integers(1, 8))
def test_lowest_of_neighbours(values: list[int], width: int) -> None:
    expected = [min(values[at : at + width]) for at in range(len(values) - width + 1)]
    assert _lowest(np.array(values, dtype=np.uint64), width).tolist() == expected


@given(st.lists(st.integers(0, 2**64 - 1), max_size=20), st.integers(1, 25))
def test_a_run_is_the_polynomial_of_its_tokens(values: list[int], length: int) -> None:
    base, expected = 0x9E3779B97F4A7C15, []
    for at in range(len(values) - length + 1):
        total = 0
        for value in values[at : at + length]:
            total = (total * base + value) % 2**64
        expected.append(total)
    assert rolled(np.array(values, dtype=np.uint64), length).tolist() == expected
