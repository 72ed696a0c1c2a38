"""The dataset card of an exported corpus: README.md with YAML for the Hugging Face Hub, prose and tables for people.

Everything in it comes from the lake: the ledger says what every step dropped, the run's configuration which rules did.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from millpond.curate.config import CurateConfig
from millpond.curate.export.shards import Groups, Written
from millpond.curate.mix.job import Share
from millpond.curate.presets import rules_for
from millpond.curate.rules import Rule
from millpond.made import Made

#: Columns of an exported corpus, for people.
_MEANING = {
    "doc_id": "digest of address, fetch time and content",
    "url": "address of the page",
    "registered_domain": "its domain",
    "fetched_at": "when it was fetched",
    "page_type": "article, forum, product, …",
    "title": "as the page gives it",
    "author": "as the page gives it",
    "published_at": "as the page gives it",
    "language": "ISO 639 code",
    "language_score": "confidence in it, 0 to 1",
    "text": "main text",
    "text_digest": "sha256 of the text",
    "text_bytes": "bytes of the text in UTF-8",
    "cluster_size": "of the document and the copies removed in its favour",
    "component": "part of the mixture",
}
_STEPS = {
    "decode": "decoding to UTF-8",
    "extract": "markup and what is not main text",
    "normalise": "normalisation",
    "line_rules": "lines that fail line rules",
    "mask": "personal data, replaced by placeholders",
    "repeated_text": "text that other documents hold, too",
}


@dataclass(frozen=True)
class Facts:
    """What a card says."""

    name: str
    license: str | None
    release: int
    """The lake's release that was exported."""
    corpus: Made
    splits: Sequence[Written]
    schema: pa.Schema
    languages: Groups
    domains: Groups
    mixture: Made | None
    shares: Sequence[Share]


def card(facts: Facts) -> str:
    """README.md of an exported corpus."""
    config = CurateConfig.from_mapping(facts.corpus.config, f"the configuration of {facts.corpus.release.run_id}")
    parts = [
        f"---\n{_yaml(_front_matter(facts))}---\n",
        f"# {_escaped(facts.name)}\n\n{_summary(facts)}",
        f"## Reading it\n\n```python\n{_reading(facts)}\n```",
        f"## Sources\n\n{_groups('domain', facts.domains)}\n\n{_groups('language', facts.languages)}",
        f"## What was dropped\n\n{_dropped(facts.corpus)}",
        f"## Rules\n\n{_rules(rules_for(config))}",
        f"## Copies\n\n{_copies(config)}",
        *([f"## Evaluation sets\n\n{_evaluation(config, facts.corpus)}"] if config.decontaminate.sets else []),
        f"## Personal data\n\n{_personal(config)}",
        *([f"## Mixture\n\n{_mixture(facts)}"] if facts.mixture else []),
        f"## Columns\n\n{_columns(facts.schema)}",
    ]
    return "\n\n".join(part.strip("\n") for part in parts) + "\n"


def _front_matter(facts: Facts) -> dict[str, Any]:
    rows, size = (sum(getattr(split, name) for split in facts.splits) for name in ("rows", "bytes"))
    codes = [code for code, _, _ in facts.languages.largest if re.fullmatch("[a-z]{2,3}", code)]
    return {
        **({"license": facts.license} if facts.license else {}),
        **({"language": codes} if codes else {}),
        "pretty_name": facts.name,
        "size_categories": [size_category(rows)],
        "task_categories": ["text-generation"],
        "configs": [
            {
                "config_name": "default",
                "data_files": [{"split": s.split, "path": f"data/{s.split}-*"} for s in facts.splits],
            }
        ],
        "dataset_info": {
            "features": [{"name": field.name, "dtype": _dtype(field.type)} for field in facts.schema],
            "splits": [{"name": s.split, "num_bytes": s.bytes, "num_examples": s.rows} for s in facts.splits],
            "download_size": sum(split.file_bytes for split in facts.splits),
            "dataset_size": size,
        },
    }


