"""Records as they lie in a WARC or ARC file, and the ranges where there are none.

Records are framed here and not by a library, because libraries stop at damage without a word, return short
bodies and let a record with a false length swallow those behind it. Every byte of the file belongs to a
record, a `Damage` or a `Padding`. Behind a broken record of whole members, and behind a member that only fails
its checksum, reading goes on at the next member; behind one that cannot be inflated, at the next place
whose chain holds (`millpond.ingest.chains`). Of a member that holds several records those before its damage
come out.

What comes out from an offset on depends on that offset alone, not on what was read before. So a file can be
read in parts: a part that begins where the part before it ended gives what reading on would have given.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import BinaryIO, NamedTuple

from millpond.ingest.chains import Chains
from millpond.ingest.heads import ARC, WARC, BadHead, Format, Head
from millpond.ingest.inflate import CODECS, Codec, codec_of, foreign
from millpond.ingest.members import MemberStream, StreamDamage
from millpond.ingest.window import Window


class WarcRecord(NamedTuple):
    """One record: its place in the file, its headers and its block."""

    offset: int
    """First byte in the file; of the member it begins in, where compressed."""
    length: int | None
    """Bytes in the file; None where it shares a compressed member."""
    position: int
    """First byte within its inflated member."""
    headers: dict[str, str]
    """Values by name in lower case; of a repeated name the first."""
    size: int
    """Bytes of the block."""
    block: bytes | None
    """The block; None where it was not wanted or larger than the limit."""

    @property
    def kind(self) -> str:
        """The record's WARC-Type in lower case; `unknown` without one."""
        return self.headers.get("warc-type", "").lower() or "unknown"


class Damage(NamedTuple):
    """A range of the file that gave no record."""

    offset: int
    length: int
    position: int
    detail: str


class Padding(NamedTuple):
    """A range that holds nothing: empty members, skippable frames, line ends before a record."""

    offset: int
    length: int


Item = WarcRecord | Damage | Padding


class Limits(NamedTuple):
    """Bounds that hold before memory is taken."""

    header: int = 64 << 10
    """A longer header block is damage."""
    block: int = 64 << 20
    """A longer block is passed over and None."""


_GAP = b"\r\n\r\n"


class _Broken(Exception):
    """A record whose frame does not hold; the message says why."""


def read_records(
    file: BinaryIO, name: str, limits: Limits = Limits(), wanted: Callable[[str], bool] = lambda kind: True
) -> Generator[Item, None, int]:
    """Every record and every damaged range of a seekable file, in the file's order."""
    return Archive(Window(file), name, limits, wanted).records()


