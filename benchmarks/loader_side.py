"""One side of `benchmarks.loader`: batches of 8 × 1024 tokens in one process, as one line of JSON.

    PYTHON loader_side.py SIDE prepare TARS FOLDER
    PYTHON loader_side.py SIDE epochs  WHERE CACHE ROWS SECONDS
    PYTHON loader_side.py SIDE resume  WHERE CACHE STEP
    PYTHON loader_side.py SIDE consume WHERE CACHE RATE SECONDS

`prepare` writes a peer's own format from Millpond's tars. WHERE is a folder or an s3:// URL, CACHE an empty
folder for what is fetched. Every side shuffles as its users have it do, and hands out NumPy arrays or tensors.
"""

from __future__ import annotations

import ctypes
import importlib
import io
import json
import os
import sys
import tarfile
import time
from collections.abc import Callable, Iterable, Iterator
from importlib.machinery import ModuleSpec
from itertools import count, islice
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import MagicMock

import numpy as np

ROWS, CONTEXT, SEED, BUFFER = 8, 1024, 7, 4096
TOKENS = ROWS * CONTEXT
_TIMER_SLACK = 29  # PR_SET_TIMERSLACK: sleep to a few microseconds, not to fifty

Batches = Iterator[Any]


def _endpoint() -> str:
    return os.environ["AWS_ENDPOINT_URL"]


class Side(NamedTuple):
    """How a loader is used."""

    batches: Callable[[str, Path, int], Batches]
    """Endless batches of what lies somewhere, from a step on."""
    modules: tuple[str, ...]
    """Imported before any clock starts."""
    remote: tuple[str, ...]
    """Imported, too, where files lie in a bucket."""
    prepare: Callable[[Iterator[Any], Path], object] | None = None
    """Write its own format from the rows; none where it reads the tars."""


# Millpond


def _millpond(where: str, cache: Path, start: int) -> Batches:
    from millpond.shard_set import ShardSet
    from millpond.train.data import Loader

    held = None
    if "://" in where:
        from millpond.shard_cache import ShardCache

        held = ShardCache(cache, 1 << 36)
    loader = Loader(ShardSet.of_folder(where, "train", cache=held), batch_rows=ROWS, seed=SEED)
    if start:
        loader.load_state_dict({**loader.state_dict(), "step": start})
    return (batch.tokens for batch in loader)


# mosaicml-streaming


def _without_images() -> None:
    """mosaicml-streaming imports torchvision, for images alone; one for GPUs does not load beside a torch for CPUs."""
    try:
        import torchvision  # noqa: F401
    except RuntimeError:
        for name in ("torchvision", "torchvision.datasets", "torchvision.transforms.functional"):
            kind = type("VisionDataset", (), {})
            sys.modules[name] = MagicMock(__spec__=ModuleSpec(name, None), __path__=[], VisionDataset=kind)


def _mosaic(where: str, cache: Path, start: int) -> Batches:
    from streaming import StreamingDataset

    place = {"remote": where, "local": str(cache)} if "://" in where else {"local": where}
    data = StreamingDataset(**place, shuffle=True, shuffle_seed=SEED, batch_size=ROWS, num_canonical_nodes=1)
    if start:
        data.load_state_dict(data.state_dict(start * ROWS, True))
    return _stacked(sample["tokens"] for _ in count() for sample in data)


def _to_mosaic(rows: Iterator[Any], folder: Path) -> None:
    from streaming import MDSWriter

    columns = {"tokens": f"ndarray:uint16:{CONTEXT}"}
    with MDSWriter(out=str(folder), columns=columns, size_limit=1 << 26) as writer:
        for row in rows:
            writer.write({"tokens": row})


# litdata


