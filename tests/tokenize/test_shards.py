"""A bucket becomes the same shards every time; nothing is lost on the way, and a broken run leaves nothing."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from token_shards import byte_encoder, config, numbered
from tokenizers import Tokenizer, models, pre_tokenizers

from millpond import schemas
from millpond.errors import ShardError
from millpond.shard import Shard, ShardIndex, index_path
from millpond.shard_set import ShardSet
from millpond.tokenize import shards as shards_module
from millpond.tokenize.config import TokenizeConfig
from millpond.tokenize.encode import Encoder
from millpond.tokenize.shards import Document, Written, layout_of, write_bucket
from millpond.tokenize.training import train
from millpond.tokenize.vocabulary import END_OF_TEXT, Vocabulary

SMALL = config(shard_max_bytes=1 << 16)


def write(folder: Path, documents: list[Document], settings: TokenizeConfig = SMALL) -> Written:
    return write_bucket(documents, byte_encoder(), settings, folder, "train", 3, corpus_snapshot=11)


def texts(written: Written, folder: Path, vocabulary: Vocabulary) -> dict[str, str]:
    """The documents again, from the shards and the lineage rows alone."""
    opened = {
        row["shard"]: Shard.open(index_path(folder, Path(row["path"]).name)) for row in written.shards.to_pylist()
    }
    ids: dict[str, list[int]] = {}
    for part in written.documents.sort_by([("doc_id", "ascending"), ("part", "ascending")]).to_pylist():
        row = opened[part["shard"]].rows(part["sample"])[part["row"]]
        tokens = row[part["offset"] : part["offset"] + part["length"]]
        ids.setdefault(part["doc_id"], []).extend(tokens.tolist())
    assert all(found.count(vocabulary.eos_id) == 1 and found[-1] == vocabulary.eos_id for found in ids.values())
    decode = vocabulary.tokenizer.decode
    return {doc_id: decode(found[:-1], skip_special_tokens=False) for doc_id, found in ids.items()}


def check_all(index: Path) -> None:
    """Read every byte of a shard."""
    shard = Shard.open(index)
    for sample in range(len(shard)):
        shard.check(sample)


def test_many_documents_come_back_from_several_shards(tmp_path: Path) -> None:
    documents = [*numbered("d", 1500), Document("long", f"{END_OF_TEXT} and on " * 4000)]
    written = write(tmp_path, documents)
    assert texts(written, tmp_path, byte_encoder().vocabulary) == {
        document.doc_id: document.text for document in documents
    }
    names = written.shards["shard"].to_pylist()
    files = [f"train-00003-{n:03d}.tar" for n in range(len(names))]
    assert names == [f"{tmp_path.name}/{file}" for file in files] and len(names) > 2
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        name for file in files for name in (file, index_path(tmp_path, file).name)
    )


@settings(max_examples=25)
@given(st.lists(st.text(max_size=200), max_size=12), st.integers(2, 50), st.integers(1, 5))
def test_any_documents_come_back(texts_in: list[str], context: int, rows: int) -> None:
    documents = [Document(f"d{n}", text) for n, text in enumerate(texts_in)]
    with tempfile.TemporaryDirectory() as name:
        written = write(Path(name), documents, config(context_length=context, rows_per_sample=rows))
        assert texts(written, Path(name), byte_encoder().vocabulary) == {i: t for i, t, _ in documents if t}
    assert written.empty == tuple(document for document in documents if not document.text)


def test_counts_balance_and_rows_fit_their_tables(tmp_path: Path) -> None:
    documents = [*numbered("d", 1500), Document("nothing", "")]
    written = write(tmp_path, documents)
    rows = written.shards.to_pylist()
    expected = sum(len(text) + 1 for _, text, _ in documents if text)  # a byte is a token
    assert sum(row["tokens"] for row in rows) == expected
    assert sum(written.documents["length"].to_pylist()) == expected
    assert sum(row["documents"] for row in rows) == 1500 and written.empty == (Document("nothing", ""),)
    assert sum(row["padding"] for row in rows[:-1]) == 0 and 0 < rows[-1]["padding"] < 32
    for row in rows:
        assert row["tokens"] + row["padding"] == row["rows"] * row["context_length"]
        assert Path(row["path"]).stat().st_size == row["bytes"] <= SMALL.shard_max_bytes
        assert row["corpus_snapshot"] == 11 and Path(row["path"]) == tmp_path.parent / row["shard"]
    assert written.shards.schema == schemas.SHARDS.schema
    assert written.documents.schema == schemas.TOKEN_DOCUMENTS.schema
    keys = [tuple(row[key] for key in schemas.TOKEN_DOCUMENTS.key) for row in written.documents.to_pylist()]
    assert len(keys) == len(set(keys))
    in_order = written.documents.sort_by([(key, "ascending") for key in schemas.TOKEN_DOCUMENTS.sort_by])
    assert in_order.equals(written.documents.combine_chunks())
    assert ShardSet.of_folder(tmp_path, "train").total_tokens == expected


def test_the_bytes_follow_from_documents_and_settings_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    documents = numbered("d", 700)
    write(tmp_path / "a" / "set", documents)
    write(tmp_path / "b" / "set", documents)
    write(tmp_path / "b" / "set", documents)  # over what lies there
    monkeypatch.setattr(shards_module, "BATCH_CHARACTERS", 300)
    write(tmp_path / "c" / "set", documents)
    contents = [{p.name: p.read_bytes() for p in (tmp_path / f / "set").iterdir()} for f in "abc"]
    assert contents[0] == contents[1] == contents[2] and len(contents[0]) > 2
    write(tmp_path / "d" / "set", documents[::-1])
    assert {p.name: p.read_bytes() for p in (tmp_path / "d" / "set").iterdir()} != contents[0]


def test_a_shard_that_stands_is_kept_and_never_replaced_by_another(tmp_path: Path) -> None:
    documents = numbered("d", 700)
    write(tmp_path, documents)
    before = {path: (path.stat().st_ino, path.read_bytes()) for path in tmp_path.iterdir()}
    write(tmp_path, documents)
    assert {path: (path.stat().st_ino, path.read_bytes()) for path in tmp_path.iterdir()} == before
    with pytest.raises(ShardError, match="holds another content than is written now"):
        write(tmp_path, documents[::-1])
    assert {path: (path.stat().st_ino, path.read_bytes()) for path in tmp_path.iterdir()} == before

    unfinished, damaged = (tmp_path / f"train-00003-{n:03d}.tar" for n in range(2))
    index_path(tmp_path, unfinished.name).unlink()  # killed between the two renames
    unfinished.write_bytes(b"left")
    damaged.write_bytes(b"left")
    write(tmp_path, documents)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == {
        p: content for p, (_, content) in before.items()
    }


def test_no_documents_make_no_shard(tmp_path: Path) -> None:
    written = write(tmp_path, [Document("a", ""), Document("b", "")])
    assert written.shards.num_rows == written.documents.num_rows == 0 and written.empty == (
        Document("a", ""),
        Document("b", ""),
    )
    assert not any(tmp_path.iterdir())


def test_a_failure_leaves_whole_shards_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shards_module, "BATCH_CHARACTERS", 300)

    def failing() -> Iterator[Document]:
        yield from numbered("d", 1000)
        raise OSError("the input went away")

    with pytest.raises(OSError, match="went away"):
        write_bucket(failing(), byte_encoder(), SMALL, tmp_path, "train", 3)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names and all(name.startswith("train-00003-") for name in names)
    for name in names[::2]:
        check_all(tmp_path / name)


KILLED = """
import os, signal, sys
from pathlib import Path
from token_shards import byte_encoder, config, numbered
from millpond.tokenize import shards

