"""Kept blocks as text, and what is left out by choice."""

from __future__ import annotations

from typing import Any

import pytest
from selectolax.lexbor import LexborHTMLParser

from millpond.curate.html.blocks import read_blocks
from millpond.curate.html.config import ExtractConfig
from millpond.curate.html.render import render, wanted

PAGE = """<h2>Title</h2><p>One.</p><ul><li>first<br>more</li><li><p>second</p><p>still</p></li></ul>
<table><tr><th>name</th><th>size</th></tr><tr><td>a</td><td>1</td></tr></table>
<pre>if x:
    y</pre><pre>z</pre><blockquote>Said.</blockquote><figure><figcaption>A picture.</figcaption></figure>"""


def rendered(**settings: Any) -> str:
    blocks = read_blocks(LexborHTMLParser(PAGE))
    config = ExtractConfig.from_mapping(settings, "test")
    return render(blocks, wanted(blocks, range(len(blocks)), config), config)


def test_text() -> None:
    assert rendered().split("\n") == [
        *("Title", "One.", "- first", "more", "- second", "still", "name | size", "a | 1"),
        *("if x:", "    y", "z", "Said.", "A picture."),
    ]


def test_markdown() -> None:
    assert rendered(markup="markdown").split("\n\n") == [
        *("## Title", "One.", "- first\n  more\n- second\n  still"),
        "| name | size |\n| --- | --- |\n| a | 1 |",
        *("```\nif x:\n    y\nz\n```", "> Said.", "A picture."),
    ]


def test_what_would_break_markdown() -> None:
    page = (
        "<h1>A<br>B</h1><table><tr><td>a | b</td><td>c</td></tr><tr><td>d</td></tr></table>"
        "<pre>```</pre><ul><li>- dash<ul><li>in</li></ul>out</li></ul>"
    )
    blocks = read_blocks(LexborHTMLParser(page))
    text = render(blocks, range(len(blocks)), ExtractConfig.from_mapping({"markup": "markdown"}, "test"))
    assert text.split("\n\n") == [
        *("# A B", "| a \\| b | c |\n| --- | --- |\n| d |  |", "````\n```\n````", "- - dash", "- in", "  out"),
    ]


def test_an_item_begins_once() -> None:
    blocks = read_blocks(LexborHTMLParser("<ul><li>a<ul><li>b</li></ul>c</li></ul>"))
    assert render(blocks, range(3), ExtractConfig()) == "- a\n- b\nc"


@pytest.mark.parametrize("markup", ["text", "markdown"])
def test_a_table_for_layout_is_no_table(markup: str) -> None:
    page = "<table><tr><td>Ada</td><td>First line.<br>Second line.</td></tr></table>"
    blocks = read_blocks(LexborHTMLParser(page))
    text = render(blocks, range(3), ExtractConfig.from_mapping({"markup": markup}, "test"))
    assert text == "Ada\nFirst line.\nSecond line."


@pytest.mark.parametrize(
    ("setting", "gone"), [("code", "if x"), ("tables", "name | size"), ("captions", "A picture.")]
)
def test_left_out_by_choice(setting: str, gone: str) -> None:
    assert gone in rendered()
    left = rendered(**{setting: False})
    assert gone not in left
    assert "One." in left
