"""What a person sees of a run: one line every few steps, and the same numbers in TensorBoard.

step 100/5000 (2.0%) | loss 5.1234 | lr 3.00e-04 | grad 1.23 | 12,345 tok/s | data 0.3% | eta 0:41:10
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta

from torch.utils.tensorboard import SummaryWriter

from millpond.errors import CheckpointError
from millpond.train.config import TrainConfig
from millpond.train.parallel import World

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class StepNumbers:
    """Measurements of one step, over all processes. Loss in nats per token, times in seconds."""

    step: int
    loss: float
    learning_rate: float
    gradient_norm: float
    tokens: int
    seconds: float
    data_seconds: float
    """Of which waiting for data."""


class Board:
    """Shows the steps of one run; rates are over the steps since the last line."""

    def __init__(self, writer: SummaryWriter | None, steps: int, log_every: int) -> None:
        """Without a writer nothing is shown: only one process of a run shows anything."""
        self._writer, self._steps, self._log_every = writer, steps, log_every
        self._pending: list[StepNumbers] = []

    def step(self, numbers: StepNumbers) -> None:
        """Count a step, and show it where a line is due."""
        if self._writer is None:
            return
        self._pending.append(numbers)
        if numbers.step % self._log_every and numbers.step not in (1, self._steps):
            return
        seconds = sum(each.seconds for each in self._pending)
        rate = sum(each.tokens for each in self._pending) / seconds
        waited = 100 * sum(each.data_seconds for each in self._pending) / seconds
        left = timedelta(seconds=round((self._steps - numbers.step) * seconds / len(self._pending)))
        self._pending.clear()
        log.info(
            "step %d/%d (%.1f%%) | loss %.4f | lr %.2e | grad %.2f | %s tok/s | data %.1f%% | eta %s",
            numbers.step,
            self._steps,
            100 * numbers.step / self._steps,
            numbers.loss,
            numbers.learning_rate,
            numbers.gradient_norm,
            f"{rate:,.0f}",
            waited,
            left,
        )
        for key, value in (
            ("loss/train", numbers.loss),
            ("optimizer/learning_rate", numbers.learning_rate),
            ("optimizer/gradient_norm", numbers.gradient_norm),
            ("time/tokens_per_second", rate),
            ("time/data_wait_percent", waited),
        ):
            self._writer.add_scalar(key, value, numbers.step)

    def validation(self, step: int, loss: float) -> None:
        """Show a validation loss, in nats per token."""
        if self._writer is not None:
            log.info("step %d/%d | validation loss %.4f", step, self._steps, loss)
            self._writer.add_scalar("loss/validation", loss, step)


@contextmanager
def open_board(config: TrainConfig, world: World, start: int) -> Iterator[Board]:
    """The board of a run that goes on after step `start`, with TensorBoard events in `out`/tensorboard.

    Raises:
        CheckpointError: they cannot be written there.
    """
    folder = config.out / "tensorboard"
    with ExitStack() as opened:
        writer = None
        with world.alike(CheckpointError, f"{folder}: cannot be written"):
            if world.is_main:
                # purge_step hides what an interrupted run showed of the steps that are now run again
                purged = start + 1 if start else None
                writer = opened.enter_context(SummaryWriter(str(folder), purge_step=purged))
        yield Board(writer, config.steps, config.log_every)
