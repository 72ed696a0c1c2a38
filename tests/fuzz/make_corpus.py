"""Writes the corpus that fuzzing starts from: `python tests/fuzz/make_corpus.py`."""

from __future__ import annotations

import gzip
import sys
import zlib
from pathlib import Path

import brotli
import zstandard

sys.path.insert(0, str(Path(__file__).parent.parent))
from hostile_warcs import hostile_warcs
from warcs import PACKERS, record, skippable, stored

CORPUS = Path(__file__).parent / "corpus"


def main() -> None:
    """Write every file; what is there under other names stays."""
    members = {name: hostile.data for name, hostile in hostile_warcs().items() if len(hostile.data) < 4096}
    for codec, pack in PACKERS.items():
        members[codec] = b"".join(pack(record(number)) for number in range(3))
    inner = b"".join(PACKERS["gzip"](record(number)) for number in range(3))
    members["nested"] = stored(record(1, inner)) + PACKERS["gzip"](record(2))
    members["skippable"] = skippable(b"x") + PACKERS["zstd"](record(0))
    members["arc"] = (
        b"filedesc://x 0.0.0.0 20080430204825 text/plain 4\n1 0\n\nhttp://h/ 1.2.3.4 20080430204826 x 1\na\n"
    )
    members["folded"] = record(0, extra="A: b\r\n c\r\nno colon\r\n folded\r\n").replace(b"HTTP", b"X")
    codecs = list(PACKERS)
    for name, data in members.items():
        first = codecs.index(name) if name in codecs else 1
        write("members", name, bytes([first]) + data)
    body = b"<html>text</html>"
    bodies = (body, gzip.compress(body, mtime=0), zlib.compress(body), brotli.compress(body), zstandard.compress(body))
    for number, packed in enumerate(bodies):
        for size, form in (("whole", packed), ("chunked", b"%x\r\n%s\r\n0\r\n\r\n" % (len(packed), packed))):
            write("bodies", f"{number}-{size}", bytes([number, 1, 2, 3, 4]) + form)
    write("bodies", "chunk-too-long", b"\0\1\2\3\4ffffffffffffffff\r\nhi\r\n")


def write(target: str, name: str, data: bytes) -> None:
    """One file of a target's corpus."""
    (CORPUS / target).mkdir(parents=True, exist_ok=True)
    (CORPUS / target / name).write_bytes(data)


if __name__ == "__main__":
    main()
