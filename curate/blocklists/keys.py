"""What may stand in a blocklist of a page: its address, and its host from each label on, by 64-bit hash.

All pieces of a column of addresses are hashed at once: they stand in a row of bytes, over which prefix sums give the
hash of any piece (`millpond.curate.polynomial`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from millpond.curate.blocklists.addresses import parsed
from millpond.curate.polynomial import Hashes, powers

Places = npt.NDArray[np.int64]
Letters = npt.NDArray[np.uint8]

#: Host names that count as the name without it in an address.
WWW = "www."
#: Bytes from which an address is not looked for, and is no line of a list.
TOO_LONG = 1 << 13

#: Between host and path in a key.
SLASH = pa.scalar("/", pa.large_string())

_BASE = 0x9E3779B97F4A7C15
#: Bytes that are hashed at a time.
_BLOCK = 1 << 20


@dataclass(frozen=True)
class Keys:
    """What may stand in a list of some pages: pieces of their spelled addresses.

    Attributes:
        letters: the addresses in a row.
        rows: the page of each key.
        starts, ends: where each key stands in `letters`.
        hashes: of each key.
    """

    letters: Letters
    rows: Places
    starts: Places
    ends: Places
    hashes: Hashes


def page_keys(urls: pa.Array) -> Iterator[Keys]:
    """What may stand in a list of the pages at `urls`, some pages at a time; rows are numbered from the first."""
    host, rest = parsed(urls.cast(pa.large_string()))
    short = pc.less(pc.add(pc.binary_length(host), pc.binary_length(rest)), TOO_LONG)
    host, rest = (pc.if_else(short, texts, "") for texts in (host, rest))
    letters, offsets = _letters(pc.binary_join_element_wise(host, rest, SLASH))
    lengths = pc.binary_length(host).to_numpy(zero_copy_only=False)
    skipped = np.where(pc.starts_with(host, WWW).to_numpy(zero_copy_only=False), len(WWW), 0)
    for start, stop in _blocks(offsets):
        first, last = offsets[start], offsets[stop]
        part, begins = letters[first:last], offsets[start:stop] - first
        dots = np.flatnonzero(part == ord("."))
        page = np.searchsorted(begins, dots, side="right") - 1
        inside = dots < (begins + lengths[start:stop])[page]
        dots, page = dots[inside], page[inside]
        pages = np.arange(stop - start)
        rows = np.concatenate([pages, page, pages])
        starts = np.concatenate([begins, dots + 1, begins + skipped[start:stop]])
        hosts = begins + lengths[start:stop]
        ends = np.concatenate([hosts, hosts[page], offsets[start + 1 : stop + 1] - first])
        yield Keys(part, rows + start, starts, ends, _hashed(part, starts, ends))


def text_keys(texts: pa.Array) -> Iterator[Keys]:
    """Each text (a large string under `TOO_LONG`) as one key."""
    letters, offsets = _letters(texts)
    for start, stop in _blocks(offsets):
        places = offsets[start : stop + 1] - offsets[start]
        part = letters[offsets[start] : offsets[stop]]
        starts, ends = places[:-1], places[1:]
        yield Keys(part, np.arange(start, stop), starts, ends, _hashed(part, starts, ends))


def _letters(texts: pa.Array) -> tuple[Letters, Places]:
    """The bytes of large strings in a row, and where each begins; the last number is where they end."""
    _, offsets, data = texts.buffers()
    places = np.frombuffer(offsets, dtype=np.int64)[texts.offset : texts.offset + len(texts) + 1]
    letters = np.frombuffer(data, dtype=np.uint8) if data else np.empty(0, dtype=np.uint8)
    return letters[places[0] : places[-1]], places - places[0]


def _blocks(offsets: Places) -> Iterator[tuple[int, int]]:
    """From and to which text `_BLOCK` bytes reach; none is longer."""
    start = 0
    while start < len(offsets) - 1:
        stop = int(np.searchsorted(offsets, offsets[start] + _BLOCK, side="right")) - 1
        yield start, stop
        start = stop


def _hashed(letters: Letters, starts: Places, ends: Places) -> Hashes:
    """The polynomial hash of each piece of a row of at most `_BLOCK` bytes."""
    up, down = powers(_BASE, _BLOCK + 1)
    sums = np.zeros(len(letters) + 1, dtype=np.uint64)
    np.cumsum(letters * down[: len(letters)], out=sums[1:])
    hashes: Hashes = (sums[ends] - sums[starts]) * up[ends]
    return hashes
