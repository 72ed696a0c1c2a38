"""Train on the lake: released shards → a model folder, `train.runs`, `train.steps`, `train.batches`.

    millpond train --config run.toml --processes 2

Training itself is `millpond.train` under torchrun and knows only files. This stage names the released shards to
it, starts it, and publishes what it recorded. A run's folder is `models/<run>` of the lake; a run that was killed
goes on from its newest checkpoint when the same command is given again.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from millpond import durable, faults
from millpond.config import digest_of
from millpond.datafile import DataFileEntry, TableWriter
from millpond.errors import ConfigError, LakeError, MillpondError
from millpond.lake import Lake
from millpond.progress import bar, console, is_silent
from millpond.publish import Mode, Outcome, Run
from millpond.quality.gate import gate
from millpond.schemas import EVAL_RESULTS, IN_TRAINING_TASK, SHARDS, TRAIN_BATCHES, TRAIN_RUNS, TRAIN_STEPS
from millpond.shard import index_path
from millpond.train.config import TrainConfig
from millpond.train.mixture import open_mixture
from millpond.train.records import read_records
from millpond.train.result import RESULT, TrainResult, read_result, require_same
from millpond.trained import trained_runs

#: How the trainer says, in its log, which error ended it.
_COMPLAINT = re.compile(r"\d\d:\d\d:\d\d error: (\w+): (.*)")


def train_on_lake(lake: Lake, settings: Mapping[str, Any], processes: int = 1) -> Outcome:
    """Train a model on the released shards, with the [train] settings given, and publish its records.

    Raises:
        LakeError: there are no shards.
        ConfigError: a setting is unknown or impossible.
        MillpondError: training failed; its last lines are in the message.
    """
    snapshot = lake.tables().get(SHARDS.name)
    if snapshot is None:
        raise LakeError(f"{lake.uri} has no token shards yet: run `millpond tokenize` first")
    config = resolve(lake, settings, snapshot)
    run = Run(lake, "train", config, {SHARDS.name: snapshot})
    if release := run.released(standing=False):
        return run.unchanged(release)
    faults.point("before-data")
    finished = read_result(config.out)
    if finished is not None:
        shards = open_mixture(config.data, "train").fingerprint
        require_same(finished.identity, config.identity() | {"shards": shards}, config.out / RESULT)
    if published := trained_runs(lake).get(config.run):
        if finished is None:
            raise MillpondError(
                f"{config.out}: the published run {config.run} is not there any more: name another run"
            )
        return run.unchanged(published.release)
    result = finished or _train(config, processes)
    _stage(run, config, result)
    return run.done(run.publish(gate(lake)), "records")


def _train(config: TrainConfig, processes: int) -> TrainResult:
    launch = config.out / "launch.json"
    try:
        config.out.mkdir(parents=True, exist_ok=True)
        durable.write_bytes(launch, json.dumps({"train": config.model_dump(mode="json")}, indent=2).encode() + b"\n")
    except OSError as error:
        raise ConfigError(f"out={config.out}: is not a folder that can be written in: {error}") from error
    _launch(launch, processes)
    if (result := read_result(config.out)) is None:
        raise MillpondError(f"{config.out}: training ended without a result")
    return result


def resolve(lake: Lake, settings: Mapping[str, Any], snapshot: int) -> TrainConfig:
    """The configuration of a run on the shards of `snapshot`; its name, where none is given, identifies it.

    Raises:
        ConfigError: a setting is unknown or impossible.
    """
    rows = lake.read(SHARDS.name, ["path", "split", "shard", "sha256"], snapshot).to_pylist()
    indices: dict[str, list[str]] = {}
    for row in sorted(rows, key=lambda row: str(row["path"])):
        tar = Path(row["path"])
        indices.setdefault(row["split"], []).append(str(index_path(tar.parent, tar.name)))
    data = {
        "shards": indices.get("train", []),
        "validation": indices.get("validation"),
        "tokenizer": str(Path(rows[0]["path"]).parent / "tokenizer"),
    }
    contents = sorted((row["shard"], row["sha256"]) for row in rows)
    name = settings.get("run") or f"run-{digest_of({'settings': settings, 'shards': contents})[:8]}"
    out = lake.root / "models" / str(name)
    if Path(str(settings.get("out", out))) != out:
        raise ConfigError(f"train: out={settings['out']!r}: this run's folder in the lake is {out}; leave it out")
    return _config({**settings, "run": name, "out": out}, data, "train")


def check_settings(settings: Mapping[str, Any], where: str) -> None:
    """Refuse unusable [train] settings before there are shards to train on.

    Raises:
        ConfigError: a setting is unknown or impossible.
    """
    _config({"out": "models", **settings}, {"shards": "shards"}, where)


def _config(settings: Mapping[str, Any], data: Mapping[str, Any], where: str) -> TrainConfig:
    """The settings, with the lake's shards where none are named."""
    named = settings.get("data", {})
    complete = {**data, **named} if isinstance(named, Mapping) else named
    return TrainConfig.from_mapping({**settings, "data": complete}, where)


