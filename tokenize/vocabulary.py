"""The vocabulary: a tokenizer, trained (`millpond.tokenize.training`) or given, and its end-of-text token.

`save` writes a folder that `transformers.AutoTokenizer` loads. `digest` identifies what the tokenizer does, not its
file's spacing.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from millpond import durable
from millpond.config import digest_of
from millpond.errors import ConfigError

END_OF_TEXT = "<|endoftext|>"
#: Names under which the field knows an end-of-text token, tried in this order.
KNOWN_END_OF_TEXT = (END_OF_TEXT, "<|end_of_text|>", "</s>", "<eos>", "[EOS]")

TOKENIZER_FILE, CONFIG_FILE = "tokenizer.json", "tokenizer_config.json"


@dataclass(frozen=True)
class Vocabulary:
    """A tokenizer without truncation or padding, and the token that ends every document."""

    tokenizer: Tokenizer
    eos_token: str

    @cached_property
    def size(self) -> int:
        """One more than the largest id, added tokens included."""
        return max(self.tokenizer.get_vocab(with_added_tokens=True).values()) + 1

    @cached_property
    def eos_id(self) -> int:
        return self.tokenizer.get_vocab(with_added_tokens=True)[self.eos_token]

    @cached_property
    def digest(self) -> str:
        """Sha256 (hex) of the tokenizer's canonical JSON and its end-of-text token."""
        return digest_of([json.loads(self.tokenizer.to_str()), self.eos_token])

    def save(self, folder: Path) -> None:
        """Write `tokenizer.json` and `tokenizer_config.json`, which AutoTokenizer loads."""
        folder.mkdir(parents=True, exist_ok=True)
        settings = {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "eos_token": self.eos_token,
            "pad_token": self.eos_token,
            "clean_up_tokenization_spaces": False,
        }
        durable.write_bytes(folder / TOKENIZER_FILE, self.tokenizer.to_str(pretty=True).encode())
        durable.write_bytes(folder / CONFIG_FILE, json.dumps(settings, indent=2).encode() + b"\n")


def load(path: Path, eos_token: str | None = None) -> Vocabulary:
    """Load a `tokenizer.json`, or the one in a folder.

    Without `eos_token` the token is taken from a `tokenizer_config.json` beside it, or by its usual names.

    Raises:
        ConfigError: there is no such file, it holds no tokenizer, or its end-of-text token is not known.
    """
    file = path / TOKENIZER_FILE if path.is_dir() else path
    if not file.is_file():
        raise ConfigError(f"tokenizer={path}: no such file; give a {TOKENIZER_FILE} or a folder with one")
    try:
        tokenizer = Tokenizer.from_file(str(file))
    except Exception as error:  # the bindings raise nothing narrower
        raise ConfigError(f"tokenizer={file}: not a tokenizer that `tokenizers` can read: {error}") from error
    tokenizer.no_truncation()
    tokenizer.no_padding()
    known = tokenizer.get_vocab(with_added_tokens=True)
    if not known:
        raise ConfigError(f"tokenizer={file}: its vocabulary is empty")
    named = eos_token or _configured_end_of_text(file.with_name(CONFIG_FILE))
    for token in (named,) if named else KNOWN_END_OF_TEXT:
        if token in known:
            return Vocabulary(tokenizer, token)
    tried = repr(named) if named else ", ".join(KNOWN_END_OF_TEXT)
    raise ConfigError(f"tokenizer={file}: has no end-of-text token {tried}; set eos_token to one of its tokens")


def _configured_end_of_text(path: Path) -> str | None:
    if not path.is_file():
        return None
    try:
        settings: Any = json.loads(path.read_bytes())
        token = settings.get("eos_token")
    except (ValueError, AttributeError, RecursionError) as error:
        raise ConfigError(f"{path}: not a tokenizer configuration: {error}") from error
    return token.get("content") if isinstance(token, dict) else token
