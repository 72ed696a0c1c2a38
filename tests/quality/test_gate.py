"""The gate: clean batches pass, each kind of corruption is refused, and the refusal can be read."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from millpond.config import StageConfig
from millpond.datafile import write_rows
from millpond.errors import AuditError, LedgerError
from millpond.lake import Lake
from millpond.publish import Batch, Mode, Run
from millpond.quality import gate as gate_module
from millpond.quality.gate import Gate, gate
from millpond.quality.suites import SUITES

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

Rows = dict[str, list[dict[str, Any]]]
ID = sorted(hashlib.sha256(str(n).encode()).hexdigest() for n in range(8))


STEPS = ("extracted_bytes", "normalised_bytes", "cleaned_bytes", "text_bytes")


def page(n: int) -> dict[str, Any]:
    return {
        "page_id": ID[n][:32],
        "url": f"http://site.example/{n}",
        "content_type": "text/html",
        "charset": "utf-8",
        "body": b"<p>text</p>",
        "payload_digest": ID[n],
        "source_file": "a.warc.gz",
        "source_offset": n,
    }


def candidate(n: int) -> dict[str, Any]:
    text = f"text of document {n}"
    raw, size = len(b"<p>text</p>"), len(text)
    sizes = {"body_bytes": raw, "decoded_bytes": raw} | dict.fromkeys(STEPS, size)
    return {"doc_id": ID[n][:32], "url": f"http://site.example/{n}", "outcome": "ok", "text": text, **sizes}


def document(n: int) -> dict[str, Any]:
    text = f"text of document {n}"
    return {
        "doc_id": ID[n][:32],
        "url": f"http://site.example/{n}",
        "language": "en",
        "text": text,
        "text_digest": hashlib.sha256(text.encode()).hexdigest(),
        "text_bytes": len(text),
        "cluster_id": ID[n][:32],
        "cluster_size": 1,
        "rules": ID[0],
    }


def clean() -> tuple[Rows, Rows]:
    """A small curation run: five pages; three documents, one reject, one duplicate. Inputs, new rows."""
    keeper, other, copy = (ID[n][:32] for n in (0, 3, 4))
    text_bytes = len("text of document 0")
    new: Rows = {
        "corpus.candidates": [candidate(n) for n in range(5)],
        "corpus.documents": [document(n) for n in range(3)],
        "corpus.rejects": [
            {
                "doc_id": other,
                "url": "http://x/",
                "stage": "filter",
                "reason": "c4",
                "rule": "r",
                "text_bytes": text_bytes,
            }
        ],
        "corpus.duplicates": [
            {
                "doc_id": copy,
                "url": "http://x/",
                "keeper_id": keeper,
                "kind": "near",
                "jaccard": 0.9,
                "cluster_id": keeper,
                "text_bytes": text_bytes,
            }
        ],
    }
    ledger = [
        ("documents", "in", None, 5),
        ("documents", "out", None, 3),
        ("documents", "rejected", "c4", 1),
        ("documents", "duplicate", "near", 1),
        ("bytes", "in", None, 5 * len(b"<p>text</p>")),
        ("bytes", "out", None, 3 * text_bytes),
        ("bytes", "removed", "c4", text_bytes),
        ("bytes", "removed", "near", text_bytes),
        ("bytes", "transformed", "extract", 5 * len(b"<p>text</p>") - 5 * text_bytes),
    ]
    new["ops.ledger"] = [
        {"run_id": "r", "stage": "curate", "unit": unit, "entry": entry, "reason": reason, "amount": amount}
        for unit, entry, reason, amount in ledger
    ]
    return {"web.pages": [page(n) for n in range(5)]}, new


def judge(
    tmp_path: Path, inputs: Rows, new: Rows, stage: str = "curate", whole: Rows | None = None
) -> list[dict[str, Any]]:
    def written(rows: Rows) -> dict[str, list[str]]:
        return {
            table: [entry.path for entry in write_rows(table, tmp_path / table, found)]
            for table, found in rows.items()
        }

    files = written(new)
    held = files if whole is None else written(whole)
    batch = Batch(run_id="r", stage=stage, new=files, whole=held, inputs=written(inputs))
    return Gate(tmp_path / "run").judge(batch)


def test_clean_batch_passes_and_leaves_data_docs(tmp_path: Path) -> None:
    rows = judge(tmp_path, *clean())
    assert rows and all(row["success"] for row in rows)
    assert {row["table"] for row in rows} >= {"corpus.candidates", "corpus.documents", "corpus.rejects", "ops.ledger"}
    assert (tmp_path / "run" / "data_docs" / "index.html").exists()


def drop(table: str) -> Callable[[Rows, Rows], object]:
    return lambda inputs, new: (new if table in new else inputs)[table].pop()


def repeat(table: str) -> Callable[[Rows, Rows], object]:
    return lambda inputs, new: new[table].append(new[table][0])


def change(table: str, **values: Any) -> Callable[[Rows, Rows], object]:
    return lambda inputs, new: new[table][0].update(values)


def change_all(table: str, **values: Any) -> Callable[[Rows, Rows], object]:
    return lambda inputs, new: [row.update(values) for row in new[table]]


@pytest.mark.parametrize(
    ("corrupt", "named"),
    [
        pytest.param(drop("corpus.documents"), "documents out", id="a document is gone"),
        pytest.param(drop("corpus.rejects"), "documents rejected c4", id="a reject is gone"),
        pytest.param(drop("corpus.duplicates"), "documents duplicate near", id="a duplicate is gone"),
        pytest.param(drop("corpus.candidates"), "has no candidate", id="a candidate is gone"),
        pytest.param(drop("web.pages"), "documents in", id="a page is gone"),
        pytest.param(
            lambda inputs, new: new["corpus.candidates"].append(candidate(5)),
            "has a candidate, and is none of those that were read",
            id="a candidate of no page",
        ),
        pytest.param(drop("ops.ledger"), "do not balance|does not balance", id="a ledger line is gone"),
        pytest.param(change("corpus.duplicates", keeper_id="0" * 32), "keeper that is not kept", id="keeper not kept"),
        pytest.param(change("corpus.documents", text="shorter"), "bytes out", id="a text was cut"),
        pytest.param(change("corpus.documents", url="no address"), "match_regex on url", id="url"),
        pytest.param(change_all("corpus.documents", language=None), "not_be_null on language", id="all null"),
        pytest.param(change("corpus.documents", text="bell\x08"), "be_between on controls", id="control"),
        pytest.param(change_all("corpus.documents", text="\ufffd" * 18), "on undecodable", id="mojibake"),
        pytest.param(change("corpus.rejects", reason="because"), "expect_column_values_to_be_in_set", id="reason"),
        pytest.param(change_all("corpus.candidates", outcome="extract_timeout"), "on failed", id="extractor broken"),
        pytest.param(change("corpus.duplicates", jaccard=1.5), "on jaccard", id="jaccard"),
        pytest.param(
            lambda inputs, new: new["corpus.documents"].append(new["corpus.documents"][0]),
            "be_unique on doc_id",
            id="twice",
        ),
        pytest.param(lambda inputs, new: new["corpus.documents"].clear(), "row_floor", id="empty"),
    ],
)
def test_corruption_is_refused(tmp_path: Path, corrupt: Callable[[Rows, Rows], object], named: str) -> None:
    inputs, new = clean()
    corrupt(inputs, new)
    with pytest.raises(AuditError, match=named):
        judge(tmp_path, inputs, new)


def test_a_run_that_decides_again_is_counted_by_the_candidates_it_read(tmp_path: Path) -> None:
    def recut() -> tuple[Rows, Rows]:
        _, new = clean()
        return {"corpus.candidates": new.pop("corpus.candidates")}, new

    assert judge(tmp_path, *recut())
    for table, named in {
        "corpus.candidates": "documents in: ledger 5, data 4",
        "corpus.documents": "documents out: ledger 3, data 2",
        "corpus.rejects": "documents rejected c4: ledger 1, data 0",
        "corpus.duplicates": "documents duplicate near: ledger 1, data 0",
    }.items():
        inputs, new = recut()
        drop(table)(inputs, new)
        with pytest.raises(AuditError, match=named):
            judge(tmp_path, inputs, new)


def test_an_incremental_run_is_counted_by_all_candidates_and_all_pages(tmp_path: Path) -> None:
    def incremental() -> tuple[Rows, Rows, Rows]:
        inputs, whole = clean()
        held = whole["corpus.candidates"]
        new = whole | {"corpus.candidates": held[3:]}
        return inputs | {"corpus.candidates": held[:3]}, new, whole

    inputs, new, whole = incremental()
    assert judge(tmp_path, inputs, new, whole=whole)
    for lost in (0, 4):
        inputs, new, whole = incremental()
        del whole["corpus.candidates"][lost]
        with pytest.raises(AuditError, match="has no candidate"):
            judge(tmp_path, inputs, new, whole=whole)
    kept = json.loads((tmp_path / "run" / "audit.json").read_text())
    assert any(not row["success"] for row in kept), "the page must show what failed"


class Nothing(StageConfig):
    """No settings."""


def test_refused_batch_leaves_the_lake_alone(lake: Lake) -> None:
    def ingest(number: int, **values: Any) -> None:
        run = Run(lake, "ingest", Nothing(), {"n": number, **{k: str(v) for k, v in values.items()}})
        run.stage_rows("web.pages", [{**page(number), **values}], Mode.APPEND)
        run.ledger.add("records", "in", 1)
        run.ledger.add("records", "out", 1)
        run.publish(gate(lake))

    ingest(0)
    before = (lake.releases(), lake.tables(), lake.table("web.pages").current_snapshot())
    with pytest.raises(AuditError, match=r"web\.pages: expect_column_values_to_match_regex on url"):
        ingest(1, url="no address")
    with pytest.raises(AuditError, match=r"web\.pages: key_is_unique on page_id"):
        ingest(0, url="http://again.example/")
    assert (lake.releases(), lake.tables(), lake.table("web.pages").current_snapshot()) == before
    ingest(1)
    assert lake.rows("web.pages") == 2


def test_ledger_that_lies_about_both_sides_is_refused(tmp_path: Path) -> None:
    inputs, new = clean()
    for row in new["ops.ledger"]:
        if row["unit"] == "documents" and row["entry"] in ("in", "out"):
            row["amount"] += 1  # balances in itself, and does not fit the data
    with pytest.raises(LedgerError, match="ledger 6, data 5"):
        judge(tmp_path, inputs, new)


def test_everything_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    inputs, new = clean()
    new["corpus.documents"][0]["language"] = None
    new["corpus.documents"].pop()
    with pytest.raises(AuditError, match=r"on language failed, .*; curate: the ledger does not balance") as refused:
        judge(tmp_path, inputs, new)
    assert not isinstance(refused.value, LedgerError)


def test_what_cannot_be_counted_again_is_refused_with_the_audits_that_failed(tmp_path: Path) -> None:
    rows = [{"doc_id": "no id", "component": "c", "copies": 2**62, "text_bytes": 100}]
    ledger = [{"run_id": "r", "stage": "mix", "unit": "documents", "entry": "in", "amount": 1}]
    with pytest.raises(AuditError, match=r"mix: the ledger cannot be counted again: .*INT64.*; nothing was published"):
        judge(tmp_path, {}, {"corpus.mixture": rows, "ops.ledger": ledger}, "mix")
    said = json.loads((tmp_path / "run" / "audit.json").read_text())
    assert len(said) > 2 and said[-1]["table"] == "ops.ledger" and not said[-1]["success"]


def test_copies_without_tokens_are_rows_of_their_own(tmp_path: Path) -> None:
    """A mixture may hold an empty document twice."""
    inputs = {"corpus.mixture": [{"doc_id": ID[0][:32], "component": "c", "copies": 2, "text_bytes": 1}]}
    lines = [("in", None), ("rejected", "no_tokens")]
    new: Rows = {
        "tokens.rejects": [{"doc_id": ID[0][:32], "copy": copy, "reason": "no_tokens"} for copy in range(2)],
        "ops.ledger": [
            {"run_id": "r", "stage": "tokenize", "unit": "documents", "entry": entry, "reason": reason, "amount": 2}
            for entry, reason in lines
        ],
    }
    assert all(row["success"] for row in judge(tmp_path, inputs, new, "tokenize"))


def training() -> Rows:
    """A run of two steps of one row each."""
    steps = [{"run": "r", "step": step, "loss": 1.0} for step in (1, 2)]
    batches = [
        {"run": "r", "step": step, "position": 0, "shard": "a/b.tar", "sample": 0, "row": step} for step in (1, 2)
    ]
    ledger = [{"run_id": "r", "stage": "train", "unit": "records", "entry": e, "amount": 2} for e in ("in", "out")]
    runs = [{"run": "r", "parameters": 1, "world_size": 1, "steps": 2, "tokens": 2}]
    return {"train.runs": runs, "train.steps": steps, "train.batches": batches, "ops.ledger": ledger}


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        ("train.steps", "run r has 2 steps, and train.steps 1"),
        ("train.batches", "records out: ledger 2, data 1"),
    ],
)
def test_a_lost_row_of_training_is_refused(tmp_path: Path, table: str, sentence: str) -> None:
    judge(tmp_path / "whole", {}, training(), "train")
    with pytest.raises(LedgerError, match=sentence) as refused:
        judge(tmp_path / "lost", {}, {**training(), table: training()[table][:1]}, "train")
    assert "nothing was published; see " in str(refused.value)


@pytest.fixture
def on_spark(spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> SparkSession:
    """As for tables too large for the driver."""
    monkeypatch.setattr(gate_module, "IN_MEMORY_ROWS", 0)
    return spark


def test_a_large_clean_batch_passes(on_spark: SparkSession, tmp_path: Path) -> None:
    rows = judge(tmp_path, *clean())
    assert rows and all(row["success"] for row in rows)


def test_a_large_batch_of_mojibake_is_refused(on_spark: SparkSession, tmp_path: Path) -> None:
    inputs, new = clean()
    for row in new["corpus.documents"]:
        row["text"] = "\ufffd" * 18
    with pytest.raises(AuditError, match="on undecodable"):
        judge(tmp_path, inputs, new)


def test_both_engines_derive_the_same_of_documents(spark: SparkSession) -> None:
    texts = ["nov\u00fd mlad\u00fd", "bad \ufffd\ufffd\ufffd", "", "a\x08\x1b\x7fb", "\u4f60\u597d"]
    derived = SUITES["corpus.documents"].derived
    frame = spark.createDataFrame(list(enumerate(texts)), "n int, text string").orderBy("n")
    by_spark = frame.selectExpr(*(f"{sql} as {name}" for name, sql in derived.items())).collect()
    with duckdb.connect() as connection:
        connection.execute(
            "create table texts as select unnest(?) as text, generate_subscripts(?, 1) as n", [texts, texts]
        )
        selected = ", ".join(f"{sql} as {name}" for name, sql in derived.items())
        by_duckdb = connection.execute(f"select {selected} from texts order by n").fetchall()
    plain, again = ([[None if v is None else float(v) for v in row] for row in rows] for rows in (by_spark, by_duckdb))
    assert plain == [pytest.approx(row) for row in again]
    undecodable = [row[list(derived).index("undecodable")] for row in plain]
    assert undecodable[0] == 0 and undecodable[1] == pytest.approx(3 / 7) and undecodable[2] is None


def test_a_program_without_a_file_is_not_ended_by_the_import() -> None:
    program = "from millpond.quality.gx import great_expectations as gx; print(gx().__name__); __file__"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == "great_expectations" and done.returncode == 1 and "NameError" in done.stderr
