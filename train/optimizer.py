"""AdamW and the learning rate of each step.

The learning rate is a pure function of the step, so a resumed run needs no scheduler state. The moments exist
from the start, as zeros, so that a checkpoint can be loaded into them before the first step.
"""

from __future__ import annotations

import math

import torch

from millpond.train.config import OptimizerConfig, TrainConfig


def learning_rate(config: TrainConfig, step: int) -> float:
    """Learning rate of `step` (1 … steps): linear warm-up to the peak, then a cosine to its floor."""
    peak, warmup = config.optimizer.learning_rate, config.schedule.warmup_steps
    if step <= warmup:
        return peak * step / warmup
    progress = (step - warmup) / (config.steps - warmup)
    floor = config.schedule.min_ratio
    return peak * (floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * progress)))


def build_optimizer(model: torch.nn.Module, config: OptimizerConfig) -> torch.optim.AdamW:
    """AdamW (Loshchilov and Hutter, 2019) over the model's parameters, sharded as they are.

    Matrices decay; embeddings, also where tied to the output head, norms and biases do not.
    """
    embeddings = {id(m.weight) for m in model.modules() if isinstance(m, torch.nn.Embedding)}
    decayed: list[torch.nn.Parameter] = []
    plain: list[torch.nn.Parameter] = []
    for parameter in model.parameters():
        (decayed if parameter.ndim > 1 and id(parameter) not in embeddings else plain).append(parameter)
    optimizer = torch.optim.AdamW(
        [
            {"params": decayed, "weight_decay": config.weight_decay},
            {"params": plain, "weight_decay": 0.0},
        ],
        lr=config.learning_rate,
        betas=config.betas,
        eps=config.eps,
        fused=True,
    )
    for parameter in model.parameters():
        optimizer.state[parameter] = {
            "step": torch.zeros((), dtype=torch.float32, device=parameter.device),
            "exp_avg": torch.zeros_like(parameter, requires_grad=False),
            "exp_avg_sq": torch.zeros_like(parameter, requires_grad=False),
        }
    return optimizer


def state_tensors(model: torch.nn.Module, optimizer: torch.optim.AdamW) -> dict[str, torch.Tensor]:
    """Every tensor a run's future depends on, by name: weights and moments, themselves and not copies."""
    tensors: dict[str, torch.Tensor] = {}
    for name, parameter in model.named_parameters():
        tensors[f"model.{name}"] = parameter.detach()
        for key, value in optimizer.state[parameter].items():
            tensors[f"optimizer.state.{name}.{key}"] = value
    return tensors


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Set the learning rate of every parameter group."""
    for group in optimizer.param_groups:
        group["lr"] = rate
