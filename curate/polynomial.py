"""What polynomial hashes modulo 2^64 are computed with.

The hash of v₁ … vₙ is v₁·bⁿ⁻¹ + … + vₙ for an odd base b, which has an inverse. So a prefix sum of values, each
divided by the power of its place, gives the hash of every piece of a row as a difference, multiplied by one power.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt

Hashes = npt.NDArray[np.uint64]


@cache
def powers(base: int, count: int) -> tuple[Hashes, Hashes]:
    """The first `count` powers of an odd base modulo 2^64, from b⁰ on, and those of its inverse there."""
    factors = np.full((2, count), [[base], [pow(base, -1, 1 << 64)]], dtype=np.uint64)
    factors[:, 0] = 1
    up, down = np.cumprod(factors, axis=1)
    return up, down
