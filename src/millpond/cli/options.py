"""What commands share: their options, and how they open a lake."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from millpond.cli import output

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
Texts = Annotated[
    list[Path] | None,
    typer.Option(
        "--data", show_default="the released corpus", help="JSON Lines or Parquet file of texts; repeatable."
    ),
]
Language = Annotated[
    str | None, typer.Option(help="ISO 639 code: of the released corpus, take what is in this language.")
]
Output = Annotated[
    output.Format,
    typer.Option("--output", help="How to show results.", callback=lambda chosen: output.use(chosen) or chosen),
]


def open_lake(uri: str | None, *, create: bool = False) -> lake.Lake:
    """Open the lake a command was given; imported here, so that `--help` needs no catalog."""
    from millpond.lake import Lake

    return Lake.open(uri, create=create)


def examples(*commands: str) -> str:
    """The last lines of a command's help."""
    return escape("Examples:\n" + "\n".join(f"  millpond {command}" for command in commands))
