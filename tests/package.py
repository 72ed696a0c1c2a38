"""sdist → wheel → install in a clean environment → import every stage: what a user of the package gets.

python tests/package.py
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
IMPORTS = """
import importlib, pkgutil, pathlib, millpond
root = pathlib.Path(millpond.__file__).parent
assert "site-packages" in str(root), root
modules = sorted(p.relative_to(root).with_suffix("") for p in root.rglob("*.py") if p.name != "__main__.py")
names = ["millpond." + ".".join(p.parts).removesuffix(".__init__") for p in modules if str(p) != "__init__"]
stages = {"ingest", "curate", "tokenize", "train", "eval", "quality"}
assert stages <= {name.split(".")[1] for name in names}, names
assert (root / "cli" / "demo.toml").exists() and (root / "eval" / "report.html.j2").exists()
for name in names:
    if name not in ("millpond.cli.demo_pages",):
        importlib.import_module(name)
print(f"imported {len(names)} modules from the wheel")
"""


def run(*command: str | Path, cwd: Path) -> None:
    """Run a command or stop with its output."""
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}")
    if done.stdout.startswith("imported"):
        sys.stdout.write(done.stdout)


def main() -> None:
    """Build both distributions and import everything from the installed wheel."""
    with tempfile.TemporaryDirectory(prefix="millpond package ") as folder:
        work = Path(folder)
        run(sys.executable, "-m", "build", "--no-isolation", "--sdist", "-o", work, ROOT, cwd=work)
        [sdist] = work.glob("*.tar.gz")
        run("tar", "-xzf", sdist, cwd=work)
        [source] = [path for path in work.iterdir() if path.is_dir()]
        run(sys.executable, "-m", "build", "--no-isolation", "--wheel", "-o", work, source, cwd=work)
        [wheel] = work.glob("*.whl")
        # What the wheel asks for and no more, at the pinned versions: an import it does not name fails here.
        venv.create(work / "clean", with_pip=True)
        pip = (work / "clean" / "bin" / "python", "-m", "pip", "install", "-q", "--disable-pip-version-check")
        pins = work / "pins.txt"
        pins.write_text(re.sub(r" *\\\n *--hash=\S+", "", (ROOT / "requirements.lock").read_text()))
        run(*pip, "torch==2.13.0", cwd=work)
        run(*pip, "-c", pins, f"{wheel}[all]", cwd=work)
        run(pip[0], "-I", "-c", IMPORTS, cwd=work)


if __name__ == "__main__":
    main()
