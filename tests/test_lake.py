"""The lake: opening it, data files and their manifests, digests that ignore order and files."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest
from publisher import publish_one

from millpond import datafile
from millpond.datafile import DataFileEntry, TableWriter, write_rows
from millpond.errors import LakeError
from millpond.lake import Lake, files_digest
from millpond.ledger import Ledger
from millpond.publish import Mode
from millpond.schemas import TABLES


def reject(number: int) -> dict[str, object]:
    return {"file": f"file {number}", "offset": number, "reason": "damaged", "detail": "'\"\x00", "records": 1}


def test_entry_survives_its_journey_as_json(tmp_path: Path) -> None:
    [entry] = write_rows("web.rejects", tmp_path, [reject(n) for n in range(5)])
    assert DataFileEntry.from_json(entry.to_json()) == entry
    assert entry.rows == 5 and entry.size == Path(entry.path).stat().st_size
    assert entry.to_iceberg().record_count == 5


def test_writer_refuses_what_does_not_fit(tmp_path: Path) -> None:
    with (
        pytest.raises(LakeError, match=r"web\.rejects: .*'records' with null values to non-nullable"),
        TableWriter("web.rejects", tmp_path) as writer,
    ):
        writer.write(pa.RecordBatch.from_pylist([{**reject(1), "records": None}], schema=TABLES["web.rejects"].schema))
    with (
        pytest.raises(LakeError, match=r"web\.rejects: batch does not fit the table"),
        TableWriter("web.rejects", tmp_path) as writer,
    ):
        writer.write(pa.RecordBatch.from_pydict({"file": ["x"]}))
    assert not list(tmp_path.glob("*.parquet")), "a failed writer leaves no file behind"


def test_writer_leaves_nothing_of_many_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datafile, "ROW_GROUP_BYTES", 1)
    monkeypatch.setattr(datafile, "FILE_BYTES", 1)
    batch = pa.RecordBatch.from_pylist([reject(1)], schema=TABLES["web.rejects"].schema)
    with pytest.raises(RuntimeError, match="stop"), TableWriter("web.rejects", tmp_path) as writer:
        writer.write(batch)
        writer.write(batch)
        assert len(list(tmp_path.glob("*.parquet"))) == 2
        raise RuntimeError("stop")
    assert not list(tmp_path.iterdir())


def test_writer_on_a_full_disk_says_so(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No space left"), TableWriter("web.rejects", tmp_path) as writer:
        writer.write(pa.RecordBatch.from_pylist([reject(1)], schema=TABLES["web.rejects"].schema))
        writer._flush()
        file = writer._file
        assert file is not None
        with Path("/dev/full").open("wb") as full:
            os.dup2(full.fileno(), file.stream.fileno())
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["crawl=spring", "50%", "a*", "[x]", "{x}", "what?"])
def test_folders_that_engines_read_as_patterns_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(LakeError, match="Spark and DuckDB read such a path as a pattern"):
        Lake.open(str(tmp_path / name / "lake"))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("warehouse", "said"),
    [
        ("", "is no folder of this machine"),
        ("relative/folder", "is no folder of this machine"),
        ("s4://bucket/lake", "the scheme 's4' is unknown"),
        ("gs://bucket/lake", "pip install 'gcsfs'"),
    ],
)
def test_catalogs_without_a_warehouse_that_can_be_reached_are_refused(
    tmp_path: Path, warehouse: str, said: str
) -> None:
    environment = {**os.environ, "PYICEBERG_CATALOG__POND__TYPE": "sql"}
    environment |= {"PYICEBERG_CATALOG__POND__URI": "sqlite://", "PYICEBERG_CATALOG__POND__WAREHOUSE": warehouse}
    command = [sys.executable, "-m", "millpond", "tables", "--lake", "catalog:pond"]
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode in (1, 2) and done.stderr.startswith("error: ") and len(done.stderr.splitlines()) == 1
    assert said in done.stderr and not list(tmp_path.iterdir())


def test_digest_ignores_order_and_files(tmp_path: Path) -> None:
    rows = [reject(n) for n in range(20)]
    one = write_rows("web.rejects", tmp_path, rows)
    two = [*write_rows("web.rejects", tmp_path, rows[:3:-1]), *write_rows("web.rejects", tmp_path, rows[:4])]
    changed = write_rows("web.rejects", tmp_path, [{**rows[0], "offset": 99}, *rows[1:]])

    def digest(entries: list[DataFileEntry]) -> str:
        return files_digest("web.rejects", [entry.path for entry in entries])

    assert digest(one) == digest(two) != digest(changed)
    assert digest([*one, *one]) != digest(one)
    assert files_digest("web.rejects", []) == ""


def test_null_is_not_the_word(tmp_path: Path) -> None:
    entries = [write_rows("web.rejects", tmp_path, [{**reject(1), "url": url}]) for url in (None, "NULL", "null", "")]
    assert len({files_digest("web.rejects", [e.path for e in entry]) for entry in entries}) == 4

    row = {"doc_id": "0", "url": "u", "outcome": "ok"}
    held = (None, b"", b"\x00", b"\xff", b"NULL")
    signed = [write_rows("corpus.candidates", tmp_path, [{**row, "minhash": value}]) for value in held]
    assert len({files_digest("corpus.candidates", [e.path for e in entry]) for entry in signed}) == len(held)


def test_opening(tmp_path: Path) -> None:
    with pytest.raises(LakeError, match="no lake here"):
        Lake.open(str(tmp_path / "none"), create=False)
    assert not (tmp_path / "none").exists()
    (tmp_path / "file").touch()
    with pytest.raises(LakeError, match="this is a file"):
        Lake.open(str(tmp_path / "file"))
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").touch()
    with pytest.raises(LakeError, match="holds something else"):
        Lake.open(str(tmp_path / "full"))
    with pytest.raises(LakeError, match="give a folder, or catalog:NAME"):
        Lake.open("s3://bucket/lake")
    with pytest.raises(LakeError, match="catalog 'unheard-of' is not usable"):
        Lake.open("catalog:unheard-of")


def test_configured_catalog(lake: Lake) -> None:
    publish_one(lake, "a", 0, Mode.APPEND)
    settings = {
        "PYICEBERG_CATALOG__MILLPOND__TYPE": "sql",
        "PYICEBERG_CATALOG__MILLPOND__URI": f"sqlite:///{lake.root}/catalog.db",
        "PYICEBERG_CATALOG__MILLPOND__WAREHOUSE": str(lake.root),
    }
    code = "from millpond.lake import Lake; lake = Lake.open('catalog:millpond'); print(lake.digest('web.rejects'))"
    shown = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **settings}, capture_output=True, text=True, check=True
    )
    assert shown.stdout.strip() == lake.digest("web.rejects")


def test_old_releases_stay_readable(lake: Lake) -> None:
    for number in range(3):
        publish_one(lake, "a", number, Mode.REPLACE)
    for number, release in enumerate(lake.releases()):
        rows = lake.read("web.rejects", ["file"], release.tables["web.rejects"])
        assert rows["file"].to_pylist() == [f"a-{number}"]


def test_ledger_balances_by_unit() -> None:
    ledger = Ledger("curate")
    ledger.add("documents", "in", 3)
    ledger.add("documents", "out", 2)
    ledger.add_all("documents", "rejected", {"c4": 1})
    ledger.add("bytes", "in", 10)
    ledger.add("bytes", "out", 12)
    ledger.add("bytes", "transformed", -2, "normalise")  # a step that adds
    ledger.check()
    assert ledger.amounts("documents") == {"in": 3, "out": 2, "rejected c4": 1}
    assert [row["amount"] for row in ledger.rows("r") if row["unit"] == "bytes"] == [10, 12, -2]


def test_tables_carry_their_sort_order(lake: Lake) -> None:
    table = lake.ensure("tokens.documents")
    by = [table.schema().find_column_name(field.source_id) for field in table.sort_order().fields]
    assert by == ["shard", "sample", "row", "offset"]
    assert not lake.ensure("web.rejects").sort_order().fields
