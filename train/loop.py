"""The training loop: from a configuration and shards to a trained, exported model.

    train(config, world, shards) -> TrainResult

Reads the shards; writes into `config.out` checkpoints/, records/, tensorboard/, export/ and, last,
result.json. A run goes on by itself from its newest valid checkpoint, and a finished one does nothing. With
the same number of processes and threads and the same build of torch, a run that was killed and resumed gives
the same bits as one that was not; with another number of processes it reads the same rows and agrees but for
rounding. The model draws no random numbers after its initial weights, so a checkpoint needs no random state.
"""

from __future__ import annotations

import logging
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event

from millpond import faults
from millpond.errors import CheckpointError, MillpondError
from millpond.train.checkpoint import Checkpoints, read_meta
from millpond.train.config import TrainConfig
from millpond.train.data import Loader
from millpond.train.export import check_tokenizer, export
from millpond.train.metrics import Board, StepNumbers, open_board
from millpond.train.mixture import Mixture
from millpond.train.model import build_model, llama_config, parameter_count
from millpond.train.optimizer import build_optimizer, learning_rate, state_tensors
from millpond.train.parallel import World, shard_model, use_bf16
from millpond.train.records import Records, drop_after, read_records
from millpond.train.result import RESULT, TrainResult, read_result, require_same
from millpond.train.step import Stepper
from millpond.train.validate import validation_loss

log = logging.getLogger(__name__)


class TrainingStopped(MillpondError):
    """A run was asked to stop, and saved its state first."""

    exit_code = 128 + signal.SIGTERM


def train(config: TrainConfig, world: World, shards: Mixture, validation: Mixture | None = None) -> TrainResult:
    """Train to the last step, going on from where an earlier run in the same folder stopped.

    Raises:
        ConfigError: the folder holds a run of other settings, or the batch does not fit the processes.
        CheckpointError: state cannot be saved or restored.
        ShardError: a shard is damaged.
        TrainingStopped: SIGTERM came; state was saved.
        MillpondError: the loss or the gradient is not a finite number.
    """
    identity = config.identity() | {"shards": shards.fingerprint}
    if (finished := read_result(config.out)) is not None:
        require_same(finished.identity, identity, config.out / RESULT)
        log.info("run %s is finished, nothing to do: %s", config.run, config.out / RESULT)
        return finished
    if config.data.tokenizer is not None:
        check_tokenizer(config.data.tokenizer)

    shape = llama_config(
        config.model, vocab_size=shards.vocab_size, context_length=shards.context_length, eos_id=shards.eos_id
    )
    model = build_model(shape, config.seed)
    parameters = parameter_count(model)
    bf16 = use_bf16(config.precision, world.device)
    shard_model(model, world, bf16=bf16, compiled=config.compile)
    optimizer = build_optimizer(model, config.optimizer)
    tensors = state_tensors(model, optimizer)
    stepper = Stepper(config, world, model, optimizer)
    loader = Loader(
        shards,
        batch_rows=config.global_batch_rows,
        rank=world.rank,
        world_size=world.size,
        seed=config.data.seed,
        window=config.data.window,
    )

    # What precision="auto" came to decides numbers too, and another machine may have it come to something else.
    precise = identity | {"precision": "bf16" if bf16 else "fp32"}
    checkpoints = Checkpoints(config.out / "checkpoints", world, config.checkpoint.keep)
    start = 0
    if (found := checkpoints.latest()) is not None:
        meta = read_meta(found)
        require_same(meta["identity"], precise, found)
        checkpoints.load(found, tensors)
        loader.load_state_dict(meta["loader"])
        start = meta["step"]
    segments = config.out / "records"
    with world.alike(CheckpointError, f"{segments}: cannot be cleaned up"):
        if world.is_main:
            drop_after(segments, start)
    log.info(
        "run %s: %s parameters, %d process(es) on %s in %s, from step %d of %d",
        config.run,
        f"{parameters:,}",
        world.size,
        world.device.type,
        precise["precision"],
        start,
        config.steps,
    )
    records = Records(segments, config.run, world.rank, shards.names, start)

    def validate(step: int, board: Board) -> None:
        if validation is not None:
            rows, micro = config.data.validation_rows, config.micro_batch_rows
            loss, tokens = validation_loss(model, world, validation, rows=rows, micro_batch_rows=micro)
            board.validation(step, loss)
            records.validation(step, loss, tokens)

    with (
        open_board(config, world, start) as board,
        _sigterm_event() as asked_to_stop,
    ):
        if start == 0:
            validate(0, board)
        batches = iter(loader)
        for step in range(start + 1, config.steps + 1):
            began = time.perf_counter()
            batch = next(batches)
            waited = time.perf_counter() - began
            rate = learning_rate(config, step)
            try:
                outcome = stepper.step(batch, rate, stop=asked_to_stop.is_set())
            except FloatingPointError as error:
                raise MillpondError(f"step {step} (run {config.run}): {error}") from error
            numbers = StepNumbers(
                step=step,
                loss=outcome.loss,
                learning_rate=rate,
                gradient_norm=outcome.gradient_norm,
                tokens=outcome.tokens,
                seconds=time.perf_counter() - began,
                data_seconds=waited,
            )
            records.step(numbers)
            records.batch(step, batch)
            board.step(numbers)
            faults.point(f"train-step-{step}")

            last = step == config.steps
            if last or step % config.validate_every == 0:
                validate(step, board)
            if last or outcome.stop or step % config.checkpoint.every_steps == 0:
                with world.alike(CheckpointError, f"{segments}: cannot be written"):
                    records.flush(step)
                meta = {"identity": precise, "loader": loader.state_dict(), "world_size": world.size}
                checkpoints.save(step, tensors, meta)
            if outcome.stop and not last:
                raise TrainingStopped(
                    f"stopped by SIGTERM after step {step} of {config.steps}, which is saved: "
                    "run the same command to go on"
                )

    folder = config.out / "export"
    export(model, world, folder, config.data.tokenizer)
    steps = read_records(segments, "steps")
    checks = read_records(segments, "validation")
    result = TrainResult(
        run=config.run,
        identity=identity,
        model=config.model.model_dump(mode="json"),
        parameters=parameters,
        world_size=world.size,
        steps=config.steps,
        tokens=sum(steps["tokens"].to_pylist()),
        seconds=sum(steps["seconds"].to_pylist()),
        fingerprint=shards.fingerprint,
        tokenizer_digest=shards.tokenizer_digest,
        export_path=str(folder),
        first_loss=steps["loss"][0].as_py(),
        last_loss=steps["loss"][-1].as_py(),
        validation=[[row["step"], row["loss"]] for row in checks.to_pylist()],
    )
    with world.alike(CheckpointError, f"{config.out / RESULT}: cannot be written"):
        if world.is_main:
            result.write(config.out)
    log.info("run %s is finished: %s", config.run, config.out / RESULT)
    return result


@contextmanager
def _sigterm_event() -> Iterator[Event]:
    """An event that SIGTERM sets for the length of a `with` block, so that a step is never cut in two."""
    event = Event()
    before = signal.signal(signal.SIGTERM, lambda *_: event.set())
    try:
        yield event
    finally:
        signal.signal(signal.SIGTERM, before)