def _litdata(where: str, cache: Path, start: int) -> Batches:
    from litdata import StreamingDataLoader, StreamingDataset
    from litdata.streaming import downloader
    from litdata.streaming.item_loader import TokensLoader

    downloader._OBSTORE_CLIENT_OPTIONS["allow_http"] = "true"  # no setting says that the server has no TLS
    data = StreamingDataset(
        where, item_loader=TokensLoader(block_size=CONTEXT), shuffle=True, seed=SEED, **_place(where, cache)
    )
    loader = StreamingDataLoader(data, batch_size=ROWS, num_workers=0)
    if start:
        one = iter(loader)
        next(one)
        state = loader.state_dict()
        for counts in (state, state["dataset"]):
            counts["num_samples_yielded"] = start * ROWS
        state["dataset"]["sample_in_epoch"] = start * ROWS
        loader.load_state_dict(state)
    return (batch for _ in count() for batch in loader)


def _place(where: str, cache: Path) -> dict[str, Any]:
    return {"cache_dir": str(cache)} if "://" in where else {}


def _to_litdata(rows: Iterator[Any], folder: Path) -> None:
    import torch
    from litdata.streaming import Cache
    from litdata.streaming.item_loader import TokensLoader

    cache = Cache(str(folder), chunk_bytes="64MB", item_loader=TokensLoader(block_size=CONTEXT))
    for number, row in enumerate(rows):
        cache[number] = torch.from_numpy(row.copy())
    cache.done()
    cache.merge()


# webdataset, from Millpond's tars


def _webdataset(where: str, cache: Path, start: int) -> Batches:
    import webdataset

    def opened(source: Any) -> Iterator[Any]:
        for sample in source:
            yield from np.load(io.BytesIO(sample["npy"]), allow_pickle=False)

    if "://" in where:
        endpoint, bucket = _endpoint(), where.removeprefix("s3://")
        names = [f"{endpoint}/{bucket}/{name}" for name in json.loads((cache / "tars.json").read_text())]
    else:
        names = sorted(str(path) for path in Path(where).glob("*.tar"))
    data = webdataset.DataPipeline(
        webdataset.SimpleShardList(names, seed=SEED),
        webdataset.shuffle(len(names)),
        webdataset.tarfile_to_samples(),
        opened,
        webdataset.shuffle(BUFFER),
    )
    batches = _stacked(row for _ in count() for row in data)
    return islice(batches, start, None)  # it has no state: what was seen is read again


# Hugging Face datasets, streaming


def _datasets(where: str, cache: Path, start: int) -> Batches:
    from datasets import load_dataset

    options = {"client_kwargs": {"endpoint_url": _endpoint()}} if "://" in where else None
    files = f"{where}/*.parquet"
    data = load_dataset("parquet", data_files=files, split="train", streaming=True, storage_options=options)
    data = data.shuffle(seed=SEED, buffer_size=BUFFER).with_format("numpy").batch(ROWS)
    batches = (batch["tokens"] for _ in count() for batch in data)
    return islice(
        batches, start, None
    )  # its state leaves out what the shuffle buffer held: what was seen is read again


