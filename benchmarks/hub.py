"""Whether Hugging Face `datasets` reads what `millpond export corpus` writes: `python -m benchmarks.hub`.

The newest release of a lake is exported, read by the `datasets` that `benchmarks/peers/datatrove.txt` pins, at once
and streamed, and compared with the files: rows, columns and a digest of all texts in order.
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

import pyarrow.dataset as ds
from benchmarks import peer
from benchmarks.measure import BenchmarkError
from benchmarks.run import say

from millpond.curate.export.job import Choice, export_corpus
from millpond.errors import MillpondError
from millpond.lake import Lake

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
    parser.add_argument("lake", help="folder of a lake with a corpus")
    parser.add_argument("--mixture", action="store_true", help="its mixture instead")
    options = parser.parse_args()
    try:
        say(run(Lake.open(options.lake, create=False), options.mixture))
    except MillpondError as error:
        sys.stderr.write(f"benchmark: {error}\n")
        sys.exit(error.exit_code)


def run(lake: Lake, mixture: bool) -> str:
    """One sentence on what was read.

    Raises:
        BenchmarkError: `datasets` did not read it, or read other rows.
    """
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work) / "corpus"
        written = export_corpus(lake, folder, Choice(mixture=mixture))
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
