"""Puts the measured rates into README.md, between `<!-- benchmark -->` and `<!-- /benchmark -->`.

`python -m benchmarks.readme` takes them from `.bench/results.json`, and only from a run that may be published.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from benchmarks.page import CHEAP, SHIPPED, Results, rate, ratio, read, shown, table, unfit
from benchmarks.pages import ROOT

from millpond.errors import InputError, MillpondError

_PLACE = re.compile(r"(<!-- benchmark -->\n).*?(<!-- /benchmark -->)", re.DOTALL)


def main() -> None:
    """Rewrite the README's table."""
    try:
        results = read(ROOT / ".bench" / "results.json")
        if reason := unfit(results):
            raise InputError(f"README.md is left as it is: {reason}; run `make bench`")
        rewrite(ROOT / "README.md", section(results))
    except MillpondError as error:
        sys.stderr.write(f"readme: {error}\n")
        sys.exit(error.exit_code)


def rewrite(readme: Path, text: str) -> None:
    """Put `text` between the two marks.

    Raises:
        InputError: the README does not have them, once each and in order.
    """
    before = readme.read_text()
    after, count = _PLACE.subn(lambda match: f"{match[1]}{text}{match[2]}", before)
    if count != 1:
        raise InputError(
            f"{readme}: needs one `<!-- benchmark -->` … `<!-- /benchmark -->`, each on a line; has {count}"
        )
    readme.write_text(after)


def section(results: Results) -> str:
    """The short table and where its numbers come from."""
    rows = [
        (
            side["label"],
            shown(rate(results, side["name"])),
            shown(ratio(results, side["name"], SHIPPED)),
            shown(ratio(results, side["name"], CHEAP)),
        )
        for side in results["sides"]
    ]
    columns = (
        "WARC files → clean documents",
        "pages/s",
        "× datatrove as shipped",
        "× with cheap words",
    )
    machine = results["machine"]
    return (
        f"{table(columns, rows)}\n"
        f"{results['pages']['pages']:,} distinct pages, two workers on the same two cores ({machine['processor']}), "
        f"start-up excluded; {results['date']}, commit {results['commit']}. How it was measured: "
        "[docs/benchmarks.md](docs/benchmarks.md); `make bench` measures again.\n"
    )


if __name__ == "__main__":
    main()
