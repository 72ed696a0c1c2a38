"""The model and its loss: a stock Llama from `transformers`, and next-token cross entropy.

The model is exactly `LlamaForCausalLM`, so an export loads everywhere. Its initial weights are a function of
configuration and seed alone. The loss is a sum over targets; the caller divides by the number of targets in
the whole step, so it does not depend on how a step is cut into processes and micro batches.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from transformers import LlamaConfig, LlamaForCausalLM

from millpond.shard import Tokens
from millpond.train.config import ModelConfig

#: Label of a position that has no target.
IGNORED = -100


def llama_config(config: ModelConfig, *, vocab_size: int, context_length: int, eos_id: int) -> LlamaConfig:
    """The `transformers` configuration. Text starts after an end-of-text token, so that is also its BOS."""
    return LlamaConfig(
        vocab_size=vocab_size,
        max_position_embeddings=context_length,
        hidden_size=config.hidden_size,
        num_hidden_layers=config.layers,
        num_attention_heads=config.heads,
        num_key_value_heads=config.kv_heads,
        intermediate_size=config.intermediate_size,
        tie_word_embeddings=config.tie_embeddings,
        rope_parameters={"rope_type": "default", "rope_theta": config.rope_theta},
        bos_token_id=eos_id,
        eos_token_id=eos_id,
    )


def build_model(config: LlamaConfig, seed: int) -> LlamaForCausalLM:
    """A new model on the CPU in fp32, in training mode; the caller's random state is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = LlamaForCausalLM(config)
    model.set_attn_implementation("sdpa")
    model.train()
    return model


def parameter_count(model: torch.nn.Module) -> int:
    """Parameters, tied ones once."""
    return sum(parameter.numel() for parameter in model.parameters())


def inputs_and_labels(tokens: Tokens, valid: npt.NDArray[np.integer]) -> tuple[torch.Tensor, torch.Tensor]:
    """Model inputs and the label of each position: the token after it, or `IGNORED`.

    Args:
        tokens: shape (rows, context_length).
        valid: tokens of each row that are not padding, which stands at the row's end; shape (rows,).

    Returns:
        Two int64 tensors of shape (rows, context_length).
    """
    inputs = torch.from_numpy(tokens.astype(np.int64))
    labels = torch.full_like(inputs, IGNORED)
    labels[:, :-1] = inputs[:, 1:]
    positions = torch.arange(1, inputs.shape[1] + 1)
    labels[positions[None, :] >= torch.from_numpy(np.asarray(valid, np.int64))[:, None]] = IGNORED
    return inputs, labels


def target_count(labels: torch.Tensor) -> int:
    """Positions that have a target."""
    return int((labels != IGNORED).sum())


def loss_sum(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Cross entropy in nats, in fp32, summed over the targets.

    Args:
        logits: shape (rows, context_length, vocab_size).
        labels: shape (rows, context_length), see `inputs_and_labels`.
    """
    return F.cross_entropy(logits.float().flatten(0, 1), labels.flatten(), ignore_index=IGNORED, reduction="sum")
