"""Settings of a training run: what is trained, on what, how long, and where it is written.

A `TrainConfig` is the section `[train]` of a run's TOML file. A model preset is resolved into plain numbers
when the configuration is read, so the copy written beside a run says everything. `identity` names the
settings that decide a run's numbers: a run is only ever continued under the same ones.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from millpond.config import StageConfig

Count = Annotated[int, Field(ge=1)]
Fraction = Annotated[float, Field(ge=0, le=1)]


def _preset(hidden: int, layers: int, heads: int, kv_heads: int, intermediate: int) -> dict[str, int]:
    return {
        "hidden_size": hidden,
        "layers": layers,
        "heads": heads,
        "kv_heads": kv_heads,
        "intermediate_size": intermediate,
    }


#: Model shapes by name; the sizes are without what a vocabulary adds.
PRESETS = {
    "tiny": _preset(64, 2, 4, 2, 192),
    "small": _preset(256, 6, 8, 8, 704),
    "125M": _preset(768, 12, 12, 12, 2048),
    "350M": _preset(1024, 24, 16, 16, 2816),
    "1B": _preset(2048, 16, 32, 8, 8192),
}


class ModelConfig(StageConfig):
    """A Llama-shaped decoder. Vocabulary and context length come from the shards."""

    preset: Literal["tiny", "small", "125M", "350M", "1B"] = "tiny"
    """Shape that fills every size not given here."""
    hidden_size: Count
    """Width of the residual stream."""
    layers: Count
    """Decoder layers."""
    heads: Count
    """Attention heads; they divide hidden_size."""
    kv_heads: Count
    """Key and value heads, shared by equal groups of heads."""
    intermediate_size: Count
    """Width inside the gated MLP."""
    tie_embeddings: bool = True
    """Use one matrix as input embedding and output head."""
    rope_theta: Annotated[float, Field(gt=0)] = 10_000.0
    """Base of the rotary position frequencies."""

    @model_validator(mode="before")
    @classmethod
    def _fill_from_preset(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        return {**PRESETS.get(str(values.get("preset", "tiny")), {}), **values}

    @model_validator(mode="after")
    def _check_heads(self) -> Self:
        if self.hidden_size % self.heads or (self.hidden_size // self.heads) % 2:
            raise ValueError(
                f"hidden_size {self.hidden_size} divided by heads {self.heads} must be an even whole number"
            )
        if self.heads % self.kv_heads:
            raise ValueError(f"kv_heads {self.kv_heads} must divide heads {self.heads}")
        return self


def _text(value: object) -> object:
    return str(value) if isinstance(value, Path) else value


#: A folder of shards or their index files (*.index.json): paths, URLs, patterns.
Name = Annotated[str, BeforeValidator(_text)]
Where = Name | tuple[Name, ...]


class PartConfig(StageConfig):
    """Some shards of a mixture, and how much of them: all parts have a weight, or none has."""

    shards: Where
    """Folder or URL whose train shards are used, or the index files of them."""
    weight: Annotated[float, Field(gt=0)] | None = None
    """Share of all rows, in any unit."""
    repeats: Annotated[float, Field(gt=0)] | None = None
    """Times that each row comes while those of a part with repeats 1 come once."""


class DataConfig(StageConfig):
    """Token shards and the order they are read in."""

    shards: Where | tuple[PartConfig, ...]
    """Folder or URL whose train shards are used, or the index files (*.index.json) of them, or parts of a mixture."""
    validation: Where | None = None
    """Folder or URL whose validation shards are used, or the index files of them; none: no validation."""
    cache: Path | None = None
    """Folder into which shards of other machines are fetched; all processes of a machine share it."""
    cache_bytes: Count = 64 << 30
    """What the cache may hold: at least the shards of a window, twice that to fetch a window ahead."""
    validation_rows: Count = 256
    """Rows (contexts) of the validation shards that one validation reads, at most."""
    tokenizer: Path | None = None
    """Tokenizer folder; its files are copied into the export."""
    window: Count = 8
    """Shards, of each part, among which rows are shuffled."""
    seed: int = 0
    """Seed of the sample order."""


class OptimizerConfig(StageConfig):
    """AdamW, decoupled weight decay on matrices only."""

    learning_rate: Annotated[float, Field(gt=0)] = 3e-4
    """Peak learning rate, reached at the end of the warm-up."""
    betas: tuple[Fraction, Fraction] = (0.9, 0.95)
    """Decay rates of the first and second moment."""
    eps: Annotated[float, Field(gt=0)] = 1e-8
    """Added to the root of the second moment."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.1
    """Decay of matrices; embeddings, norms and biases have none."""
    clip_norm: Annotated[float, Field(gt=0)] = 1.0
    """Gradients of a larger global norm are scaled down to it."""


