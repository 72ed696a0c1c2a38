"""Opening an exported model folder: weights from safetensors, tokenizer from JSON, nothing remote.

Such a folder is what `save_pretrained` writes: `config.json`, `*.safetensors`, `tokenizer.json`. No code from
it is run and nothing is unpickled.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM, PreTrainedModel
from transformers.utils.logging import disable_progress_bar

from millpond.errors import InputError


def load_model(folder: str | Path, device: str = "cpu") -> PreTrainedModel:
    """The causal language model of an exported folder, in float32, ready to score.

    Raises:
        InputError: the folder is missing, has no safetensors weights, or they do not fit its config.
    """
    path = Path(folder)
    if not (path / "config.json").is_file():
        raise InputError(f"{path}: no exported model there (no config.json)")
    if not any(path.glob("*.safetensors")):
        raise InputError(f"{path}: no *.safetensors weights; other formats are not opened")
    disable_progress_bar()  # type: ignore[no-untyped-call]  # the caller shows its own
    try:
        opened: Any = AutoModelForCausalLM.from_pretrained(  # a pair, which its types do not say
            path,
            local_files_only=True,
            use_safetensors=True,
            trust_remote_code=False,
            dtype=torch.float32,
            output_loading_info=True,
        )
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise InputError(f"{path}: the exported model cannot be opened: {error}") from error
    model, report = opened
    strays = sorted({str(key) for kind in ("missing_keys", "unexpected_keys") for key in report[kind]})
    if strays:  # transformers would go on with random values in their place
        raise InputError(f"{path}: weights and config.json do not fit together: {', '.join(strays[:3])}, …")
    if not isinstance(model, PreTrainedModel):
        raise InputError(f"{path}: {type(model).__name__} is not a causal language model")
    model.requires_grad_(False).train(False)
    torch.nn.Module.to(model, device)
    return model


def load_tokenizer(folder: str | Path) -> Tokenizer:
    """The tokenizer of an exported folder; text that spells a special token is plain text to it.

    Raises:
        InputError: there is no readable `tokenizer.json`.
    """
    path = Path(folder) / "tokenizer.json"
    try:
        tokenizer = Tokenizer.from_str(path.read_text(encoding="utf-8"))
    except Exception as error:  # the tokenizers library raises bare Exception for a bad file
        raise InputError(f"{path}: not a readable tokenizer: {error}") from error
    tokenizer.encode_special_tokens = True
    return tokenizer


def untrained_copy(folder: str | Path, target: str | Path, seed: int) -> Path:
    """Write a model of the same architecture and tokenizer with random first weights, drawn from `seed`.

    Raises:
        InputError: `folder` is not an exported model.
    """
    model = load_model(folder)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        type(model)(model.config).save_pretrained(target)
    shutil.copy(Path(folder) / "tokenizer.json", target)
    return Path(target)
