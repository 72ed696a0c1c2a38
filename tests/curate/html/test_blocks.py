"""A page becomes blocks and containers, whatever its markup."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from selectolax.lexbor import LexborHTMLParser

from millpond.curate.html.blocks import FLAGS, Blocks, read_blocks


def blocks_of(body: str) -> Blocks:
    return read_blocks(LexborHTMLParser(f"<html><head><title>no</title></head><body>{body}</body></html>"))


def test_blocks_end_at_block_elements_and_line_breaks() -> None:
    found = blocks_of("<div>one <b>two</b><br>three<p>four</p>five</div>six")
    assert found.text == ["one two", "three", "four", "five", "six"]


def test_white_space_is_folded_but_in_preformatted_text() -> None:
    assert blocks_of("<p> a \n\t b </p><pre>  if x:\n    y<br>z </pre>").text == ["a b", "  if x:\n    y\nz "]


def test_what_holds_no_text() -> None:
    page = (
        "<script>var x</script><style>p {}</style><select><option>x</select><textarea>x</textarea>"
        "<svg><text>x</text></svg><template><p>x</p></template><iframe>x</iframe><!-- x --><p>text</p>"
    )
    assert blocks_of(page).text == ["text"]


def test_posts_for_readers_without_javascript_are_text() -> None:
    found = blocks_of("<noscript><div><p>A post.</p></div></noscript>")
    assert found.text == ["A post."]
    assert found.flags[0] & FLAGS["noscript"]


def test_mathematics_is_tex_where_the_page_has_it() -> None:
    tex = '<annotation encoding="application/x-tex">E=mc^2</annotation>'
    assert blocks_of(f"<p>so <math><mi>E</mi>{tex}</math></p>").text == ["so $E=mc^2$"]
    assert blocks_of("<p><math><mi>E</mi><mo>=</mo></math></p>").text == ["E="]
    assert blocks_of('<p>so <script type="math/tex">x^2</script></p>').text == ["so $x^2$"]


def test_links_flags_and_names() -> None:
    found = blocks_of(
        '<div class="post body" id="a" role="main"><p>see <a href="/">this</a></p></div><ul hidden><li>x'
    )
    assert found.text == ["see this", "x"]
    assert found.link_chars == [4, 0]
    assert found.flags[0] & FLAGS["p"] and found.flags[0] & FLAGS["a"] and not found.flags[0] & FLAGS["li"]
    assert found.flags[1] & FLAGS["li"] and found.flags[1] & FLAGS["hidden"]
    assert found.key[found.tag.index("div")] == "post body a role:main"


def test_a_block_level_link_is_one() -> None:
    assert blocks_of('<a href="/"><div>teaser</div></a><p>text</p>').link_chars == [6, 0]


_TAGS = ("div", "p", "a", "b", "table", "tr", "td", "li", "ul", "select", "math", "noscript", "pre", "br", "h1")


def _element(tag: str, inner: str) -> str:
    return f"<{tag}>{inner}</{tag}>{inner}"


@given(st.recursive(st.text("ab <&", max_size=5), lambda inner: st.builds(_element, st.sampled_from(_TAGS), inner)))
def test_containers_hold_ranges_of_blocks(page: str) -> None:
    found = blocks_of(page)
    assert len(found.parent) == len(found.first) == len(found.end) == len(found.depth) == len(found.key)
    for number, parent in enumerate(found.parent[1:], start=1):
        assert parent < number
        assert found.first[parent] <= found.first[number] <= found.end[number] <= found.end[parent]
        assert found.depth[number] == found.depth[parent] + 1
    for number, container in enumerate(found.container):
        assert found.first[container] <= number < found.end[container]
        assert found.text[number].strip()


_PARTS = st.lists(
    st.sampled_from(("<b>", "<a>", "<style>", "<div>", "</>", "</>", "x ", "y")), min_size=15, max_size=40
)


def _closed(parts: list[str]) -> str:
    """Markup in which each end is that of the innermost element."""
    page, opened = "", list[str]()
    for part in parts:
        if part.startswith("<") and part != "</>":
            opened.append(part)
        page += f"</{opened.pop()[1:]}" if part == "</>" and opened else part.replace("</>", "")
    return page + "".join(f"</{tag[1:]}" for tag in reversed(opened))


@given(_PARTS.map(_closed))
def test_every_text_is_where_it_stands(page: str) -> None:
    """What ends with an element around it is not lost, nor taken for what follows."""
    tree = LexborHTMLParser(page)
    found = read_blocks(tree)
    text, links = "", 0
    for node in tree.css("body")[0].traverse(include_text=True):
        if node.is_text_node and (content := node.text_content):
            around, above = set(), node.parent
            while above is not None:
                around.add(above.tag)
                above = above.parent
            if around.isdisjoint(("style",)):
                text += content
                links += len(content.strip()) if "a" in around else 0
    assert "".join("".join(found.text).split()) == "".join(text.split())
    assert sum(found.link_chars) == links


def test_what_ends_with_the_element_around_it() -> None:
    found = blocks_of("<div><span><a>x</a></span> y<p><b><script>z</script></b> text</p></div>end")
    assert found.text == ["x y", "text", "end"]
    assert found.link_chars == [1, 0, 0]
    assert [found.tag[number] for number in found.container] == ["div", "p", "body"]


def test_depth_is_no_recursion() -> None:
    assert blocks_of("<div>" * 20_000 + "x").text == ["x"]
