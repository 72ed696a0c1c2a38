"""Vocabularies: the same texts give the same tokenizer, any tokenizer loads or is refused with a reason."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import AutoTokenizer

from millpond.errors import ConfigError
from millpond.shard import token_dtype
from millpond.tokenize.training import train
from millpond.tokenize.vocabulary import END_OF_TEXT, Vocabulary, load

TEXTS = [f"The miller opened sluice {n}, and the pond fell by {n * n} inches." for n in range(300)]


@pytest.fixture(scope="module")
def vocabulary() -> Vocabulary:
    return train(TEXTS, vocab_size=400)


def foreign(path: Path, tokens: list[str], special: list[str]) -> Path:
    """A word-level tokenizer of somebody else's."""
    tokenizer = Tokenizer(models.WordLevel({token: n for n, token in enumerate(tokens)}, unk_token=tokens[0]))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.add_special_tokens(special)
    tokenizer.save(str(path))
    return path


def test_a_saved_vocabulary_loads_here_and_in_transformers(vocabulary: Vocabulary, tmp_path: Path) -> None:
    vocabulary.save(tmp_path / "tokenizer")
    for path in (tmp_path / "tokenizer", tmp_path / "tokenizer" / "tokenizer.json"):
        loaded = load(path)
        assert (loaded.digest, loaded.eos_id, loaded.size) == (vocabulary.digest, 0, 400)
    theirs = AutoTokenizer.from_pretrained(str(tmp_path / "tokenizer"))
    text = "  The pond — 池 — fell .\n\n by 12 inches"
    assert theirs(text)["input_ids"] == vocabulary.tokenizer.encode(text).ids
    assert theirs.decode(theirs(text)["input_ids"]) == text
    assert theirs.eos_token_id == vocabulary.eos_id and len(theirs) == vocabulary.size


def test_truncation_and_padding_of_a_given_tokenizer_are_dropped(vocabulary: Vocabulary, tmp_path: Path) -> None:
    changed = Tokenizer.from_str(vocabulary.tokenizer.to_str())
    changed.enable_truncation(4)
    changed.enable_padding(length=8)
    changed.save(str(tmp_path / "tokenizer.json"))
    assert load(tmp_path).digest == vocabulary.digest


@pytest.mark.parametrize("named", ['"stop"', '{"content": "stop", "special": true}'])
def test_the_end_of_text_token_is_found(tmp_path: Path, named: str) -> None:
    path = foreign(tmp_path / "tokenizer.json", ["<unk>", "stop", "</s>", "a"], ["</s>"])
    assert load(path).eos_token == "</s>"
    assert load(path, eos_token="a").eos_id == 3
    (tmp_path / "tokenizer_config.json").write_text(f'{{"eos_token": {named}}}')
    assert load(path).eos_id == 1


def test_a_tokenizer_without_one_asks_for_it(tmp_path: Path) -> None:
    path = foreign(tmp_path / "tokenizer.json", ["<unk>", "a"], [])
    with pytest.raises(ConfigError, match="set eos_token"):
        load(path)
    with pytest.raises(ConfigError, match=r"'<stop>'.*set eos_token"):
        load(path, eos_token="<stop>")
    for junk in ("[]", "{", '"' + "[" * 9):
        (tmp_path / "tokenizer_config.json").write_text(junk)
        with pytest.raises(ConfigError, match=r"tokenizer_config\.json"):
            load(path)


@pytest.mark.parametrize("content", ["", "{}", "[]", json.dumps({"version": "1.0"})])
def test_what_is_no_tokenizer_is_refused(tmp_path: Path, content: str) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        load(tmp_path)
    (tmp_path / "tokenizer.json").write_text(content)
    with pytest.raises(ConfigError, match=r"tokenizer\.json: not a tokenizer"):
        load(tmp_path)


def test_the_dtype_is_the_narrowest() -> None:
    assert [token_dtype(size) for size in (257, 65_536, 65_537)] == ["uint16", "uint16", "uint32"]
    assert END_OF_TEXT in train([], 257).tokenizer.get_vocab()