class ScheduleConfig(StageConfig):
    """Linear warm-up, then a cosine down to a floor at the last step."""

    warmup_steps: Annotated[int, Field(ge=0)] = 100
    """Steps of linear warm-up."""
    min_ratio: Fraction = 0.1
    """Learning rate of the last step, as a part of the peak."""


class CheckpointConfig(StageConfig):
    """When state is saved and how much of it is kept."""

    every_steps: Count = 500
    """Steps between checkpoints; the last step always has one."""
    keep: Count = 2
    """Newest checkpoints to keep; older ones go once a newer one is verified."""


class TrainConfig(StageConfig):
    """One training run."""

    run: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")] = "run"
    """Name of the run in every record."""
    out: Path
    """Folder of the run: config.json, result.json, records/, tensorboard/, checkpoints/, export/."""
    model: ModelConfig = Field(default_factory=lambda: ModelConfig.model_validate({}))
    """What is trained."""
    data: DataConfig
    """What it is trained on."""
    optimizer: OptimizerConfig = OptimizerConfig()
    """How weights move."""
    schedule: ScheduleConfig = ScheduleConfig()
    """How the learning rate moves."""
    checkpoint: CheckpointConfig = CheckpointConfig()
    """When state is saved."""
    steps: Count = 1000
    """Optimiser steps of the whole run."""
    global_batch_rows: Count = 64
    """Rows (contexts) of one optimiser step, over all processes."""
    micro_batch_rows: Count = 8
    """Rows a process takes through the model at once, at most; gradients accumulate over the rest."""
    seed: int = 0
    """Seed of the initial weights."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """Arithmetic of forward and backward; weights and moments stay fp32. auto: bf16 on GPUs that have it."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to train; auto: GPUs where there are any."""
    compile: bool = False
    """Compile the decoder layers and the loss (torch.compile): a slower start, faster steps."""
    timeout_seconds: Count = 120
    """Longest wait for another process before the run gives up."""
    log_every: Count = 10
    """Steps between log lines."""
    validate_every: Count = 500
    """Steps between validations; step 0 and the last step always have one."""

    @model_validator(mode="after")
    def _check_schedule(self) -> Self:
        if self.schedule.warmup_steps >= self.steps:
            raise ValueError(
                f"schedule.warmup_steps {self.schedule.warmup_steps} must be less than steps {self.steps}"
            )
        return self

    def identity(self) -> dict[str, Any]:
        """The settings that decide a run's numbers, by dotted name; the rest may change between resumes.

        A checkpoint holds them with the precision that "auto" came to.
        """
        sections = {name: getattr(self, name).model_dump(mode="json") for name in ("model", "optimizer", "schedule")}
        sections["data"] = {"seed": self.data.seed, "window": self.data.window}
        flat = {f"{section}.{key}": value for section, keys in sections.items() for key, value in keys.items()}
        names = ("run", "steps", "global_batch_rows", "seed", "precision")
        return flat | {name: getattr(self, name) for name in names}
