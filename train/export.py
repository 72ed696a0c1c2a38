"""A trained model as a folder that `AutoModelForCausalLM.from_pretrained` loads.

Output: `config.json`, `generation_config.json`, fp32 weights as safetensors, and the tokenizer's own files.
The folder is written under a temporary name and renamed: it is whole or it is not there.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import torch
from safetensors import SafetensorError
from transformers import LlamaForCausalLM

from millpond import durable
from millpond.errors import CheckpointError, ConfigError
from millpond.train.parallel import World, whole

#: Files of a tokenizer folder; the first must be there.
TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template.jinja",
)


def check_tokenizer(folder: Path) -> None:
    """See early that a tokenizer folder can be exported.

    Raises:
        ConfigError: it holds no tokenizer.json.
    """
    if not (folder / TOKENIZER_FILES[0]).is_file():
        raise ConfigError(f"data.tokenizer={folder}: holds no {TOKENIZER_FILES[0]}")


def export(model: LlamaForCausalLM, world: World, folder: Path, tokenizer: Path | None) -> None:
    """Write the model to `folder`, replacing an earlier export. Every process must call it.

    Raises:
        CheckpointError: it cannot be written.
    """
    weights: dict[str, torch.Tensor] = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        full = whole(parameter.detach())
        if world.is_main:
            weights[name] = full.cpu()
    with world.alike(CheckpointError, f"{folder}: cannot be written"):
        if world.is_main:
            _write(model, weights, folder, tokenizer)


def _write(model: LlamaForCausalLM, weights: dict[str, torch.Tensor], folder: Path, tokenizer: Path | None) -> None:
    with torch.device("meta"):
        plain = LlamaForCausalLM(model.config)  # sharding changed the class of the model itself
    plain.load_state_dict(weights, assign=True)
    plain.tie_weights()
    partial = folder.with_name(f".tmp-{folder.name}")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        plain.save_pretrained(partial)
    except SafetensorError as error:  # what the disk refuses, too
        raise CheckpointError(f"{partial}: cannot be written: {error}") from error
    if tokenizer is not None:
        for name in TOKENIZER_FILES:
            if (tokenizer / name).is_file():
                shutil.copyfile(tokenizer / name, partial / name)
    shutil.rmtree(folder, ignore_errors=True)
    durable.commit(partial, folder)
