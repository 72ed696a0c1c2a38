"""What becomes of mojibake from the wild: `python -m benchmarks.mojibake` writes `docs/mojibake.md`.

The cases of ftfy's test suite lie under `MILLPOND_TEST_DATA`; those that come out differently are named, each with its
reason, in `tests/curate/text/mojibake_differs.json`, which the tests hold to be complete.
"""

from __future__ import annotations

import json
import sys
from importlib.metadata import version
from typing import Any

import ftfy
from benchmarks import peer
from benchmarks.machine import describe
from benchmarks.page import table
from benchmarks.pages import ROOT, gold_folder
from benchmarks.run import say

from millpond.curate.normalise import normalise
from millpond.errors import MillpondError

PAGE = ROOT / "docs" / "mojibake.md"
DIFFERS = ROOT / "tests" / "curate" / "text" / "mojibake_differs.json"

_PAGE = """\
# Mojibake

Written by `python -m benchmarks.mojibake` on {date} at commit {commit}, with ftfy {version}.

The {total} cases of ftfy's test suite: texts from the wild that were decoded wrongly, and sound ones that look it.
{right} come out as they were meant, and {alone} of ftfy's own `fix_text`; quotes count as right curly or straight.
ftfy keeps control characters and white space at the end of a line, which Millpond drops.

{files}
The others, by file and place:

{cases}"""


_HEADER = ("| case | was | meant | comes out | why |", "| --- | --- | --- | --- | --- |")


def main() -> None:
    """Normalise all cases and write the page."""
    try:
        PAGE.write_text(page(describe(ROOT, peer.pins("datatrove"), 1)))
        say(f"written: {PAGE.relative_to(ROOT)}")
    except MillpondError as error:
        sys.stderr.write(f"benchmark: {error}\n")
        sys.exit(error.exit_code)


def page(machine: dict[str, Any]) -> str:
    """The page as Markdown."""
    reasons: dict[str, str] = json.loads(DIFFERS.read_text())
    files, cases, alone = [], [], 0
    for path in sorted((gold_folder().parent / "mojibake" / "ftfy").glob("*.json")):
        found = json.loads(path.read_text())
        alone += sum(ftfy.fix_text(case["original"]) == case["fixed"] for case in found)
        named = [place for place in range(len(found)) if f"{path.stem}:{place}" in reasons]
        files.append((path.stem, str(len(found)), str(len(found) - len(named))))
        cases += [_row(f"{path.stem}:{place}", found[place], reasons) for place in named]
    total = sum(int(count) for _, count, _ in files)
    return _PAGE.format(
        date=machine["date"],
        commit=machine["commit"],
        version=version("ftfy"),
        total=total,
        right=total - len(cases),
        alone=alone,
        files=table(("file", "cases", "as meant"), files),
        cases="\n".join(("| case | was | meant | comes out | why |", "| --- | --- | --- | --- | --- |", *cases))
        + "\n",
    )


def _row(name: str, case: dict[str, str], reasons: dict[str, str]) -> str:
    texts = (case["original"], case.get("fixed-encoding", case["fixed"]), normalise(case["original"]))
    cells = (name, *map(_visible, texts), reasons[name])
    return f"| {' | '.join(cells)} |"


def _visible(text: str) -> str:
    """A text as code, with its controls and no-break spaces spelt out."""
    return "`" + "".join(sign if sign.isprintable() else f"\\x{ord(sign):02x}" for sign in text) + "`"


if __name__ == "__main__":
    main()
