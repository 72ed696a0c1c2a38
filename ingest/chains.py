"""Where reading goes on behind damage, and where it may begin inside a file.

A place is a candidate if a member with a record begins there. It is believed only if its chain holds: each
member inflates, checksum and all, and ends exactly where the next begins, up to the end of the file or for
more bytes than a member of this compression can hold unchanged (`Codec.verbatim`: no stored block of gzip is
longer than 65,535 bytes). So an archive stored inside a record, whose bytes may stand in the file as they
are, is never taken for records of the file, damaged or not. The price: what lies between two damaged places
closer than that is given up, since it could as well lie inside the first.

Records of a plain file may hold archives of any length. There the chain must reach the end of the file, or be
longer than any record that is read, and its line ends must be exact. So there the price is larger, and an archive
that is itself longer comes out if the record that holds it has lost its head.

One end is believed without a chain: that of a gzip member which fails its checksum and not its size, or the other
way round, if a record begins there. That this is an accident inside of a member has a chance of 1 in 4 billion, and
without it a file with many such members close to each other would be lost.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from millpond.ingest.heads import BadHead, Format
from millpond.ingest.inflate import Codec
from millpond.ingest.members import MemberStream, StreamDamage
from millpond.ingest.window import Window

_BLOCK = 1 << 18
_OVERLAP = 1 << 13  # no first line of a record is taken that is longer
#: Bytes that may be inflated to judge candidates: so many, and so many more for each byte searched.
_WORK, _WORK_PER_BYTE = 256 << 20, 64
#: A guess at where a record of a plain file begins needs no longer chain: it is held against what is read.
_GUESS = 1 << 20
_PRINT = 64  # bytes by which a candidate is known again inside a member


class Chains:
    """Finds chains of members in one file.

    Args:
        window: the file; it is read elsewhere than here at the same time.
        codec: its compression.
        format: its archive format.
        max_head: a longer head is none.
        longest: bytes that a plain file's chain must have where it does not reach the end.
    """

    def __init__(self, window: Window, codec: Codec | None, format: Format, max_head: int, longest: int) -> None:
        self._scan = window.beside()
        self._window = window.beside()
        self.codec = codec
        self.format = format
        self._max_head = max_head
        self._sure = codec.verbatim if codec else longest
        self._guess = codec.verbatim if codec else min(_GUESS, longest)

    def guess(self, start: int, stop: int) -> int | None:
        """Where a record most likely begins from `start` to before `stop`; None where there is no such place."""
        return self._first(start, stop, self._guess)

    def first(self, start: int, stop: int, inside: int | None = None) -> int | None:
        """The first believed place from `start` to before `stop`; None where there is none.

        What comes out depends on the file and the arguments alone.

        Args:
            inside: where a member begins that can be inflated beyond the place; what it holds unchanged is not
                believed.
        """
        return self._first(start, stop, self._sure, inside)

    def _first(self, start: int, stop: int, enough: int, inside: int | None = None) -> int | None:
        failed: set[int] = set()
        work = _WORK
        for place in self._candidates(start, stop):
            if place in failed:
                continue
            visited: list[int] = []
            spent, held = self._follow(place, enough, work + _WORK_PER_BYTE * (place - start), failed, visited)
            work -= spent
            if held and not (inside is not None and self._holds(inside, self._window.at(place, _PRINT))):
                return place
            failed.update(visited)
        return None

    def goes_on(self, place: int) -> bool:
        """Whether a record begins where a damaged member ends: its head can be read, and if that end is not sure
        its chain holds."""
        if self.codec is None or not self.codec.end_is_sure:
            return self.first(place, place + 1) == place
        if not self.codec.magic.match(self._window.at(place, 10)):
            return False
        stream = MemberStream(self._window, self.codec, self.format.begins, place)
        try:
            stream.next_member()
            return stream.enter() and self._good_head(stream)
        except StreamDamage:
            return False

    def _candidates(self, start: int, stop: int) -> Iterator[int]:
        pattern = self.codec.magic if self.codec else self.format.line
        overlap = 16 if self.codec else _OVERLAP
        while start < stop:
            block = self._scan.at(start, _BLOCK + overlap)
            for match in pattern.finditer(block):
                if match.start() < _BLOCK and start + match.start() < stop:
                    yield start + match.start()
            start += _BLOCK

    def _follow(self, place: int, enough: int, work: int, failed: set[int], visited: list[int]) -> tuple[int, bool]:
        """Bytes inflated for a candidate's chain, and whether it holds."""
        if self.codec is None:
            return 0, self._follow_plain(place, enough, failed, visited)
        stream = MemberStream(self._window, self.codec, self.format.begins, place)
        spent = 0
        try:
            stream.next_member()
            if not stream.enter() or not self._good_head(stream):
                return 0, False
            while stream.member_start not in failed:
                visited.append(stream.member_start)
                while True:
                    spent += len(stream.data) - stream.at
                    stream.at = len(stream.data)
                    if spent > work:
                        return spent, False
                    if not stream.more():
                        break
                end = stream.member_end
                if end is None or end == self._window.end or end - place > enough:
                    return spent, end is not None
                if not stream.next_member():
                    stream.enter()
        except StreamDamage:
            pass
        return spent, False

    def _good_head(self, stream: MemberStream) -> bool:
        while not (end := self.format.end.search(stream.data, 0, self._max_head)):
            if len(stream.data) >= self._max_head or not stream.fill(len(stream.data) + 1):
                return False
        try:
            self.format.parse(stream.data[: end.end()])
        except BadHead:
            return False
        return True

    def _follow_plain(self, place: int, enough: int, failed: set[int], visited: list[int]) -> bool:
        start = place
        if place > self._window.begin and self._window.at(place - 1, 1) != b"\n":
            return False
        while place not in failed:
            visited.append(place)
            end = self._plain_end(place)
            if end is None:
                return False
            if end == self._window.end or end - start > enough:
                return True
            place = end
        return False

    def _plain_end(self, place: int) -> int | None:
        """Where the record at a place of a plain file ends, line ends included; None where none does."""
        size = 1 << 12
        while True:
            data = self._window.at(place, size)
            head = self.format.end.search(data, 0, self._max_head)
            if head:
                break
            if len(data) < size or size > self._max_head:
                return None
            size *= 4
        try:
            end = place + head.end() + self.format.parse(data[: head.end()]).size
        except BadHead:
            return None
        if end > self._window.end:
            return None
        for newline in (b"\r\n", b"\n"):
            gap = newline * self.format.newlines
            if self._window.at(end, len(gap)) == gap:
                return end + len(gap)
        return None

    def _holds(self, member: int, piece: bytes) -> bool:
        """Whether what can be inflated of a member has `piece` in it."""
        stream = MemberStream(self._window, self.codec, re.compile(b"(?!)"), member)
        try:
            stream.next_member()
            while True:
                if piece in stream.data:
                    return True
                stream.at = max(0, len(stream.data) - len(piece))
                if not stream.more():
                    return False
        except StreamDamage:
            return False
