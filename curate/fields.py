"""Types of settings that several sections share: thresholds, lists of words, and files known by their content."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field, StringConstraints, model_validator

from millpond.config import StageConfig


def _off(value: object) -> object:
    """TOML has no null: `false` switches a rule off there."""
    if value is True:
        raise ValueError("give a number, or false to switch the rule off")
    return None if value is False else value


Threshold = Annotated[Annotated[float, Field(allow_inf_nan=False)] | None, BeforeValidator(_off)]


def _words(value: object) -> object:
    """A list may stand in a file of its own: UTF-8, one word or phrase a line, none where a line is empty or begins
    with `#`. Its content becomes the setting."""
    if not isinstance(value, str):
        return value
    try:
        lines = Path(value).read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise ValueError(f"not a readable list of words: {error}") from error
    words = tuple(line.strip() for line in lines if line.strip() and not line.startswith("#"))
    if not words:
        raise ValueError(f"{value}: no words; write one a line")
    return words


Word = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
Words = Annotated[tuple[Word, ...], BeforeValidator(_words)]


#: The name of a file or set of the user's.
Name = Annotated[str, StringConstraints(pattern=r"^[\w.-]+$")]


class InputFile(StageConfig):
    """A file that results depend on. Its digest is part of the settings: another content is another run."""

    path: str
    """Where every process of the run finds it."""
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    """Of its content. Left out, it is taken when the settings are read."""

    @model_validator(mode="before")
    @classmethod
    def _with_digest(cls, value: object) -> object:
        values = {"path": value} if isinstance(value, str | Path) else value
        if not isinstance(values, dict) or "path" not in values or values.get("sha256") is not None:
            return values
        try:
            with Path(values["path"]).open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
            return {"path": str(Path(values["path"]).resolve()), "sha256": found}
        except (OSError, TypeError) as error:
            raise ValueError(f"not a readable file: {error}") from error
