"""Options that commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from millpond.cli import output

Lake = Annotated[
    str | None,
    typer.Option("--lake", envvar="MILLPOND_LAKE", help="Folder of the lake, or catalog:NAME.  [default: ./lake]"),
]
Config = Annotated[Path | None, typer.Option("--config", help="TOML file; the stage's section is read.")]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override one setting, e.g. dedup.threshold=0.8; repeatable."),
]
Output = Annotated[
    output.Format,
    typer.Option("--output", help="How to show results.", callback=lambda chosen: output.use(chosen) or chosen),
]
