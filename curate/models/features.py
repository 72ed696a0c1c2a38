"""What a linear classifier sees of a text: hashes of its words, and of each two in a row, wherever they stand.

As in fastText (Joulin et al. 2017, arXiv 1607.01759) with `wordNgrams = 2`; but here upper and lower case, and all
digits, are alike, a mark is a word, and a word that was never seen in training counts towards a text's length.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from millpond.curate.signals.scan import Places, Scan

Features = npt.NDArray[np.uint32]

_FACTOR = np.uint64(0xD1342543DE82EF95)
_HALF = np.uint64(32)


def features(scan: Scan) -> tuple[Features, Places]:
    """Hashes of all words and then of all pairs of words, and the number of the text that each is of."""
    words, texts = scan.folded, scan.text_of
    pairs = words[:-1] * _FACTOR
    pairs += words[1:]
    inside = texts[1:] == texts[:-1]
    if not inside.all():
        pairs, inner = pairs[inside], texts[1:][inside]
    else:
        inner = texts[1:]
    pairs ^= pairs >> _HALF
    pairs *= _FACTOR
    found = np.concatenate((words, pairs))
    found >>= _HALF
    return found.astype(np.uint32), np.concatenate((texts, inner))
