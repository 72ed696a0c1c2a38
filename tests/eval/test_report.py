from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver import Chrome, ChromeOptions, ChromeService

from millpond.errors import InputError
from millpond.eval.report import build_report, write_report
from millpond.eval.sql import TableFiles, connect

Rows = dict[str, list[dict[str, Any]]]
Make = Callable[[Rows], TableFiles]

WOULD_DROP = {"gopher_repetition": 160, "c4": 90, "fineweb": 70}
NOTES = ("Pages of one March crawl.", "<script>document.title='owned'</script>")


def report(make_lake: Make, rows: Rows, **more: Any) -> str:
    with connect(make_lake(rows)) as connection:
        return build_report(
            connection, title="A week of <i>village</i> news", notes=NOTES, **{"train_run": "run-train", **more}
        )


@pytest.fixture(scope="module")
def open_book(make_lake: Make, story: Rows) -> str:
    """The report of a lake that has lost a line of its ledger."""
    lost = [line for line in story["ops.ledger"] if line["reason"] != "c4"]
    return report(make_lake, {**story, "ops.ledger": lost}, would_drop=WOULD_DROP)


@pytest.fixture(scope="module")
def page(make_lake: Make, story: Rows) -> str:
    return report(make_lake, story, would_drop=WOULD_DROP)


def section(page: str, name: str) -> str:
    """A table of the page as text, one line a row, cells parted by a bar."""
    (table,) = re.findall(rf'<section id="table-{name}".*?</section>', page, re.S)
    return re.sub(r"<[^>]+>", "", re.sub(r"</t[dh]>", " | ", table))


def test_numbers_are_the_lakes(page: str, story: Rows) -> None:
    documents, pages = len(story["corpus.documents"]), len(story["web.pages"])
    headline = dict(re.findall(r"<dt>(.*?)</dt><dd><b>(.*?)</b>", page))
    assert headline["pages in"] == f"{pages:,}"
    assert headline["kept"] == f"{documents:,}"
    assert headline["rejected"] == f"{len(story['corpus.rejects']):,}"
    assert headline["duplicates"] == f"{len(story['corpus.duplicates']):,}"
    assert headline["tokens"] == f"{sum(shard['tokens'] for shard in story['tokens.shards']):,}"
    last = [row["value"] for row in story["eval.results"] if row["step"] == 900 and row["metric"] == "bits_per_byte"]
    assert headline["bits per byte"] == f"{last[0]:.3f}"
    assert "a byte trigram has 2.410" in page
    assert "Story" not in section(page, "pages")


def test_every_figure_and_table_is_there(page: str) -> None:
    assert re.findall(r'<figure id="figure-(\w+)"', page) == [
        "outcomes", "preset", "languages", "lengths", "audits", "loss"
    ]  # fmt: skip
    assert re.findall(r'<section id="table-(\w+)"', page) == [
        "ledger", "rules", "domains", "fertility", "releases", "pages"
    ]  # fmt: skip
    assert page.index("<figure") < page.index("<dl>") < page.index("<table")
    assert "fineweb would have dropped" in page


def test_the_vocabulary_is_shown_by_language(page: str, story: Rows) -> None:
    tokens = sum(row["length"] for row in story["tokens.documents"]) - len(story["corpus.documents"])
    shown = [line.split(" | ") for line in section(page, "fertility").splitlines() if " | " in line]
    assert sum(int(row[2].replace(",", "")) for row in shown[1:]) == tokens and shown[1][5] == "0.00 %"


def test_an_open_book_is_marked(page: str, open_book: str) -> None:
    assert "; all balance." in section(page, "ledger")
    marked = section(open_book, "ledger")
    assert "1 of 5 do not balance" in marked
    assert re.search(r"curate \| documents \|.*\| \+\d+ \|", marked)


def test_the_same_lake_gives_the_same_bytes(make_lake: Make, story: Rows, page: str) -> None:
    assert report(make_lake, story, would_drop=WOULD_DROP) == page


def test_an_empty_lake_says_what_is_missing(make_lake: Make) -> None:
    page = report(make_lake, {}, train_run=None)
    assert "<figure" not in page
    assert "<table" not in page
    for sentence in ("nothing released yet", "No page has been curated yet.", "No document has been tokenized yet.",
                     "No model has been trained yet.", "No audit has been recorded yet."):  # fmt: skip
        assert sentence in page


def test_a_lake_without_training_leaves_that_part_out(make_lake: Make, story: Rows) -> None:
    page = report(
        make_lake,
        {name: rows for name, rows in story.items() if name.split(".")[0] in ("web", "corpus")},
        train_run=None,
    )
    assert re.findall(r'<figure id="figure-(\w+)"', page) == ["outcomes", "languages", "lengths"]
    assert "No model has been trained yet." in page
    trained = {name: rows for name, rows in story.items() if not name.startswith("eval.")}
    page = report(make_lake, trained)
    assert "The trained model has not been evaluated yet." in page
    assert 'id="figure-loss"' in page


