"""Every signal of texts: each family's values over a few texts at a time, in the order of the texts."""

from __future__ import annotations

from collections.abc import Sequence

from millpond.curate.config import CurateConfig
from millpond.curate.languages import UNSPACED
from millpond.curate.models.scores import Scores
from millpond.curate.privacy.flagged import FlaggedWords
from millpond.curate.signals import c4, curator, fineweb, gopher, refinedweb
from millpond.curate.signals.gopher import Signals
from millpond.curate.signals.scan import Scan, groups
from millpond.curate.signals.stop_words import stop_words
from millpond.schemas import SIGNALS

#: Personal data is counted where it is masked, in what the line rules leave.
_COLUMNS = tuple(name for name, _ in SIGNALS if not name.startswith("pii_"))


class Measure:
    """Takes the columns `SIGNALS` of texts, but those of personal data."""

    def __init__(self, config: CurateConfig) -> None:
        self.config = config
        self._lines = config.c4_lines
        self._own_lines = {code: config.c4_lines_in(code) for code in config.language.override}
        self._scores = Scores(config)
        self._bad_words = {code: c4.BadWords(words, code) for code, words in config.c4.bad_words.items()}
        self._flagged = FlaggedWords(config.flagged.words)

    def __call__(self, texts: Sequence[str], languages: Sequence[str | None]) -> tuple[Signals, list[str]]:
        """The signals of texts in these languages, and what the configured line rules leave of each text."""
        columns: Signals = {name: [] for name in _COLUMNS}
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
        unspaced = [code in UNSPACED for code in languages]
        lines = [
            c4.lines(text, self._own_lines.get(code or "", self._lines), lower, unspaced=letters)
            for text, code, lower, letters in zip(texts, languages, scan.lower, unspaced, strict=True)
        ]
        by_c4 = [found.text for found in lines]
        judged = refinedweb.judge(scan, self.config.refinedweb, unspaced)
        quality = gopher.quality(scan, [stop_words(code, self.config.language) for code in languages])
        signals = {
            **quality,
            **gopher.repetition(scan),
            **c4.signals(scan, lines, [self._bad_words.get(code or "") for code in languages]),
            **fineweb.signals(by_c4, Scan(by_c4).word_counts),
            **refinedweb.signals(scan, judged),
            **curator.signals(scan),
            **self._flagged.signals(scan, languages, quality["word_count"]),
            **self._scores(scan, languages),
        }
        left = by_c4 if self.config.removes_c4_lines else texts
        if self.config.removes_refinedweb_lines:
            if self.config.removes_c4_lines:
                scan = Scan(left)
                judged = refinedweb.judge(scan, self.config.refinedweb, unspaced)
            left = refinedweb.left(scan, judged)
        return signals, left
