"""The thin `main` that every stage's `job.py` shares: a few options, one line of result, one line of error.

spark-submit curate/job.py --config run.toml --lake lake --set dedup.threshold=0.8
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict

from millpond.errors import MillpondError
from millpond.lake import Lake
from millpond.publish import Outcome

Work = Callable[[Lake], Outcome]


def job_main(
    stage: str,
    arguments: Sequence[str] | None,
    prepare: Callable[[argparse.Namespace], Work],
    *,
    paths: bool = False,
    flags: Mapping[str, str] | None = None,
) -> None:
    """Run a stage from the command line of spark-submit; exits with 1 or 2 and one line on an error.

    `prepare` reads what was asked for and returns the work; a lake is opened after that. A stage that takes `paths` is
    the one that may begin a new lake. `flags` are options of the stage's own without a value, with what they do.
    """
    parser = argparse.ArgumentParser(prog=f"{stage}/job.py", description=f"Millpond's {stage} stage")
    parser.add_argument("--config", help=f"TOML file; its [{stage}] section is read")
    parser.add_argument("--lake", help="folder of the lake, or catalog:NAME (default: ./lake)")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="override one setting; repeatable"
    )
    for name, meaning in (flags or {}).items():
        parser.add_argument(f"--{name}", action="store_true", help=meaning)
    if paths:
        parser.add_argument(
            "paths", nargs="+", help="what to read: paths, URLs, patterns, @list; of a crawl, where it starts"
        )
    options = parser.parse_args(arguments)
    try:
        work = prepare(options)
        outcome = work(Lake.open(options.lake, create=paths))
    except MillpondError as error:
        sys.stderr.write(f"{stage}: {error}\n")
        sys.exit(error.exit_code)
    sys.stdout.write(json.dumps(asdict(outcome), sort_keys=True) + "\n")
