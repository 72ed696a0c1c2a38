"""The loader in a plain PyTorch loop, as the example has it."""

from __future__ import annotations

import runpy
from pathlib import Path

import torch

EXAMPLE = Path(__file__).parents[2] / "examples" / "plain_pytorch.py"


def test_a_plain_loop_learns_and_goes_on_where_it_stopped(shard_folder: Path, tmp_path: Path) -> None:
    main = runpy.run_path(str(EXAMPLE))["main"]

    def run(steps: int, workers: int, state: str) -> float:
        loss: float = main(
            [str(shard_folder), "--steps", str(steps), "--workers", str(workers), "--state", str(tmp_path / state)]
        )
        return loss

    first, whole = run(1, 0, "first.pt"), run(30, 0, "whole.pt")
    assert whole < 0.8 * first
    for steps, workers in ((7, 2), (11, 0), (30, 1)):
        stopped = run(steps, workers, "stopped.pt")
    assert stopped == whole
    states = [torch.load(tmp_path / name, weights_only=True) for name in ("whole.pt", "stopped.pt")]
    assert states[0]["loader"] == states[1]["loader"]
    for one, other in zip(states[0]["model"].values(), states[1]["model"].values(), strict=True):
        assert torch.equal(one, other)
