"""Great Expectations, imported where a gate runs.

Its import brings PySpark's Connect client, which takes a program without a file (`python -c`, a test worker) for its
own doctests, and ends it with exit code 0 where gRPC's parts are not installed. So for that import it has a file.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

from millpond.errors import require


def great_expectations(part: str = "") -> ModuleType:
    """The package, or a module of it.

    Raises:
        MissingExtraError: it is not installed.
    """
    with _program_with_a_file():
        return require(f"great_expectations{part and '.'}{part}", "quality")


@contextmanager
def _program_with_a_file() -> Iterator[None]:
    main = sys.modules["__main__"]
    if hasattr(main, "__file__"):
        yield
        return
    main.__file__ = "<string>"
    try:
        yield
    finally:
        del main.__file__
