"""The inflated bytes of a file, and where in it each compressed member begins and ends.

Plain and compressed files look the same here: a chain of members, each beginning where the one before it
ends (a plain file is one member). Memory is bounded whatever a member inflates to, and damage is an exception
that says where: a stream that is cut short or fails its checksum is never taken for its end.
"""

from __future__ import annotations

import re
from typing import BinaryIO, NoReturn

from millpond.errors import InputError
from millpond.ingest.inflate import ERRORS, MAGIC_BYTES, Codec, Inflater, codec_of, foreign
from millpond.ingest.window import Window

_OUTPUT = 1 << 18
_LEAST_INPUT = 1 << 12
_SPARE_INPUT = 1 << 10  # what the next member may be larger than this one, before it takes a second piece
_NEWLINES = re.compile(rb"[\r\n]*")


class StreamDamage(Exception):
    """A member that cannot be inflated, or none where one should begin."""

    def __init__(self, offset: int, detail: str, *, end: int | None = None, cut: bool = False) -> None:
        super().__init__(detail)
        #: Where the member begins in the file.
        self.offset = offset
        self.detail = detail
        #: Where it ends by its structure, if that is whole.
        self.end = end
        #: Whether all bytes up to the end of the file can be read as this member's.
        self.cut = cut


def read_whole(file: BinaryIO, name: str) -> MemberStream:
    """A file's inflated bytes from its beginning to its end.

    Raises:
        InputError: it is packed in a way that is not read here.
    """
    window = Window(file)
    codec = codec_of(window)
    if codec is None and (kind := foreign(window)):
        raise InputError(f"{name}: {kind} is not read here: recompress the file with gzip or zstd")
    return MemberStream(window, codec)


