"""The shards of one split, of a folder or of another machine, as one numbered set."""

from __future__ import annotations

import glob
import os
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple, Self

import numpy as np

from millpond.config import digest_of
from millpond.errors import ShardError
from millpond.shard import INDEX_SUFFIX, Shard, ShardIndex

if TYPE_CHECKING:  # brings every filesystem with it, which local shards do not need
    from millpond.shard_cache import DistantShard, ShardCache

_AT_ONCE = 16  # index files read at a time
#: What the shards of a set have in common.
_ALIKE = ("split", "context_length", "vocab_size", "eos_id", "tokenizer_digest")


class _Facts(NamedTuple):
    """What a set keeps of an index: the samples of all shards together would fill the memory."""

    name: str
    sha256: str
    size: int
    rows: int
    rows_per_sample: int
    padding: int
    dtype: np.dtype[np.unsignedinteger[Any]]
    alike: tuple[str, int, int, int, str]


class ShardSet:
    """The shards of one split, in the order of their names, made with one tokenizer and one context length.

    At most `max_open` shards are mapped at once; one that is opened again is checked again.
    """

    def __init__(self, files: Iterable[str | Path], *, cache: ShardCache | None = None, max_open: int = 128) -> None:
        """The shards of these index files, paths or URLs; those of URLs need a cache.

        Raises:
            ShardError: no shard, one is unusable, two have one name, or they do not fit together.
            InputError: an index file of another machine cannot be read.
        """
        self._files = sorted((str(file) for file in files), key=_name)
        self.cache = cache
        """What holds shards of other machines."""
        self.max_open = max_open
        self._open: OrderedDict[int, Shard] = OrderedDict()
        self._distant: dict[int, DistantShard] = {}
        if not self._files:
            raise ShardError("no shards were named: give the index files (*.index.json) of one split")
        for one, other in pairwise(self._files):
            if _name(one) == _name(other):
                raise ShardError(f"{one} and {other} have one name: a set holds each shard once")
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            facts = list(pool.map(self._facts, self._files))
        first = facts[0]
        for file, other_facts in zip(self._files, facts, strict=True):
            for mine, theirs, field in zip(other_facts.alike, first.alike, _ALIKE, strict=True):
                if mine != theirs:
                    raise ShardError(f"{file}: {field} is {mine!r}, that of {_name(self._files[0])} is {theirs!r}")
        self._hashes = tuple(each.sha256 for each in facts)
        self._sizes = tuple(each.size for each in facts)
        self.names = tuple(each.name for each in facts)
        self.rows = tuple(each.rows for each in facts)
        self.rows_per_sample = tuple(each.rows_per_sample for each in facts)
        self.padding = tuple(each.padding for each in facts)
        """Tokens that fill the last row of each shard."""
        self.split, self.context_length, self.vocab_size, self.eos_id, self.tokenizer_digest = first.alike
        self.total_rows = sum(self.rows)
        self.total_tokens = self.total_rows * self.context_length - sum(self.padding)
        self.dtype = first.dtype
        names = [_name(file) for file in self._files]
        what = [self.split, self.tokenizer_digest, self.context_length, names, list(self._hashes)]
        self.fingerprint = digest_of(what)
        """Sha256 (hex) over split, tokenizer, context length, file names and sha256s; not over folders."""

    @classmethod
    def of_folder(cls, folder: str | Path, split: str, *, cache: ShardCache | None = None) -> Self:
        """All shards of `split` in `folder`, a path or a URL, by the names of their index files.

        Raises:
            ShardError: there is none, or one is not usable.
            InputError: a folder of another machine cannot be listed or read.
        """
        pattern = f"{split}-*{INDEX_SUFFIX}"
        if is_url(folder):
            return cls(_expanded([f"{str(folder).rstrip('/')}/{pattern}"]), cache=cache)
        paths = list(Path(folder).glob(pattern))
        if not paths:
            raise ShardError(f"{folder}: holds no {split} shards ({pattern})")
        return cls(paths, cache=cache)

    def __len__(self) -> int:
        """Number of shards."""
        return len(self.names)

    def __getstate__(self) -> dict[str, Any]:
        """For another process, which maps the shards itself."""
        return {**self.__dict__, "_open": OrderedDict(), "_distant": {}}

    def shard(self, number: int) -> Shard:
        """The shard of that number, opened where it is not, and fetched before where it is not at hand.

        Raises:
            ShardError: it became unreadable, or was replaced since the set was made.
            InputError: it cannot be fetched.
        """
        if number in self._open:
            self._open.move_to_end(number)
            return self._open[number]
        index = self._same_index(number)
        with self._tar(number) as opened:
            shard = Shard(index, opened, _beside(self._files[number], index.shard))
        self._open[number] = shard
        self._distant.pop(number, None)
        while len(self._open) > self.max_open:
            self._open.popitem(last=False)
        return shard

    def distant(self, number: int) -> DistantShard | None:
        """A shard of another machine that is not here yet, to read a few rows of it meanwhile."""
        file = self._files[number]
        if not is_url(file) or number in self._open or self._remote(file).has(self._hashes[number]):
            return None
        if number not in self._distant:
            from millpond.shard_cache import DistantShard

            url = _beside(file, self.names[number].rpartition("/")[2])
            self._distant[number] = DistantShard(url, partial(self._same_index, number))
        return self._distant[number]

    def bring(self, number: int) -> None:
        """Have a shard at hand before it is asked for: in the cache, or in the system's memory of files.

        Raises:
            ShardError: it is missing, damaged, or there is no room for it.
            InputError: it cannot be fetched.
        """
        with self._tar(number) as opened:
            os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_WILLNEED)

    def size(self, number: int) -> int:
        """Bytes of a shard that the cache has to hold: none where it lies on this machine."""
        return self._sizes[number] if is_url(self._files[number]) else 0

    def _facts(self, file: str) -> _Facts:
        index = self._index(file)
        if not is_url(file) and (found := _size(_beside(file, index.shard))) != index.size:
            raise ShardError(
                f"{_beside(file, index.shard)}: has {found} bytes, not {index.size} as indexed; copy it again"
            )
        return _Facts(
            index.name,
            index.sha256,
            index.size,
            index.rows,
            index.rows_per_sample,
            index.padding,
            index.numpy_dtype,
            (index.split, index.context_length, index.vocab_size, index.eos_id, index.tokenizer_digest),
        )

    def _same_index(self, number: int) -> ShardIndex:
        file = self._files[number]
        index = self._index(file)
        if index.sha256 != self._hashes[number]:
            raise ShardError(f"{_beside(file, index.shard)}: was replaced while in use; start again on the new shards")
        return index

    def _index(self, file: str) -> ShardIndex:
        if not is_url(file):
            return ShardIndex.read(Path(file))
        return ShardIndex.parse(self._remote(file).index(file), file)

    def _tar(self, number: int) -> BinaryIO:
        file = self._files[number]
        tar = _beside(file, self.names[number].rpartition("/")[2])
        if is_url(file):
            return self._remote(file).open(tar, self._sizes[number], self._hashes[number])
        try:
            return Path(tar).open("rb")
        except OSError as error:
            raise ShardError(f"{tar}: cannot be opened as a shard: {error}") from error

    def _remote(self, file: str) -> ShardCache:
        if self.cache is None:
            raise ShardError(f"{file}: lies on another machine: name a cache folder to fetch its shards into")
        return self.cache


