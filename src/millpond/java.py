"""Java for Spark: find one, or get one. Standard library alone: the set-up runs it before anything is installed.

    python src/millpond/java.py .java     # exit 0 and the home on stdout, or exit 1 and what to install

Looked for in `JAVA_HOME`, on PATH, and in the project's own ignored folder `.java` beside the virtual environment.
Where there is none, the set-up tries Debian's package (as root) and then the PyPI package `install-jdk`.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

MINIMUM = 17
PACKAGE = "openjdk-17-jre-headless"
ADVICE = (
    f"Spark needs Java {MINIMUM} or newer and none was found: install {PACKAGE} (Debian, Ubuntu), "
    f"java-{MINIMUM}-openjdk-headless (Fedora) or any other, or set JAVA_HOME to one"
)


def find_java(own: Path | None = None) -> tuple[Path, int] | None:
    """Home and major version of the Java Spark will use; None where there is none of at least `MINIMUM`.

    Args:
        own: the project's folder for a Java of its own; beside the running virtual environment by default.
    """
    for home in _homes(own or Path(sys.prefix).parent / ".java"):
        version = java_version(home)
        if version is not None and version >= MINIMUM:
            return home, version
    return None


def java_version(home: Path) -> int | None:
    """Major version of the Java in `home`; None where there is none that runs."""
    try:
        shown = subprocess.run([home / "bin" / "java", "-version"], capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.search(r'version "(?:1\.)?(\d+)', shown.stderr)
    return int(found[1]) if found else None


def _homes(own: Path) -> Iterator[Path]:
    if stated := os.environ.get("JAVA_HOME"):
        yield Path(stated)
    if on_path := shutil.which("java"):
        yield Path(on_path).resolve().parent.parent
    yield from sorted(path.parent.parent for path in own.glob("**/bin/java"))


def ensure_java(own: Path) -> Path | None:
    """A usable Java's home, installing one where there is none and that is possible; None where it is not."""
    for attempt in (None, _from_debian, _from_pypi):
        if attempt is not None:
            attempt(own)
        if (found := find_java(own)) is not None:
            return found[0]
    return None


def _from_debian(own: Path) -> None:
    apt = shutil.which("apt-get")
    if apt is None or os.geteuid() != 0:
        return
    sys.stderr.write(f"no Java {MINIMUM} found: installing {PACKAGE}\n")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for step in (("update", "-qq"), ("install", "-y", "-qq", PACKAGE)):
        subprocess.run([apt, *step], check=False, stdout=subprocess.DEVNULL, env=environment)


def _from_pypi(own: Path) -> None:
    sys.stderr.write(f"no Java {MINIMUM} found: trying install-jdk into {own}\n")
    environment = own / "install-jdk"
    pip = [sys.executable, "-m", "pip", "install", "-q", "--target", str(environment), "install-jdk==1.1.0"]
    if subprocess.run(pip, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode:
        return
    script = f"import jdk; jdk.install('{MINIMUM}', jre=True, path={str(own)!r})"
    subprocess.run(
        [sys.executable, "-c", script],
        check=False,
        env={**os.environ, "PYTHONPATH": str(environment)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


if __name__ == "__main__":
    ready = ensure_java(Path(sys.argv[1]).absolute())
    if ready is None:
        sys.exit(ADVICE)
    sys.stdout.write(f"{ready}\n")