def _to_parquet(rows: Iterator[Any], folder: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema([("tokens", pa.list_(pa.uint16(), CONTEXT))])
    for number in count():
        if not (part := list(islice(rows, 1 << 15))):
            return
        values = pa.FixedSizeListArray.from_arrays(pa.array(np.concatenate(part)), CONTEXT)
        path = folder / f"train-{number:05d}.parquet"
        pq.write_table(pa.table([values], schema), path, row_group_size=1024, compression="none")


SIDES = {
    "Millpond": Side(_millpond, ("millpond.train.data",), ("millpond.shard_cache", "s3fs")),
    "mosaicml-streaming": Side(_mosaic, ("streaming",), ("boto3",), _to_mosaic),
    "litdata": Side(_litdata, ("litdata", "torch"), ("boto3", "obstore.store"), _to_litdata),
    "webdataset": Side(_webdataset, ("webdataset",), ()),
    "datasets, streaming": Side(_datasets, ("datasets", "pyarrow.parquet"), ("s3fs",), _to_parquet),
}


def prepare(side: Side, tars: str, folder: str) -> dict[str, Any]:
    """Write a peer's format."""
    Path(folder).mkdir(parents=True)
    if side.prepare is not None:
        side.prepare(_rows(Path(tars)), Path(folder))
    return {}


def epochs(side: Side, where: str, cache: str, rows: str, seconds: str) -> dict[str, Any]:
    """Seconds to the first batch; tokens a second in the first epoch, in the second, and from then on; memory."""
    steps = int(rows) // ROWS
    began = time.perf_counter()
    batches = side.batches(where, Path(cache), 0)
    next(batches)
    first = time.perf_counter() - began
    found = {"first_batch": first}
    began = time.perf_counter()
    for epoch in ("first_epoch", "second_epoch"):
        if time.perf_counter() - began > 10 * float(seconds):  # a slow one is not waited for twice
            break
        took, done = _timed(batches, steps - (epoch == "first_epoch"), 60 * float(seconds))
        found[epoch] = done * TOKENS / took
    took, done = _timed(batches, 1 << 60, float(seconds))
    return {**found, "warm": done * TOKENS / took, "memory": _memory()}


def resume(side: Side, where: str, cache: str, step: str) -> dict[str, Any]:
    """Seconds from nothing but a state to its next batch."""
    began = time.perf_counter()
    batches = side.batches(where, Path(cache), int(step))
    next(batches)
    return {"resume": time.perf_counter() - began}


def consume(side: Side, where: str, cache: str, rate: str, seconds: str) -> dict[str, Any]:
    """The share of its time that a consumer waits whose work is such that it takes `rate` tokens a second."""
    ctypes.CDLL(None).prctl(_TIMER_SLACK, 1000, 0, 0, 0)
    work = TOKENS / float(rate)
    batches = side.batches(where, Path(cache), 0)
    next(batches)
    waited, began = 0.0, time.perf_counter()
    due = began
    while due - began < float(seconds) and time.perf_counter() - began < 3 * float(seconds):
        asked = time.perf_counter()
        next(batches)
        had = time.perf_counter()
        waited += had - asked
        due = max(due, had - work) + work
        if due > had:
            time.sleep(due - had)
    return {"waited": waited / (time.perf_counter() - began)}


def _timed(batches: Batches, steps: int, seconds: float) -> tuple[float, int]:
    """Take batches, at most `steps` and for about `seconds`; the seconds it took, and how many."""
    began = time.perf_counter()
    for done in range(1, steps + 1):
        next(batches)
        if not done % 64 and time.perf_counter() - began > seconds:
            break
    return time.perf_counter() - began, done


def _memory() -> float:
    """Megabytes of its own, which files it has mapped are not."""
    status = Path("/proc/self/status").read_text().splitlines()
    lines = dict(line.split(":", 1) for line in status)
    return sum(int(lines[name].split()[0]) for name in ("RssAnon", "RssShmem")) / 1024


def _stacked(rows: Iterable[Any]) -> Batches:
    rows = iter(rows)
    while True:
        yield np.stack(list(islice(rows, ROWS)))


def _rows(tars: Path) -> Iterator[Any]:
    for path in sorted(tars.glob("*.tar")):
        with tarfile.open(path) as tar:
            for member in tar:
                file = tar.extractfile(member)
                yield from np.load(io.BytesIO(file.read() if file else b""), allow_pickle=False)


def main() -> None:
    """Measure one side."""
    name, mode, *arguments = sys.argv[1:]
    modes: dict[str, Callable[..., dict[str, Any]]] = {
        "prepare": prepare,
        "epochs": epochs,
        "resume": resume,
        "consume": consume,
    }
    if name == "mosaicml-streaming":
        _without_images()
    remote = SIDES[name].remote if "://" in arguments[0] else ()
    for module in (*SIDES[name].modules, *remote):
        importlib.import_module(module)
    found = modes[mode](SIDES[name], *arguments)
    sys.stdout.write("\n" + json.dumps(found) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
