"""Rows of a CSV file (RFC 4180), each bounded, with what is wrong with one in its place.

Quoted fields may hold delimiters, doubled quotes and line ends. A row that is too long or badly quoted comes as
`Rejected`, and reading goes on with the next; only an archive that is damaged ends it. A quote that is never closed
takes all up to the next quote, or to the end of the file, into its row: nothing in the format says otherwise.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator

from millpond.ingest.members import MemberStream, StreamDamage
from millpond.ingest.page import Rejected
from millpond.reasons import Reason

# Rows are bounded here, before the module sees them; its own bound is one for the whole process.
csv.field_size_limit(1 << 30)


def csv_rows(stream: MemberStream, delimiter: str, max_row_bytes: int) -> Iterator[tuple[list[str] | Rejected, int]]:
    """The rows in order, the header first, each with its bytes; a blank line is a row without fields."""
    lines = _Lines(stream, max_row_bytes)
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    while True:
        lines.size = 0
        try:
            fields = next(reader)
        except StopIteration:
            return
        except Rejected as problem:
            yield problem, lines.size
        except csv.Error as error:
            yield Rejected(Reason.BAD_ROW, f"not CSV: {error}"), lines.size
        except StreamDamage as damage:
            detail = f"{damage.detail}, in the member at byte {damage.offset}; nothing after it was read"
            yield Rejected(Reason.DAMAGED, detail), lines.size
            return
        else:
            yield fields, lines.size


class _Lines:
    """Lines as the csv module takes them; `size` counts the bytes of the present row."""

    def __init__(self, stream: MemberStream, limit: int) -> None:
        self._stream = stream
        self._limit = limit
        self._first = True
        self.size = 0

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        inside = self.size > 0  # only a quoted field makes the csv module ask for more of a row
        line = self._stream.readline(self._limit + 1 - self.size)
        if not line:
            raise StopIteration
        self.size += len(line)
        if self.size > self._limit:
            self._skip(line, inside)
            raise Rejected(Reason.TOO_LARGE, f"row of {self.size} bytes, limit {self._limit}")
        # What is not UTF-8 matters only in a column that is read, and is found there.
        text = line.decode("utf-8-sig" if self._first else "utf-8", errors="surrogateescape")
        self._first = False
        return text

    def _skip(self, line: bytes, inside: bool) -> None:
        """Pass over what is left of a row, up to a line end that no quoted field holds."""
        inside ^= line.count(b'"') % 2 == 1
        while (inside or not line.endswith(b"\n")) and (line := self._stream.readline(1 << 20)):
            inside ^= line.count(b'"') % 2 == 1
            self.size += len(line)
