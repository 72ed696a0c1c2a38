"""Numbers as strings that sort from the highest."""

from __future__ import annotations

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from millpond.curate.dedup.rank import falling


@given(st.lists(st.one_of(st.none(), st.floats()), max_size=20))
def test_keys_sort_as_the_numbers_do(values: list[float | None]) -> None:
    keys = falling(pa.array(values, pa.float64())).to_pylist()
    assert all(len(key) == 16 for key in keys)
    known = {key: value for key, value in zip(keys, values, strict=True) if value is not None and value == value}
    assert [known[key] for key in sorted(known)] == sorted(set(known.values()), reverse=True)
    unknown = {key for key, value in zip(keys, values, strict=True) if value is None or value != value}
    assert unknown <= {"f" * 16} and not unknown & set(known)
