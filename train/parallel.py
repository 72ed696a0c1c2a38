"""Processes and devices: one `World` for torchrun and for a process alone, and FSDP2 over it.

`open_world` joins the process group that torchrun's environment names (`RANK`, `WORLD_SIZE`, `LOCAL_RANK`),
or makes a group of one without network. `shard_model` applies `fully_shard` to each decoder layer and to the
root, so that weights, gradients and optimiser state are spread over all processes.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

import torch
import torch.distributed as dist
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard
from torch.distributed.tensor import DTensor
from transformers import LlamaForCausalLM

from millpond.errors import ConfigError, MillpondError


@dataclass(frozen=True)
class World:
    """This process's place among all processes of the run."""

    rank: int
    size: int
    device: torch.device
    mesh: DeviceMesh

    @property
    def is_main(self) -> bool:
        """Whether this process writes what is written once."""
        return self.rank == 0

    def sum(self, values: torch.Tensor) -> list[float]:
        """Sums of a vector's elements over all processes; the same numbers everywhere."""
        total = values.to(self.device, copy=True)
        dist.all_reduce(total)
        return [float(value) for value in total.tolist()]

    def gather(self, value: Any) -> list[Any]:
        """`value` of every process, in rank order, on every process."""
        gathered: list[Any] = [None] * self.size
        dist.all_gather_object(gathered, value)
        return gathered

    def barrier(self) -> None:
        """Wait for every process."""
        self.sum(torch.zeros(1))

    @contextmanager
    def alike(self, failure: type[MillpondError], what: str) -> Iterator[None]:
        """A block that all processes leave alike: where it goes wrong on one, every one raises that one's error.

        Raises:
            MillpondError: of a process's block, the lowest rank's first; an OSError becomes `failure`, "`what`: …".
        """
        problem: MillpondError | None = None
        try:
            yield
        except MillpondError as error:
            problem = error
        except OSError as error:
            problem = failure(f"{what}: {error}")
        for found in self.gather(problem):
            if found is not None:
                raise found


@contextmanager
def open_world(device: Literal["auto", "cpu", "cuda"], timeout_seconds: int) -> Iterator[World]:
    """Join the process group for the length of a `with` block; under torchrun once in a process's life.

    Raises:
        ConfigError: a GPU is asked for that is not there.
    """
    rank, size = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    where = _device(device)
    backend = "gloo"
    if where.type == "cuda":
        torch.cuda.set_device(where)
        backend = "cpu:gloo,cuda:nccl"
    # Without torchrun there is nobody to meet: a store in memory opens no port.
    store = None if "RANK" in os.environ else dist.HashStore()  # type: ignore[attr-defined]
    dist.init_process_group(
        backend, store=store, rank=rank, world_size=size, timeout=timedelta(seconds=timeout_seconds)
    )
    try:
        yield World(rank, size, where, init_device_mesh(where.type, (size,)))
        # Gloo's threads may still hold a tensor of the last exchange, and letting go of it while Python shuts down
        # aborts the process (pytorch/pytorch#179291); a barrier holds none, and comes after all others.
        dist.barrier()
    finally:
        dist.destroy_process_group()


def _device(wanted: Literal["auto", "cpu", "cuda"]) -> torch.device:
    if wanted == "cpu" or (wanted == "auto" and not torch.cuda.is_available()):
        return torch.device("cpu")
    local, found = int(os.environ.get("LOCAL_RANK", "0")), torch.cuda.device_count()
    if local >= found:
        raise ConfigError(
            f"process {local} of this machine finds {found} GPUs: start fewer processes or set device=cpu"
        )
    return torch.device("cuda", local)


def use_bf16(precision: Literal["auto", "fp32", "bf16"], device: torch.device) -> bool:
    """Whether forward and backward run in bf16."""
    if precision == "auto":
        return device.type == "cuda" and torch.cuda.is_bf16_supported()
    return precision == "bf16"


def shard_model(model: LlamaForCausalLM, world: World, *, bf16: bool, compiled: bool) -> None:
    """Move a model, equal on all processes, to its devices in place, one shard of every weight each.

    One process in fp32 has nothing to shard and nothing to cast: it keeps plain tensors, because FSDP's
    copies would cost it some 3 % of a step on a CPU.
    """
    layers = model.model.layers
    if compiled:
        for layer in layers:
            layer.compile()
    if world.size == 1 and not bf16:
        torch.nn.Module.to(model, world.device)
        return
    policy = MixedPrecisionPolicy(
        param_dtype=torch.bfloat16 if bf16 else None, reduce_dtype=torch.float32 if bf16 else None
    )
    for layer in layers:
        fully_shard(layer, mesh=world.mesh, mp_policy=policy)
    fully_shard(model, mesh=world.mesh, mp_policy=policy)


def whole(tensor: torch.Tensor) -> torch.Tensor:
    """The whole of a possibly sharded tensor; every process must call it."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def gradient_norm(parameters: Iterable[torch.Tensor]) -> torch.Tensor:
    """Global 2-norm of all gradients, over all processes."""
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    return whole(torch.nn.utils.get_total_norm(gradients))
