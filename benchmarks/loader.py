"""The loader beside mosaicml-streaming, litdata, webdataset and Hugging Face datasets: `python -m benchmarks.loader`.

All sides read the same tokens, each from its own format, in processes of their own, in turn, several rounds; the
median counts. Writes `docs/loader.md`. `--shards 2 --samples 100 --seconds 1 --rounds 1` tries it without writing.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import numpy as np
from benchmarks import peer
from benchmarks.loader_side import CONTEXT, SIDES
from benchmarks.machine import describe, pinned
from benchmarks.measure import BenchmarkError
from benchmarks.page import table
from benchmarks.pages import ROOT

from millpond.errors import MillpondError
from millpond.tokenize.encode import Encoder
from millpond.tokenize.pack import Layout
from millpond.tokenize.shards import ShardWriter
from millpond.tokenize.training import train

WORK = ROOT / ".bench" / "loader-work"
ROWS_PER_SAMPLE, RESUME_AT = 16, 1000
RATES = (1e6, 10e6, 50e6)
BUCKET = "shards"
#: Tokens a second that one process has to give once all is in memory.
LEAST_WARM = 100e6
#: Share of its time that a consumer may wait.
MOST_WAITING = 0.01
#: Column of the page → (key of the measurement, its format, whether more is better).
COLUMNS: Mapping[str, tuple[str, str, bool]] = {
    "cold, M tokens/s": ("cold", "{:.1f}", True),
    "first epoch": ("first_epoch", "{:.1f}", True),
    "second epoch": ("second_epoch", "{:.1f}", True),
    "warm": ("warm", "{:.1f}", True),
    "first batch, ms": ("first_batch", "{:.0f}", False),
    f"resume at step {RESUME_AT:,}, ms": ("resume", "{:.0f}", False),
    "memory, MB": ("memory", "{:.0f}", False),
}
S3_COLUMNS: Mapping[str, tuple[str, str, bool]] = {
    "first epoch, M tokens/s": ("s3_first_epoch", "{:.1f}", True),
    "second epoch": ("s3_second_epoch", "{:.1f}", True),
    "first batch, ms": ("s3_first_batch", "{:.0f}", False),
    f"resume at step {RESUME_AT:,}, ms": ("s3_resume", "{:.0f}", False),
}

_PAGE = """\
# The loader

Written by `python -m benchmarks.loader` on {date} at commit {commit}.

Machine: {processor}, {cores} cores, {memory_gib} GiB, {system}, Python {python}. {versions}
(`benchmarks/peers/loader.txt`).

{tokens:,.0f} M tokens in {shards} tars of Millpond, and the same rows in each peer's own format (webdataset reads the
tars). One process hands out shuffled batches of 8 × 1024 tokens as arrays. Each side ran {rounds} times in a process
of its own, in turn with the others; given are medians. How a side is used stands in `benchmarks/loader_side.py`.

## Files on this machine

{local}
Cold is the first epoch after the files were dropped from the system's memory; all else has them there. In its first
epoch Millpond compares every sample with its digest ("verified"); no peer verifies what it reads from a disk. Warm is
{seconds:g} seconds of later epochs. Memory is the process's own (RssAnon and RssShmem), mapped files apart. webdataset
and datasets keep no place in a shuffled stream: to resume, they read again what was seen. The first batch and the
resuming exclude imports.

## Consumers

The share of its time that a consumer waits whose work on a batch is such that it takes so many tokens a second, over
{consumed:g} seconds from its first batch on. What is verified in the first epoch is included; Millpond may wait for
at most {most_waiting:.0%}.

{consumers}
## S3

The same from a bucket of moto's server on loopback, which shows the code at work and no network; each side began with
an empty cache. webdataset reads over plain HTTP with curl and keeps nothing.

