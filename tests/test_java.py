"""Finding Java and getting one, with the machine's own Java hidden."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from millpond import java

SCRIPT = Path(java.__file__)


def fake_java(home: Path, version: str) -> Path:
    """A Java that only knows its version."""
    program = home / "bin" / "java"
    program.parent.mkdir(parents=True)
    program.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\" 2025-01-01' >&2\n")
    program.chmod(0o755)
    return home


@pytest.fixture
def hidden(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without Java: nothing on PATH but a shell, no JAVA_HOME."""
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "sh").symlink_to("/bin/sh")
    monkeypatch.setenv("PATH", str(tools))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    return tmp_path


def test_nothing_found(hidden: Path) -> None:
    assert java.find_java(hidden / ".java") is None


def test_stated_then_path_then_own(hidden: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = fake_java(hidden / ".java" / "jdk-17.0.9-jre", "17.0.9")
    assert java.find_java(hidden / ".java") == (own, 17)
    on_path = fake_java(hidden / "on path", "21.0.1")
    monkeypatch.setenv("PATH", f"{os.environ['PATH']}:{on_path / 'bin'}")
    assert java.find_java(hidden / ".java") == (on_path, 21)
    stated = fake_java(hidden / "stated", "25")
    monkeypatch.setenv("JAVA_HOME", str(stated))
    assert java.find_java(hidden / ".java") == (stated, 25)


def test_too_old_or_broken_is_passed_over(hidden: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_HOME", str(fake_java(hidden / "old", "1.8.0_402")))
    broken = hidden / "tools" / "java"
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o755)
    assert java.find_java(hidden / ".java") is None
    own = fake_java(hidden / ".java" / "jdk", "17.0.9")
    assert java.find_java(hidden / ".java") == (own, 17)


def test_set_up_says_what_to_install_when_nothing_works(hidden: Path) -> None:
    """No Java, no apt-get, no package index: one clear line and exit 1, before anything else is done."""
    offline = {**os.environ, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(hidden)}
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(hidden / ".java")], env=offline, capture_output=True, text=True
    )
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr.strip().splitlines()[-1] == java.ADVICE


def test_session_says_so_too(hidden: Path) -> None:
    code = "from millpond.spark import session\ntry:\n    session('x')\nexcept Exception as error:\n    print(error)"
    prefix = f"import sys; sys.prefix = {str(hidden / 'venv')!r}\n"
    done = subprocess.run([sys.executable, "-c", prefix + code], capture_output=True, text=True)
    assert done.stdout.startswith("Spark needs Java 17 or newer and none was found"), done
