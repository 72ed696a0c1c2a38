"""The stages' own entry points: what is wrong is said in one line, before there is a lake."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from millpond.curate import job as curate
from millpond.ingest import job as ingest
from millpond.tokenize import job as tokenize

Main = Callable[[Sequence[str]], None]


@pytest.mark.parametrize(
    ("main", "arguments", "code", "sentence"),
    [
        (ingest.main, ["no.warc.gz"], 1, "no.warc.gz: no such file"),
        (ingest.main, ["no.warc.gz", "--set", "site=3"], 2, "site"),
        (curate.main, [], 1, "no lake here"),
        (curate.main, ["--config", "none.toml"], 2, "none.toml"),
        (tokenize.main, ["--set", "vocab_size=small"], 2, "vocab_size"),
        (tokenize.main, [], 1, "no lake here"),
    ],
)
def test_what_is_wrong_is_said_before_there_is_a_lake(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    main: Main,
    arguments: list[str],
    code: int,
    sentence: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main([*arguments, "--lake", "lake"])
    out, err = capsys.readouterr()
    assert ended.value.code == code and out == ""
    assert sentence in err and len(err.splitlines()) == 1
    assert not list(tmp_path.iterdir())
