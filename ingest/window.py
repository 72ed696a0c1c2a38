"""A part of a file by offset, read forward in large blocks.

Going on where the last read ended needs no seek, so a remote file is one stream as long as nothing is damaged.
"""

from __future__ import annotations

from typing import BinaryIO

_BLOCK = 1 << 19


class Window:
    """The bytes of `file` from `begin` to `end`; offsets are the file's."""

    def __init__(self, file: BinaryIO, begin: int = 0, end: int | None = None) -> None:
        self.file = file
        self.begin = begin
        self.end = file.seek(0, 2) if end is None else end
        self._block = b""
        self._start = begin

    def at(self, offset: int, size: int) -> bytes:
        """`size` bytes at `offset`; fewer only at the end."""
        size = min(size, self.end - offset)
        place = offset - self._start
        if place < 0 or place + size > len(self._block):
            self._load(offset, size)
            place = 0
        return self._block[place : place + size]

    def _load(self, offset: int, size: int) -> None:
        """Make the block begin at `offset` and hold `size` bytes; what it has of them is kept."""
        place = offset - self._start
        pieces = [self._block[place:]] if 0 <= place < len(self._block) else []
        held = len(pieces[0]) if pieces else 0
        wanted = min(max(size, _BLOCK), self.end - offset)
        if self.file.tell() != offset + held:
            self.file.seek(offset + held)
        while held < wanted and (piece := self.file.read(wanted - held)):
            pieces.append(piece)
            held += len(piece)
        self._block, self._start = b"".join(pieces), offset

    def beside(self) -> Window:
        """Another window on the same bytes, for reading elsewhere without losing one's block."""
        return Window(self.file, self.begin, self.end)
