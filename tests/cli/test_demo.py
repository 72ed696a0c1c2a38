"""The demo's site, small: what is rendered, how it is served, and that a crawl of it ends in a lake."""

from __future__ import annotations

import sys
import tomllib
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from command import call

from millpond.cli import demo, demo_pages, demo_site
from millpond.cli.pipeline import SECTIONS, RunConfig
from millpond.curate.config import CurateConfig
from millpond.curate.mix.config import MixConfig
from millpond.eval.config import EvalConfig
from millpond.ingest.config import IngestConfig
from millpond.lake import Lake
from millpond.tokenize.config import TokenizeConfig
from millpond.train.job import check_settings


def get(url: str) -> tuple[int, str]:
    """Status and text of a page."""
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_a_module_becomes_a_page() -> None:
    page = demo_pages.render("textwrap")
    assert page and "<h1>textwrap</h1>" in page
    assert "<h2>dedent(text)</h2>\n<p>Remove any common leading whitespace" in page
    assert '<a href="re.html">re</a>' in page
    decoder = demo_pages.render("json.decoder")
    assert decoder and "re.Pattern object" in decoder and " at 0x" not in decoder
    assert demo_pages.render("no_such_module") is None


def test_pages_are_the_same_each_time(capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("heapq", "argparse", "email.message"):
        assert demo_pages.render(name) == demo_pages.render(name)
    assert capsys.readouterr() == ("", "")


def test_modules_that_do_something_on_import_are_left_out() -> None:
    names = demo_pages.module_names()
    assert {"os", "json.decoder", "zlib"} <= set(names) and len(names) > 300
    assert not {name.partition(".")[0] for name in names} & {
        "antigravity",
        "this",
        "idlelib",
        "test",
        "tkinter",
        "turtle",
    }
    assert "antigravity" in sys.stdlib_module_names, "the list it is taken from does hold them"


def test_rendering_runs_isolated_and_leaves_dead_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pages, poison = tmp_path / "pages", tmp_path / "poison"
    pages.mkdir()
    poison.mkdir()
    (poison / "sitecustomize.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    (poison / "json.py").write_text("'''Not the real one.'''")
    monkeypatch.setenv("PYTHONPATH", str(poison))
    shown: list[tuple[int, int]] = []
    demo_site.render_pages(pages, lambda done, of: shown.append((done, of)))
    written = {path.name for path in pages.iterdir()}
    index = (pages / "index.html").read_text()
    linked = {part.partition('"')[0] for part in index.split('href="')[1:]}
    assert len(linked) == shown[-1][1] and shown[-1][0] == len(written) - 1 > 300
    assert written - {"index.html"} < linked, "the index names modules that have no page here"
    assert "Not the real one" not in (pages / "json.html").read_text() and not (tmp_path / "ran").exists()


def test_the_site_is_crawled_as_its_robots_and_dead_links_say(tmp_path: Path, spark: object) -> None:
    folder = tmp_path / "pages"
    folder.mkdir()
    names = ("textwrap", "json", "_thread")
    for name in names:
        (folder / f"{name}.html").write_text(demo_pages.render(name) or "")
    links = "".join(f'<a href="{name}.html">{name}</a>' for name in (*names, "winreg"))
    (folder / "index.html").write_text(f"<title>All modules</title>{links}")
    with demo_site.serve(folder) as address:
        assert get(f"{address}robots.txt") == (200, demo_site.ROBOTS)
        assert get(f"{address}json.html")[1] == (folder / "json.html").read_text()
        assert get(f"{address}winreg.html")[0] == get(f"{address}../demo.toml")[0] == 404
        with demo_site.serve(folder) as other:  # the port is taken: any other will do
            assert other != address and get(other)[0] == 200
        settings = (
            "--set",
            "site.delay_seconds=0",
            "--set",
            'site.allow_private=["localhost"]',
            "--set",
            "site.max_depth=1",
        )
        ended = call("ingest", "site", address, "--lake", tmp_path / "lake", *settings)
    assert ended.code == 0, ended.err
    lake = Lake.open(str(tmp_path / "lake"))
    assert {url.removeprefix(address) for url in lake.read("web.pages", ["url"])["url"].to_pylist()} == {
        "",
        "textwrap.html",
        "json.html",
    }
    refused = {(row["reason"], row["url"]) for row in lake.read("web.rejects").to_pylist()}
    assert {("robots", f"{address}_thread.html"), ("http_status", f"{address}winreg.html")} <= refused


def test_settings_are_those_of_a_run() -> None:
    settings = tomllib.loads(demo.SETTINGS.read_text())
    assert set(settings) == set(SECTIONS) - {"run"}
    for stage, model in (
        ("ingest", IngestConfig),
        ("curate", CurateConfig),
        ("tokenize", TokenizeConfig),
        ("eval", EvalConfig),
    ):
        assert model.from_mapping(settings[stage], stage)
    check_settings(settings["train"], "train")


def test_the_run_file_of_the_readme_is_one() -> None:
    text = (Path(__file__).parents[2] / "README.md").read_text()
    settings = tomllib.loads(text.partition("```toml\n")[2].partition("```")[0])
    assert set(settings) == {"run", "curate", "tokenize", "train", "mix"}
    for section, model in (
        ("run", RunConfig),
        ("curate", CurateConfig),
        ("tokenize", TokenizeConfig),
        ("mix", MixConfig),
    ):
        assert model.from_mapping(settings[section], section)
    check_settings(settings["train"], "train")