def open_shards(where: Sequence[str | Path], split: str, cache: ShardCache | None = None) -> ShardSet:
    """The shards of one folder, or of index files named by paths, URLs or patterns; all of `split`.

    Raises:
        ShardError: there are none, one is not usable, or they are of another split.
        InputError: a name means nothing, or cannot be read.
    """
    if len(where) == 1 and not str(where[0]).endswith(INDEX_SUFFIX) and not str(where[0]).startswith("@"):
        return ShardSet.of_folder(where[0], split, cache=cache)
    shards = ShardSet(_expanded(list(map(str, where))), cache=cache)
    if shards.split != split:
        raise ShardError(f"{where[0]}: is of the {shards.split} split, not {split}")
    return shards


def is_url(file: str | Path) -> bool:
    """Whether this names a file of another machine."""
    return "://" in str(file)


def _expanded(names: list[str]) -> list[str]:
    """The files that patterns, lists and URLs mean; plain paths are left alone."""
    if not any(is_url(name) or name.startswith("@") or glob.has_magic(name) for name in names):
        return names
    from millpond.inputs import expand

    return expand(names)


def _name(file: str) -> str:
    return file.rpartition("/")[2]


def _beside(file: str, name: str) -> str:
    return file.removesuffix(_name(file)) + name


def _size(path: str) -> int:
    try:
        return Path(path).stat().st_size
    except OSError as error:
        raise ShardError(f"{path}: cannot be opened as a shard: {error}") from error
