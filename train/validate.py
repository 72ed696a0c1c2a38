"""Loss on held-out rows: always the first rows of the validation shards, for any number of processes."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import numpy as np
import torch
from torch.distributed.fsdp import FSDPModule
from transformers import LlamaForCausalLM

from millpond.shard import Tokens
from millpond.shard_set import ShardSet
from millpond.train.mixture import Mixture
from millpond.train.model import inputs_and_labels, loss_sum, target_count
from millpond.train.parallel import World


def validation_loss(
    model: LlamaForCausalLM, world: World, shards: ShardSet | Mixture, *, rows: int, micro_batch_rows: int
) -> tuple[float, int]:
    """Mean loss in nats per token over the first `rows` rows, and the number of those tokens.

    Every process must call it; each takes every size-th row, and as many turns as the others.
    """
    rows = min(rows, shards.total_rows)
    turns = -(-rows // (world.size * micro_batch_rows))
    mine = islice(_rows(shards), world.rank, rows, world.size)
    nothing = (np.zeros(shards.context_length, shards.dtype), 0)  # for a process with no row left
    total = torch.zeros(2, dtype=torch.float64, device=world.device)
    model.train(False)
    with torch.no_grad():
        for _ in range(turns):
            taken = list(islice(mine, micro_batch_rows)) or [nothing]
            tokens, valid = zip(*taken, strict=True)
            inputs, labels = inputs_and_labels(np.stack(tokens), np.array(valid))
            logits = model(input_ids=inputs.to(world.device), use_cache=False).logits
            total[0] += loss_sum(logits, labels.to(world.device))
            total[1] += target_count(labels)
    model.train()
    if isinstance(model, FSDPModule):
        model.reshard()  # without a backward pass the root stays gathered
    loss, targets = world.sum(total)
    return loss / targets, int(targets)


def _rows(shards: ShardSet | Mixture) -> Iterator[tuple[Tokens, int]]:
    """Rows in the order of the set, each with its number of tokens that are not padding."""
    for number in range(len(shards)):
        shard = shards.shard(number)
        for sample in range(len(shard)):
            left = shard.valid_tokens(sample)
            for row in shard.rows(sample):
                yield row, min(left, len(row))
                left -= len(row)
