"""Every signal of texts: each family's values over a few texts at a time, in the order of the texts."""

from __future__ import annotations

from collections.abc import Sequence

from millpond.curate.config import CurateConfig
from millpond.curate.models.scores import Scores
from millpond.curate.signals import c4, curator, fineweb, gopher, refinedweb
from millpond.curate.signals.gopher import Signals
from millpond.curate.signals.scan import Scan, groups
from millpond.curate.signals.stop_words import stop_words
from millpond.schemas import SIGNALS


class Measure:
    """Takes the columns `SIGNALS` of texts."""

    def __init__(self, config: CurateConfig) -> None:
        self.config = config
        self._lines = config.c4_lines
        self._scores = Scores(config)
        self._bad_words = {code: c4.BadWords(words, code) for code, words in config.c4.bad_words.items()}

    def __call__(self, texts: Sequence[str], languages: Sequence[str | None]) -> tuple[Signals, list[str]]:
        """The signals of texts in these languages, and what the configured line rules leave of each text."""
        columns: Signals = {name: [] for name, _ in SIGNALS}
        cleaned: list[str] = []
        for group in groups(texts):
            spoken = languages[len(cleaned) : len(cleaned) + len(group)]
            found, left = self._group(group, spoken)
            for name, column in columns.items():
                column += found[name]
            cleaned += left
        return columns, cleaned

    def _group(self, texts: Sequence[str], languages: Sequence[str | None]) -> tuple[Signals, Sequence[str]]:
        scan = Scan(texts)
        lines = [c4.lines(text, self._lines, lower) for text, lower in zip(texts, scan.lower, strict=True)]
        by_c4 = [found.text for found in lines]
        judged = refinedweb.judge(scan, self.config.refinedweb)
        signals = {
            **gopher.quality(scan, [stop_words(code, self.config.language) for code in languages]),
            **gopher.repetition(scan),
            **c4.signals(scan, lines, [self._bad_words.get(code or "") for code in languages]),
            **fineweb.signals(by_c4, Scan(by_c4).word_counts),
            **refinedweb.signals(scan, judged),
            **curator.signals(scan),
            **self._scores(scan, languages),
        }
        left = by_c4 if self.config.removes_c4_lines else texts
        if self.config.removes_refinedweb_lines:
            if self.config.removes_c4_lines:
                scan = Scan(left)
                judged = refinedweb.judge(scan, self.config.refinedweb)
            left = refinedweb.left(scan, judged)
        return signals, left
