"""The signals that the user's models give: unigram log probability, perplexity, classifiers' scores.

Each is null where no model is configured for the text's language. Models are opened once in a process.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from millpond.curate.config import CurateConfig
from millpond.curate.fields import InputFile
from millpond.curate.models.classifier import Classifier
from millpond.curate.models.config import ClassifierConfig
from millpond.curate.models.ngrams import NGramModel
from millpond.curate.models.unigrams import Unigrams
from millpond.curate.signals.gopher import Signals
from millpond.curate.signals.scan import Scan
from millpond.errors import ConfigError
from millpond.schemas import SCORES

Values = list[float | None]
Score = Callable[[Scan], Values]

Model = TypeVar("Model", Unigrams, NGramModel, Classifier)

_KINDS: dict[str, type[Any]] = {kind.__name__: kind for kind in (Unigrams, NGramModel, Classifier)}


class Scores:
    """Takes the columns of all configured models.

    Raises:
        InputError: a model file is missing, damaged, foreign, or not the one that the run began with.
        ConfigError: it does not say which of a classifier's labels is meant.
    """

    def __init__(self, config: CurateConfig) -> None:
        self._by_language: dict[str, Mapping[str, Score]] = {
            "unigram_log_probability": {
                code: _opened(Unigrams, file).log_probabilities for code, file in config.unigrams.items()
            },
            "perplexity": {
                code: _opened(NGramModel, own.model).perplexities for code, own in config.perplexity.items()
            },
        }
        self._classifiers: dict[str, tuple[Score, tuple[str, ...]]] = {}
        for name in SCORES:
            settings = getattr(config.classifiers, name)
            if settings is not None:
                self._classifiers[f"{name}_score"] = _classifier(name, settings), settings.languages

    def __call__(self, scan: Scan, languages: Sequence[str | None]) -> Signals:
        """The columns, of texts in these languages."""
        found: dict[str, Values] = {f"{name}_score": [None] * len(languages) for name in SCORES}
        for name, (score, own) in self._classifiers.items():
            found[name] = [
                value if not own or code in own else None for value, code in zip(score(scan), languages, strict=True)
            ]
        for name, scores in self._by_language.items():
            # A model scores the whole scan: texts of a scan are mostly of one language.
            columns = {code: scores[code](scan) for code in scores.keys() & set(languages)}
            found[name] = [columns[code][place] if code in columns else None for place, code in enumerate(languages)]
        return {name: [*values] for name, values in found.items()}


def _opened(kind: type[Model], file: InputFile) -> Model:
    """A model, opened again only if its file has been written since."""
    path = Path(file.path)
    state = path.stat() if path.exists() else None
    model: Model = _open(kind.__name__, path, file.sha256, state and (state.st_ino, state.st_mtime_ns, state.st_size))
    return model


@lru_cache(maxsize=32)
def _open(kind: str, path: Path, sha256: str, _: tuple[int, ...] | None) -> Any:
    return _KINDS[kind](path, sha256)


def _classifier(name: str, settings: ClassifierConfig) -> Score:
    model = _opened(Classifier, settings.model)
    label = settings.label if settings.label is not None else model.positive
    if label is None or label not in model.labels:
        raise ConfigError(
            f"classifiers.{name}.label={settings.label!r}: {settings.model.path} knows the labels "
            f"{', '.join(model.labels[:20])}; say which one's probability is the score"
        )
    return lambda scan: model.scores(scan, label)
