from __future__ import annotations

import hashlib
import io
import math
import shutil
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM

from millpond.errors import InputError, ShardError
from millpond.eval.exported import untrained_copy
from millpond.eval.perplexity import evaluate, token_bytes
from millpond.shard import Samples, ShardIndex, index_path, region_digest
from millpond.shard_set import ShardSet

CONTEXT = 16


def write_shard(folder: Path, rows: npt.NDArray[np.uint16], tokens: int, name: str, per_sample: int = 2) -> Path:
    """Write rows (n, CONTEXT), of which `tokens` are no padding, as one shard of `validation`."""
    buffer = io.BytesIO()
    places: dict[str, list[Any]] = {"start": [], "offset": [], "rows": [], "tokens": []}
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for number, first in enumerate(range(0, len(rows), per_sample)):
            sample = io.BytesIO()
            np.save(sample, rows[first : first + per_sample])
            member = tarfile.TarInfo(f"{number:06}.npy")
            member.size = len(sample.getvalue())
            size = rows[first : first + per_sample].size
            places["start"].append(buffer.tell())
            places["offset"].append(buffer.tell() + 512 + member.size - 2 * size)
            places["rows"].append(len(rows[first : first + per_sample]))
            places["tokens"].append(min(size, tokens - first * CONTEXT))
            tar.addfile(member, io.BytesIO(sample.getvalue()))
    data = buffer.getvalue()
    ends = [*places["start"][1:], len(data)]
    places["digest"] = [region_digest(data[a:b]) for a, b in zip(places["start"], ends, strict=True)]
    index = ShardIndex(
        shard=name, tokenization="here", split="validation", size=len(data), sha256=hashlib.sha256(data).hexdigest(),
        context_length=CONTEXT, rows_per_sample=per_sample, dtype="uint16", vocab_size=300, eos_id=0,
        tokenizer_digest="t", samples=Samples(**places),
    )  # fmt: skip
    (folder / name).write_bytes(data)
    path = index_path(folder, name)
    path.write_bytes(index.to_json())
    return path


@pytest.fixture(scope="module")
def stream(tokenizer: Tokenizer, texts: tuple[str, ...]) -> list[int]:
    """Token ids of the texts, each followed by end-of-text."""
    return [token for text in texts for token in [*tokenizer.encode(text).ids, 0]]


