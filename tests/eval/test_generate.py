from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM

from millpond.errors import InputError
from millpond.eval.generate import generate


def test_one_seed_gives_one_text_and_another_another(exported: Path) -> None:
    state = torch.get_rng_state()
    first = generate(exported, "The mill", max_tokens=20, temperature=1.5, seed=1)
    assert generate(exported, "The mill", max_tokens=20, temperature=1.5, seed=1) == first
    assert generate(exported, "The mill", max_tokens=20, temperature=1.5, seed=2) != first
    assert torch.equal(torch.get_rng_state(), state)


def test_greedy_takes_the_likeliest_token_without_the_cache_too(exported: Path, tokenizer: Tokenizer) -> None:
    model = AutoModelForCausalLM.from_pretrained(exported)
    ids = [0, *tokenizer.encode("The mill").ids]
    start = len(ids)
    for _ in range(12):
        token = int(model(torch.tensor([ids])).logits[0, -1].argmax())
        if token == 0:
            break
        ids.append(token)
    assert generate(exported, "The mill", max_tokens=12, temperature=0) == tokenizer.decode(ids[start:])


def test_generation_stops_where_the_context_ends(exported: Path) -> None:
    generate(exported, "", max_tokens=1000, temperature=2.0)
    with pytest.raises(InputError, match="the model takes 1 to 63"):
        generate(exported, "mill " * 100)


def test_a_prompt_that_spells_a_special_token_stays_text(exported: Path, tokenizer: Tokenizer) -> None:
    with_text = generate(exported, "<|endoftext|>", max_tokens=8, temperature=0)
    assert with_text != generate(exported, "", max_tokens=8, temperature=0)
    assert generate(exported, "The", max_tokens=0) == ""