def size_category(rows: int) -> str:
    """The Hub's name for a number of rows: `n<1K`, `1K<n<10K`, …, `n>1T`."""
    if rows < 1000:
        return "n<1K"
    if rows >= 10**12:
        return "n>1T"
    power = len(str(rows)) - 1
    low, high = (f"{10 ** (each % 3)}{' KMBT'[each // 3]}" for each in (power, power + 1))
    return f"{low}<n<{high}"


def _dtype(kind: pa.DataType) -> str:
    return {pa.float64(): "float64", pa.date32(): "date32"}.get(kind, str(kind))


def _yaml(value: Any, indent: str = "") -> str:
    """A value of dicts, lists and scalars as block YAML."""
    lines = []
    pairs = value.items() if isinstance(value, Mapping) else ((None, item) for item in value)
    for key, item in pairs:
        head = f"{indent}-" if key is None else f"{indent}{key}:"
        if isinstance(item, Mapping) and key is None:
            lines.append(f"{head} {_yaml(item, indent + '  ').removeprefix(indent + '  ')}")
        elif isinstance(item, Mapping | list):
            lines.append(f"{head}\n{_yaml(item, indent + '  ')}")
        else:
            lines.append(f"{head} {_scalar(item)}\n")
    return "".join(lines)


def _scalar(value: str | int) -> str:
    """A string or number as JSON, which YAML reads, but for signs that are line breaks or no text to YAML alone."""
    text = json.dumps(value, ensure_ascii=False)
    return re.sub("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]", lambda sign: f"\\u{ord(sign[0]):04x}", text)


def _summary(facts: Facts) -> str:
    corpus = facts.corpus
    rows = sum(split.rows for split in facts.splits)
    what = f"{rows:,} rows" if facts.mixture else f"{rows:,} documents"
    splits = ", ".join(f"{split.split} {split.rows:,}" for split in facts.splits)
    return (
        f"{what} ({splits}) of a web corpus made by Millpond {corpus.version}: release {facts.release} of the lake, "
        f"curated by run `{corpus.release.run_id}` on {corpus.release.released_at:%Y-%m-%d}. "
        "Rows are in the order of `doc_id`, a digest; shuffle before training"
        + (", for repeats of a document stand side by side." if facts.mixture else ".")
    )


def _reading(facts: Facts) -> str:
    split = facts.splits[0].split
    return f'from datasets import load_dataset\n\ndocuments = load_dataset("PATH OR NAME", split="{split}")'


def _groups(what: str, groups: Groups) -> str:
    rows = [(_escaped(name), count, size) for name, count, size in groups.largest]
    rest = f"\n\nThe largest {len(rows)} of {groups.count:,}." if groups.count > len(rows) else ""
    return _table((what, "rows", "bytes of text"), rows) + rest


def _dropped(corpus: Made) -> str:
    """The ledger: what came in, what each step took, what is left."""
    amounts = corpus.ledger

    def amount(unit: str, entry: str, reason: str = "") -> int:
        return amounts.get((unit, entry, reason), 0)

    rows: list[tuple[str, int | str, int]] = [("pages in", amount("documents", "in"), amount("bytes", "in"))]
    for unit, entry, step in amounts:
        if (unit, entry) == ("bytes", "transformed"):
            rows.append((f"− {_STEPS.get(step, step)}", "", amount(unit, entry, step)))
    for entry in ("rejected", "duplicate"):
        for unit, kind, reason in amounts:
            if (unit, kind) == ("documents", entry):
                lost = amount("bytes", "removed", reason)
                rows.append((f"− {entry}: {reason}", amount(unit, kind, reason), lost))
    rows.append(("**documents out**", amount("documents", "out"), amount("bytes", "out")))
    return (
        f"From the ledger of run `{corpus.release.run_id}`; each column adds up. A page that is rejected loses the "
        f"rest of its text.\n\n{_table(('', 'documents', 'bytes'), rows)}"
    )


