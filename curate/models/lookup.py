"""Hashes and their rows: which of many 64-bit hashes are known, and where, for thousands at a time.

The known hashes stand in ascending order, so a file of them can be mapped as it is; an index of their leading bits
takes each look-up to the one that it can be, or the few. Memory: 8 to 16 bytes a hash beside the hashes themselves.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from millpond.curate.polynomial import Hashes

Rows = npt.NDArray[np.int64]


class Lookup:
    """Rows of known hashes.

    Args:
        known: hashes, each once, ascending; best with evenly spread leading bits.

    Raises:
        ValueError: they do not ascend.
    """

    def __init__(self, known: Hashes) -> None:
        if not (known[1:] > known[:-1]).all():
            raise ValueError("hashes that do not ascend")
        self._known = known
        bits = max(1, min(len(known).bit_length() + 1, 27))
        self._shift = np.uint64(64 - bits)
        edges = np.arange(1 << bits, dtype=np.uint64) << self._shift
        self._index = np.append(np.searchsorted(known, edges), len(known)).astype(np.uint32)

    def __len__(self) -> int:
        return len(self._known)

    def rows(self, hashes: Hashes) -> Rows:
        """The row of each hash, −1 where it is not known."""
        leading = (hashes >> self._shift).astype(np.int64)
        rows = self._index.take(leading).astype(np.int64)
        ends = self._index.take(leading + 1)
        result = np.full(len(hashes), -1, dtype=np.int64)
        places = np.flatnonzero(rows < ends)
        rows, ends, hashes = rows[places], ends[places], hashes[places]
        while len(places):
            found = self._known.take(rows)
            hit = found == hashes
            result[places[hit]] = rows[hit]
            rows = rows + 1
            # Ascending: behind a greater one there is nothing to be found.
            on = np.flatnonzero((found < hashes) & (rows < ends))
            places, rows, ends, hashes = places[on], rows[on], ends[on], hashes[on]
        return result
