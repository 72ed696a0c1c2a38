"""Windows: every run of so many words in a text, by a 64-bit hash, and the marks by which equal ones are found.

Words are those of `millpond.curate.dedup.shingles`, so spacing, punctuation and case do not count. The mark of a
window is the smallest hash of the shorter runs in it, of half its length. Equal windows have equal marks, and
neighbours mostly have one in common: a text of w windows has about 4 w / length marks, so what is repeated can be
looked for among few rows, and no repeated window is missed.

Source: Schleimer, Wilkerson and Aiken 2003, "Winnowing: local algorithms for document fingerprinting".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from millpond.curate.dedup.shingles import Wide, groups, rolled, text_words


class Windows:
    """Cuts texts into windows of `length` words."""

    def __init__(self, length: int) -> None:
        self.length = length
        self._part = (length + 1) // 2
        self._parts = length - self._part + 1

    def of(self, texts: Sequence[str]) -> Iterator[tuple[Wide, Wide]]:
        """Hash and mark of each window of each text, by the place of its first word; none where words are fewer."""
        for group in groups(texts):
            tokens, starts, stops = text_words(group)
            hashes = rolled(tokens, self.length)
            marks = _lowest(rolled(tokens, self._part), self._parts)
            for start, stop in zip(starts.tolist(), (stops - self.length + 1).tolist(), strict=True):
                stop = max(start, stop)
                yield hashes[start:stop], marks[start:stop]

    def chosen(self, marks: Wide) -> Wide:
        """A text's marks as often as its windows show that they stand there: one that is there twice stands in two
        places, or in one run of windows too long for one place."""
        if not len(marks):
            return marks
        firsts = np.flatnonzero(np.append(True, marks[1:] != marks[:-1]))
        sizes = np.diff(np.append(firsts, len(marks)))
        return np.repeat(marks[firsts], 1 + (sizes > self._parts))


def _lowest(values: Wide, width: int) -> Wide:
    """The smallest of each `width` neighbours, in linear time: of the end of one block and the beginning of the next.

    Source: van Herk 1992, "A fast algorithm for local minimum and maximum filters".
    """
    count = len(values) - width + 1
    if count <= 0:
        return values[:0]
    # A block is a column, so each step goes along a row.
    blocks = np.full((-(-len(values) // width), width), np.iinfo(np.uint64).max, dtype=np.uint64)
    blocks.ravel()[: len(values)] = values
    blocks = np.ascontiguousarray(blocks.T)
    from_first: Wide = np.minimum.accumulate(blocks, axis=0).T.ravel()
    to_last: Wide = np.minimum.accumulate(blocks[::-1], axis=0)[::-1].T.ravel()
    lowest: Wide = np.minimum(to_last[:count], from_first[width - 1 : width - 1 + count])
    return lowest