class Archive:
    """One WARC or ARC file, or the part of a file that is one.

    Args:
        window: its bytes; offsets count from the beginning of the window's file.
        name: the file's name; its suffix tells what it is where its first bytes do not.
        limits: bounds on what is read.
        wanted: tells by record type whether to keep the block.
    """

    def __init__(
        self, window: Window, name: str, limits: Limits = Limits(), wanted: Callable[[str], bool] = lambda kind: True
    ) -> None:
        self.window = window
        self.limits = limits
        self.wanted = wanted
        self.codec = codec_of(window)
        self.format = _format_of(window, self.codec, name)
        self._foreign = None
        if self.codec is None and not _begins(window, self.format):
            self._foreign = foreign(window)
            self.codec = next((codec for codec in CODECS if name.endswith(codec.suffix)), None)
        self._chains = Chains(window, self.codec, self.format, limits.header, limits.block)

    def first_record(self, start: int, stop: int) -> int | None:
        """Where reading can begin from `start` to before `stop`, as far as one can guess; None where one cannot."""
        return self._chains.guess(start, stop) if self._foreign is None else None

    def records(self, start: int | None = None, until: int | None = None) -> Generator[Item, None, int]:
        """Records and other ranges from `start`, where a record begins, to the first that begins at `until` or behind.

        Returns:
            Where that one begins, or the end.
        """
        end = self.window.end
        mark = self.window.begin if start is None else start
        until = end if until is None else until
        if mark == self.window.begin and (what := self._foreign or ("an empty file" if mark == end else None)):
            yield Damage(mark, end - mark, 0, f"{what}: not read here")
            return end
        stream = MemberStream(self.window, self.codec, self.format.begins, mark)
        shared = False
        while True:
            place, position, found = mark, 0, False
            try:
                found = _to_data(stream)
                place = stream.offset if found else end
                position = stream.position if found and self.codec else 0
                if not position:
                    if mark < place and not shared:
                        yield Padding(mark, place - mark)
                    if place >= until:
                        return place
                record = self._record(stream, place, position)
            except _Broken as broken:
                try:
                    mark = self._pass_broken(stream, place)
                except StreamDamage as damage:
                    mark = self._behind(damage)
                yield Damage(place, mark - place, position, str(broken))
            except StreamDamage as damage:
                if not found:
                    if mark < damage.offset and not shared:
                        yield Padding(mark, damage.offset - mark)
                    place = damage.offset
                mark = self._behind(damage)
                yield Damage(place, mark - place, position, damage.detail)
            else:
                yield record
                shared = record.length is None
                mark = stream.member_start if record.length is None else place + record.length
                continue
            shared = False
            if mark != stream.member_start or not stream.enter():
                stream.restart(mark)

    def _record(self, stream: MemberStream, place: int, position: int) -> WarcRecord:
        head = self._head(stream)
        kind = head.headers.get("warc-type", "").lower()
        if self.codec is None and stream.offset + head.size > self.window.end:
            raise _Broken(
                f"a block of {head.size} bytes, but the file ends {self.window.end - stream.offset} bytes on"
            )
        keep = head.size <= self.limits.block and self.wanted(kind)
        stop = stream.at + head.size
        if (
            self.codec
            and stream.member_end is not None
            and stream.data.endswith(_GAP)
            and len(stream.data) == stop + len(_GAP)
        ):
            # by far most records: one in a member, inflated already
            block, stream.at = stream.data[stream.at : stop] if keep else b"", len(stream.data)
            length = None if position else stream.member_end - place
            return WarcRecord(place, length, position, head.headers, head.size, block if keep else None)
        block, got = stream.take(head.size, keep)
        if got < head.size:
            raise _Broken(f"a block of {head.size} bytes, but only {got} until the next record or the end")
        lines = stream.skip_newlines()
        more = stream.at < len(stream.data) and not self.format.begins.match(stream.data, stream.at)
        if more and lines < self.format.newlines:
            raise _Broken(f"a block of {head.size} bytes, but data goes on behind it")
        end = stream.finish() if self.codec else stream.offset
        length = end - place if end is not None and not position else None
        return WarcRecord(place, length, position, head.headers, head.size, block if keep else None)

    def _head(self, stream: MemberStream) -> Head:
        limit = self.limits.header
        while True:
            end = self.format.end.search(stream.data, stream.at, stream.at + limit)
            if end:
                break
            held = len(stream.data) - stream.at
            if held >= limit:
                raise _Broken(f"header of more than {limit} bytes")
            if not stream.fill(held + 1):
                break
        if not end:
            if not self.format.begins.match(stream.data, stream.at):
                raise _Broken(f"no {self.format.name} record begins here, but {stream.data[stream.at :][:24]!r}")
            raise _Broken("the header is cut short")
        try:
            head = self.format.parse(stream.data[stream.at : end.end()])
        except BadHead as bad:
            raise _Broken(str(bad)) from bad
        stream.at = end.end()
        return head

    def _pass_broken(self, stream: MemberStream, place: int) -> int:
        """Where to go on behind a broken record of whole members."""
        if self.codec is None:
            return self._first(place + 1, self.window.end)
        while not stream.at_record:
            stream.drop()
            if not stream.next_member() and not stream.at_record:
                return self.window.end
        return stream.member_start

    def _behind(self, damage: StreamDamage) -> int:
        """Where to go on behind a member that cannot be read.

        A member that only fails its checksum ends where it says, unless it has lost its own end and swallowed
        members behind it; what it swallowed is not in it as it is.
        """
        end = damage.end
        if end is not None and (end == self.window.end or self._chains.goes_on(end)):
            return self._first(damage.offset + 1, end, damage.offset)
        return self._first(damage.offset + 1, self.window.end, damage.offset if damage.cut else None)

    def _first(self, start: int, stop: int, inside: int | None = None) -> int:
        found = self._chains.first(start, stop, inside)
        return stop if found is None else found


def _to_data(stream: MemberStream) -> bool:
    """Pass over line ends and empty members to the next record; False at the end of the file."""
    while True:
        if stream.at == len(stream.data):
            if stream.member_end is None and stream.more():
                continue
            if not stream.next_member() and not stream.enter():
                return False
            continue
        if stream.data[stream.at] not in b"\r\n":
            return True
        stream.skip_newlines()


def _begins(window: Window, format: Format) -> bool:
    return bool(format.begins.match(window.at(window.begin, 1 << 12).lstrip(b"\r\n")))


def _format_of(window: Window, codec: Codec | None, name: str) -> Format:
    """By how the first member begins; by the name where that cannot be told."""
    stream = MemberStream(window, codec, None, window.begin)
    try:
        stream.fill(1)
        stream.skip_newlines()
        stream.fill(1 << 12)
    except StreamDamage:
        pass
    for format in (WARC, ARC):
        if format.begins.match(stream.data, stream.at):
            return format
    return ARC if ".arc" in name.lower() else WARC
