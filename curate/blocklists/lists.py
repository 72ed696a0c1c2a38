"""Blocklists: files of domains and addresses, one a line, and which pages they hold.

The format is that of the UT1 lists (Université Toulouse Capitole), which RefinedWeb (arXiv 2306.01116) and FineWeb
filter by: UTF-8, empty lines and those that begin with `#` left out. Nothing else is read: in a file for an ad blocker
or in a hosts file most lines say neither, which is refused; a few such lines are counted and told, and block nothing.

A line without a path is a domain: it blocks its host and what is below it (`example.com` blocks `www.example.com`, and
not `notexample.com`; `www.example.com` leaves `example.com` alone, but for its front page, which is one address with
its own). A line with a path or a query is an address and blocks that one, with or without `www.`. What else does not
count is left out on both sides (`millpond.curate.blocklists.addresses`).

A page is looked for by 64-bit hashes of its address and of its host from each label on; where one is known, the
strings themselves decide. Memory: about 40 bytes an entry.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from millpond.curate.blocklists.addresses import HOST, NAME, parsed
from millpond.curate.blocklists.keys import SLASH, TOO_LONG, WWW, Keys, Places, text_keys
from millpond.curate.fields import InputFile
from millpond.curate.polynomial import Hashes
from millpond.errors import InputError

#: Bytes of the longest host name.
_LONGEST_HOST = 253


@dataclass(frozen=True)
class Blocklist:
    """The entries of one list."""

    hashes: Hashes
    """Ascending."""
    entries: pa.LargeBinaryArray
    """In the order of their hashes: a domain as `example.com`, an address as `example.com//path?query`."""
    lines: int
    """Lines that say something."""
    malformed: int
    """Those of them that are neither domain nor address."""
    first_malformed: str
    """The first of these, with its number."""

    @classmethod
    def read(cls, file: InputFile) -> Blocklist:
        """Read a list.

        Raises:
            InputError: it cannot be read, is no longer what the settings were read with, or most lines are neither
                domain nor address.
        """
        lines, numbers = _lines(_content(file))
        entries, wrong = _entries(lines)
        first = "" if not len(wrong) else f"line {numbers[wrong[0]]}: {lines[wrong[0]].as_py()[:60]!r}"
        if 2 * len(wrong) > len(lines) or not len(lines):
            count = f"{len(wrong):,} of {len(lines):,} lines are neither ({first})" if first else "it has no line"
            raise InputError(f"{file.path}: not a list of domains and addresses, one a line: {count}")
        hashes = np.concatenate([keys.hashes for keys in text_keys(entries)])
        order = np.argsort(hashes, kind="stable")
        entries, hashes = entries.cast(pa.large_binary()).take(pa.array(order)), hashes[order]
        new = np.append(True, pc.not_equal(entries[1:], entries[:-1]).to_numpy(zero_copy_only=False))
        return cls(hashes[new], entries.filter(pa.array(new)), len(lines), len(wrong), first)

    def holds(self, keys: Keys) -> Places:
        """The pages that the list holds, ascending: the rows of those keys that are its entries."""
        places = np.arange(len(keys.hashes))
        entry = np.searchsorted(self.hashes, keys.hashes)
        found: list[Places] = []
        while len(places):
            known = entry < len(self.hashes)
            places, entry = places[known], entry[known]
            alike = self.hashes[entry] == keys.hashes[places]
            places, entry = places[alike], entry[alike]
            pieces = [
                keys.letters[start:end].tobytes()
                for start, end in zip(keys.starts[places].tolist(), keys.ends[places].tolist(), strict=True)
            ]
            same = pc.equal(pa.array(pieces, pa.large_binary()), self.entries.take(pa.array(entry)))
            equal = same.to_numpy(zero_copy_only=False)
            found.append(keys.rows[places[equal]])
            # Behind an entry may stand another one of the same hash.
            places, entry = places[~equal], entry[~equal] + 1
        return np.unique(np.concatenate(found)) if found else np.empty(0, dtype=np.int64)

    def describe(self) -> str:
        """What was read, in a sentence's part."""
        entries = f"{len(self.hashes):,} domains and addresses"
        if not self.malformed:
            return entries
        return f"{entries}; {self.malformed:,} lines are neither and block nothing, such as {self.first_malformed}"


def _content(file: InputFile) -> bytes:
    try:
        data = Path(file.path).read_bytes()
    except OSError as error:
        raise InputError(f"{file.path}: cannot be read: {error}") from error
    if (found := hashlib.sha256(data).hexdigest()) != file.sha256:
        again = "give its path alone to take it as it is now"
        raise InputError(f"{file.path}: has sha256 {found}, the settings say {file.sha256}; {again}")
    return data


def _lines(data: bytes) -> tuple[pa.Array, Places]:
    """The lines that say something, and their numbers from 1."""
    text = pa.array([data.decode("utf-8-sig", "replace")], pa.large_string())
    lines = pc.utf8_trim_whitespace(pc.split_pattern(text, "\n").flatten())
    places = pc.indices_nonzero(pc.invert(pc.or_(pc.equal(lines, ""), pc.starts_with(lines, "#"))))
    return lines.take(places), places.to_numpy().astype(np.int64) + 1


def _entries(lines: pa.Array) -> tuple[pa.Array, Places]:
    """Entries of lines, and the places of those that give none."""
    lower = pc.ascii_lower(lines)
    plain = pc.and_(pc.match_substring_regex(lower, NAME), pc.less_equal(pc.binary_length(lower), _LONGEST_HOST))
    places = pc.indices_nonzero(pc.invert(plain))
    host, rest = parsed(lines.take(places))
    short = pc.less(pc.add(pc.binary_length(host), pc.binary_length(rest)), TOO_LONG)
    short = pc.and_(short, pc.less_equal(pc.binary_length(host), _LONGEST_HOST))
    valid = pc.and_(pc.match_substring_regex(host, HOST), short)
    wrong: Places = places.filter(pc.invert(valid)).to_numpy()
    host, rest = host.filter(valid), rest.filter(valid)
    whole = pc.equal(rest, "")
    domains = pa.concat_arrays([lower.filter(plain), host.filter(whole)])
    fronts = domains.filter(pc.starts_with(domains, WWW))
    paths = pc.invert(whole)
    hosts = pa.concat_arrays([fronts, host.filter(paths)])
    rests = pa.concat_arrays([pa.array([""] * len(fronts), rest.type), rest.filter(paths)])
    bare = pc.replace_substring_regex(hosts, rf"^{WWW}", "")
    return pa.concat_arrays([domains, pc.binary_join_element_wise(bare, rests, SLASH)]), wrong
