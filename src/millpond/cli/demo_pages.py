"""Render the running Python's own documentation as HTML pages: `python -I -S demo_pages.py FOLDER`.

Runs in a child process of its own, isolated and without site-packages, because rendering a module imports it. It
uses the standard library alone. What cannot be imported on this machine has no page, so the index that names every
module has real dead links.
"""

import contextlib
import importlib
import inspect
import io
import pkgutil
import re
import sys
import warnings
from collections.abc import Iterator
from html import escape
from pathlib import Path
from types import ModuleType
from typing import Any

#: Modules whose import does something (opens a browser, prints, starts a program) or that are no documentation.
LEFT_OUT = {"antigravity", "this", "idlelib", "turtledemo", "test", "__main__", "turtle", "tkinter", "lib2to3"}

#: Where an object lies, which is another place each time.
_ADDRESS = re.compile(" at 0x[0-9a-f]+")


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
            return _page(f"{name} — Python {sys.version.split()[0]}", _module(importlib.import_module(name)))
        except (Exception, SystemExit):  # any module may fail to import in any way; then it has no page
            return None


def _module(module: ModuleType) -> Iterator[str]:
    yield f"<h1>{escape(module.__name__)}</h1>"
    yield from _prose(module)
    used = {item.__name__ for item in vars(module).values() if inspect.ismodule(item)} & sys.stdlib_module_names
    if used:
        links = ", ".join(f'<a href="{escape(name)}.html">{escape(name)}</a>' for name in sorted(used))
        yield f"<p>This module uses {links}.</p>"
    for name, item in sorted(vars(module).items()):
        if name.startswith("_") or getattr(item, "__module__", None) != module.__name__:
            continue
        if inspect.isclass(item) or inspect.isroutine(item):
            yield f"<h2>{_heading(name, item)}</h2>"
            yield from _prose(item)
        if inspect.isclass(item):
            for member, value in vars(item).items():
                if inspect.isroutine(value) and not member.startswith("_") and value.__doc__:
                    yield f"<h3>{_heading(f'{name}.{member}', value)}</h3>"
                    yield from _prose(value)


def _heading(name: str, item: Any) -> str:
    try:
        return escape(name + _ADDRESS.sub("", str(inspect.signature(item))))
    except (TypeError, ValueError):  # it is written in C and does not say
        return escape(name)


def _prose(item: Any) -> Iterator[str]:
    """An item's own docstring as paragraphs; indented ones stay as they are."""
    for block in inspect.cleandoc(item.__doc__ or "").split("\n\n"):
        if block.startswith((" ", ">>>")):
            yield f"<pre>{escape(block)}</pre>"
        elif block:
            yield f"<p>{escape(block)}</p>"


def _page(title: str, parts: Iterator[str]) -> str:
    head = f'<head><meta charset="utf-8"><title>{escape(title)}</title></head>'
    body = "\n".join(parts)
    return f"<!DOCTYPE html>\n<html>{head}<body><main>\n{body}\n</main></body></html>\n"


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
    links = (f'<li><a href="{escape(name)}.html">{escape(name)}</a></li>' for name in names)
    title = f"Python {sys.version.split()[0]}: the standard library"
    index = _page(title, iter((f"<h1>{title}</h1>", "<ul>", *links, "</ul>")))
    (folder / "index.html").write_text(index, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
