"""Training a vocabulary: byte-pair encoding, WordPiece or a unigram language model, each over the bytes of a text.

Over bytes (as in GPT-2, Radford et al. 2019) every text has tokens and decodes to itself, whatever its script. The
same texts in any order give the same tokenizer; what the trainers of `tokenizers` leave to chance is settled here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from typing import Literal

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from millpond.errors import ConfigError
from millpond.tokenize.vocabulary import END_OF_TEXT, Vocabulary

Model = Literal["bpe", "wordpiece", "unigram"]

#: The 256 characters that stand for bytes.
_BYTES = sorted(pre_tokenizers.ByteLevel.alphabet())
_WITHIN = "##"  # what marks a piece within a word, as in BERT
_LONGEST_WORD = 100  # bytes: WordPiece takes time by the square of a word, and knows none that is longer
_SCORE_DIGITS = 4  # sums in another order differ by 1e-15
_STEP = 0.0001  # between the scores of bytes that Unigram's trainer adds
_LONG_WORD = re.compile(r"\S{1000}")  # trainers take time by the square of a word


def train(texts: Iterable[str], vocab_size: int, min_frequency: int = 2, model: Model = "bpe") -> Vocabulary:
    """Train a vocabulary of at most `vocab_size` tokens on `texts`, read once.

    `min_frequency` is the least count of a pair that is merged (BPE and WordPiece).

    Raises:
        ConfigError: `vocab_size` has no room for all bytes and the end-of-text token.
    """
    texts = (_LONG_WORD.sub(r"\g<0> ", text) for text in texts)
    makers: dict[Model, tuple[int, Callable[[], Tokenizer]]] = {
        "bpe": (257, lambda: _bpe(texts, vocab_size, min_frequency)),
        "wordpiece": (513, lambda: _wordpiece(texts, vocab_size, min_frequency)),
        "unigram": (257, lambda: _unigram(texts, vocab_size)),
    }
    least, make = makers[model]
    if vocab_size < least:
        raise ConfigError(f"vocab_size={vocab_size}: every byte and {END_OF_TEXT} need at least {least} with {model}")
    return Vocabulary(make(), END_OF_TEXT)


def _bpe(texts: Iterable[str], vocab_size: int, min_frequency: int) -> Tokenizer:
    """Sennrich et al. 2016."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        min_frequency=min_frequency,
        special_tokens=[END_OF_TEXT],
        initial_alphabet=_BYTES,
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def _wordpiece(texts: Iterable[str], vocab_size: int, min_frequency: int) -> Tokenizer:
    """Schuster and Nakajima 2012, with the marks of BERT (Devlin et al. 2019); "#" is always a word of its own.

    Ids decide between equal pairs. Bytes within words would get theirs as they come, in an order left to chance, so
    they are named beforehand.
    """
    tokenizer = Tokenizer(
        models.WordPiece(
            unk_token=END_OF_TEXT, continuing_subword_prefix=_WITHIN, max_input_chars_per_word=_LONGEST_WORD
        )
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
            pre_tokenizers.Split("#", "isolated"),
            pre_tokenizers.FixedLength(length=_LONGEST_WORD),
        ]
    )
    tokenizer.decoder = decoders.Sequence([decoders.Replace(Regex(f"^{_WITHIN}"), ""), decoders.ByteLevel()])
    trainer = trainers.WordPieceTrainer(
        vocab_size=vocab_size,
        min_frequency=min_frequency,
        special_tokens=[END_OF_TEXT, *(_WITHIN + byte for byte in _BYTES)],
        initial_alphabet=_BYTES,
        continuing_subword_prefix=_WITHIN,
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    description = json.loads(tokenizer.to_str())
    del description["added_tokens"][1:]
    return Tokenizer.from_str(json.dumps(description))


def _unigram(texts: Iterable[str], vocab_size: int) -> Tokenizer:
    """Kudo 2018. Scores are rounded.

    The trainer keeps every byte; those that would have gone get the least score of all and by chance up to 256
    steps more. Here they get the least.
    """
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.UnigramTrainer(
        vocab_size=vocab_size, special_tokens=[END_OF_TEXT], initial_alphabet=_BYTES, show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    description = json.loads(tokenizer.to_str())
    end, *pieces = description["model"]["vocab"]
    least = min(score or 0.0 for _, score in pieces)  # without texts there are none
    chance = least + _STEP * (len(_BYTES) + 1)
    scores = {
        piece: round(least if len(piece) == 1 and (score or 0.0) <= chance else score, _SCORE_DIGITS)
        for piece, score in pieces
    }
    description["model"]["vocab"] = [end, *sorted(scores.items(), key=lambda item: (-item[1], item[0]))]
    return Tokenizer.from_str(json.dumps(description))
