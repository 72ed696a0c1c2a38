"""Render the running Python's own documentation as HTML pages: `python -I -S demo_pages.py FOLDER`.

Runs in a child process of its own, isolated and without site-packages, because rendering a module imports it. It
uses the standard library alone. What cannot be imported on this machine has no page, so the index that names every
module has real dead links.
"""

import contextlib
import io
import pkgutil
import pydoc
import sys
import warnings
from html import escape
from pathlib import Path

#: Modules whose import does something (opens a browser, prints, starts a program) or that are no documentation.
LEFT_OUT = {"antigravity", "this", "idlelib", "turtledemo", "test", "__main__", "turtle", "tkinter", "lib2to3"}


def module_names() -> list[str]:
    """Standard-library modules and the direct submodules of its packages, sorted."""
    top = sorted(sys.stdlib_module_names - LEFT_OUT)
    names = set(top)
    folders = [folder for folder in sys.path if Path(folder).name.startswith("python")]
    for found in pkgutil.iter_modules(folders):
        if found.ispkg and found.name in names and not found.name.startswith("_"):
            package = Path(found.module_finder.path) / found.name  # type: ignore[union-attr]
            children = (f"{found.name}.{child.name}" for child in pkgutil.iter_modules([str(package)]))
            names.update(name for name in children if not name.endswith((".__main__", ".tests", ".test")))
    return sorted(names)


def render(name: str) -> str | None:
    """The module's page; None where it cannot be imported here."""
    quiet = io.StringIO()
    with contextlib.redirect_stdout(quiet), contextlib.redirect_stderr(quiet), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            found, shown = pydoc.resolve(name)
            return pydoc.html.page(shown, pydoc.html.document(found, shown))
        except (Exception, SystemExit):  # any module may fail to import in any way; then it has no page
            return None


def main(folder: Path) -> None:
    """Write one page per module and an index that links to all of them; progress goes to stderr."""
    names = module_names()
    pages = 0
    for name in names:
        html = render(name)
        if html is not None:
            (folder / f"{name}.html").write_text(html, encoding="utf-8", errors="replace")
            pages += 1
        sys.stderr.write(f"{pages} {len(names)}\n")
    links = "\n".join(f'<li><a href="{escape(name)}.html">{escape(name)}</a></li>' for name in names)
    title = f"Python {sys.version.split()[0]}: the standard library"
    head = f'<head><meta charset="utf-8"><title>{title}</title></head>'
    index = f"<!DOCTYPE html><html>{head}<body><h1>{title}</h1><ul>\n{links}\n</ul></body></html>"
    (folder / "index.html").write_text(index, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