def _launch(config: Path, processes: int) -> None:
    """Run the trainer in processes of its own and show what it says."""
    launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    command = [
        sys.executable,
        *(launcher if processes > 1 else ()),
        "-m",
        "millpond.train",
        "--config",
        str(config),
        "--until-eof",
    ]
    last: deque[str] = deque(maxlen=5)
    complaint: re.Match[str] | None = None
    # Its standard input is never written to: it ends with this process, and the trainer with it.
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            for line in process.stdout or ():
                if line.strip():
                    last.append(line.strip())
                complaint = complaint or _COMPLAINT.match(line)  # every process makes one, and torchrun adds to it
                if not complaint and not is_silent():
                    console.print(line.rstrip(), highlight=False, markup=False, soft_wrap=True)
            code = process.wait()
        except BaseException:
            process.terminate()  # the trainer saves its state and ends
            process.wait()
            raise
    if code and complaint:
        kind, message = complaint.groups()
        raise (ConfigError if kind == ConfigError.__name__ else MillpondError)(message)
    if code:
        raise MillpondError(f"training stopped with exit code {code}: {' / '.join(last)}")


def _stage(run: Run, config: TrainConfig, result: TrainResult) -> None:
    lake, records = run.lake, config.out / "records"
    row = {
        "run": config.run,
        "model": str(result.model.get("preset") or "custom"),
        "parameters": result.parameters,
        "world_size": result.world_size,
        "steps": result.steps,
        "tokens": result.tokens,
        "seconds": result.seconds,
        "shards_digest": result.fingerprint,
        "tokenizer_digest": result.tokenizer_digest,
        "export_path": result.export_path,
        "config": json.dumps(config.model_dump(mode="json"), sort_keys=True),
    }
    run.stage_rows(TRAIN_RUNS.name, [row], Mode.APPEND)
    drawn = 0
    with bar("publish") as shown:
        for kind, table in (("steps", TRAIN_STEPS.name), ("batches", TRAIN_BATCHES.name)):
            entries = _copy(lake, table, read_records(records, kind))
            run.stage_files(table, entries, Mode.APPEND)
            drawn = sum(entry.rows for entry in entries)
            shown.update(drawn)
    checks = [
        {"run": config.run, "step": step, "task": IN_TRAINING_TASK, "metric": "loss", "value": loss}
        for step, loss in result.validation
    ]
    if checks:
        run.stage_rows(EVAL_RESULTS.name, checks, Mode.APPEND)
    run.ledger.add("records", "in", config.steps * config.global_batch_rows)
    run.ledger.add("records", "out", drawn)


def _copy(lake: Lake, table: str, rows: pa.Table) -> list[DataFileEntry]:
    with TableWriter(table, lake.data_folder(table)) as writer:
        for batch in rows.to_batches(max_chunksize=1 << 16):
            writer.write(batch)
    return writer.entries
