"""The layout that makes one package of seven folders, and the traps it avoids."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
STAGES = ("ingest", "curate", "tokenize", "train", "eval", "quality")


@pytest.mark.parametrize("stage", STAGES)
def test_stage_is_a_link_and_part_of_the_package(stage: str) -> None:
    link = ROOT / "src" / "millpond" / stage
    assert link.is_symlink(), f"{link} is no link: git on Windows needs core.symlinks=true"
    assert link.resolve() == ROOT / stage
    assert not list((ROOT / stage).rglob("__init__.py"))
    assert importlib.util.find_spec(f"millpond.{stage}") is not None


def test_standard_library_keeps_its_tokenize() -> None:
    code = "import tokenize; print(tokenize.__file__)"
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert not found.stdout.startswith(str(ROOT / "tokenize"))


def test_no_module_hides_a_standard_one() -> None:
    """A stage's script has its folder first on the path."""
    names = {path.stem for stage in STAGES for path in (ROOT / stage).glob("*.py")}
    assert not names & set(sys.stdlib_module_names)


def test_nothing_unpickles_or_starts_a_shell() -> None:
    forbidden = ("pickle.load", "torch.load(", "shell=True", "os.system", "yaml.load(")
    for path in (path for folder in (*STAGES, "src") for path in (ROOT / folder).rglob("*.py")):
        text = path.read_text()
        assert not [word for word in forbidden if word in text], path