class MemberStream:
    """Reads a window from `start` on, member after member.

    Reading does not run from one member into one that `begins` matches; it stops there, `at_record`, until
    `enter`. Once a member was found damaged every further read raises the same `StreamDamage`.

    Args:
        window: the file.
        codec: its compression; None for a plain file.
        begins: what a member begins with that reading does not run into, told by its first line.
        start: where the first member begins.
    """

    def __init__(
        self, window: Window, codec: Codec | None, begins: re.Pattern[bytes] | None = None, start: int = 0
    ) -> None:
        self.window = window
        self.codec = codec
        self._begins = begins
        self._feed = min(_LEAST_INPUT, codec.input_bytes) if codec else _LEAST_INPUT
        self.restart(start)

    def restart(self, start: int) -> None:
        """Read from `start` on, where a member begins."""
        #: Bytes that can be read, from index `at` on.
        self.data = b""
        self.at = 0
        #: Where the newest member begins in the file.
        self.member_start = start
        #: Where it ends, once that is known.
        self.member_end: int | None = start
        #: Whether the next member has been opened, begins a record and waits for `enter`.
        self.at_record = False
        self._waiting = b""
        self._input = b""
        self._inflater: Inflater | None = None
        self._read_at = start
        self._inflated = 0
        self._damage: StreamDamage | None = None

    @property
    def position(self) -> int:
        """Bytes of the present member before the next one, inflated."""
        return self._inflated - (len(self.data) - self.at)

    @property
    def offset(self) -> int:
        """Offset in the file of the next byte; of its member, where the file is compressed."""
        return self.member_start if self.codec else self._read_at - (len(self.data) - self.at)

    def more(self) -> bool:
        """Inflate more of the present member, behind what can be read already; False at its end.

        Raises:
            StreamDamage: the member is cut short or its checksum is wrong.
        """
        if self.at_record:
            return False
        piece = self._inflate()
        if piece:
            self.data = self.data[self.at :] + piece if self.at < len(self.data) else piece
            self.at = 0
        return bool(piece)

    def next_member(self) -> bool:
        """Open the member behind the present one, which has been read; False at the end, or `at_record`."""
        if self.at_record or self.member_end is None or self.member_end >= self.window.end:
            return False
        self._open(self.member_end)
        if self._begins is None:
            return True
        head = self._inflate()
        while len(head) < _LEAST_INPUT and b"\n" not in head and (piece := self._inflate()):
            head += piece
        if self._begins.match(head):
            self.at_record, self._waiting = True, head
            return False
        self.data, self.at = self.data[self.at :] + head, 0
        return True

    def enter(self) -> bool:
        """Go on with the member that begins a record; False if there is none waiting."""
        if self.at_record:
            self.data, self.at, self._waiting, self.at_record = self._waiting, 0, b"", False
            return True
        return False

    def fill(self, size: int) -> bool:
        """Whether `size` bytes can be read before a record begins or the file ends; they are made ready."""
        while len(self.data) - self.at < size:
            if not self.more() and not self.next_member():
                return len(self.data) - self.at >= size
        return True

    def take(self, size: int, keep: bool = True) -> tuple[bytes, int]:
        """Read `size` bytes, or fewer before a record or the end; the bytes (none unless `keep`) and their number."""
        at = self.at
        if at + size <= len(self.data):
            self.at = at + size
            return self.data[at : at + size] if keep else b"", size
        pieces: list[bytes] = []
        left = size
        while left and self.fill(1):
            piece = self.data[self.at : self.at + left]
            self.at += len(piece)
            left -= len(piece)
            if keep:
                pieces.append(piece)
        return b"".join(pieces), size - left

    def readline(self, limit: int) -> bytes:
        """Bytes through the next line feed, at most `limit`; fewer only at the end."""
        pieces: list[bytes] = []
        while limit > 0 and self.fill(1):
            end = self.data.find(b"\n", self.at, self.at + limit)
            stop = end + 1 if end >= 0 else min(self.at + limit, len(self.data))
            pieces.append(self.data[self.at : stop])
            limit -= stop - self.at
            self.at = stop
            if end >= 0:
                break
        return b"".join(pieces)

    def skip_newlines(self) -> int:
        """Pass over line ends within the present member; how many line feeds there were."""
        lines = 0
        while True:
            match = _NEWLINES.match(self.data, self.at)
            end = match.end() if match else self.at
            lines += self.data.count(b"\n", self.at, end)
            self.at = end
            if end < len(self.data) or not self.more():
                return lines

    def finish(self) -> int | None:
        """Where the present member ends in the file, if all of it has been read; None otherwise."""
        return None if self.at < len(self.data) or self.more() else self.member_end

    def drop(self) -> None:
        """Pass over what is left of the present member."""
        self.at = len(self.data)
        while self.more():
            self.at = len(self.data)

    def _open(self, start: int) -> None:
        self.member_start, self.member_end, self._inflated = start, None, 0
        self._read_at = start
        codec = self.codec
        if codec is None:
            return
        self._input = self.window.at(start, self._feed)
        if not codec.magic.match(self._input):
            self._fail(f"no {codec.name} data where a member should begin, but {self._input[:MAGIC_BYTES]!r}")
        self._inflater = codec.open(self._input)

    def _inflate(self) -> bytes:
        """More of the present member; nothing at its end."""
        if self._damage:
            raise self._damage
        if self.member_end is not None:
            return b""
        if self.codec is None or self._inflater is None:
            piece = self.window.at(self._read_at, _OUTPUT)
            self._read_at += len(piece)
            self._inflated += len(piece)
            if self._read_at >= self.window.end:
                self.member_end = self._read_at
            return piece
        inflater = self._inflater
        while True:
            data, self._input = self._input, b""
            if not data and inflater.needs_input:
                data = self.window.at(self._read_at, self._feed)
                if not data:
                    self._fail(f"{self.codec.name}: the file ends inside a member", cut=True)
            self._read_at += len(data)
            try:
                piece = inflater.decompress(data, _OUTPUT)
            except ERRORS as error:
                self._fail(f"{self.codec.name}: {error}", error)
            if inflater.eof:
                self.member_end = self._read_at - len(inflater.unused_data or b"")
                packed = self.member_end - self.member_start
                self._feed = min(packed + (packed >> 2) + _SPARE_INPUT, self.codec.input_bytes)
                self._inflated += len(piece)
                return piece
            self._feed = self.codec.input_bytes
            if piece:
                self._inflated += len(piece)
                return piece

    def _fail(self, detail: str, cause: Exception | None = None, *, cut: bool = False) -> NoReturn:
        end = self.codec.end(self.window, self.member_start) if cause and self.codec else None
        self.data, self.at = b"", 0
        self._damage = StreamDamage(self.member_start, detail, end=end, cut=cut)
        raise self._damage from cause
