"""What was measured where: the machine, the commit and the versions of both sides."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from collections.abc import Iterable
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil

from millpond.java import find_java

OURS = (
    "millpond",
    "pyspark",
    "pyarrow",
    "pyiceberg",
    "great-expectations",
    "selectolax",
    "trafilatura",
    "resiliparse",
    "numpy",
)
PEER = ("datatrove", "trafilatura", "spacy", "fasttext-numpy2-wheel", "warcio", "numpy")


def describe(root: Path, pins: Path, cores: int) -> dict[str, Any]:
    """Date, commit, machine and versions, as JSON-like values; `cores` is how many were used."""
    java = find_java()
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "commit": _commit(root),
        "machine": {
            "processor": _processor(),
            "cores": os.cpu_count(),
            "cores_used": cores,
            "memory_gib": round(psutil.virtual_memory().total / 2**30),
            "system": f"{platform.system()} {platform.release()}",
        },
        "versions": {
            "python": platform.python_version(),
            "java": java[1] if java else None,
            "millpond": {name: version(name) for name in OURS},
            "datatrove": pinned(pins, PEER),
        },
    }


def pinned(pins: Path, names: Iterable[str]) -> dict[str, str]:
    """The versions that a file of pins gives some packages."""
    lines = re.findall(r"^([\w.-]+)==(\S+)", pins.read_text(), re.MULTILINE)
    known = {name.lower(): release for name, release in lines}
    return {name: known[name] for name in names}


def _commit(root: Path) -> str:
    """The commit, with a plus sign where the work tree differs from it in more than the pages that are written."""
    try:
        head = subprocess.run(["git", "rev-parse", "--short=12", "HEAD"], cwd=root, capture_output=True, text=True)
        code = ("--", ".", ":!docs", ":!README.md")
        status = subprocess.run(["git", "status", "--porcelain", *code], cwd=root, capture_output=True, text=True)
    except FileNotFoundError:
        return "unknown"
    if head.returncode:
        return "unknown"
    return head.stdout.strip() + ("+" if status.stdout.strip() else "")


def _processor() -> str:
    names = re.findall(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return str(names[0]) if names else platform.machine()
