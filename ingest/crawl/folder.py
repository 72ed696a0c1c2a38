"""The local folder of a crawl, where its plans, journals and locks lie: one driver at a time, for one lake."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from millpond import durable
from millpond.errors import InputError
from millpond.ingest.crawl import archive
from millpond.ingest.crawl.plan import Round
from millpond.ingest.crawl.turns import TURNS

#: Files that are no round's.
OWN = ("owner", "driver", TURNS)


@contextmanager
def only_driver(folder: Path, name: str, lake: str) -> Iterator[str]:
    """Hold a crawl's folder; yields the token that tells this driver's tasks from those of a dead one."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / "driver").open("w")
    except OSError as error:
        raise InputError(f"{folder}: a crawl's folder cannot be made here: {error.strerror}") from error
    with lock:
        if not durable.lock(lock):
            raise InputError(f"crawl {name!r} is being done by another process, which holds {lock.name}")
        refuse_foreign(folder, lake)
        owner = uuid4().hex
        durable.write_bytes(folder / "owner", owner.encode())
        yield owner


def tidy(folder: Path, done: int, place: str) -> None:
    """Remove what was needed to go on with rounds that are released; of a WARC file never the only copy."""
    for path in files_of(folder, done):
        if not path.name.endswith(".warc.gz") or archive.has_copy(path, f"{place}/{path.name}"):
            path.unlink()


def files_of(folder: Path, last: int) -> list[Path]:
    """The files of the rounds up to one."""
    numbers = ((path, re.split("[-.]", path.name)[0]) for path in folder.iterdir())
    return [path for path, number in numbers if number.isdecimal() and int(number) <= last]


def refuse_foreign(folder: Path, lake: str) -> None:
    """Refuse a folder in which a crawl of another lake is under way.

    Raises:
        InputError: it holds the plan of a round for another lake.
    """
    for path in folder.glob("*.round"):
        theirs = Round.model_validate_json(path.read_bytes()).lake
        if theirs != lake:
            raise InputError(
                f"{path} is a round of this crawl for the lake in {theirs}, not {lake}: "
                "name another ingest.site.folder or another ingest.crawl, or end that crawl first"
            )
