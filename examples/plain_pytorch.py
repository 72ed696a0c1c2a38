"""Train a small model on token shards with plain PyTorch: of Millpond, the loader alone is used.

    python examples/plain_pytorch.py SHARDS --steps 100 --workers 2

SHARDS is a folder of train shards. Run again with more steps it goes on from `state.pt`, with the very batches that a
run without a stop would have seen, whatever the number of worker processes was or is.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn
from torch.utils.data import DataLoader

from millpond.shard_set import ShardSet
from millpond.train.data import Loader


def main(arguments: Sequence[str] | None = None) -> float:
    """Train up to a step; returns the last loss."""
    parser = argparse.ArgumentParser(description="Train a small model on token shards.")
    parser.add_argument("shards", help="folder of train shards")
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--state", type=Path, default=Path("state.pt"))
    options = parser.parse_args(arguments)

    shards = ShardSet.of_folder(options.shards, "train")
    loader = Loader(shards, batch_rows=8, seed=1)
    torch.manual_seed(0)
    model = nn.Sequential(nn.Embedding(shards.vocab_size, 64), nn.Linear(64, shards.vocab_size))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    start, loss = 0, torch.tensor(float("nan"))
    if options.state.exists():
        state = torch.load(options.state, weights_only=True)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        loader.load_state_dict(state["loader"])
        start = state["loader"]["step"]

    batches = iter(DataLoader(loader, batch_size=None, num_workers=options.workers))
    for step in range(start, options.steps):
        batch = next(batches)
        tokens = batch.tokens.long()  # shards hold 16 or 32 bits
        targets = tokens[:, 1:].clone()
        targets[torch.arange(1, tokens.shape[1]) >= batch.valid[:, None]] = -100  # padding
        loss = nn.functional.cross_entropy(model(tokens[:, :-1]).flatten(0, 1), targets.flatten())
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        optimizer.zero_grad()
        if step + 1 == options.steps:
            state = {
                "model": model.state_dict(),
                "optimizer": optimizer.state_dict(),
                "loader": loader.state_after(batch),
            }
            torch.save(state, options.state)
    sys.stdout.write(f"step {options.steps}: loss {loss.item():.4f}\n")
    return loss.item()


if __name__ == "__main__":
    main()
