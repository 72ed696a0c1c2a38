"""A stand-in lake of Parquet files, and rows as a small but whole run would leave them."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM

from millpond.schemas import TABLES

Row = dict[str, Any]
Rows = Mapping[str, Iterable[Row]]

HOSTILE_TITLE = "</td><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"
HOSTILE_TEXT = (
    " wheel turned slowly and the water ran under the bridge, and the miller said that it would be a good "
    "year for barley.\n\n</pre><script>document.title='owned'</script> &amp; <b>so it was</b>. \u202ereversed\u202c "
    "The road to the village went along the river, past the old weir and the meadow where the geese were kept."
)


class FileLake:
    """Tables as Parquet files in a folder; publishing a table again makes its next snapshot."""

    def __init__(self, folder: Path) -> None:
        self.uri = str(folder)
        self._folder = folder
        self._released: dict[str, int] = {}
        self._files: dict[tuple[str, int], list[str]] = {}

    def publish(self, table: str, rows: Iterable[Row], files: int = 1) -> list[str]:
        schema = TABLES[table].schema
        listed = [{name: row.get(name) for name in schema.names} for row in rows]
        snapshot = self._released.get(table, 0) + 1
        paths = []
        for number in range(files if listed else 0):
            path = self._folder / table / "language=xx" / f"{snapshot}-{number}.parquet"
            path.parent.mkdir(parents=True, exist_ok=True)
            pq.write_table(pa.Table.from_pylist(listed[number::files], schema=schema), path)
            paths.append(str(path))
        self._released[table] = snapshot
        self._files[table, snapshot] = paths
        return paths

    def tables(self) -> dict[str, int]:
        return dict(self._released)

    def files(self, table: str, snapshot: int | None = None) -> list[str]:
        return self._files.get((table, snapshot or self._released.get(table, 0)), [])


@pytest.fixture
def lake(tmp_path: Path) -> FileLake:
    return FileLake(tmp_path / "lake's [1] *")


@pytest.fixture(scope="session")
def make_lake(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Rows], FileLake]:
    def make(rows: Rows) -> FileLake:
        made = FileLake(tmp_path_factory.mktemp("lake"))
        for table, some in rows.items():
            made.publish(table, some)
        return made

    return make


@pytest.fixture(scope="session")
def story() -> dict[str, list[Row]]:
    """Rows of every table of one ingest, curation, tokenization and training, whose counts agree."""
    return tell_story(1200)


def tell_story(pages: int) -> dict[str, list[Row]]:
    random_ = random.Random(7)
    start = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
    domains = [f"{name}.example" for name in ("weir", "harbour-news", "millers-guild", "grain", "riverbank")]
    domains += [f"site-{number:02}.example" for number in range(24)]
    reasons = (
        ("filter", "gopher_repetition", "duplicate_line_ratio", 0.3, 14),
        ("filter", "gopher_quality", "stop_word_count", 2, 9),
        ("filter", "gopher_quality", "mean_word_length", 10, 3),
        ("filter", "language", "language_score", 0.65, 11),
        ("filter", "c4", "c4_sentence_count", 3, 6),
        ("extract", "empty", "empty", None, 5),
        ("extract", "unsupported_type", "unsupported_type", None, 2),
        ("extract", "extract_timeout", "extract_timeout", None, 0.4),
    )
    tables: dict[str, list[Row]] = {name: [] for name in TABLES}
    for number in range(pages):
        doc_id = f"{random_.getrandbits(128):032x}"
        domain = random_.choices(domains, weights=[1 / (rank + 1.5) for rank in range(len(domains))])[0]
        size = int(random_.lognormvariate(7.9, 1.0)) + 120
        source = {"source_file": f"crawl-{number % 3:05}.warc.gz", "source_offset": number * 9001}
        page = {
            "url": f"https://{domain}/stories/{number}?a=1&b=<2>",
            "registered_domain": domain,
            "fetched_at": start + timedelta(seconds=number),
            **source,
        }
        tables["web.pages"].append(
            {"page_id": doc_id, "body": b"<html>", "payload_digest": doc_id * 2, "status": 200, **page}
        )
        text = {
            "language": random_.choices(("en", "de", "fr", "pl", "ja", "es", "nl", "cs"), (70, 9, 6, 4, 4, 3, 2, 2))[0]
        }
        outcome = random_.choices(("kept", "rejected", "exact", "near"), (55, 30, 5, 10))[0]
        candidate = {"doc_id": doc_id, "outcome": "ok", "title": f"Story {number}", "text_bytes": size, **text, **page}
        if outcome == "kept":
            title = (
                HOSTILE_TITLE if len(tables["corpus.documents"]) % 3 == 0 else f"Notes from the weir, part {number}"
            )
            candidate["title"] = title
            tables["corpus.documents"].append(
                {"text": "text", "text_digest": doc_id * 2, "cluster_id": doc_id, "cluster_size": 1, "rules": "r"}
                | {key: value for key, value in candidate.items() if key != "outcome"}
            )
        elif outcome == "rejected":
            stage, reason, rule, threshold, _ = random_.choices(reasons, [reason[-1] for reason in reasons])[0]
            if stage == "extract":
                candidate["outcome"], size = reason, 0
            value = None if threshold is None else threshold * random_.uniform(1, 2)
            tables["corpus.rejects"].append(
                {"doc_id": doc_id, "url": page["url"], "stage": stage, "reason": reason, "rule": rule}
                | {"value": value, "threshold": threshold, "text_bytes": size}
            )
        else:
            tables["corpus.duplicates"].append(
                {"doc_id": doc_id, "url": page["url"], "keeper_id": "0" * 32, "kind": outcome, "jaccard": 0.93}
                | {"cluster_id": "0" * 32, "text_bytes": size}
            )
        tables["corpus.candidates"].append(candidate)
    _tokens(tables)
    _training(tables)
    _books(tables, start)
    return tables


def _tokens(tables: dict[str, list[Row]]) -> None:
    place = {"train": 0, "validation": 0}
    for number, document in enumerate(tables["corpus.documents"]):
        split = "validation" if number % 20 == 0 else "train"
        left, part = document["text_bytes"] // 4 + 1, 0
        while left:
            position = place[split]
            offset = position % 1024
            length = min(left, 1024 - offset)
            tables["tokens.documents"].append(
                {"doc_id": document["doc_id"], "copy": 0, "part": part, "shard": f"{split}-00000.tar", "split": split}
                | {"sample": position // 1024 // 16, "row": position // 1024 % 16, "offset": offset, "length": length}
                | {"unknown": 0}
            )
            place[split] += length
            left, part = left - length, part + 1
    for split, tokens in place.items():
        rows = -(-tokens // 1024)
        tables["tokens.shards"].append(
            {"shard": f"{split}-00000.tar", "split": split, "path": "/lake/x.tar", "bytes": rows * 2048}
            | {"sha256": "a" * 64, "samples": -(-rows // 16), "rows": rows, "tokens": tokens}
            | {"padding": rows * 1024 - tokens, "context_length": 1024, "documents": 1}
        )


def _training(tables: dict[str, list[Row]]) -> None:
    random_ = random.Random(3)
    steps = 900
    tables["eval.samples"].append(
        {"run": "run-train", "step": steps, "task": "generation", "sample": "The mill", "metric": "text"}
        | {"output": HOSTILE_TEXT}
    )
    for step in range(1, steps + 1):
        loss = 3.1 + 6.0 * math.exp(-step / 90) + 0.9 * math.exp(-step / 500) + random_.gauss(0, 0.07)
        loss += 0.8 if step == 430 else 0
        tables["train.steps"].append(
            {"run": "run-train", "step": step, "loss": loss, "learning_rate": 3e-4, "tokens": 8192, "seconds": 0.4}
        )
    for step in range(1, 5):
        for position in range(2):
            tables["train.batches"].append(
                {"run": "run-train", "step": step, "position": position, "rank": 0, "shard": "train-00000.tar"}
                | {"sample": 0, "row": 2 * (step - 1) + position}
            )
    tables["train.runs"].append(
        {"run": "run-train", "model": "llama", "parameters": 14_700_000, "world_size": 2, "steps": steps}
        | {"tokens": steps * 8192, "seconds": 371.0}
    )
    for step in (0, 100, 200, 300, 450, 600, 750, 900):
        loss = 3.16 + 6.2 * math.exp(-step / 95) + 0.9 * math.exp(-step / 500)
        for metric, value in (("loss", loss), ("perplexity", math.exp(loss)), ("bits_per_byte", loss / 2.6)):
            tables["eval.results"].append(
                {
                    "run": "run-train",
                    "step": step,
                    "task": "validation",
                    "metric": metric,
                    "value": value,
                    "samples": 60,
                }
            )
    tables["eval.results"].append(
        {
            "run": "run-train",
            "step": 0,
            "task": "validation",
            "metric": "trigram_bits_per_byte",
            "value": 2.41,
            "samples": 33,
        }
    )


def _books(tables: dict[str, list[Row]], start: datetime) -> None:
    pages, kept = len(tables["web.pages"]), len(tables["corpus.documents"])
    drops: dict[tuple[str, str], int] = {}
    for reject in tables["corpus.rejects"]:
        drops["rejected", reject["reason"]] = drops.get(("rejected", reject["reason"]), 0) + 1
    for duplicate in tables["corpus.duplicates"]:
        drops["duplicate", duplicate["kind"]] = drops.get(("duplicate", duplicate["kind"]), 0) + 1
    tokens = sum(shard["tokens"] for shard in tables["tokens.shards"])
    ledger: dict[str, list[tuple[str, str, str | None, int]]] = {
        "ingest": [
            ("records", "in", None, pages + 41),
            ("records", "out", None, pages),
            ("records", "rejected", "redirect", 38),
            ("records", "rejected", "damaged", 3),
        ],
        "curate": [
            ("documents", "in", None, pages),
            ("documents", "out", None, kept),
            *(("documents", entry, reason, amount) for (entry, reason), amount in sorted(drops.items())),
            ("bytes", "in", None, 91_000_000),
            ("bytes", "out", None, 31_000_000),
            ("bytes", "removed", "filter", 22_000_000),
            ("bytes", "transformed", "extract", 38_000_000),
        ],
        "tokenize": [
            ("documents", "in", None, kept),
            ("documents", "out", None, kept),
            ("tokens", "in", None, tokens),
            ("tokens", "out", None, tokens),
        ],
    }
    audited: dict[str, tuple[str, ...]] = {
        "ingest": ("web.pages", "web.rejects"),
        "tokenize": ("tokens.shards", "tokens.documents"),
    }
    audited["curate"] = ("corpus.candidates", "corpus.documents", "corpus.rejects", "corpus.duplicates")
    for number, (stage, lines) in enumerate(ledger.items(), 1):
        run = f"run-{stage}"
        at = start + timedelta(hours=number)
        for unit, entry, reason, amount in lines:
            tables["ops.ledger"].append(
                {"run_id": run, "stage": stage, "unit": unit, "entry": entry, "reason": reason, "amount": amount}
            )
        for table in audited[stage]:
            for column in TABLES[table].schema.names[: 6 + number]:
                failed = table == "corpus.documents" and column == "title"
                tables["ops.audits"].append(
                    {"run_id": run, "table": table, "expectation": "expect_column_values_to_not_be_null"}
                    | {"column": column, "success": not failed, "observed": "2.5 %" if failed else "0 %"}
                    | {"threshold": "<= 1 %"}
                )
        digest = f"{number:064x}"
        tables["ops.runs"].append(
            {"run_id": run, "stage": stage, "digest": digest, "started_at": at, "finished_at": at, "version": "0.1.0"}
        )
        tables["ops.releases"].append(
            {"release": number, "released_at": at, "run_id": run, "stage": stage, "digest": digest, "tables": "{}"}
        )


TEXTS = (
    "The mill stands where the river bends, and the wheel has turned there for two hundred years.",
    "Zażółć gęślą jaźń — żółw pływał w stawie; 水車が回る。 Naïve café, 3½ km.",
    "<|endoftext|> is only text here, and so is this line.\n\n\tIndented, with    spaces. 🦆",
)


@pytest.fixture(scope="session")
def texts() -> tuple[str, ...]:
    """Texts whose bytes, characters and tokens differ in number."""
    return TEXTS


@pytest.fixture(scope="session")
def tokenizer() -> Tokenizer:
    """Byte-level BPE with 300 ids, of which 0 is end-of-text."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=300, special_tokens=["<|endoftext|>"], initial_alphabet=alphabet, show_progress=False
    )
    made.train_from_iterator(TEXTS * 3, trainer)
    made.encode_special_tokens = True
    return made


@pytest.fixture(scope="session")
def exported(tokenizer: Tokenizer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny Llama with random weights as an exported folder."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=300, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
        max_position_embeddings=64, eos_token_id=0, bos_token_id=0, initializer_range=0.2,
    )  # fmt: skip
    folder = tmp_path_factory.mktemp("exported")
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder
