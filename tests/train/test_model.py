from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from token_shards import CONTEXT
from transformers import AutoModelForCausalLM, LlamaForCausalLM

from millpond.shard_set import ShardSet
from millpond.train.batches import Batch
from millpond.train.config import ModelConfig, TrainConfig
from millpond.train.data import Loader
from millpond.train.export import export
from millpond.train.model import (
    IGNORED,
    build_model,
    inputs_and_labels,
    llama_config,
    loss_sum,
    parameter_count,
    target_count,
)
from millpond.train.optimizer import build_optimizer
from millpond.train.parallel import World
from millpond.train.step import Outcome, Stepper
from millpond.train.validate import validation_loss

Settings = Callable[..., TrainConfig]


def tiny(seed: int = 0, *, tied: bool = True) -> LlamaForCausalLM:
    config = ModelConfig.model_validate({"tie_embeddings": tied})
    return build_model(llama_config(config, vocab_size=257, context_length=CONTEXT, eos_id=0), seed)


def test_initial_weights_are_a_function_of_the_seed() -> None:
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    one, same, other = tiny(seed=5), tiny(seed=5), tiny(seed=6)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), same.parameters(), strict=True))
    assert not torch.equal(one.lm_head.weight, other.lm_head.weight)


def test_parameter_count_equals_the_formula() -> None:
    width, inner, kv, vocabulary = 64, 192, 32, 257
    layer = 2 * width * width + 2 * width * kv + 3 * width * inner + 2 * width
    assert parameter_count(tiny()) == vocabulary * width + 2 * layer + width
    assert parameter_count(tiny(tied=False)) == 2 * vocabulary * width + 2 * layer + width


def test_labels_are_the_next_tokens_and_padding_has_none() -> None:
    inputs, labels = inputs_and_labels(np.array([[1, 2, 3, 4], [5, 6, 0, 0]], np.uint16), np.array([4, 2]))
    assert inputs.tolist() == [[1, 2, 3, 4], [5, 6, 0, 0]]
    assert labels.tolist() == [[2, 3, 4, IGNORED], [6, IGNORED, IGNORED, IGNORED]]
    assert target_count(labels) == 4


def test_padding_is_no_part_of_the_loss() -> None:
    model = tiny()
    rows = np.random.default_rng(0).integers(1, 64, (2, 32)).astype(np.uint16)
    inputs, labels = inputs_and_labels(rows, np.array([32, 10]))
    logits = model(input_ids=inputs).logits
    by_hand = F.cross_entropy(logits[0, :31], inputs[0, 1:], reduction="sum") + F.cross_entropy(
        logits[1, :9], inputs[1, 1:10], reduction="sum"
    )
    torch.testing.assert_close(loss_sum(logits, labels), by_hand)
    rows[1, 10:] = 0  # the model is causal: what stands in the padding cannot matter
    inputs, _ = inputs_and_labels(rows, np.array([32, 10]))
    torch.testing.assert_close(loss_sum(model(input_ids=inputs).logits, labels), by_hand)


def test_no_decay_on_embeddings_and_norms(settings: Settings) -> None:
    model = tiny(tied=False)
    decayed, plain = build_optimizer(model, settings().optimizer).param_groups
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    assert {names[id(p)].split(".")[-2] for p in plain["params"]} == {
        "embed_tokens",
        "input_layernorm",
        "post_attention_layernorm",
        "norm",
    }
    assert len(decayed["params"]) == 2 * 7 + 1
    assert (decayed["weight_decay"], plain["weight_decay"]) == (0.1, 0.0)


def three_steps(world: World, config: TrainConfig, shard_folder: Path) -> tuple[list[Outcome], LlamaForCausalLM]:
    model = tiny()
    stepper = Stepper(config, world, model, build_optimizer(model, config.optimizer))
    batches = iter(Loader(ShardSet.of_folder(shard_folder, "train"), batch_rows=8))
    return [stepper.step(next(batches), 1e-3, stop=False) for _ in range(3)], model


def test_accumulation_does_not_change_the_numbers(world: World, settings: Settings, shard_folder: Path) -> None:
    whole, model = three_steps(world, settings(micro_batch_rows=8), shard_folder)
    for micro in (2, 3):
        parts, other = three_steps(world, settings(micro_batch_rows=micro), shard_folder)
        for one, many in zip(whole, parts, strict=True):
            torch.testing.assert_close(many.loss, one.loss, rtol=1e-5, atol=0)
            torch.testing.assert_close(many.gradient_norm, one.gradient_norm, rtol=1e-5, atol=0)
        torch.testing.assert_close(other.lm_head.weight, model.lm_head.weight, rtol=1e-4, atol=1e-6)


def test_a_step_equals_plain_pytorch(world: World, settings: Settings, shard_folder: Path) -> None:
    batch: Batch = next(iter(Loader(ShardSet.of_folder(shard_folder, "train"), batch_rows=8)))
    config = settings(optimizer={"clip_norm": 0.5})
    model, plain = tiny(), tiny()
    outcome = Stepper(config, world, model, build_optimizer(model, config.optimizer)).step(batch, 1e-3, stop=False)

    embedding = plain.model.embed_tokens.weight
    matrices = [p for p in plain.parameters() if p.ndim > 1 and p is not embedding]
    vectors = [embedding, *(p for p in plain.parameters() if p.ndim == 1)]
    groups = [{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=1e-3, betas=(0.9, 0.95), foreach=False)
    inputs, labels = inputs_and_labels(batch.tokens, batch.valid)
    loss = plain(input_ids=inputs, labels=labels, shift_labels=labels).loss
    loss.backward()
    norm = torch.nn.utils.clip_grad_norm_(plain.parameters(), 0.5)
    optimizer.step()
    torch.testing.assert_close(outcome.loss, loss.item(), rtol=1e-5, atol=0)
    torch.testing.assert_close(outcome.gradient_norm, norm.item(), rtol=1e-5, atol=0)
    for mine, theirs in zip(model.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=1e-6)


def test_validation_loss_is_the_mean_over_targets(world: World, shard_folder: Path) -> None:
    shards = ShardSet.of_folder(shard_folder, "validation")
    model = tiny()
    shard = shards.shard(0)
    assert shard.index.padding
    rows = np.concatenate([shard.rows(number) for number in range(len(shard))])
    valid = np.full(len(rows), 32)
    valid[-1] -= shard.index.padding
    inputs, labels = inputs_and_labels(rows, valid)
    expected = loss_sum(model(input_ids=inputs).logits, labels).item() / target_count(labels)
    for micro in (2, 100):
        loss, tokens = validation_loss(model, world, shards, rows=1000, micro_batch_rows=micro)
        assert tokens == shards.total_tokens - shards.total_rows
        torch.testing.assert_close(loss, expected, rtol=1e-5, atol=0)
    assert validation_loss(model, world, shards, rows=3, micro_batch_rows=2)[1] == 3 * 31
    assert model.training


def test_export_loads_with_equal_logits(world: World, tmp_path: Path) -> None:
    (tmp_path / "tokenizer").mkdir()
    (tmp_path / "tokenizer" / "tokenizer.json").write_text("{}")
    inputs = torch.arange(64).reshape(2, 32)
    for tied in (True, False):
        model = tiny(seed=3, tied=tied)
        export(model, world, tmp_path / "export", tmp_path / "tokenizer")
        loaded = AutoModelForCausalLM.from_pretrained(tmp_path / "export")
        model.train(False)
        assert torch.equal(loaded(input_ids=inputs).logits, model(input_ids=inputs).logits)
        assert loaded.config.tie_word_embeddings is tied
    present = {path.name for path in (tmp_path / "export").iterdir()}
    assert present == {"config.json", "generation_config.json", "model.safetensors", "tokenizer.json"}
