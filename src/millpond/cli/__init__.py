"""The command line: `millpond --help`.

Exit codes: 0 it worked, 1 it failed, 2 it was asked for wrongly, 130 it was interrupted. A result goes to stdout,
as text or with `--output json` as JSON; progress and errors go to stderr, an error as one line.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence

from millpond.cli import output
from millpond.cli.app import app
from millpond.errors import MillpondError


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point of the `millpond` script; always ends in `SystemExit`."""
    handler = logging.StreamHandler()
    handler.setLevel(logging.WARNING)  # some libraries set their own loggers to more
    handler.addFilter(_is_news)
    logging.basicConfig(level=logging.WARNING, format="%(name)s: %(message)s", handlers=[handler])
    try:
        app(arguments, prog_name="millpond")
    except MillpondError as error:
        output.fail(error)
        sys.exit(error.exit_code)


def _is_news(record: logging.LogRecord) -> bool:
    """Spark's gateway logs with a traceback what it also raises, Ctrl-C too."""
    return "py4j" not in record.pathname
