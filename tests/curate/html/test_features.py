"""What the model sees of a page, against what can be counted by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from selectolax.lexbor import LexborHTMLParser

from millpond.curate.html import text_columns
from millpond.curate.html.blocks import Blocks, read_blocks
from millpond.curate.html.container_names import Names
from millpond.curate.html.features import FEATURES, features
from millpond.curate.html.metadata import Metadata
from millpond.curate.html.text_columns import count_texts

NOTHING = Metadata()
PAGE = """<body><main class=post><h1>A title of words</h1><p>First text, with 12 digits.</p><p>Second: <a>link</a></p>
</main><aside class=menu><h2>More like this</h2><ul><li>$ 5</li><li>$ 6</li></ul></aside></body>"""


def seen(
    page: str, metadata: Metadata = NOTHING, url: str | None = None, names: Names | None = None
) -> dict[str, npt.NDArray[np.float32]]:
    found = features(blocks_of(page), metadata, url, names or Names({}))
    return dict(zip(FEATURES, found.columns, strict=True))


def blocks_of(page: str) -> Blocks:
    return read_blocks(LexborHTMLParser(page))


def test_texts_and_places() -> None:
    found = seen(PAGE)
    assert found["words"].tolist() == [4, 5, 2, 3, 2, 2]
    assert found["link_density"].tolist() == pytest.approx([0, 0, 1 / 3, 0, 0, 0])
    assert found["commas"].tolist() == [0, 1, 0, 0, 0, 0]
    assert found["signs"].tolist() == [0, 1, 1, 0, 0, 0]
    assert found["ended"].tolist() == [0, 1, 0, 0, 0, 0]
    assert found["in_main"].tolist() == [1, 1, 1, 0, 0, 0]
    assert found["since_heading"].tolist() == [0, 1, 2, 0, 1, 2]
    assert found["to_heading"].tolist() == [0, 2, 1, 0, 2, 1]
    assert found["heading_level"].tolist() == [1, 1, 1, 2, 2, 2]
    assert found["related_before"].tolist() == [0, 0, 0, 1, 1, 1]
    assert found["h1_before"].tolist() == [1] * 6
    np.testing.assert_allclose(found["words_before"], np.array([0, 4, 9, 11, 14, 16]) / 18, rtol=1e-6)


def test_containers_and_names() -> None:
    found = seen(PAGE, names=Names({"post": 2.0, "menu": -1.5}))
    assert found["0_words"].tolist() == [4, 5, 2, 3, 2, 2]
    assert found["1_words"].tolist() == [11, 11, 11, 7, 4, 4]
    assert found["0_group"].tolist() == [1, 2, 2, 1, 2, 2]
    assert found["0_siblings"].tolist() == [1, 2, 2, 1, 2, 2]
    assert found["0_group_words"].tolist() == [4, 7, 7, 3, 4, 4]
    assert found["name_sum"].tolist() == [2, 2, 2, -1.5, -1.5, -1.5]
    assert found["name_lowest"].tolist() == [0, 0, 0, -1.5, -1.5, -1.5]
    assert found["name_distance"].tolist() == [1, 1, 1, 1, 2, 2]
    assert found["depth"].tolist() == [2, 2, 2, 2, 3, 3]


def test_what_the_page_says_of_itself() -> None:
    about = Metadata(title="A title of words", description="first text, with 12 digits.", og_type="Product")
    found = seen(PAGE, about, "http://h.test/shop/item")
    assert found["title_cover"].tolist() == [1, 0, 0, 0, 0, 0]
    assert found["from_title"][0] == 0 < found["from_title"][1]
    assert found["description_cover"][1] == 1
    assert found["page_priced"].tolist() == [2] * 6
    assert (found["page_og"][0], found["page_url_1"][0], found["page_url_depth"][0]) == (3, 1, 2)
    assert found["in_body"].tolist() == [-1] * 6
    text = "Sentence that stands in the page and in its data. " * 6
    assert seen(f"<p>{text}<p>x", replace(about, article_body=text))["in_body"].tolist() == [1, 0]


def test_many_blocks_are_looked_for_in_the_data_as_a_few_are(monkeypatch: pytest.MonkeyPatch) -> None:
    body = " ".join(f"Sentence {n} stands in the page and in its data, too." for n in range(10))
    places = (*range(0, 200, 7), len(body) - 45, len(body) - 40, len(body) - 39)
    page = "<p>x" + "".join(
        f"<p>{body[at:].strip()}<p>{body[at + 1 :].strip()}?<p>{body[at : at + 39]}" for at in places
    )
    found = seen(page, Metadata(article_body=body))["in_body"]
    monkeypatch.setattr(text_columns, "_MANY_BLOCKS", 0)
    assert np.array_equal(seen(page, Metadata(article_body=body))["in_body"], found)
    assert set(found.tolist()) == {0, 1}


_TAGS = st.sampled_from(("div", "p", "li", "ul", "section"))
_NAMED = st.sampled_from(("", "good", "bad", "fair", "unknown"))
_PAGES = st.recursive(
    st.text("ab .", min_size=1, max_size=5),
    lambda inner: st.builds(
        lambda tag, name, parts: f'<{tag} class="{name}">{"".join(parts)}</{tag}>',
        _TAGS,
        _NAMED,
        st.lists(inner, max_size=3),
    ),
    max_leaves=30,
)


@given(_PAGES)
def test_names_reach_down(page: str) -> None:
    scores = {"good": 1.0, "bad": -2.0, "fair": 0.5}
    blocks = blocks_of(page)
    if not len(blocks):
        return
    found = seen(page, names=Names(scores))
    for block, container in enumerate(blocks.container):
        chain = [container]
        while chain[-1]:
            chain.append(blocks.parent[chain[-1]])
        along = [scores.get(blocks.key[number], 0.0) for number in chain]
        known = [distance for distance, score in enumerate(along) if score]
        assert found["name_sum"][block] == sum(along)
        assert found["name_lowest"][block] == min(0, *along)
        assert found["name_highest"][block] == max(0, *along)
        assert found["name_nearest"][block] == (along[known[0]] if known else 0)
        assert found["name_distance"][block] == (known[0] if known else len(chain))


@given(st.lists(st.text("ab 1,.?。中\n\U0001f600", min_size=1), min_size=1))
def test_counts_of_characters(texts: list[str]) -> None:
    found = count_texts(texts)
    for row, text in enumerate(texts):
        assert found.chars[row] == len(text)
        assert found.digits[row] == text.count("1")
        assert found.commas[row] == text.count(",")
        assert found.signs[row] == sum(map(text.count, ".?。"))
        assert found.ended[row] == (text[-1] in ".?。")
        spaces = text.count(" ") + text.count("\n") + 1
        assert found.words[row] == spaces + 0.6 * text.count("中")
