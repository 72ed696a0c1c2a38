"""Check digits: the sums by which an invented or mistyped number gives itself away.

All take digits as a string and say whether the last one (or two) fit. Sources: ISO/IEC 7812-1 annex B (Luhn),
ISO/IEC 7064 (mod 97-10, mod 11-2, mod 11,10), J. Verhoeff, Error detecting decimal codes (1969).
"""

from __future__ import annotations

from collections.abc import Sequence

#: Multiplication in the dihedral group D5, for Verhoeff: rotations 0–4, reflections 5–9.
_DIHEDRAL = tuple(
    tuple(
        ((a + b) % 5 if b < 5 else (a + b) % 5 + 5) if a < 5 else ((a - b) % 5 + 5 if b < 5 else (a - b) % 5)
        for b in range(10)
    )
    for a in range(10)
)
_PERMUTATION = (1, 5, 7, 6, 2, 8, 3, 0, 9, 4)


def _powers() -> tuple[tuple[int, ...], ...]:
    rows = [tuple(range(10))]
    while len(rows) < 8:
        rows.append(tuple(_PERMUTATION[digit] for digit in rows[-1]))
    return tuple(rows)


_POWERS = _powers()


def luhn(digits: str) -> bool:
    """Cards, and the personal numbers of Sweden, Canada and South Africa."""
    odd = sum(map(int, digits[-1::-2]))
    return (odd + sum(sum(divmod(2 * int(digit), 10)) for digit in digits[-2::-2])) % 10 == 0


def mod_97(account: str) -> bool:
    """IBAN: letters and digits, upper case, without spaces."""
    moved = account[4:] + account[:4]
    return int("".join(str(int(sign, 36)) for sign in moved)) % 97 == 1


def mod_11_10(digits: str) -> bool:
    """Germany's tax number."""
    product = 10
    for digit in digits[:-1]:
        product = 2 * ((int(digit) + product) % 10 or 10) % 11
    return (11 - product) % 10 == int(digits[-1])


def mod_11_2(signs: str) -> bool:
    """China's resident number: digits, the last may be `X` for ten."""
    total = 0
    for digit in signs[:-1]:
        total = (total + int(digit)) * 2 % 11
    return (12 - total) % 11 == (10 if signs[-1] == "X" else int(signs[-1]))


def verhoeff(digits: str) -> bool:
    """India's Aadhaar."""
    state = 0
    for place, digit in enumerate(reversed(digits)):
        state = _DIHEDRAL[state][_POWERS[place % 8][int(digit)]]
    return state == 0


def weighted(digits: str, weights: Sequence[int]) -> int:
    """The weighted sum of the first digits, as many as there are weights."""
    return sum(int(digit) * weight for digit, weight in zip(digits, weights, strict=False))
