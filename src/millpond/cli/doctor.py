"""`millpond doctor`: what is here of what Millpond needs, and what to do about the rest."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
from pathlib import Path

from millpond.cli import output
from millpond.cli.extras import EXTRAS
from millpond.java import ADVICE, find_java


def examine() -> int:
    """Show the findings; returns the exit code: 1 where something needed is missing."""
    rows = [("python", platform.python_version(), True, ""), _java()]
    for extra, (_, packages) in EXTRAS.items():
        if not packages:
            continue
        versions = {package: _version(package) for package in packages}
        missing = [package for package, found in versions.items() if found is None]
        found = ", ".join(f"{package} {version}" for package, version in versions.items() if version)
        rows.append((extra, found, not missing, f"pip install 'millpond[{extra}]'" if missing else ""))
    rows.append(("cores", str(os.cpu_count()), True, ""))
    rows.append(("free disk", f"{shutil.disk_usage(Path.cwd()).free >> 30} GiB", True, ""))
    output.table(("what", "found", "ok", "what to do"), rows)
    return 0 if all(row[2] for row in rows) else 1


def _java() -> tuple[str, str, bool, str]:
    found = find_java()
    if found is None:
        return ("java", "", False, ADVICE)
    return ("java", f"{found[1]} in {found[0]}", True, "")


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