def _rules(rules: Iterable[Rule]) -> str:
    """What a document must be to be kept."""
    rows = []
    for rule in rules:
        if rule.allowed is not None:
            bound = f"in {', '.join(rule.allowed)}"
        elif rule.listed is not None:
            bound = f"without {rule.listed[:12]}"
        else:
            bound = f"{'≥' if rule.minimum is not None else '≤'} {_number(rule.threshold)}"
        own = "; ".join(f"{code}: {_number(value)}" for code, value in rule.languages)
        rows.append((rule.name, f"`{rule.column}` {bound}", own, rule.source))
    return "A document is kept if all of these hold.\n\n" + _table(("rule", "keeps", "by language", "source"), rows)


def _number(bound: float | None) -> str:
    return "off" if bound is None else f"{bound:.10g}"


def _copies(config: CurateConfig) -> str:
    dedup = config.dedup
    said = [f"Compared: {'all documents' if dedup.scope == 'global' else 'documents of one crawl'}."]
    if dedup.url != "off":
        said.append(f"Of an address the {dedup.url} fetch is kept.")
    if dedup.exact:
        said.append("Of documents with the same text one is kept.")
    if dedup.near:
        banding = dedup.banding
        said.append(
            f"A near copy goes if the Jaccard similarity of its runs of {banding.ngram} {banding.shingles} to the "
            f"kept document's is {dedup.threshold} or more; MinHash with {banding.bands} bands of {banding.rows} "
            "values finds what is compared."
        )
    if dedup.lines.unit != "off":
        said.append(f"{dedup.lines.unit.capitalize()} of more than {dedup.lines.max_documents} documents stay in one.")
    return " ".join(said)


def _evaluation(config: CurateConfig, corpus: Made) -> str:
    settings = config.decontaminate
    gone = corpus.ledger.get(("documents", "rejected", "contaminated"), 0)
    action = f"{gone:,} documents were rejected for it" if settings.reject else "such documents are kept"
    rows = [
        (name, len(chosen.files), ", ".join(f.sha256[:12] for f in chosen.files))
        for name, chosen in settings.sets.items()
    ]
    return (
        f"Documents were searched for runs of {settings.ngram} words (whole texts of {settings.min_words} words and "
        f"more) of these sets that at most {settings.max_documents} documents hold, after Brown et al. 2020; "
        f"{action}.\n\n" + _table(("set", "files", "sha256"), rows)
    )


def _personal(config: CurateConfig) -> str:
    masked = ", ".join(kind.replace("_", " ") for kind in config.pii.mask)
    return f"Replaced by placeholders such as `<EMAIL>`: {masked}." if masked else "Nothing was masked."


def _mixture(facts: Facts) -> str:
    rows = [
        (s.component, s.documents, s.rows, s.bytes, f"{s.wanted:.1%}", f"{s.got:.1%}", s.max_copies)
        for s in facts.shares
    ]
    columns = ("component", "documents", "rows", "bytes of text", "share wanted", "share got", "most copies")
    run = facts.mixture.release.run_id if facts.mixture else ""
    return f"By run `{run}`; a document that is there more than once is a row each time.\n\n{_table(columns, rows)}"


def _columns(schema: pa.Schema) -> str:
    return _table(("column", "type", ""), [(f.name, _dtype(f.type), _MEANING[f.name]) for f in schema])


def _table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A Markdown table; numbers stand to the right."""
    rows = list(rows)
    numeric = [
        bool(rows) and all(isinstance(row[n], int) or row[n] == "" for row in rows) for n in range(len(columns))
    ]
    lines = [columns, ["--:" if number else "---" for number in numeric]]
    lines += [[f"{cell:,}" if isinstance(cell, int) else str(cell) for cell in row] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _escaped(text: str) -> str:
    """Text from pages or people, which stays in its cell and is no markup."""
    return re.sub(r"([\\|<>\[\]`*_#!])", r"\\\1", " ".join(text.split()))