{s3}
{verdicts}
"""


def main() -> int:
    """Measure and write the page; 1 where a bar is missed."""
    parser = argparse.ArgumentParser(prog="benchmarks.loader")
    for name, default in (("shards", 8), ("samples", 1000), ("seconds", 5), ("rounds", 3)):
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    whole = options == parser.parse_args([])
    try:
        page, missed = run(options)
    except MillpondError as error:
        sys.stderr.write(f"loader: {error}\n")
        return error.exit_code
    if whole:
        (ROOT / "docs" / "loader.md").write_text(page)
    sys.stdout.write(page)
    if missed:
        sys.stderr.write(f"loader: {'; '.join(missed)}\n")
    return int(bool(missed))


def run(options: argparse.Namespace) -> tuple[str, list[str]]:
    """Measure; the page, and what was missed."""
    interpreter = peer.ensure("loader")
    shutil.rmtree(WORK, ignore_errors=True)
    tars = WORK / "tars"
    _write(tars, options.shards, options.samples)
    rows = options.shards * options.samples * ROWS_PER_SAMPLE
    places = {}
    for name, side in SIDES.items():
        places[name] = tars if side.prepare is None else WORK / name.split(",")[0]
        if side.prepare is not None:
            _call(interpreter, name, "prepare", str(tars), str(places[name]))
    taken: dict[str, dict[str, list[float]]] = {name: defaultdict(list) for name in SIDES}
    with _bucket(places) as environment:
        for _ in range(options.rounds):
            for name, place in places.items():
                found = _round(interpreter, name, place, rows, options.seconds, environment)
                for key, value in found.items():
                    taken[name][key].append(value)
    medians = {name: {key: statistics.median(v) for key, v in found.items()} for name, found in taken.items()}
    missed = _missed(medians)
    facts = describe(ROOT, peer.pins("datatrove"), 2)
    versions = pinned(peer.pins("loader"), ["mosaicml-streaming", "litdata", "webdataset", "datasets", "torch"])
    page = _PAGE.format(
        **facts["machine"],
        date=facts["date"],
        commit=facts["commit"],
        python=facts["versions"]["python"],
        versions=", ".join(f"{name} {version}" for name, version in versions.items()),
        tokens=rows * CONTEXT / 1e6,
        shards=options.shards,
        rounds=options.rounds,
        seconds=options.seconds,
        consumed=2 * options.seconds,
        most_waiting=MOST_WAITING,
        local=_table(COLUMNS, medians),
        s3=_table(S3_COLUMNS, medians),
        consumers=_consumers(medians),
        verdicts="\n".join(f"Missed: {one}." for one in missed) or "No bar is missed.",
    )
    return page, missed


def _round(
    interpreter: Path, name: str, place: Path, rows: int, seconds: int, environment: Mapping[str, str]
) -> dict[str, float]:
    """Everything once of one side."""

    def measured(where: str, mode: str, *arguments: str) -> dict[str, float]:
        with tempfile.TemporaryDirectory(dir=WORK) as cache:
            tars = sorted(path.name for path in place.glob("*.tar"))
            (Path(cache) / "tars.json").write_text(json.dumps(tars))
            return _call(interpreter, name, mode, where, cache, *arguments, environment=environment)

    _drop(place)
    cold = measured(str(place), "epochs", str(rows), "1")
    found = {"cold": cold["first_epoch"], **measured(str(place), "epochs", str(rows), str(seconds))}
    found |= measured(str(place), "resume", str(RESUME_AT))
    for rate in RATES:
        found[f"waits_{rate:.0f}"] = measured(str(place), "consume", str(rate), str(2 * seconds))["waited"]
    where = f"s3://{BUCKET}/{place.name}"
    for mode, argument in (("epochs", (str(rows), "1")), ("resume", (str(RESUME_AT),))):
        found |= {f"s3_{key}": value for key, value in measured(where, mode, *argument).items()}
    return found


def _call(
    interpreter: Path, name: str, *arguments: str, environment: Mapping[str, str] | None = None
) -> dict[str, Any]:
    own = name == "Millpond"
    command = [
        sys.executable if own else str(interpreter),
        str(ROOT / "benchmarks" / "loader_side.py"),
        name,
        *arguments,
    ]
    inherited = {key: value for key, value in os.environ.items() if own or key != "PYTHONPATH"}
    done = subprocess.run(command, capture_output=True, text=True, env={**inherited, **(environment or {})})
    if done.returncode:
        raise BenchmarkError(f"{name} {arguments[0]} exited with {done.returncode}:\n{done.stderr[-3000:]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _write(folder: Path, shards: int, samples: int) -> None:
    """Tars of random tokens: what they say does not matter to any side."""
    encoder, layout = Encoder(train([], vocab_size=257)), Layout(CONTEXT, ROWS_PER_SAMPLE, samples)
    chance = np.random.default_rng(0)
    for number in range(shards):
        with ShardWriter(folder, f"train-{number:05d}-000.tar", "train", encoder, layout) as shard:
            for _ in range(samples):
                shard.add(chance.integers(0, 256, (ROWS_PER_SAMPLE, CONTEXT), dtype=np.uint16))
            shard.commit()


def _drop(folder: Path) -> None:
    """Have the system forget what it holds of these files."""
    for path in folder.rglob("*"):
        if path.is_file():
            descriptor = os.open(path, os.O_RDONLY)
            os.fsync(descriptor)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(descriptor)


@contextmanager
def _bucket(places: Mapping[str, Path]) -> Iterator[dict[str, str]]:
    """An S3 server in a process of its own, with all files in it; the environment that leads there."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    endpoint = f"http://127.0.0.1:{port}"
    keys = {"AWS_ACCESS_KEY_ID": "me", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_DEFAULT_REGION": "us-east-1"}
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            client = boto3.client(
                "s3",
                endpoint_url=endpoint,
                aws_access_key_id=keys["AWS_ACCESS_KEY_ID"],
                aws_secret_access_key=keys["AWS_SECRET_ACCESS_KEY"],
                region_name=keys["AWS_DEFAULT_REGION"],
            )
            _until_there(port)
            client.create_bucket(Bucket=BUCKET, ACL="public-read")
            for place in set(places.values()):
                for path in place.rglob("*"):
                    if path.is_file():
                        key = f"{place.name}/{path.relative_to(place)}"
                        client.upload_file(str(path), BUCKET, key, ExtraArgs={"ACL": "public-read"})
            yield {"AWS_ENDPOINT_URL": endpoint, "S3_ENDPOINT_URL": endpoint, **keys}
        finally:
            server.terminate()


def _until_there(port: int) -> None:
    for _ in range(300):
        with socket.socket() as asked:
            if not asked.connect_ex(("127.0.0.1", port)):
                return
        time.sleep(0.1)
    raise BenchmarkError("moto's server did not start within 30 s")


def _table(columns: Mapping[str, tuple[str, str, bool]], medians: Mapping[str, Mapping[str, float]]) -> str:
    return table(
        ("", *columns),
        [(name, *(_shown(found, *column) for column in columns.values())) for name, found in medians.items()],
    )


def _shown(found: Mapping[str, float], key: str, form: str, _: bool) -> str:
    if key not in found:
        return "–"
    value = found[key]
    return form.format(value / 1e6 if value > 1e5 else value if key.endswith("memory") else value * 1e3)


def _consumers(medians: Mapping[str, Mapping[str, float]]) -> str:
    rows = [(name, *(f"{found[f'waits_{rate:.0f}']:.2%}" for rate in RATES)) for name, found in medians.items()]
    return table(("", *(f"{rate / 1e6:.0f} M tokens/s" for rate in RATES)), rows)


def _missed(medians: Mapping[str, Mapping[str, float]]) -> list[str]:
    """The bars that Millpond does not reach."""
    own = medians["Millpond"]
    missed = []
    if own["warm"] < LEAST_WARM:
        missed.append(f"warm {own['warm'] / 1e6:.0f} M tokens/s, at least {LEAST_WARM / 1e6:.0f} M")
    for rate in RATES:
        if (waited := own[f"waits_{rate:.0f}"]) > MOST_WAITING:
            missed.append(f"a consumer of {rate / 1e6:.0f} M tokens/s waits {waited:.2%}, at most {MOST_WAITING:.0%}")
    for title, (key, _, more) in (*COLUMNS.items(), *((f"S3, {t}", c) for t, c in S3_COLUMNS.items())):
        for name, found in medians.items():
            if key in found and ((found[key] > own[key]) if more else (found[key] < own[key])):
                missed.append(f"{title}: {name} is ahead")
    return missed


if __name__ == "__main__":
    sys.exit(main())
