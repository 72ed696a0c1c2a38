"""One optimiser step: forward and backward over micro batches, clipping, update."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch.distributed.fsdp import FSDPModule
from transformers import LlamaForCausalLM

from millpond.train.batches import Batch
from millpond.train.config import TrainConfig
from millpond.train.model import inputs_and_labels, loss_sum, target_count
from millpond.train.optimizer import set_learning_rate
from millpond.train.parallel import World, gradient_norm


@dataclass(frozen=True)
class Outcome:
    """What a step did, the same on every process."""

    loss: float
    """Nats per target token, mean over the global batch, before the update."""
    gradient_norm: float
    """Before clipping."""
    tokens: int
    """Tokens of documents in the global batch."""
    stop: bool
    """Whether any process was asked to stop."""


class Stepper:
    """Moves a model's weights, one batch at a time. Every process calls it with its share of the batch."""

    def __init__(
        self, config: TrainConfig, world: World, model: LlamaForCausalLM, optimizer: torch.optim.Optimizer
    ) -> None:
        """`optimizer` holds the parameters of `model`."""
        self._world, self._model, self._optimizer = world, model, optimizer
        self._micro_batch_rows, self._clip_norm = config.micro_batch_rows, config.optimizer.clip_norm
        self._parameters = [p for group in optimizer.param_groups for p in group["params"]]
        self._loss_sum = torch.compile(loss_sum) if config.compile else loss_sum

    def step(self, batch: Batch, rate: float, *, stop: bool) -> Outcome:
        """Take one step at learning rate `rate`; `stop` tells the others that this process should stop.

        Raises:
            FloatingPointError: loss or gradient norm is not finite; the weights are those before the step.
        """
        world = self._world
        inputs, labels = inputs_and_labels(batch.tokens, batch.valid)
        counts = torch.tensor([target_count(labels), batch.valid.sum(), stop], dtype=torch.float64)
        targets, tokens, stops = world.sum(counts)
        scale = world.size / max(1, targets)  # by size, as FSDP averages gradients over processes

        total = torch.zeros(1, dtype=torch.float64, device=world.device)
        micro_batches = list(
            zip(
                torch.split(inputs, self._micro_batch_rows),
                torch.split(labels, self._micro_batch_rows),
                strict=True,
            )
        )
        for number, (rows, row_labels) in enumerate(micro_batches, 1):
            if isinstance(self._model, FSDPModule):  # each process adds up its own; they meet once a step
                self._model.set_requires_gradient_sync(number == len(micro_batches))
            logits = self._model(input_ids=rows.to(world.device), use_cache=False).logits
            loss = self._loss_sum(logits, row_labels.to(world.device))
            torch.autograd.backward(loss * scale)
            total += loss.detach()
        mean = world.sum(total)[0] / max(1, targets)

        norm_tensor = gradient_norm(self._parameters)
        norm = norm_tensor.item()
        if not (math.isfinite(mean) and math.isfinite(norm)):
            raise FloatingPointError(
                f"loss is {mean} and gradient norm {norm}: no update was made, nothing was "
                "saved since the last checkpoint; try a lower learning rate or a longer warm-up"
            )
        if norm > self._clip_norm:
            torch.nn.utils.clip_grads_with_norm_(self._parameters, self._clip_norm, norm_tensor)
        set_learning_rate(self._optimizer, rate)
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        return Outcome(mean, norm, int(tokens), stops > 0)
