"""What the model sees of containers: what they hold, those like them, and what they and theirs are called.

Everything is computed for all containers of a page at once; a block then sees those that it lies in, level by level.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain, repeat

import numpy as np
import numpy.typing as npt

from millpond.curate.html.blocks import Blocks
from millpond.curate.html.container_names import Names

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

#: A block sees so many containers upwards.
_LEVELS = 3
_TAGS: Mapping[str, int] = {
    name: place
    for place, name in enumerate(
        (
            *("body", "div", "p", "li", "ul", "ol", "section", "article", "main", "header", "footer", "nav"),
            *("aside", "td", "tr", "table", "tbody", "th", "dl", "dt", "dd", "h1", "h2", "h3", "h4", "h5", "h6"),
            *("form", "figure", "figcaption", "blockquote", "pre", "details", "summary", "address", "fieldset"),
            *("noscript", "center"),
        )
    )
}
_ARTICLE = _TAGS["article"]

_HELD = (
    *("words", "share", "link_density", "words_a_block", "sentences", "good"),
    *("group", "group_words", "group_share", "group_links", "group_spread", "siblings", "name"),
)
_ALONG = ("name_lowest", "name_highest", "name_sum", "name_nearest", "name_distance")
_PARTS = tuple(f"{part}_{percent}" for percent in (50, 80) for part in ("in", "place", "share", "depth"))
COLUMNS = (
    *("depth", "articles_before", *_ALONG),
    *(f"{level}_{name}" for name in _HELD for level in range(_LEVELS)),
    *(f"{level}_tag" for level in range(_LEVELS)),
    *_PARTS,
)


@dataclass(frozen=True)
class Sums:
    """Sums over blocks as rows of `values`, shape (5, blocks + 1), so that any range's is a difference."""

    values: Floats
    WORDS, CHARS, LINKS, SENTENCES, GOOD = range(5)

    @classmethod
    def of(cls, rows: Floats) -> Sums:
        values = np.zeros((len(rows), rows.shape[1] + 1))
        np.cumsum(rows, axis=1, out=values[:, 1:])
        return cls(values)

    def between(self, first: Ints, end: Ints) -> Floats:
        """The sums over blocks from `first` up to `end`."""
        return self.values.take(end, axis=1) - self.values.take(first, axis=1)


def container_columns(blocks: Blocks, sums: Sums, names: Names) -> Floats:
    """`COLUMNS` as rows, of each block."""
    index = np.arange(len(blocks))
    columns = (blocks.container, blocks.parent, blocks.first, blocks.end, blocks.depth)
    container, parent, first, end, depth = (np.fromiter(column, np.int64, len(column)) for column in columns)
    other = len(_TAGS)
    tags = np.fromiter(map(_TAGS.get, blocks.tag, repeat(other)), np.int64, len(parent))
    numbers = {key: number for number, key in enumerate(dict.fromkeys(blocks.key))}
    key = np.fromiter(map(numbers.__getitem__, blocks.key), np.int64, len(parent))
    scored = np.fromiter(chain.from_iterable(map(names.score, numbers)), np.float64, 3 * len(numbers))
    scores = scored.reshape(-1, 3).T.take(key, axis=1)

    size = end - first
    held = sums.between(first, end)
    words, chars, links, sentences, good = held
    total = sums.values[:, -1]
    share, good = words / total[Sums.WORDS], good / max(total[Sums.GOOD], 1)
    # Alike are containers of one tag, name and depth.
    _, group = np.unique((key * (other + 1) + tags) * (depth.max() + 1) + depth, return_inverse=True)
    groups = int(group.max()) + 1
    _, pair, siblings = np.unique(parent * groups + group, return_inverse=True, return_counts=True)
    members = np.bincount(group)
    in_group = np.bincount(group, weights=words)
    spread = np.bincount(group, weights=words**2) / members - (in_group / members) ** 2
    linked = np.bincount(group, weights=links) / np.maximum(np.bincount(group, weights=chars), 1)
    of_groups = np.array((members, in_group, in_group / total[Sums.WORDS], linked, spread))
    table = np.concatenate(
        (
            (words, share, links / np.maximum(chars, 1), words / size, sentences / size, good),
            of_groups.take(group, axis=1),
            (siblings[pair], scores[2]),
        )
    )
    levels = [container]
    for _ in range(_LEVELS - 1):
        levels.append(parent[levels[-1]])

    articles = np.bincount(first[tags == _ARTICLE], minlength=len(blocks))
    parts: list[npt.NDArray[np.generic] | float] = []
    for percent in (50, 80):
        # The deepest container that holds this much of the page's good text.
        enough = np.flatnonzero(good >= percent / 100)
        lowest = int(enough[np.argmax(depth[enough])]) if len(enough) else 0
        place = index - first[lowest]
        parts += [
            (place >= 0) & (index < end[lowest]),
            place / size[lowest],
            share[lowest],
            depth[container] - depth[lowest],
        ]
    out = np.empty((len(COLUMNS), len(blocks)))
    out[0], out[1] = depth[container], np.cumsum(articles)
    start = 2 + len(_ALONG)
    out[2:start] = _along(scores, parent, depth).take(container, axis=1)
    levelled = table.take(np.concatenate(levels), axis=1).reshape(-1, len(blocks))
    out[start : (start := start + len(levelled))] = levelled
    for column in (*(tags[level] for level in levels), *parts):
        out[start] = column
        start += 1
    return out


def _along(scores: Floats, parent: Ints, depth: Ints) -> Floats:
    """Over the names of a container and its ancestors: lowest, highest, sum of scores; nearest known, its distance.

    Each round reaches twice as far up, so the number of rounds is the logarithm of the depth.
    """
    count = len(parent)
    lowest, highest, mean = np.concatenate((scores, np.zeros((3, 1))), axis=1)  # the last, above all, has no name
    up = np.concatenate((parent, [count]))
    up[0] = count
    nearest = np.where((lowest != 0) | (highest != 0), np.arange(count + 1), up)
    nearest[count] = count
    total = mean.copy()
    for _ in range(int(depth.max() + 1).bit_length()):
        np.minimum(lowest, lowest.take(up), out=lowest)
        np.maximum(highest, highest.take(up), out=highest)
        total += total.take(up)
        nearest, up = nearest.take(nearest), up.take(up)
    distance = np.concatenate((depth, [-1]))
    distance -= distance[nearest]
    return np.array((lowest, highest, total, mean[nearest], distance))[:, :count]