def test_the_run_that_is_named_is_drawn(make_lake: Make) -> None:
    runs = [{"run": name, "steps": 2} for name in ("older", "newer")]
    steps = [{"run": run["run"], "step": step, "loss": 3.0 / step} for run in runs for step in (1, 2)]
    rows: Rows = {"train.runs": runs, "train.steps": steps}
    for name in ("older", "newer"):
        assert f"Run {name}:" in report(make_lake, rows, train_run=name)


def test_infinite_and_missing_values_do_not_break_the_page(make_lake: Make, story: Rows) -> None:
    bare: Rows = {name: [dict(row) for row in rows[:40]] for name, rows in story.items()}
    for row in bare["corpus.documents"]:
        row.update(title=None, language=None, registered_domain=None, text_bytes=0)
    for row in bare["train.steps"][::2]:
        row["loss"] = float("nan")
    for row in bare["eval.results"]:
        row["value"] = float("inf")
    for table in ("web.pages", "corpus.candidates"):
        bare[table] = bare[table][:1]
    assert "unknown" in report(make_lake, bare)


def test_writing_replaces_the_page_in_one_step(tmp_path: Path) -> None:
    target = tmp_path / "new" / "report.html"
    write_report("first", target)
    assert write_report("sécond", target) == target
    assert target.read_text(encoding="utf-8") == "sécond"
    with pytest.raises(UnicodeEncodeError):
        write_report("torn \ud800", target)
    assert target.read_text(encoding="utf-8") == "sécond"
    assert list(target.parent.iterdir()) == [target]
    with pytest.raises(InputError, match="cannot write the report"):
        write_report("x", target / "below")


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    options = ChromeOptions()
    for flag in (
        "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars",
        "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
        f"--user-data-dir={tmp_path_factory.mktemp('chromium')}",
    ):  # fmt: skip
        options.add_argument(flag)
    options.binary_location = shutil.which("chromium") or shutil.which("google-chrome") or ""
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = Chrome(options=options, service=ChromeService(shutil.which("chromedriver")))
    yield driver
    driver.quit()


def show(browser: Chrome, path: Path, width: int, scheme: str) -> None:
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    browser.get(path.as_uri())


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1200, 390])
def test_the_page_in_a_browser(open_book: str, browser: Chrome, tmp_path: Path, width: int, scheme: str) -> None:
    path = write_report(open_book, tmp_path / "report.html")
    for kind in ("browser", "performance"):
        browser.get_log(kind)  # type: ignore[no-untyped-call]
    show(browser, path, width, scheme)

    assert browser.get_log("browser") == []  # type: ignore[no-untyped-call]
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]  # type: ignore[no-untyped-call]
    requests = [message["params"] for message in messages if message["method"] == "Network.requestWillBeSent"]
    asked = [request["request"]["url"] for request in requests if request["documentURL"] == path.as_uri()]
    assert path.as_uri() in asked
    assert {url.partition(":")[0] for url in asked if url != path.as_uri()} <= {"data"}

    ask = browser.execute_script
    assert ask("return document.title") == "A week of <i>village</i> news"  # no title or text ran
    assert ask("return document.querySelectorAll('script, img, iframe, object, h1 i').length") == 0
    assert "document.title='owned'" in ask("return document.querySelector('#table-pages').innerText")
    assert "<b>so it was</b>" in ask("return document.querySelector('#sample').innerText")

    assert ask("return document.documentElement.scrollWidth") == width
    spilled = "return [...document.querySelectorAll('svg text')].filter(t => {const b = t.getBoundingClientRect();"
    assert ask(spilled + "return b.left < 0 || b.right > innerWidth}).map(t => t.textContent)") == []
    drawings = "return [...document.querySelectorAll('figure svg[role=img]')].map(s => s.getBoundingClientRect())"
    assert len(ask(drawings)) == 8  # the first figure has three
    for box in ask(drawings):
        assert box["width"] > 250
        assert box["height"] > 25
    named = "return [...document.querySelectorAll('figure')].every(f => f.querySelector('figcaption').innerText && "
    assert ask(named + "f.querySelector('svg > title').textContent && f.querySelector('svg > desc').textContent)")

    colours = {name: ask("return getComputedStyle(document.querySelector(arguments[0])).color", name) for name in
               ("h1", "figcaption", "th", "td", "dt", ".bad")}  # fmt: skip
    ground = ask("return getComputedStyle(document.querySelector('.card')).backgroundColor")
    assert (luminance(ground) < 0.2) == (scheme == "dark")
    for name, colour in colours.items():
        assert contrast(colour, ground) >= 4.5, (name, colour, ground)
    for kind in ("kept", "rejected", "duplicate"):
        fill = ask("return getComputedStyle(document.querySelector('rect.' + arguments[0])).fill", kind)
        assert contrast(fill, ground) >= 2, (kind, fill)


def luminance(colour: str) -> float:
    """Relative luminance as WCAG 2 defines it."""
    channels = [int(number) / 255 for number in re.findall(r"\d+", colour)[:3]]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return sum(weight * value for weight, value in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one: str, other: str) -> float:
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)
