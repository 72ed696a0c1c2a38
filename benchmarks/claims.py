"""What is shown where: which command measures what Millpond claims, and on which page of `docs/` it stands."""

from __future__ import annotations

from benchmarks.pages import ROOT

#: (what is claimed, command, page; empty where the command only prints)
CLAIMS = (
    (
        "Extraction: F1 by set, page type and language; speed on one core; isolation",
        "extraction",
        "extraction.md",
    ),
    ("Title, author and date of pages", "metadata", "metadata.md"),
    ("WARC files to documents against datatrove; shares of steps and audits; bytes shuffled", "run", ""),
    ("Cost of a page from 4 × to 16 × the input, memory of the driver", "growth", "growth.md"),
    ("MinHash signatures against datasketch and rensa", "minhash", "minhash.md"),
    ("Near duplicates: recall, false removals, the preset's curve, keepers", "neardup", "neardup.md"),
    ("Runs of words across documents", "spans", "spans.md"),
    ("Verdicts of filters beside datatrove's; what the word splitter changes", "verdicts", "verdicts.md"),
    ("Signals beside NeMo Curator's heuristic filters", "curator", "curator.md"),
    ("Signals: processor time of each family", "signals", ""),
    ("Trainable classifier beside fastText and scikit-learn", "classifier", "classifier.md"),
    ("Language identification", "language", "language.md"),
    ("Mojibake repaired", "mojibake", "mojibake.md"),
    ("Personal data found, beside presidio", "privacy", "privacy.md"),
    ("Decontamination: what is found, what it costs", "contamination", "contamination.md"),
    ("Audits: corruptions refused, clean batches passed", "audits", "audits.md"),
    ("Reading archives beside warcio, fastwarc and datatrove's reader; one large file", "ingest", "ingest.md"),
    ("A crawl of several hosts: whole, killed at random moments, throughput by hosts", "crawl", "crawl.md"),
    ("The loader beside mosaicml-streaming, litdata, webdataset and datasets", "loader", "loader.md"),
    ("Kills, races, partitions, dying and overtaken tasks: nothing lost or doubled", "evidence", "evidence.md"),
)

#: (what is claimed, tests that show it), beside what every test says for itself
TESTED = (
    (
        "Hostile archives: no crash, no hang, 512 MiB, every undamaged record; in a Spark job too",
        "test_hostile_warcs.py",
    ),
    (
        "Archives of other projects: an outcome for each, records and digests as warcio and fastwarc",
        "test_real_archives.py",
    ),
    ("However an archive is cut into parts, the same rows", "test_parts.py"),
    ("Charsets: 12 encodings with true, lying and no labels; html5lib's cases; real files", "test_charset.py"),
    (
        "Servers that misbehave: within 1.2 × the deadline, memory bounded, a row with the reason",
        "crawl/test_bad_servers.py",
    ),
    (
        "Private addresses: none connected to, on any hop, however spelled, and where a name is rebound",
        "crawl/test_addresses.py",
    ),
    ("One connection to a host, and its delay, over all tasks", "crawl/test_turns.py"),
    ("robots.txt by RFC 9309", "crawl/test_robots.py"),
    ("Input, lake and archives in an S3 store", "test_object_storage.py"),
)


def rows() -> list[tuple[str, str, str]]:
    """The claims as rows of a table; a page that is not there yet is said to be missing."""
    return [(claim, f"`python -m benchmarks.{command}`", _place(command, page)) for claim, command, page in CLAIMS]


def tested() -> list[tuple[str, str]]:
    """What tests alone show, as rows of a table."""
    shown = [(claim, f"`pytest tests/ingest/{path}`") for claim, path in TESTED]
    return [*shown, ("Archives and bodies under coverage-guided fuzzing, 60 s each", "`.ci/run`: `tests/fuzz`")]


def _place(command: str, page: str) -> str:
    if command == "run":
        return "this page"
    if not page:
        return "printed"
    return f"[{page}]({page})" if (ROOT / "docs" / page).exists() else f"{page}, not written yet"
