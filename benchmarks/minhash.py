"""MinHash signatures from raw text on one core, against datasketch and rensa: `python -m benchmarks.minhash`.

The texts are those of the gold pages, extracted and normalised. Every side runs in a process of its own, pinned to
one core, the sides in turn and several rounds of them; the median counts. Writes `docs/minhash.md`.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from pathlib import Path

from benchmarks import peer
from benchmarks.machine import describe, pinned
from benchmarks.measure import BenchmarkError
from benchmarks.minhash_side import READY, SIDES
from benchmarks.page import table
from benchmarks.pages import ROOT, gold_folder
from benchmarks.texts import main_texts

from millpond.curate.normalise import normalise
from millpond.errors import MillpondError

ROUNDS = 5
PERMUTATIONS = (112, 240)
WORK = ROOT / ".bench" / "minhash"
#: Millpond has to be this many times as fast.
AT_LEAST = {
    "datasketch, update": 10,
    "datasketch, update_batch": 10,
    "rensa, words by regular expression": 2,
    "rensa, words by str.split": 2,
}

_PAGE = """\
# MinHash from raw text

Written by `python -m benchmarks.minhash` on {date} at commit {commit}.

Machine: {processor}, one core used, {memory_gib} GiB, {system}, Python {python}.
Millpond with numpy {numpy}; datasketch {datasketch} and rensa {rensa} with numpy {peer_numpy}
(`benchmarks/peers/minhash.txt`).

{count:,} texts of real pages (WCXB, extracted by resiliparse and normalised), {characters:,} characters. Timed is
everything from the text as a Python string to its signature, in processor time: words, shingles of five words,
hashes, permutations. A peer's shingles are lists of joined words, made by `benchmarks/minhash_side.py` as users do;
rensa is also shown with its shingles ready, which leaves out most of the work. Each side ran {rounds} times in a
process of its own, in turn with the others; the median counts. rensa does less for each permutation, so its time
hardly grows with their number; its signatures are not datasketch's, Millpond's are, value for value.

{tables}
"""


def main() -> None:
    """Measure all sides and write the page; exits with 1 if Millpond is slower than it has to be."""
    try:
        slow = run()
    except MillpondError as error:
        sys.stderr.write(f"minhash: {error}\n")
        sys.exit(error.exit_code)
    if slow:
        sys.stderr.write(f"minhash: not fast enough: {'; '.join(slow)}\n")
        sys.exit(1)


def run() -> list[str]:
    """Measure and write; returns what was missed."""
    interpreter = peer.ensure("minhash")
    texts = _texts()
    WORK.mkdir(parents=True, exist_ok=True)
    path = WORK / "texts.json"
    path.write_text(json.dumps(texts))
    tables, slow = [], []
    for permutations in PERMUTATIONS:
        seconds: dict[str, list[float]] = {name: [] for name in SIDES}
        for _ in range(ROUNDS):
            for name, times in seconds.items():
                times.append(_once(interpreter, name, path, permutations))
        median = {name: statistics.median(times) for name, times in seconds.items()}
        tables.append(_table(permutations, median, seconds, len(texts)))
        slow += [
            f"{permutations} permutations: {median[name] / median['Millpond']:.1f} × {name}, at least {least}"
            for name, least in AT_LEAST.items()
            if median[name] < least * median["Millpond"]
        ]
    facts = describe(ROOT, peer.pins("datatrove"), 1)
    page = _PAGE.format(
        **facts["machine"],
        date=facts["date"],
        commit=facts["commit"],
        python=facts["versions"]["python"],
        numpy=facts["versions"]["millpond"]["numpy"],
        peer_numpy=pinned(peer.pins("minhash"), ["numpy"])["numpy"],
        **pinned(peer.pins("minhash"), ["datasketch", "rensa"]),
        count=len(texts),
        characters=sum(map(len, texts)),
        rounds=ROUNDS,
        tables="\n".join(tables).rstrip(),
    )
    (ROOT / "docs" / "minhash.md").write_text(page)
    sys.stdout.write("\n".join(tables))
    return slow


def _texts() -> list[str]:
    return [normalise(text) for text in main_texts(gold_folder() / "wcxb" / "html")]


def _once(interpreter: Path, name: str, texts: Path, permutations: int) -> float:
    python = sys.executable if name == "Millpond" else str(interpreter)
    command = [python, str(ROOT / "benchmarks" / "minhash_side.py"), name, str(texts), str(permutations)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise BenchmarkError(f"{name} exited with {done.returncode}:\n{done.stderr}")
    return float(json.loads(done.stdout))


def _table(permutations: int, median: dict[str, float], seconds: dict[str, list[float]], count: int) -> str:
    rows = [
        (
            name,
            f"{median[name]:.3f}",
            f"{min(seconds[name]):.3f} – {max(seconds[name]):.3f}",
            f"{count / median[name]:,.0f}",
            "" if name == "Millpond" else f"{median[name] / median['Millpond']:.1f}",
            f"{AT_LEAST[name]}" if name in AT_LEAST else "",
        )
        for name in SIDES
    ]
    columns = (f"{permutations} permutations", "s", "from – to", "texts/s", "Millpond is × as fast", "at least")
    note = f"\n`{READY}` is not from raw text and has no budget.\n" if permutations == PERMUTATIONS[0] else ""
    return table(columns, rows) + note


if __name__ == "__main__":
    main()
