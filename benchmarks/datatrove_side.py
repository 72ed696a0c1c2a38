"""datatrove's side of the comparison: FineWeb's own pipeline over WARC files, on this machine.

    .bench/datatrove/bin/python benchmarks/datatrove_side.py --warcs FOLDER --work FOLDER --language-model FILE
        --report FILE.json [--words regex]

Runs in the peer's pinned environment and imports nothing of Millpond. The steps, their order and settings are
those of datatrove's `examples/fineweb.py`, then its four steps of MinHash deduplication. What differs: no URL
filter and no writers for excluded documents, on the local executor, xxHash (its default) instead of the
example's SHA-1, and the language model is read from a file of this machine instead of being downloaded.
With `--words regex` every step gets a word splitter of one regular expression through datatrove's own
`language` parameter, in place of spaCy's for English.
"""

from __future__ import annotations

import argparse
import json
import re
import time
from pathlib import Path
from typing import Any

from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.base import PipelineStep
from datatrove.pipeline.dedup import MinhashDedupCluster, MinhashDedupFilter, MinhashDedupSignature
from datatrove.pipeline.dedup.minhash import MinhashConfig, MinhashDedupBuckets
from datatrove.pipeline.extractors import Trafilatura
from datatrove.pipeline.filters import (
    C4QualityFilter,
    FineWebQualityFilter,
    GopherQualityFilter,
    GopherRepetitionFilter,
    LanguageFilter,
)
from datatrove.pipeline.readers import JsonlReader, WarcReader
from datatrove.pipeline.writers.jsonl import JsonlWriter
from datatrove.utils.typeshelper import Languages
from datatrove.utils.word_tokenizers import WordTokenizer

MINHASH = MinhashConfig(n_grams=5, num_buckets=14, hashes_per_bucket=8)
#: What became of documents in the extractor that were neither extracted nor empty.
LOST = ("timeout", "broken_process", "clean_error")


class RegexTokenizer(WordTokenizer):  # type: ignore[misc]  # datatrove ships no types
    """Words, punctuation marks and sentences by regular expressions."""

    _words = re.compile(r"\w+|[^\w\s]")
    _sentences = re.compile(r".+?(?:[.!?]+(?=\s)|$)", re.DOTALL)

    def word_tokenize(self, text: str) -> list[str]:
        """Runs of letters and digits, and every other sign by itself."""
        return self._words.findall(text)

    def sent_tokenize(self, text: str) -> list[str]:
        """What a full stop, a question mark or an exclamation mark before white space ends."""
        return [sentence.strip() for sentence in self._sentences.findall(text) if not sentence.isspace()]

    def span_tokenize(self, text: str) -> list[tuple[int, int]]:
        """Where the sentences lie."""
        return [match.span() for match in self._sentences.finditer(text)]


def language_filter(model: str) -> LanguageFilter:
    """datatrove's filter, with the model's address replaced by a file."""
    step = LanguageFilter()
    step.model.MODEL_URL = model
    return step


def base_steps(warcs: str, output: str, model: str, words: Any) -> list[PipelineStep]:
    """From WARC files to filtered documents."""
    return [
        WarcReader(warcs, glob_pattern="**/*.warc.gz"),
        Trafilatura(favour_precision=True),
        language_filter(model),
        GopherRepetitionFilter(language=words),
        GopherQualityFilter(language=words),
        C4QualityFilter(filter_no_terminal_punct=False, language=words),
        FineWebQualityFilter(language=words),
        JsonlWriter(output),
    ]


def main() -> None:
    """Run the five pipelines one after the other and write the report."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--warcs", required=True)
    parser.add_argument("--work", required=True, type=Path)
    parser.add_argument("--report", required=True, type=Path)
    parser.add_argument("--language-model", required=True)
    parser.add_argument("--words", choices=("spacy", "regex"), default="spacy")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    words = Languages.english if options.words == "spacy" else RegexTokenizer()
    filtered, signatures, buckets, remove, output = (
        str(options.work / name) for name in ("filtered", "signatures", "buckets", "remove", "output")
    )
    workers = options.workers
    pipelines: dict[str, tuple[int, list[PipelineStep]]] = {
        "read, extract, filter": (workers, base_steps(options.warcs, filtered, options.language_model, words)),
        "signatures": (
            workers,
            [JsonlReader(filtered), MinhashDedupSignature(signatures, config=MINHASH, language=words)],
        ),
        "buckets": (MINHASH.num_buckets, [MinhashDedupBuckets(signatures, buckets, config=MINHASH)]),
        "clusters": (1, [MinhashDedupCluster(buckets, remove, config=MINHASH)]),
        "remove duplicates": (workers, [JsonlReader(filtered), MinhashDedupFilter(remove), JsonlWriter(output)]),
    }
    seconds: dict[str, float] = {}
    steps: dict[str, dict[str, float]] = {}
    for name, (tasks, pipeline) in pipelines.items():
        logs = options.work / "logs" / name.replace(" ", "-").replace(",", "")
        start = time.perf_counter()
        LocalPipelineExecutor(pipeline, tasks=tasks, workers=workers, logging_dir=str(logs)).run()
        seconds[name] = time.perf_counter() - start
        steps |= {f"{name}: {step}": numbers for step, numbers in read_stats(logs / "stats.json").items()}
    extraction = steps["read, extract, filter: Trafilatura"]
    report = {
        "seconds": seconds,
        "documents": steps,
        "kept": int(steps["remove duplicates: MinHash stage 4"].get("forwarded", 0)),
        "lost_in_extraction": int(sum(extraction.get(name, 0) for name in LOST)),
    }
    options.report.write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n")


def read_stats(path: Path) -> dict[str, dict[str, float]]:
    """Seconds of task time and counts of each step, as datatrove wrote them; names without their picture."""
    found: dict[str, dict[str, float]] = {}
    for step in json.loads(path.read_text()):
        name = step["name"].rpartition(": ")[2].partition(" ")[2].strip()
        counts = {key: _total(value) for key, value in step["stats"].items()}
        found[name] = {"task_seconds": _total(step["time_stats"]), **counts}
    return found


def _total(value: Any) -> float:
    return float(value["total"] if isinstance(value, dict) else value)


if __name__ == "__main__":
    main()
