"""Pages with copies of some of them planted among them, so that deduplication has to choose who stays.

Of each four pages one has copies under two other addresses; one has a near copy, some of its words changed; and one
has a chain: a near copy of a near copy, too far from the page itself to be its copy, and a copy of the one between.
Who goes then depends on who stays, and a run that decides in another order ends in another corpus.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from archives import Page
from benchmarks.pages import changed

#: Share of words that is changed: of runs of five words nine in ten stay, so a copy's Jaccard similarity is about .83,
#: over the threshold, and about .7, under it, after another change.
CHANGED = 0.02


def with_copies(pages: Sequence[Page], seed: int = 1) -> list[Page]:
    """The pages and their copies, in an order of the seed's."""
    found = list(pages)
    for number, page in enumerate(pages):
        match number % 4:
            case 0:
                found += [_again(page), _again(_again(page))]
            case 1:
                found.append(_near(page, seed))
            case 2:
                between = _near(page, seed)
                found += [between, _again(between), _near(between, seed)]
    random.Random(seed).shuffle(found)
    return found


def _again(page: Page) -> Page:
    url, html = page
    return f"{url}-again", html


def _near(page: Page, seed: int) -> Page:
    url, html = page
    text = html.decode(errors="surrogateescape")
    return f"{url}-near", changed(text, f"{seed}/{url}", CHANGED).encode(errors="surrogateescape")
