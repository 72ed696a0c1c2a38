"""Text from an exported model, the same for the same seed.

Input: a model folder and a prompt. Output: the continuation, without the prompt. A document follows an
end-of-text token in training, so the prompt does too; generation ends at the next one or at `max_tokens`.
"""

from __future__ import annotations

from pathlib import Path

import torch

from millpond.errors import InputError
from millpond.eval.exported import load_model, load_tokenizer


def generate(
    model_folder: str | Path,
    prompt: str,
    *,
    max_tokens: int = 120,
    temperature: float = 0.8,
    seed: int = 0,
    device: str = "cpu",
) -> str:
    """Continue `prompt` by at most `max_tokens` tokens; temperature 0 always takes the likeliest.

    Equal arguments give equal text on one machine and version of torch.

    Raises:
        InputError: the folder holds no usable model, or the prompt leaves no room in its context.
    """
    model, tokenizer = load_model(model_folder, device), load_tokenizer(model_folder)
    end = model.config.eos_token_id
    ids = ([end] if isinstance(end, int) else []) + tokenizer.encode(prompt, add_special_tokens=False).ids
    room = model.config.max_position_embeddings - len(ids)
    if not ids or room < 1:
        raise InputError(
            f"prompt of {len(ids)} tokens: the model takes 1 to {model.config.max_position_embeddings - 1}"
        )
    random = torch.Generator().manual_seed(seed)  # its own: the global state stays as it was
    start, cache = len(ids), None
    fresh = torch.tensor([ids], device=device)
    with torch.inference_mode():
        for _ in range(min(max_tokens, room)):
            output = model(input_ids=fresh, past_key_values=cache, use_cache=True)
            cache = output.past_key_values
            logits = output.logits[0, -1].float().cpu()
            if temperature > 0:
                token = int(torch.multinomial(torch.softmax(logits / temperature, 0), 1, generator=random))
            else:
                token = int(logits.argmax())
            if token == end:
                break
            ids.append(token)
            fresh = torch.tensor([[token]], device=device)
    return str(tokenizer.decode(ids[start:], skip_special_tokens=True))
