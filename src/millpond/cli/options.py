"""What commands share: their options, how they open a lake, and what they say when a package is missing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from millpond.cli import output
from millpond.errors import MissingExtraError

if TYPE_CHECKING:
    from millpond import lake

Lake = Annotated[
    str | None,
    typer.Option("--lake", envvar="MILLPOND_LAKE", show_default="./lake", help="Folder of the lake, or catalog:NAME."),
]
Config = Annotated[Path | None, typer.Option("--config", help="TOML file; the stage's section is read.")]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override one setting, e.g. log_every=1; repeatable."),
]
Output = Annotated[
    output.Format,
    typer.Option("--output", help="How to show results.", callback=lambda chosen: output.use(chosen) or chosen),
]


def open_lake(uri: str | None, *, create: bool = False) -> lake.Lake:
    """Open the lake a command was given; imported here, so that `--help` needs no catalog."""
    from millpond.lake import Lake

    return Lake.open(uri, create=create)


@contextmanager
def needs(extra: str, *packages: str) -> Iterator[None]:
    """A block of imports that an extra of Millpond brings, and packages that only child processes import.

    Raises:
        MissingExtraError: one of them is not installed.
    """
    missing = next((name for name in packages if find_spec(name) is None), None)
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] == "millpond":
            raise
        missing = error.name
    if missing:
        raise MissingExtraError(f"{missing} is not installed: run `pip install 'millpond[{extra}]'`")
