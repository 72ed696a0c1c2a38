"""Which documents MinHash compares."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from millpond.curate.dedup.near import band_table


def banded(*signatures: bytes, bands: int = 14, rows: int = 8) -> dict[str, list[bytes]]:
    """The keys of each document."""
    ids = [f"d{place}" for place in range(len(signatures))]
    columns = {"rank": ids, "scope": [""] * len(ids), "minhash": pa.array(signatures, pa.binary())}
    keys: dict[str, list[bytes]] = {doc_id: [] for doc_id in ids}
    for row in band_table(pa.RecordBatch.from_pydict(columns), bands, rows).to_pylist():
        keys[row["rank"]].append(row["band"])
    return keys


def test_bands_agree_where_their_rows_do() -> None:
    signature = np.arange(112, dtype="<u4")
    other = signature.copy()
    other[8] = 999
    keys = banded(signature.tobytes(), other.tobytes())
    assert [a == b for a, b in zip(keys["d0"], keys["d1"], strict=True)] == [True, False, *[True] * 12]


def test_equal_rows_in_different_bands_do_not_meet() -> None:
    assert len(set(banded(bytes(4 * 112))["d0"])) == 14


def test_no_documents_have_no_bands() -> None:
    assert banded() == {}


def test_bands_of_another_size_are_refused() -> None:
    with pytest.raises(ValueError, match="112"):
        banded(bytes(4 * 112), bands=10)
