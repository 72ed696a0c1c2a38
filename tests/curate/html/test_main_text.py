"""What is said once, and what as often as the page says it."""

from __future__ import annotations

from typing import Any

import numpy as np
from selectolax.lexbor import LexborHTMLParser

from millpond.curate.html.blocks import read_blocks
from millpond.curate.html.config import ExtractConfig
from millpond.curate.html.main_text import main_text, without_copies

LONG = "This sentence has more than ten words and so is a longer text."


def left(page: str) -> list[str]:
    """Texts of the blocks that stay where all are chosen."""
    blocks = read_blocks(LexborHTMLParser(page))
    words = np.array([text.count(" ") + 1.0 for text in blocks.text])
    return [blocks.text[number] for number in without_copies(blocks, range(len(blocks)), words)]


def test_longer_texts_are_said_once() -> None:
    assert left(f"<p>{LONG}</p><p>Short.</p><div>{LONG}</div><p>Short.</p><p>{LONG}</p>") == [LONG, "Short.", "Short."]


def test_code_and_tables_stay_whole() -> None:
    line = " " * 12 + "}"
    assert left(f"<pre>{line}</pre><pre>{line}</pre>") == [line, line]
    assert left(f"<table><tr><td>{LONG}</td><td>{LONG}</td></tr></table>") == [LONG, LONG]


def test_what_is_left_out_is_no_copy() -> None:
    text = " ".join(f"{LONG[:-1]}, part {n}." for n in range(9))
    page = f"<article><figure><figcaption>{text}</figcaption></figure><p>{text}</p></article>".encode()

    def found(**settings: Any) -> str:
        return main_text(page, None, None, ExtractConfig.from_mapping(settings, "test")).text

    assert found() == text
    assert found(captions=False) == text
