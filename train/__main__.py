"""Train from files alone: a TOML with a section [train] names the shards, the model and the folder to write.

    python -m millpond.train --config run.toml --set steps=200
    torchrun --standalone --nproc-per-node 2 -m millpond.train --config run.toml

Writes config.json (resolved) and everything `millpond.train.loop` names into `train.out`. Exit codes: 0 done,
1 it failed, 2 asked for wrongly, 143 stopped by SIGTERM with its state saved.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from transformers.utils.logging import disable_progress_bar

from millpond.config import load
from millpond.errors import ConfigError, MillpondError
from millpond.train.alone import sole_trainer, stop_at_end_of_input
from millpond.train.config import TrainConfig
from millpond.train.loop import train
from millpond.train.mixture import open_mixture
from millpond.train.parallel import open_world


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one training process and return its exit code."""
    parser = argparse.ArgumentParser(prog="millpond.train", description="Train a model on token shards.")
    parser.add_argument("--config", required=True, type=Path, help="TOML file with a section [train]")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="override, such as optimizer.learning_rate=1e-3",
    )
    parser.add_argument(
        "--until-eof", action="store_true", help="stop, with the state saved, when standard input ends"
    )
    options = parser.parse_args(arguments)
    if options.until_eof:
        stop_at_end_of_input()
    is_main = os.environ.get("RANK", "0") == "0"
    logging.basicConfig(
        stream=sys.stdout,
        level=logging.INFO if is_main else logging.ERROR,
        format="%(asctime)s %(message)s",
        datefmt="%H:%M:%S",
    )
    disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        config = load(TrainConfig, options.config, "train", options.set)
        with (
            open_world(config.device, config.timeout_seconds) as world,
            # Half of what the other processes wait for this one.
            sole_trainer(config.out, world, config.timeout_seconds / 2),
        ):
            shards, validation = open_mixture(config.data, "train"), None
            if config.data.validation is not None:
                validation = open_mixture(config.data, "validation")
            with world.alike(ConfigError, f"out={config.out}: is not a folder that can be written in"):
                if world.is_main:
                    config.write(config.out / "config.json")
            train(config, world, shards, validation)
    except MillpondError as error:
        logging.getLogger("millpond.train").error("error: %s: %s", type(error).__name__, error)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
