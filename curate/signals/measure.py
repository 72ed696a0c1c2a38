"""Every signal of texts: each family's values over a few texts at a time, in the order of the texts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from millpond.curate.config import CurateConfig
from millpond.curate.signals import c4, fineweb, gopher
from millpond.curate.signals.gopher import Signals
from millpond.curate.signals.scan import Scan, groups
from millpond.schemas import SIGNALS


def measure(texts: Sequence[str], config: CurateConfig) -> tuple[Signals, list[str]]:
    """The columns `SIGNALS` of texts, and what C4's line rules leave of each."""
    columns: Signals = {name: [] for name, _ in SIGNALS}
    cleaned = []
    for group in groups(texts):
        scan = Scan(group)
        lines = [c4.lines(text, config.c4) for text in group]
        left = [found.text for found in lines]
        words = np.diff(Scan(left).bounds).tolist()
        found = gopher.quality(scan) | gopher.repetition(scan) | c4.signals(lines) | fineweb.signals(left, words)
        for name, column in columns.items():
            column += found[name]
        cleaned += left
    return columns, cleaned
