"""Dataset folders as Hugging Face lays them out: which files of one belong to a split.

A folder is named by its path, or as `hf://datasets/owner/name` (also `hf://datasets/owner/name@revision`). Which files
belong to which split stands in the `configs` of its README.md; where it does not, the names say it, as they do there:
`data/train-00000-of-00002.parquet` and `test/x.jsonl` are of the splits that they name, and where no name says
anything, all files are of the split `train`.
"""

from __future__ import annotations

import re
import reprlib
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from millpond.errors import InputError, require
from millpond.ingest.config import TextConfig
from millpond.ingest.text import TEXT_SUFFIXES
from millpond.inputs import open_input
from millpond.patience import repeated
from millpond.storage import filesystem, is_url

_README_BYTES = 8 << 20
_FRONT = re.compile(r"\A\ufeff?---[ \t]*\r?\n(.*?)^---[ \t]*\r?$", re.DOTALL | re.MULTILINE)
#: What names a split, by split, in the order in which names are searched.
_KEYWORDS = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "dev", "val"),
    "test": ("test", "testing", "eval", "evaluation"),
}
_DATASET = re.compile(r"hf://datasets/[^/]+/[^/]+/?")


def with_datasets(names: Iterable[str], config: TextConfig) -> list[str]:
    """The names, with each dataset folder among them replaced by the files of the split.

    Raises:
        InputError: a dataset has no such subset or split, or its README.md cannot be read.
    """
    found: list[str] = []
    for name in names:
        files = _below(name)
        found += _split(name, files, config) if files else [name]
    return found


def _below(name: str) -> list[str]:
    """Paths of the tables below a dataset folder, relative to it; none if it is no such folder."""
    if is_url(name):
        if not (name.endswith("/") or _DATASET.fullmatch(name)):
            return []
        system, root = filesystem(name.rstrip("/"), once=True)
        paths = [path[len(root) :].lstrip("/") for path in repeated(name, lambda: system.find(root))]
    else:
        paths = [str(path.relative_to(name)) for path in Path(name).rglob("*") if path.is_file()]
    return sorted(path for path in paths if path.endswith(TEXT_SUFFIXES) and not re.search(r"(^|/)[._]", path))


def _split(name: str, files: Sequence[str], config: TextConfig) -> list[str]:
    splits = _described(name, files, config.subset)
    if config.split not in splits:
        raise InputError(f"{name}: has no split {config.split!r}; there are: {', '.join(sorted(splits))}")
    if not splits[config.split]:
        raise InputError(f"{name}: no file belongs to split {config.split!r}")
    return [f"{name.rstrip('/')}/{path}" for path in splits[config.split]]


def _described(name: str, files: Sequence[str], subset: str | None) -> dict[str, list[str]]:
    """Files by split of one subset."""
    subsets = {_said(each.get("config_name", "default")): each for each in _configs(name)}
    if not subsets and subset in (None, "default"):
        return _by_name(files)
    if subset is None:
        marked = [known for known, each in subsets.items() if each.get("default")]
        subset = next(iter([*marked, *(known for known in subsets if known == "default")]), None)
        if subset is None and len(subsets) == 1:
            [subset] = subsets
    if subset not in subsets:
        wanted = "its subsets have no default: set text.subset" if subset is None else f"has no subset {subset!r}"
        raise InputError(f"{name}: {wanted}; there are: {', '.join(sorted(subsets)) or 'none'}")
    about = subsets[subset]
    below = f"{_said(about['data_dir']).strip('/')}/" if about.get("data_dir") else ""
    own = [path for path in files if path.startswith(below)]
    if "data_files" not in about:
        return _by_name(own)
    return {split: _matching(own, [below + each for each in patterns]) for split, patterns in _patterns(name, about)}


def _patterns(name: str, about: dict[str, Any]) -> list[tuple[str, list[str]]]:
    """Splits with their patterns: a list of splits with paths, or just the paths of `train`."""
    given = about["data_files"]
    entries = given if isinstance(given, list) and all(isinstance(each, dict) for each in given) else [{"path": given}]
    found = []
    for entry in entries:
        paths = entry.get("path")
        paths = [paths] if isinstance(paths, str) else paths
        if not isinstance(paths, list) or not all(isinstance(path, str) for path in paths):
            raise InputError(f"{name}: README.md: data_files names no paths: {_said(entry)}")
        found.append((_said(entry.get("split", "train")), paths))
    return found


def _said(value: object) -> str:
    """A value of a README.md as text; lists and tables in short, for aliases make billions of a few lines."""
    return reprlib.repr(value)[:100] if isinstance(value, list | dict) else str(value)


def _matching(files: Sequence[str], patterns: Sequence[str]) -> list[str]:
    return [path for path in files if any(_matches(path, pattern.removeprefix("./")) for pattern in patterns)]


def _matches(path: str, pattern: str) -> bool:
    """Whether a path is meant: `*` stops at a slash, `**` does not, and a folder means all below it."""
    if path.startswith(f"{pattern.rstrip('/')}/"):
        return True
    if "**" in pattern:
        return fnmatchcase(path, pattern) or fnmatchcase(path, pattern.replace("**/", ""))
    return path.count("/") == pattern.count("/") and fnmatchcase(path, pattern)


def _by_name(files: Sequence[str]) -> dict[str, list[str]]:
    """Files by the split that their names or folders say."""
    splits: dict[str, list[str]] = {}
    for path in files:
        words = re.split(r"[-._ /0-9]+", path.lower())
        if split := next((split for split, known in _KEYWORDS.items() if any(word in known for word in words)), None):
            splits.setdefault(split, []).append(path)
    return splits or {"train": list(files)}


def _configs(name: str) -> list[dict[str, Any]]:
    """The `configs` of the README.md, if it has any."""
    try:
        with open_input(f"{name.rstrip('/')}/README.md") as file:
            text = file.read(_README_BYTES).decode("utf-8", errors="replace")
    except InputError as error:
        if str(error).endswith("no such file"):
            return []
        raise
    front = _FRONT.match(text)
    if front is None:
        return []
    yaml = require("yaml", "ingest")
    try:
        described = yaml.safe_load(front[1])
    except yaml.YAMLError as error:
        raise InputError(f"{name}/README.md: its head is not YAML: {' '.join(str(error).split())[:200]}") from error
    configs = described.get("configs", []) if isinstance(described, dict) else []
    if not isinstance(configs, list) or not all(isinstance(each, dict) for each in configs):
        raise InputError(f"{name}/README.md: configs is no list of tables")
    return configs
