"""Word frequencies, and the mean log probability of a text's words under them.

As peS2o's filter and datatrove's `UnigramLogProbFilter` have it: the natural logarithm of each word's share of all
counted words, of 1e-9 for a word that is not counted, averaged over the words and marks of a text; published texts of
English are kept from −10. Upper and lower case are alike there; here all digits are too, so `1987` and `2024` are one.

A file of frequencies has columns `word` and `count`: tab-separated (`.tsv`), comma-separated (`.csv`), JSON Lines
(`.jsonl`) or Parquet (`.parquet`). `count` makes a tab-separated one from texts.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.json
import pyarrow.parquet as pq

from millpond import durable
from millpond.curate.models.lookup import Lookup
from millpond.curate.polynomial import Hashes
from millpond.curate.signals.scan import Scan
from millpond.curate.signals.words import split_words
from millpond.errors import InputError

#: The share of a word that is not counted.
UNKNOWN = 1e-9
FORMATS = (".tsv", ".csv", ".jsonl", ".parquet")

_WORDS = 1 << 14  # in one scan
_HEADER = "word\tcount\n"


class Unigrams:
    """The log probabilities of a file's words."""

    def __init__(self, path: Path, sha256: str | None = None) -> None:
        """Read a file of frequencies.

        Raises:
            InputError: the file is missing, has no such columns or counts, or not this digest.
        """
        table = _read(path, sha256)
        hashes, shares = _shares(table["word"].to_pylist(), table["count"].to_numpy(zero_copy_only=False))
        if not len(hashes):
            raise InputError(f"{path}: has no word with a count over zero")
        self._known = Lookup(hashes)
        self._logs = np.log(shares)

    def log_probabilities(self, scan: Scan) -> list[float | None]:
        """The mean over each text's words; null for a text without words."""
        rows = self._known.rows(scan.folded)
        logs = np.where(rows >= 0, self._logs.take(rows, mode="clip"), math.log(UNKNOWN))
        sums = np.bincount(scan.text_of, logs, len(scan.texts)).tolist()
        return [total / count if count else None for total, count in zip(sums, scan.word_counts, strict=True)]


def count(texts: Iterable[str], output: Path, *, at_least: int = 1) -> tuple[int, int]:
    """Count the words and marks of texts in lower case; write those there so often, the most frequent first.

    Gives how many words were counted, and how many different ones were written.

    Raises:
        InputError: there are no words, or the file cannot be written; an earlier one is as it was.
    """
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(split_words(text.encode("utf-8", "replace").decode().lower()))
    kept = sorted(((number, word) for word, number in counts.items() if number >= at_least), key=_most_first)
    if not kept:
        raise InputError(f"no word is there {at_least} times: nothing to write")
    lines = "".join(f"{word}\t{number}\n" for number, word in kept)
    try:
        durable.write_bytes(output, (_HEADER + lines).encode())
    except OSError as error:
        raise InputError(f"{output}: cannot be written: {error}") from error
    return counts.total(), len(kept)


def _most_first(entry: tuple[int, str]) -> tuple[int, str]:
    return -entry[0], entry[1]


def _read(path: Path, sha256: str | None) -> pa.Table:
    wanted = pa.schema([("word", pa.string()), ("count", pa.int64())])
    try:
        data = path.read_bytes()
        found = hashlib.sha256(data).hexdigest()
        if sha256 not in (None, found):
            raise InputError(f"{path}: has been changed: its sha256 is {found}, and the run began with {sha256}")
        source = pa.BufferReader(data)
        if path.suffix in (".tsv", ".csv"):
            tabs = path.suffix == ".tsv"
            parse = pa.csv.ParseOptions(delimiter="\t" if tabs else ",", quote_char=False if tabs else '"')
            # An empty field and `null` are words as any other.
            convert = pa.csv.ConvertOptions(column_types=wanted, strings_can_be_null=False)
            table = pa.csv.read_csv(source, parse_options=parse, convert_options=convert)
        elif path.suffix == ".jsonl":
            options = pa.json.ParseOptions(explicit_schema=wanted, unexpected_field_behavior="ignore")
            table = pa.json.read_json(source, parse_options=options)
        elif path.suffix == ".parquet":
            table = pq.read_table(source, columns=wanted.names)
        else:
            raise InputError(f"{path}: a file of word frequencies ends in {', '.join(FORMATS)}")
        table = table.select(wanted.names).cast(wanted)
        table.validate(full=True)  # text that is no UTF-8
    except (OSError, pa.ArrowException, KeyError) as error:
        raise InputError(f"{path}: no table of word and count: {error}") from error
    if table["word"].null_count or table["count"].null_count or (pc.min(table["count"]).as_py() or 0) < 0:
        raise InputError(f"{path}: has a row without a word or a count, or with a count below zero")
    return table


def _shares(words: list[str], counts: npt.NDArray[np.int64]) -> tuple[Hashes, npt.NDArray[np.float64]]:
    """Hashes, ascending, and each one's share of all counts; entries that are no single word only add to those."""
    hashes = np.zeros(len(words), dtype=np.uint64)
    single = np.zeros(len(words), dtype=np.bool_)
    for start in range(0, len(words), _WORDS):
        part = [word.replace("\n", " ") for word in words[start : start + _WORDS]]
        scan = Scan(["\n".join(part)])
        _, newlines, _ = scan.lines
        lines = np.searchsorted(newlines, scan.starts)
        alone = np.bincount(lines, minlength=len(part)) == 1
        single[start : start + len(part)] = alone
        hashes[start : start + len(part)][alone] = scan.folded[alone[lines]]
    known, places = np.unique(hashes[single], return_inverse=True)
    sums = np.bincount(places, counts[single], len(known))
    return known[sums > 0], sums[sums > 0] / max(counts.sum(dtype=np.float64), 1)
