"""Every error Millpond raises on purpose, under one root.

A message carries the value, the place and what to do. The command line prints it as one line and
exits with the class's `exit_code`: 1 when the work failed, 2 when it was asked for wrongly.
"""

from __future__ import annotations

import importlib
from types import ModuleType


class MillpondError(Exception):
    """Root of all errors raised by Millpond."""

    exit_code = 1


class ConfigError(MillpondError):
    """A configuration file or override is not usable: unknown key, wrong type, impossible value."""

    exit_code = 2


class InputError(MillpondError):
    """An input file, folder or address is missing, unreadable or not what it claims to be."""


class LakeError(MillpondError):
    """The lake is missing something that was asked for, or holds something it should not."""


class ConflictError(LakeError):
    """Another publisher moved a table first; the caller rebases and tries again."""


class AuditError(MillpondError):
    """A batch failed its audit; nothing was published."""


class LedgerError(AuditError):
    """A stage's counts do not balance; nothing was published."""


class ShardError(MillpondError):
    """A token shard or its index is damaged, foreign or does not fit the request."""


class CheckpointError(MillpondError):
    """A checkpoint is damaged, incomplete or belongs to another model."""


class MissingExtraError(MillpondError):
    """An optional dependency is not installed."""

    exit_code = 2


def require(module: str, extra: str) -> ModuleType:
    """Import `module`, or say which extra of Millpond brings it.

    Raises:
        MissingExtraError: the module is not installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not (module == error.name or module.startswith(error.name + ".")):
            raise
        raise MissingExtraError(f"{module} is not installed: run `pip install 'millpond[{extra}]'`") from error
