"""Seeded corruptions of a really curated corpus, for tests and evidence: each must be refused by the gate.

`Curated(lake, config)` is what a curation run released, as the batch that its gate judged. A corruption changes its
tables as an error upstream would: documents and candidates alike, digests and byte counts taken anew, unless it is
about those.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from millpond.curate.audit import CorpusAudit
from millpond.curate.config import CurateConfig
from millpond.datafile import file_schema
from millpond.lake import Lake
from millpond.publish import Batch, Mode, Run
from millpond.quality.gate import gate
from millpond.quality.removals import RemovalCaps
from millpond.schemas import CANDIDATES, DOCUMENTS, DUPLICATES, OPS_LEDGER, PAGES, REJECTS, TABLES

_NEW = (CANDIDATES.name, DOCUMENTS.name, REJECTS.name, DUPLICATES.name)
Tables = dict[str, pa.Table]
#: Text of a document, and a random generator → another text.
Change = Callable[[str, random.Random], str]


@dataclass(frozen=True)
class Curated:
    """A released corpus, the batch it was, and its tables."""

    lake: Lake
    config: CurateConfig
    batch: Batch
    tables: Tables

    @classmethod
    def of(cls, lake: Lake, config: CurateConfig) -> Curated:
        """The newest release of a lake, which curation made with `config`."""
        release = lake.release()
        assert release is not None and release.stage == "curate"
        tables = {name: lake.read(name) for name in (*_NEW, OPS_LEDGER.name)}
        ledger = tables[OPS_LEDGER.name]
        own = pa.compute.equal(ledger["run_id"], release.run_id)
        tables[OPS_LEDGER.name] = ledger.filter(own)
        folder = lake.root / "judged" / release.run_id
        files = {name: _written(folder, name, rows) for name, rows in tables.items()}
        inputs = {PAGES.name: lake.files(PAGES.name)}
        return cls(lake, config, Batch(release.run_id, "curate", files, files, inputs), tables)

    def judge(self, folder: Path, changed: Mapping[str, pa.Table] | None = None) -> list[dict[str, Any]]:
        """What the gate of a curation run says of these tables; raises what it raises."""
        files = dict(self.batch.new)
        for name, rows in (changed or {}).items():
            files[name] = _written(folder, name, rows)
        batch = replace(self.batch, run_id=f"judged-{folder.name}", new=files, whole=files)
        dedup = self.config.dedup
        caps = RemovalCaps(dedup.max_cluster_share, dedup.max_removed_share, dedup.judged_from)
        return list(gate(self.lake, caps, CorpusAudit.against_released(self.lake, self.config))(batch))

    def with_texts(self, share: float, change: Change, seed: int) -> Tables:
        """Documents and candidates, a share of the documents (seeded) with another text, all else made to fit."""
        chance = random.Random(seed)
        documents = self.tables[DOCUMENTS.name].to_pylist()
        chosen = sorted(chance.sample(range(len(documents)), max(1, round(share * len(documents)))))
        texts = {documents[n]["doc_id"]: change(documents[n]["text"], chance) for n in chosen}
        return {
            name: _table(name, [_with_text(row, texts) for row in self.tables[name].to_pylist()])
            for name in (DOCUMENTS.name, CANDIDATES.name)
        }


def _with_text(row: dict[str, Any], texts: Mapping[str, str]) -> dict[str, Any]:
    text = texts.get(row["doc_id"])
    if text is None:
        return row
    data = text.encode()
    return row | {"text": text, "text_bytes": len(data), "text_digest": hashlib.sha256(data).hexdigest()}


def _table(name: str, rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist(list(rows), schema=file_schema(TABLES[name]))


def _written(folder: Path, name: str, rows: pa.Table) -> list[str]:
    """One file of these rows, with the table's field ids where a column is the table's."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.parquet"
    wanted = file_schema(TABLES[name])
    known = [wanted.field(field.name) if field.name in wanted.names else field for field in rows.schema]
    fitted = [field.with_type(rows.schema.field(field.name).type) for field in known]
    pq.write_table(pa.Table.from_arrays(rows.columns, schema=pa.schema(fitted)), path)
    return [str(path)]


def _documents(curated: Curated) -> pa.Table:
    return curated.tables[DOCUMENTS.name]


def _empty(curated: Curated, seed: int) -> Tables:
    return {DOCUMENTS.name: _documents(curated).slice(0, 0)}


def _all_null(curated: Curated, seed: int) -> Tables:
    rows = _documents(curated)
    place = rows.schema.get_field_index("language")
    return {DOCUMENTS.name: rows.set_column(place, "language", pa.nulls(len(rows), pa.string()))}


def _duplicate_ids(curated: Curated, seed: int) -> Tables:
    rows = _documents(curated)
    again = random.Random(seed).sample(range(len(rows)), 3)
    return {DOCUMENTS.name: pa.concat_tables([rows, rows.take(again)])}