shards.BATCH_CHARACTERS = 300

def documents():
    for n, document in enumerate(numbered("d", 1000)):
        if n == 900:
            os.kill(os.getpid(), signal.SIGKILL)
        yield document

shards.write_bucket(documents(), byte_encoder(), config(shard_max_bytes=1 << 16), Path(sys.argv[1]), "train", 3)
"""


def test_after_a_kill_the_rerun_gives_the_same_bytes(tmp_path: Path) -> None:
    killed, undisturbed = tmp_path / "a" / "set", tmp_path / "b" / "set"
    environment = {"PYTHONPATH": ":".join(sys.path)}
    command = [sys.executable, "-c", KILLED, str(killed)]
    assert subprocess.run(command, env=environment, check=False).returncode == -signal.SIGKILL
    whole, broken = (sorted((killed).glob(name)) for name in ("train-*.index.json", ".*.partial"))
    assert whole and len(broken) == 1  # it was killed in the middle of a shard
    for path in whole:
        check_all(path)
    write(killed, numbered("d", 1000))
    write(undisturbed, numbered("d", 1000))
    for path in (undisturbed).iterdir():
        assert (killed / path.name).read_bytes() == path.read_bytes()


@pytest.mark.parametrize("context", [64, 128, 512, 1024, 2048, 8192])
def test_headers_cost_less_than_five_percent(tmp_path: Path, context: int) -> None:
    settings = config(context_length=context, rows_per_sample=None)
    text = "a" * (settings.sample_rows * context * 12)
    written = write(tmp_path, [Document("long", text)], settings)
    (row,) = written.shards.to_pylist()
    assert row["bytes"] < 1.05 * 2 * row["rows"] * context
    assert row["samples"] > 8


def test_a_large_vocabulary_takes_four_bytes(tmp_path: Path) -> None:
    tokenizer = train([], 257).tokenizer
    tokenizer.add_tokens([f"<word {n}>" for n in range(66_000)])
    encoder = Encoder(Vocabulary(tokenizer, END_OF_TEXT))
    write_bucket([Document("a", "<word 65990>b")], encoder, config(), tmp_path, "test", 0)
    shard = Shard.open(tmp_path / "test-00000-000.index.json")
    row = shard.rows(0)[0]
    assert row.dtype == np.uint32 and row[0] > 65_536 and shard.valid_tokens(0) == 3
    assert (row[2:] == encoder.vocabulary.eos_id).all()


def test_unknown_tokens_are_counted_where_they_stand(tmp_path: Path) -> None:
    tokenizer = Tokenizer(models.WordLevel({"<unk>": 0, "</s>": 1, "pond": 2}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    encoder = Encoder(Vocabulary(tokenizer, "</s>"))
    documents = [Document("a", "pond " * 9 + "池 " * 30), Document("b", "pond " * 50), Document("c", "池")]
    written = write_bucket(documents, encoder, config(), tmp_path, "train", 0)
    found = [(row["doc_id"], row["length"], row["unknown"]) for row in written.documents.to_pylist()]
    assert found == [("a", 32, 23), ("a", 8, 7), ("b", 24, 0), ("b", 27, 0), ("c", 2, 1)]


def test_a_shard_is_filled_up_to_its_limit(tmp_path: Path) -> None:
    layout = layout_of(SMALL, byte_encoder())
    tokens = layout.sample_tokens * layout.samples_per_shard
    written = write(tmp_path, [Document("exact", "a" * (tokens - 1))])
    (row,) = written.shards.to_pylist()
    assert row["padding"] == 0 and row["samples"] == layout.samples_per_shard
    index = ShardIndex.read(tmp_path / "train-00003-000.index.json")
    assert SMALL.shard_max_bytes - 2048 - 10_240 < index.size <= SMALL.shard_max_bytes


def test_settings_that_cannot_be_are_refused() -> None:
    for wrong in ({"fractions": (0.5, 0.1, 0.1)}, {"context_length": 1}, {"buckets": 0}, {"vocab_size": 256}):
        with pytest.raises(ValidationError):
            TokenizeConfig.model_validate(wrong)
    assert [TokenizeConfig(context_length=n).sample_rows for n in (128, 1024, 8192)] == [128, 16, 16]
