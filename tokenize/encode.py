"""Text to token ids, such that text never becomes a special token.

`tokenizers` turns a document that spells `<|endoftext|>` into the real id unless told not to. Even so some
models (Unigram, WordLevel, BPE that ignores merges) hold special tokens as ordinary pieces. The former is
switched off; what a model still emits is spelled out, character by character. No truncation, no padding,
nothing added by a post-processor: with a byte-level tokenizer, decoding always gives the text back.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from millpond.shard import token_dtype
from millpond.tokenize.vocabulary import Vocabulary

Ids = npt.NDArray[np.unsignedinteger[Any]]


class Encoder:
    """Encodes batches of texts; the vocabulary's own tokenizer is left as it is."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary
        self.dtype_name = token_dtype(vocabulary.size)
        self.dtype = np.dtype(self.dtype_name)
        description = json.loads(vocabulary.tokenizer.to_str())
        special = {token["id"] for token in description["added_tokens"] if token["special"]}
        for token in description["added_tokens"]:
            token["special"] |= token["id"] == vocabulary.eos_id  # some files add it as an ordinary token
        self._tokenizer = Tokenizer.from_str(json.dumps(description))
        self._tokenizer.encode_special_tokens = True
        self.unknown_id = _unknown_id(vocabulary.tokenizer, description["model"])
        """The id of pieces that the vocabulary does not know, if it has one."""
        self._forbidden = np.zeros(vocabulary.size, dtype=bool)
        self._forbidden[[vocabulary.eos_id, *(special - {self.unknown_id})]] = True

    def batch(self, texts: Sequence[str]) -> list[Ids]:
        """Token ids of each text, without an end-of-text token; an empty text has none.

        One array a text, in the dtype of the shards. Parallel over texts as `TOKENIZERS_PARALLELISM` allows.
        """
        encodings = self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
        return [self._without_special(np.array(encoding.ids, dtype=self.dtype)) for encoding in encodings]

    def _without_special(self, ids: Ids) -> Ids:
        hits = self._forbidden[ids].nonzero()[0]
        if not hits.size:
            return ids
        parts: list[Ids] = []
        done = 0
        for hit in hits.tolist():
            parts += (ids[done:hit], self._spelled(int(ids[hit])))
            done = hit + 1
        return np.concatenate((*parts, ids[done:]))

    def _spelled(self, token_id: int) -> Ids:
        """The ids of a token's characters, each by itself; a character the model does not know has none."""
        model = self._tokenizer.model
        name = self._tokenizer.id_to_token(token_id) or ""
        ids = np.array([piece.id for character in name for piece in model.tokenize(character)], self.dtype)
        return ids[~self._forbidden[ids]]


def _unknown_id(tokenizer: Tokenizer, model: dict[str, Any]) -> int | None:
    """The id that stands for unknown pieces: text may become this one, although it counts as special."""
    if isinstance(model.get("unk_id"), int):
        return int(model["unk_id"])
    return tokenizer.token_to_id(model["unk_token"]) if model.get("unk_token") else None