def _wrong_language(curated: Curated, seed: int) -> Tables:
    """A fifth of the texts is in a language that their column does not say."""
    foreign = {
        "en": "Der Fluss tritt im Frühjahr über die Ufer, und die Wiesen stehen dann wochenlang unter Wasser. ",
        "other": "The river leaves its banks in spring, and the meadows are then under water for weeks. ",
    }

    def change(text: str, chance: random.Random) -> str:
        said = "other" if "ü" in text or "ß" in text else "en"
        return foreign[said] * chance.randint(3, 9) + str(chance.random())

    return curated.with_texts(0.2, change, seed)


def _truncated(curated: Curated, seed: int) -> Tables:
    """Every text ends at two fifths, after it was measured."""
    rows = _documents(curated)
    texts = pa.array([text[: len(text) * 2 // 5] for text in rows["text"].to_pylist()], pa.string())
    return {DOCUMENTS.name: rows.set_column(rows.schema.get_field_index("text"), "text", texts)}


def _truncated_upstream(curated: Curated, seed: int) -> Tables:
    """Every text ends at two fifths, before it was measured."""
    return curated.with_texts(1.0, lambda text, _: text[: len(text) * 2 // 5], seed)


def _extra_column(curated: Curated, seed: int) -> Tables:
    rows = _documents(curated)
    return {DOCUMENTS.name: rows.append_column("note", pa.array(["x"] * len(rows)))}


def _changed_type(curated: Curated, seed: int) -> Tables:
    rows = _documents(curated)
    place = rows.schema.get_field_index("text_bytes")
    return {DOCUMENTS.name: rows.set_column(place, "text_bytes", rows["text_bytes"].cast(pa.int32()))}


def _half_gone(curated: Curated, seed: int) -> Tables:
    """Half the documents are nowhere, and the ledger says that they never came."""
    rows = _documents(curated)
    kept = sorted(random.Random(seed).sample(range(len(rows)), -(-len(rows) // 2)))
    left = rows.take(kept)
    ledger = curated.tables[OPS_LEDGER.name].to_pylist()
    lost = {"documents": len(rows) - len(left), "bytes": _bytes(rows) - _bytes(left)}
    for row in ledger:
        if row["entry"] in ("in", "out"):
            row["amount"] -= lost.get(row["unit"], 0)
    return {DOCUMENTS.name: left, OPS_LEDGER.name: _table(OPS_LEDGER.name, ledger)}


def _bytes(rows: pa.Table) -> int:
    return int(pa.compute.sum(rows["text_bytes"]).as_py() or 0)


def _personal(curated: Curated, seed: int) -> Tables:
    def change(text: str, chance: random.Random) -> str:
        return f"{text}\nWrite to jane.doe{chance.randint(1, 999)}@example.com."

    return curated.with_texts(0.05, change, seed)


def _mojibake(curated: Curated, seed: int) -> Tables:
    """A fifth of the texts was UTF-8 and was read as another encoding."""

    def change(text: str, chance: random.Random) -> str:
        return f"{text}\n“Café” – naïve".encode().decode("latin-1") * 2

    return curated.with_texts(0.2, change, seed)


def _flooding(curated: Curated, seed: int) -> Tables:
    """One text stands in every third document."""
    flood = _documents(curated)["text"][0].as_py()
    return curated.with_texts(0.33, lambda text, _: flood, seed)


def _stale(curated: Curated, seed: int) -> Tables:
    """A run that read the pages before the newest ones comes after the corpus of those."""
    lake = curated.lake
    table = lake.table(PAGES.name)
    older = table.snapshot_by_id(lake.tables()[PAGES.name])
    assert older is not None and older.parent_snapshot_id is not None
    run = Run(lake, "curate", curated.config, {PAGES.name: older.parent_snapshot_id})
    run.stage_rows(DOCUMENTS.name, _documents(curated).to_pylist(), Mode.REPLACE)
    run.publish(lambda batch: [])
    return {}


#: Name → corruption, and a part of the sentence with which it must be refused.
CORRUPTIONS: dict[str, tuple[Callable[[Curated, int], Tables], str]] = {
    "empty": (_empty, "row_floor"),
    "all null": (_all_null, "expect_column_values_to_not_be_null on language"),
    "duplicate ids": (_duplicate_ids, "expect_column_values_to_be_unique on doc_id"),
    "wrong language": (_wrong_language, "language_is_the_texts"),
    "truncated text": (_truncated, "text_has_its_digest"),
    "truncated text, measured after": (_truncated_upstream, "corpus_has_not_shrunk on text_bytes"),
    "extra column": (_extra_column, "columns_match_the_table failed"),
    "changed type": (_changed_type, "columns_match_the_table failed"),
    "half the rows gone": (_half_gone, "the ledger does not balance"),
    "personal data": (_personal, "masked_data_is_gone"),
    "mojibake": (_mojibake, "text_is_no_mojibake"),
    "one document flooding": (_flooding, "no_text_twice"),
    "stale run": (_stale, "is stale"),
}
