"""The ledger: what came in equals what went on plus everything that did not, by reason.

Per stage and unit: rows balance as `in = out + Σ rejected(reason) + Σ duplicate(kind)`, bytes and tokens as
`in = out + Σ removed(reason) + Σ transformed(step)`, where a step that adds is negative. Amounts are computed
from the data a stage wrote; the gate computes them again with SQL of its own before anything is published.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any, Literal

from millpond.errors import LedgerError

Entry = Literal["in", "out", "rejected", "duplicate", "removed", "transformed"]
Unit = Literal["records", "fetches", "documents", "bytes", "tokens"]


class Ledger:
    """Lines of one stage run; amounts of the same line add up."""

    def __init__(self, stage: str) -> None:
        self.stage = stage
        self._amounts: dict[tuple[Unit, Entry, str], int] = defaultdict(int)

    def clear(self) -> None:
        """Forget every line: the run is about to be counted afresh."""
        self._amounts.clear()

    def add(self, unit: Unit, entry: Entry, amount: int, reason: str = "") -> None:
        """Count `amount` units under an entry."""
        self._amounts[(unit, entry, reason)] += int(amount)

    def add_all(self, unit: Unit, entry: Entry, amounts: Mapping[str, int]) -> None:
        """Count one line per reason."""
        for reason, amount in amounts.items():
            self.add(unit, entry, amount, reason)

    def amount(self, unit: Unit, entry: Entry) -> int:
        """The sum of an entry over its reasons."""
        return sum(n for (u, e, _), n in self._amounts.items() if (u, e) == (unit, entry))

    def amounts(self, unit: Unit) -> dict[str, int]:
        """Every line of a unit as `entry` or `entry reason` → amount."""
        return {
            f"{entry} {reason}".rstrip(): n for (u, entry, reason), n in sorted(self._amounts.items()) if u == unit
        }

    def check(self) -> None:
        """Raise `LedgerError` unless every unit balances."""
        for unit in sorted({unit for unit, _, _ in self._amounts}):
            came = self.amount(unit, "in")
            rest = sum(n for (u, e, _), n in self._amounts.items() if u == unit and e != "in")
            if came != rest:
                raise LedgerError(
                    f"{self.stage}: {unit} do not balance: in {came:,}, accounted for {rest:,} "
                    f"({came - rest:+,} missing); nothing was published"
                )

    def rows(self, run_id: str) -> list[dict[str, Any]]:
        """Rows of `ops.ledger`, in canonical order."""
        return [
            {
                "run_id": run_id,
                "stage": self.stage,
                "unit": unit,
                "entry": entry,
                "reason": reason or None,
                "amount": amount,
            }
            for (unit, entry, reason), amount in sorted(self._amounts.items())
        ]
