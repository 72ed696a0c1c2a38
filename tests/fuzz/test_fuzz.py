"""Each fuzz target for a bounded time, `MILLPOND_FUZZ_SECONDS` (2 unless set), from a corpus that is kept."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent


@pytest.mark.parametrize("target", ["members", "bodies"])
def test_no_input_breaks_it(target: str, tmp_path: Path) -> None:
    seconds = int(os.environ.get("MILLPOND_FUZZ_SECONDS", "2"))
    command: list[str | Path] = [sys.executable, FOLDER / f"{target}.py", tmp_path, FOLDER / "corpus" / target]
    options = [
        f"-max_total_time={seconds}",
        "-timeout=20",
        "-rss_limit_mb=2048",
        "-max_len=4096",
        "-print_final_stats=1",
    ]
    ended = subprocess.run(
        [*map(str, command), *options],
        capture_output=True,
        text=True,
        errors="replace",
        cwd=tmp_path,
        timeout=seconds + 120,
    )
    assert ended.returncode == 0, ended.stderr[-4000:]
    runs = re.search(r"stat::number_of_executed_units: (\d+)", ended.stderr)
    assert runs and int(runs[1]) > len(list((FOLDER / "corpus" / target).iterdir())), ended.stderr[-1000:]
