"""Parts of archives: what one task reads, and how parts make a whole again.

A large file is cut at round offsets, and a part is read from the first record that begins in it to the first
that begins in a later part. Where that is inside a file has to be guessed (`millpond.ingest.chains`), so every
part says where its records began and ended, and `settle` holds these against each other: only parts that
chain from the file's beginning to its end count, and what is missing is read again from where it is known to
begin. So the records of a file are the same however it is cut.
"""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import BinaryIO

from millpond.ingest.warc_records import Archive

_WACZ_FOLDER = "archive/"
_ARCHIVE_SUFFIXES = (".warc", ".warc.gz", ".arc", ".arc.gz")
_ZIP_HEAD = struct.Struct("<26xHH")
#: Smaller parts cost more to start than to read.
_LEAST_PART = 4 << 20


@dataclass(frozen=True)
class Part:
    """The records of one archive that begin from `start` to before `stop`."""

    path: str
    """The file it lies in."""
    name: str
    """What its rows call the archive: its path, or `x.wacz/archive/data.warc.gz` for one inside another file."""
    begin: int
    end: int
    """Where the archive lies in the file; all offsets are the file's."""
    start: int
    stop: int
    exact: bool = True
    """Whether a record is known to begin at `start`, and one at `stop` if that is not the end."""
    refused: str = ""
    """Why it is not read; empty where it is."""
    version: str | None = None
    """What the file's content is known by, if it is."""

    @property
    def whole(self) -> tuple[str, str, int, int, str]:
        """What all parts of one archive share, and no other has: a WACZ may hold two of one name."""
        return self.name, self.path, self.begin, self.end, self.refused

    def bounds(self, archive: Archive) -> tuple[int | None, int]:
        """Where to begin, None for nowhere, and the first record that is another part's."""
        if self.exact:
            return self.start, self.stop
        step = self.stop - self.start
        began = self.begin if self.start == self.begin else archive.first_record(self.start, self.stop)
        if began is None:
            return None, self.stop
        for start in range(self.stop, self.end, step):
            until = archive.first_record(start, min(start + step, self.end))
            if until is not None:
                return began, until
        return began, self.end

    def cut(self, size: int) -> Iterator[Part]:
        """Parts of `size` bytes."""
        if size >= self.end - self.begin or self.refused:
            yield self
            return
        for start in range(self.begin, self.end, size):
            yield replace(self, start=start, stop=start + size, exact=False)


def archives(file: BinaryIO, path: str) -> list[Part]:
    """The archives a file holds: itself, or those in a WACZ file, each as one part."""
    size = file.seek(0, 2)
    whole = Part(path, path, 0, size, 0, size)
    if not path.endswith(".wacz"):
        return [whole]
    try:
        infos = zipfile.ZipFile(file).infolist()
    except (zipfile.BadZipFile, NotImplementedError, UnicodeDecodeError, ValueError) as error:
        return [replace(whole, refused=f"not a readable ZIP: {error}")]
    inner = [_stored(file, whole, info) for info in infos if _holds_archive(info.filename)]
    return _apart(inner) or [replace(whole, refused=f"no WARC file in its folder {_WACZ_FOLDER}")]


def _holds_archive(name: str) -> bool:
    return name.startswith(_WACZ_FOLDER) and name.endswith(_ARCHIVE_SUFFIXES)


def _stored(file: BinaryIO, whole: Part, info: zipfile.ZipInfo) -> Part:
    """The place of a file in a ZIP."""
    file.seek(info.header_offset)
    head = file.read(_ZIP_HEAD.size)
    if len(head) == _ZIP_HEAD.size and head.startswith(b"PK\x03\x04"):
        name, extra = _ZIP_HEAD.unpack(head)
        begin = min(info.header_offset + _ZIP_HEAD.size + name + extra, whole.end)
        refused = "compressed inside the WACZ, so that no record can be pointed at" if info.compress_type else ""
    else:
        begin, refused = min(info.header_offset, whole.end), "not where the directory of the ZIP says"
    end = min(begin + info.compress_size, whole.end)
    return Part(whole.path, f"{whole.path}/{info.filename}", begin, end, begin, end, refused=refused)


def _apart(parts: Iterable[Part]) -> list[Part]:
    """The same, in the file's order; what lies in another one is not read twice."""
    found, reached = [], 0
    for part in sorted(parts, key=lambda part: (part.begin, part.end)):
        overlaps = not part.refused and part.begin < reached
        found.append(replace(part, refused="overlaps another file in the WACZ") if overlaps else part)
        reached = reached if found[-1].refused else part.end
    return found


def cut_all(parts: Iterable[Part], part_bytes: int, tasks: int = 1) -> list[Part]:
    """Cut archives to parts of `part_bytes`, or smaller ones where there would be fewer than `tasks`."""
    whole = list(parts)
    share = -(-sum(part.end - part.begin for part in whole) // tasks)
    size = min(part_bytes, max(share, _LEAST_PART))
    return [piece for part in whole for piece in part.cut(size)]


@dataclass(frozen=True)
class PartRead:
    """A part that was read, and where its records began (None: nowhere) and ended."""

    part: Part
    began: int | None
    ended: int | None


def settle(read: Sequence[PartRead]) -> tuple[list[PartRead], list[PartRead], list[Part]]:
    """Which of an archive's parts chain, which are to be thrown away, and what is to be read again.

    What is kept and what is read again chain from the archive's beginning to its end, provided that reading again
    ends where it should; whether it does, settling all of them again will tell.
    """
    kept, dropped, again = [], [], []
    place = read[0].part.begin
    for one in sorted(read, key=lambda one: (-1, -1) if one.began is None else (one.began, one.ended or 0)):
        if one.began is None or one.ended is None:
            kept.append(one)
            continue
        if one.began < place:
            dropped.append(one)
            continue
        if one.began > place:
            again.append(replace(one.part, start=place, stop=one.began, exact=True))
        kept.append(one)
        place = one.ended
    whole = read[0].part
    if place < whole.end:
        again.append(replace(whole, start=place, stop=whole.end, exact=True))
    return kept, dropped, again
