"""Held-out loss, perplexity and bits per byte of an exported model over the token shards of a split.

Input: a model folder (trained, or with its random first weights) and a `ShardSet`. Output: `Perplexity`.

What is counted: within each row, every token but the first is predicted from the tokens before it in that
row; padding is neither predicted nor counted. Bytes are those of the predicted tokens: an end-of-text token
has none, yet its loss counts; the bytes of a row's first token do not count. So bits per byte charge the
model for saying where a text ends, and compare models whatever their vocabulary.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from tokenizers import Tokenizer
from tokenizers.pre_tokenizers import ByteLevel

from millpond.errors import InputError, ShardError
from millpond.eval.exported import load_model, load_tokenizer
from millpond.shard_set import ShardSet

Rows = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Perplexity:
    """Cost of a split: `nats` in all, `tokens` predicted in `rows` contexts, `bytes` of text behind them."""

    nats: float
    tokens: int
    bytes: int
    rows: int

    @property
    def loss(self) -> float:
        """Nats per predicted token."""
        return self.nats / self.tokens

    @property
    def perplexity(self) -> float:
        """exp(loss); infinite where that is beyond a float."""
        return math.exp(self.loss) if self.loss < 700 else math.inf

    @property
    def bits_per_byte(self) -> float:
        """Bits per byte of the text behind the predicted tokens."""
        return self.nats / math.log(2) / self.bytes

    def metrics(self) -> dict[str, float]:
        """The values as `eval.results` names them."""
        return {"loss": self.loss, "perplexity": self.perplexity, "bits_per_byte": self.bits_per_byte}


def evaluate(
    model_folder: str | Path,
    shards: ShardSet,
    *,
    max_rows: int | None = None,
    batch_rows: int = 8,
    device: str = "cpu",
) -> Perplexity:
    """Score the first `max_rows` rows of `shards` (all by default), `batch_rows` at a time.

    Raises:
        InputError: the folder holds no usable model or no byte-level tokenizer.
        ShardError: a shard is damaged, does not fit the model, or nothing in the split can be predicted.
    """
    model = load_model(model_folder, device)
    sizes = token_bytes(load_tokenizer(model_folder), model.config.vocab_size)
    if shards.vocab_size > model.config.vocab_size:
        raise ShardError(
            f"{shards.names[0]}: made with {shards.vocab_size} token ids, {model_folder} has "
            f"{model.config.vocab_size}: the shards and the model use different tokenizers"
        )
    nats, tokens, size, count = 0.0, 0, 0, 0
    for rows, valid in _batches(shards, batch_rows, max_rows):
        ids = torch.from_numpy(rows).to(device)
        with torch.inference_mode():
            logits = model(input_ids=ids, use_cache=False).logits[:, :-1].float()
            losses = torch.nn.functional.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten(), reduction="none")
        predicted = valid[:, 1:]
        nats += float(losses.double()[torch.from_numpy(predicted.flatten()).to(device)].sum())
        tokens += int(predicted.sum())
        size += int(sizes[rows[:, 1:]][predicted].sum())
        count += len(rows)
    if not size:
        raise ShardError(f"{shards.names[0]}: the {shards.split} rows hold no text to predict")
    return Perplexity(nats, tokens, size, count)


def token_bytes(tokenizer: Tokenizer, vocab_size: int) -> npt.NDArray[np.int64]:
    """Bytes of text behind each token id: shape (vocab_size,); special and unused ids have none.

    Raises:
        InputError: the tokenizer is not byte-level, so a token's bytes cannot be told from its name.
    """
    sizes = np.zeros(vocab_size, dtype=np.int64)
    added = tokenizer.get_added_tokens_decoder()
    alphabet = set(ByteLevel.alphabet())  # each character of a token's name is one byte
    for name, token in tokenizer.get_vocab(with_added_tokens=True).items():
        if token >= vocab_size:
            raise InputError(f"token {name!r} has id {token}, but the model has only {vocab_size} ids")
        if token in added:
            sizes[token] = 0 if added[token].special else len(name.encode())
        elif alphabet.issuperset(name):
            sizes[token] = len(name)
        else:
            raise InputError(f"token {name!r} is not byte-level: bits per byte need a byte-level tokenizer")
    return sizes


def _batches(shards: ShardSet, batch_rows: int, max_rows: int | None) -> Iterator[tuple[Rows, Mask]]:
    """Rows of the split in shard order, shape (n, context_length), with a mask of what is not padding."""
    left = shards.total_rows if max_rows is None else max_rows
    for number in range(len(shards)):
        shard = shards.shard(number)
        for sample in range(len(shard)):
            rows = shard.rows(sample)
            valid = (np.arange(rows.size) < shard.valid_tokens(sample)).reshape(rows.shape)
            for start in range(0, len(rows), batch_rows):
                if left <= 0:
                    return
                stop = start + min(batch_rows, left)
                yield rows[start:stop].astype(np.int64), valid[start:stop]
                left -= len(rows[start:stop])