@pytest.fixture(scope="module")
def shards(stream: list[int], tmp_path_factory: pytest.TempPathFactory) -> ShardSet:
    """Two shards of the stream; the second ends in padding."""
    folder = tmp_path_factory.mktemp("shards")
    half = len(stream) // 2 // CONTEXT * CONTEXT
    parts = (stream[:half], stream[half:])
    for number, part in enumerate(parts):
        rows = np.zeros((-(-len(part) // CONTEXT), CONTEXT), dtype=np.uint16)
        rows.flat[: len(part)] = part
        write_shard(folder, rows, len(part), f"validation-{number:05}.tar")
    assert len(stream) % CONTEXT != 0
    return ShardSet.of_folder(folder, "validation")


def by_hand(folder: Path, shards: ShardSet, stream: list[int]) -> tuple[float, int]:
    """The same loss through the model's own `labels`, one row at a time."""
    model = AutoModelForCausalLM.from_pretrained(folder)
    nats, tokens = 0.0, 0
    for start in range(0, len(stream), CONTEXT):
        row = torch.tensor([stream[start : start + CONTEXT]])
        if row.shape[1] > 1:
            nats += model(input_ids=row, labels=row).loss.item() * (row.shape[1] - 1)
            tokens += row.shape[1] - 1
    return nats, tokens


def test_loss_is_the_models_own_without_padding(exported: Path, shards: ShardSet, stream: list[int]) -> None:
    result = evaluate(exported, shards, batch_rows=3)
    nats, tokens = by_hand(exported, shards, stream)
    assert result.tokens == tokens
    assert result.nats == pytest.approx(nats, rel=1e-5)
    assert result.loss == pytest.approx(nats / tokens, rel=1e-5)
    assert result.perplexity == pytest.approx(math.exp(nats / tokens), rel=1e-5)
    assert result.rows == shards.total_rows


def test_bytes_are_those_of_the_predicted_tokens(
    exported: Path, shards: ShardSet, stream: list[int], tokenizer: Tokenizer, texts: tuple[str, ...]
) -> None:
    sizes = token_bytes(tokenizer, 300)
    first_tokens = sum(int(sizes[stream[start]]) for start in range(0, len(stream), CONTEXT))
    result = evaluate(exported, shards)
    assert result.bytes == sum(len(text.encode()) for text in texts) - first_tokens
    assert result.bits_per_byte == pytest.approx(result.nats / math.log(2) / result.bytes)


def test_a_model_that_knows_nothing_costs_the_logarithm_of_its_vocabulary(
    exported: Path, shards: ShardSet, tmp_path: Path
) -> None:
    model = AutoModelForCausalLM.from_pretrained(exported)
    torch.nn.init.zeros_(model.lm_head.weight)
    model.save_pretrained(tmp_path)
    shutil.copy(exported / "tokenizer.json", tmp_path)
    assert evaluate(tmp_path, shards).loss == pytest.approx(math.log(300), rel=1e-6)


@pytest.mark.parametrize("batch_rows", [1, 2, 5])
def test_batching_and_the_row_limit(exported: Path, shards: ShardSet, batch_rows: int) -> None:
    whole = evaluate(exported, shards, batch_rows=batch_rows)
    assert whole.nats == pytest.approx(evaluate(exported, shards).nats, rel=1e-6)
    three = evaluate(exported, shards, batch_rows=batch_rows, max_rows=3)
    assert (three.rows, three.tokens) == (3, 3 * (CONTEXT - 1))


def test_token_bytes_add_up_to_the_text(tokenizer: Tokenizer, texts: tuple[str, ...]) -> None:
    sizes = token_bytes(tokenizer, 310)
    assert sizes.shape == (310,)
    assert sizes[0] == 0
    for text in texts:
        ids = tokenizer.encode(text).ids
        assert 0 not in ids
        assert sizes[ids].sum() == len(text.encode())


def test_what_does_not_fit_is_refused(exported: Path, shards: ShardSet, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no exported model there"):
        evaluate(tmp_path / "nowhere", shards)
    shutil.copy(exported / "config.json", tmp_path)
    (tmp_path / "pytorch_model.bin").write_bytes(b"a pickle")
    with pytest.raises(InputError, match=r"no \*\.safetensors weights"):
        evaluate(tmp_path, shards)
    (tmp_path / "model.safetensors").write_bytes((exported / "model.safetensors").read_bytes()[:-100])
    with pytest.raises(InputError, match=r"cannot be opened"):
        evaluate(tmp_path, shards)
    config = (exported / "config.json").read_text()
    shutil.copy(exported / "model.safetensors", tmp_path)
    (tmp_path / "config.json").write_text(config.replace('"num_hidden_layers": 2', '"num_hidden_layers": 3'))
    with pytest.raises(InputError, match=r"do not fit together: model\.layers\.2\."):
        evaluate(tmp_path, shards)
    (tmp_path / "config.json").write_text(config)
    with pytest.raises(InputError, match=r"tokenizer\.json: not a readable tokenizer"):
        evaluate(tmp_path, shards)
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(InputError, match=r"tokenizer\.json: not a readable tokenizer"):
        evaluate(tmp_path, shards)


def test_a_tokenizer_that_is_not_byte_level_is_refused() -> None:
    from tokenizers.models import WordLevel

    with pytest.raises(InputError, match=r"'世' is not byte-level"):
        token_bytes(Tokenizer(WordLevel({"世": 0}, unk_token="世")), 10)
    with pytest.raises(InputError, match="only 1 ids"):
        token_bytes(Tokenizer(WordLevel({"a": 5}, unk_token="a")), 1)


def test_shards_of_a_larger_vocabulary_are_refused(exported: Path, shards: ShardSet, tmp_path: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(exported)
    model.resize_token_embeddings(300 - 1)
    model.save_pretrained(tmp_path)
    (tmp_path / "tokenizer.json").write_text(
        '{"version":"1.0","model":{"type":"BPE","vocab":{"a":0},"merges":[]},"added_tokens":[]}'
    )
    with pytest.raises(ShardError, match="made with 300 token ids"):
        evaluate(tmp_path, shards)


def test_an_untrained_copy_has_the_architecture_and_its_own_weights(
    exported: Path, shards: ShardSet, tmp_path: Path
) -> None:
    state = torch.get_rng_state()
    results = [
        evaluate(untrained_copy(exported, tmp_path / name, seed), shards)
        for name, seed in (("a", 1), ("b", 1), ("c", 2))
    ]
    assert torch.equal(torch.get_rng_state(), state)
    assert results[0] == results[1]
    assert len({result.nats for result in results} | {evaluate(exported, shards).nats}) == 3
    assert results[0].bytes == evaluate(exported, shards).bytes
