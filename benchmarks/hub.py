"""Whether Hugging Face `datasets` reads what `millpond export corpus` writes: `python -m benchmarks.hub`.

A corpus of the gold texts and a mixture of it are exported, read by the `datasets` that
`benchmarks/peers/datatrove.txt` pins, at once and streamed, and compared with the files: rows, columns and a digest of
all texts in order. Writes `docs/hub.md`; exits with 1 where they differ. With a lake's folder it is that lake's
newest release that is exported, and no page is written.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import benchmarks.from_tests  # noqa: F401
import pyarrow.dataset as ds
from benchmarks import peer
from benchmarks.gold import gold_pages
from benchmarks.machine import describe
from benchmarks.measure import BenchmarkError
from benchmarks.pages import ROOT, gold_folder
from benchmarks.run import say
from mixtures import publish_corpus

from millpond.curate.export.job import Choice, export_corpus
from millpond.curate.mix.config import MixConfig
from millpond.curate.mix.job import mix
from millpond.errors import MillpondError
from millpond.lake import Lake

PAGE = ROOT / "docs" / "hub.md"
#: Small, so that there are several.
SHARD_BYTES = 500_000

_PAGE = """\
# Exports, read by `datasets`

Written by `python -m benchmarks.hub` on {date} at commit {commit}.

`millpond export corpus` wrote {pages} texts people have taken from web pages, and a mixture of them, in shards of
{shard} kB of text; `load_dataset` of the folder gave back every row, column and text in order, at once and streamed:

- corpus: {corpus}
- mixture, with repeats: {mixture}
"""

_READ = """\
import hashlib, json, sys
import datasets
read = datasets.load_dataset(sys.argv[1], split="train")
streamed = datasets.load_dataset(sys.argv[1], split="train", streaming=True)
def digest(rows):
    found = hashlib.sha256()
    for row in rows:
        found.update(row["text"].encode() + b"\\0")
    return found.hexdigest()
print(json.dumps({
    "version": datasets.__version__, "rows": read.num_rows, "columns": read.column_names,
    "digests": [digest(read), digest(streamed)],
}))
"""


def main() -> None:
    """Export, read back and compare; exits with 1 where they differ."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("lake", nargs="?", help="folder of a lake with a corpus; left out: one of the gold texts")
    parser.add_argument("--mixture", action="store_true", help="its mixture instead")
    options = parser.parse_args()
    try:
        if options.lake:
            say(run(Lake.open(options.lake, create=False), Choice(mixture=options.mixture)))
        else:
            PAGE.write_text(page())
            say(f"written: {PAGE.relative_to(ROOT)}")
    except MillpondError as error:
        sys.stderr.write(f"benchmark: {error}\n")
        sys.exit(error.exit_code)


def page() -> str:
    """Export and read a corpus of the gold texts; the page as Markdown.

    Raises:
        BenchmarkError: there are no gold pages, or `datasets` read something else.
    """
    facts = describe(ROOT, peer.pins("datatrove"), 1)
    texts = [{"text": gold.text, "registered_domain": gold.domain} for gold in gold_pages(gold_folder())]
    with tempfile.TemporaryDirectory() as folder:
        lake = Lake.open(folder)
        publish_corpus(lake, texts, parts=3)
        component = {"name": "all", "weight": 1, "max_repeats": 2}
        mix(lake, MixConfig.model_validate({"components": [component]}))
        found = [run(lake, Choice(mixture=mixture, max_shard_bytes=SHARD_BYTES)) for mixture in (False, True)]
    return _PAGE.format(
        date=facts["date"],
        commit=facts["commit"],
        pages=f"{len(texts):,}",
        shard=SHARD_BYTES // 1000,
        corpus=found[0],
        mixture=found[1],
    )


def run(lake: Lake, choice: Choice) -> str:
    """One sentence on what was read.

    Raises:
        BenchmarkError: `datasets` did not read it, or read other rows.
    """
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work) / "corpus"
        written = export_corpus(lake, folder, choice)
        environment = os.environ | {"HF_HUB_OFFLINE": "1", "HF_HOME": work, "PYTHONPATH": ""}
        command = [str(peer.ensure("datatrove")), "-c", _READ, str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, env=environment)
        if done.returncode:
            raise BenchmarkError(f"datasets did not read {folder}:\n{done.stderr}")
        read = json.loads(done.stdout)
        found = hashlib.sha256()
        table = ds.dataset(sorted(map(str, (folder / "data").iterdir()))).to_table()
        for text in table["text"].to_pylist():
            found.update(text.encode() + b"\0")
        wanted = {"rows": written.splits[0].rows, "columns": table.column_names, "digests": [found.hexdigest()] * 2}
        if wanted != {name: read[name] for name in wanted}:
            raise BenchmarkError(f"datasets {read['version']} read {read}, and written was {wanted}")
    return f"datasets {read['version']} reads {read['rows']:,} rows of {written.splits[0].shards} shards as written"


if __name__ == "__main__":
    main()
