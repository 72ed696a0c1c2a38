"""What the audits of a corpus refuse and let pass: `python -m benchmarks.audits`, which writes `docs/audits.md`.

Clean batches are curation runs over seeded samples of the gold pages, published through the gate; each kind of
corruption in `tests/corruptions.py` is then done with several seeds to one of those corpora.
"""

from __future__ import annotations

import random
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import benchmarks.from_tests  # noqa: F401
from archives import Page, gold_pages, write_warc
from benchmarks import peer
from benchmarks.machine import describe
from benchmarks.page import table
from benchmarks.pages import ROOT, gold_folder
from corruptions import CORRUPTIONS, Curated

from millpond.curate.config import CurateConfig
from millpond.curate.job import curate
from millpond.errors import AuditError, MillpondError
from millpond.ingest.config import IngestConfig
from millpond.ingest.job import ingest_files
from millpond.lake import Lake
from millpond.progress import silence

CLEAN, PAGES, SEEDS = 20, 200, 5
#: They take turns: what is clean does not depend on them.
PRESETS = ("fineweb", "gopher", "c4", "none")

_PAGE = """\
# Audits

Written by `python -m benchmarks.audits` on {date} at commit {commit}.

**{verdict}** {blocked} of {corrupted} corrupted batches were refused, each for its own reason; {passed} of {clean}
clean ones passed.

A clean batch is a curation run over {pages} of {all:,} real pages, drawn with a seed of its own, by one of the presets
{presets}; it passed if it was published. A corrupted batch is one of those corpora, changed as an error
upstream would change it, and judged by the same gate; it was refused if the gate raised with the named audit.

{corruptions}
"""


def main() -> int:
    """Curate, corrupt, judge and write the page; 1 where a verdict is wrong."""
    silence()
    try:
        facts = describe(ROOT, peer.pins("datatrove"), 2)
        pages = list(gold_pages(gold_folder()))
        with tempfile.TemporaryDirectory(prefix="millpond audits ") as folder:
            passed, rows = _judge(Path(folder), pages)
    except MillpondError as error:
        sys.stderr.write(f"audits: {error}\n")
        return error.exit_code
    blocked, corrupted = sum(row[1] for row in rows), SEEDS * len(rows)
    right = (passed, blocked) == (CLEAN, corrupted)
    shown = table(
        ("corruption", "refused", "of", "by"), [(name, str(found), str(SEEDS), by) for name, found, by in rows]
    )
    text = _PAGE.format(
        **{name: facts[name] for name in ("date", "commit")},
        verdict="All as it should be:" if right else "FAILED:",
        blocked=blocked,
        corrupted=corrupted,
        passed=passed,
        clean=CLEAN,
        pages=PAGES,
        all=len(pages),
        presets=", ".join(PRESETS),
        corruptions=shown,
    )
    (ROOT / "docs" / "audits.md").write_text(text)
    return int(not right)


def _judge(folder: Path, pages: list[Page]) -> tuple[int, list[tuple[str, int, str]]]:
    """Clean batches that passed; and of each corruption its name, how often it was refused, and by what."""
    passed = 0
    for seed in range(CLEAN):
        config = CurateConfig.model_validate({"rules": {"preset": PRESETS[seed % len(PRESETS)]}})
        lake = _ingested(folder, pages, seed)
        try:
            passed += not curate(lake, config).unchanged
        except AuditError as error:
            sys.stderr.write(f"clean batch {seed} was refused: {error}\n")
        if seed == 0:
            curated = Curated.of(lake, config)
    return passed, list(_corrupted(curated, folder))


def _ingested(folder: Path, pages: list[Page], seed: int) -> Lake:
    """A lake with a sample of the pages, fetched in two parts."""
    chosen = random.Random(seed).sample(pages, PAGES)
    lake = Lake.open(str(folder / f"lake-{seed}"))
    for part in range(2):
        path = write_warc(folder / f"{seed}-{part}.warc.gz", chosen[part::2])
        ingest_files(lake, [str(path)], IngestConfig())
    return lake


def _corrupted(curated: Curated, folder: Path) -> Iterator[tuple[str, int, str]]:
    for name, (corrupt, sentence) in CORRUPTIONS.items():
        refused = 0
        for seed in range(SEEDS):
            try:
                curated.judge(folder / f"{name}-{seed}", corrupt(curated, seed))
            except AuditError as error:
                refused += sentence in str(error)
        yield name, refused, sentence.removesuffix(" failed")


if __name__ == "__main__":
    sys.exit(main())
