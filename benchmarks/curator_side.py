"""One side of `benchmarks.curator`: what its signals cost, or what NeMo Curator's filters say, as one line of JSON.

    PYTHON curator_side.py SIDE INPUT.json [REPORT.json]

Input: `texts`, and `languages`, which Millpond's side takes. Without a report the line has the processor seconds of
starting, up to the first text judged, and of all texts after a first pass over a hundred of them. With a report, which
only NeMo Curator's sides write, every filter's score and verdict on each text goes there. Its filters and their
thresholds are those of its own English pipeline.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

PIPELINE = "config/text/heuristic_filter_english_pipeline.yaml"

Work = Callable[[Sequence[str], Sequence[str | None]], object]


def _millpond() -> Work:
    from millpond.curate.config import CurateConfig
    from millpond.curate.signals.measure import Measure

    return Measure(CurateConfig())


def stages() -> list[Any]:
    """The stages of NeMo Curator's English pipeline that score and filter, as its own loader makes them."""
    import nemo_curator
    from hydra.utils import instantiate
    from nemo_curator.stages.text.filters import ScoreFilter
    from omegaconf import OmegaConf

    loaded = OmegaConf.load(Path(nemo_curator.__file__).parent / PIPELINE)
    loaded.input_path = loaded.output_path = ""  # its reader and writer, which are not made, have to be told
    wanted = f"{ScoreFilter.__module__}.{ScoreFilter.__qualname__}"
    return [instantiate(stage) for stage in loaded.stages if stage._target_ == wanted]


def _every() -> Work:
    """Every filter judges every text."""
    import pandas as pd

    made = stages()

    def judge(texts: Sequence[str], _: Sequence[str | None]) -> None:
        frame = pd.DataFrame({"text": texts})
        for stage in made:
            stage.compute_filter_mask(frame, stage.filter_obj[0], "text", None, False)

    return judge


def _chain() -> Work:
    """The stages in turn: a text that one drops reaches no later one."""
    import pandas as pd
    from nemo_curator.tasks import DocumentBatch

    made = stages()

    def judge(texts: Sequence[str], _: Sequence[str | None]) -> None:
        batch = DocumentBatch(dataset_name="texts", data=pd.DataFrame({"text": texts}))
        for stage in made:
            batch = stage.process(batch)

    return judge


MILLPOND, EVERY, CHAIN = "Millpond, all signals", "NeMo Curator, every filter", "NeMo Curator, until one drops"
SIDES: dict[str, Callable[[], Work]] = {MILLPOND: _millpond, EVERY: _every, CHAIN: _chain}


def name_of(judge: Any) -> str:
    """A filter's name, with the length of its n-grams where it has one."""
    return " ".join([type(judge).__name__, *([str(judge._n)] if hasattr(judge, "_n") else [])])


def verdicts(texts: Sequence[str]) -> dict[str, list[tuple[float | None, bool | str]]]:
    """Score and verdict of each filter on each text; the name of its error where a filter fails."""
    return {name_of(stage.filter_obj[0]): [_one(stage.filter_obj[0], text) for text in texts] for stage in stages()}


def _one(judge: Any, text: str) -> tuple[float | None, bool | str]:
    try:
        score = judge.score_document(text)
    except (ArithmeticError, ValueError) as error:
        return None, type(error).__name__
    return float(score), bool(judge.keep_document(score))


def main() -> None:
    """Measure one side, or write what its filters say."""
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    side, given = sys.argv[1], json.loads(Path(sys.argv[2]).read_text())
    texts, languages = given["texts"], given["languages"]
    if sys.argv[3:]:
        Path(sys.argv[3]).write_text(json.dumps(verdicts(texts)))
        return
    before = time.process_time()
    work = SIDES[side]()
    work(texts[:1], languages[:1])
    started = time.process_time() - before
    work(texts[:100], languages[:100])
    before = time.process_time()
    work(texts, languages)
    sys.stdout.write(json.dumps({"start": started, "texts": time.process_time() - before}) + "\n")


if __name__ == "__main__":
    main()
