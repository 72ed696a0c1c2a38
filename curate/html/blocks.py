"""A parsed page as columns: its blocks of text and the containers they lie in.

A block is the text between two boundaries of block-level elements or line breaks, white space folded unless
it is preformatted: the smallest piece that is kept or left out as a whole. A container is a block-level
element that is not empty, in document order, so the blocks of any container are a range. One walk over
lexbor's tree collects both; everything after it works on columns.

Scripts, styles, forms' options, embedded media and templates hold no text. `noscript` does: forums keep their
posts there for readers without JavaScript. Mathematics is its TeX source where the page has it.
"""

from __future__ import annotations

from dataclasses import dataclass

from selectolax.lexbor import LexborHTMLParser, LexborNode

_NO_TEXT = frozenset(
    (
        *("-comment", "-doctype", "area", "audio", "base", "br", "canvas", "col", "colgroup", "datalist"),
        *("embed", "frame", "frameset", "head", "hr", "iframe", "img", "input", "link", "map", "meta", "noembed"),
        *(
            "noframes",
            "object",
            "optgroup",
            "option",
            "param",
            "script",
            "select",
            "source",
            "style",
            "svg",
            "template",
        ),
        *("textarea", "title", "track", "video", "wbr"),
    )
)
_INLINE = frozenset(
    (
        *("a", "abbr", "acronym", "b", "bdi", "bdo", "big", "button", "cite", "code", "data", "del", "dfn"),
        *("em", "font", "i", "ins", "kbd", "mark", "meter", "nobr", "output", "picture", "progress", "q"),
        *("rp", "rt", "ruby", "s", "samp", "small", "span", "strike", "strong", "sub", "sup", "time", "tt"),
        *("u", "var"),
    )
)
_HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")
#: Elements whose blocks know that they lie inside; a block's `flags` has bit `FLAGS[tag]` for each.
_FLAGGED = (
    *_HEADINGS,
    *("a", "article", "aside", "blockquote", "button", "dd", "dt", "figcaption", "figure", "footer", "form", "header"),
    *("li", "main", "nav", "noscript", "ol", "p", "pre", "section", "table", "td", "th", "ul", "hidden", "math"),
)
FLAGS = {name: 1 << place for place, name in enumerate(_FLAGGED)}
HEADING = sum(FLAGS[name] for name in _HEADINGS)

_PRE = FLAGS["pre"]
#: Elements nested deeper are no containers of their own.
_DEEPEST = 4000


@dataclass(frozen=True)
class Blocks:
    """Columns of equal length: of blocks, then of containers (the first is the body).

    A container's blocks are those from `first` up to `end`. `key` is what a container is called: its class,
    id, role and itemprop attributes.
    """

    text: list[str]
    container: list[int]
    link_chars: list[int]
    flags: list[int]
    parent: list[int]
    tag: list[str]
    key: list[str]
    first: list[int]
    end: list[int]
    depth: list[int]

    def __len__(self) -> int:
        return len(self.text)


def read_blocks(tree: LexborHTMLParser) -> Blocks:
    """The blocks and containers of a page, in document order. Time is linear in the number of nodes."""
    # One function, and no attribute asked for twice: this loop runs over every node of every page, and each property
    # of a node is a call into C that makes an object.
    found: list[tuple[str, int, int, int]] = []  # text, container, link characters, flags
    containers: list[tuple[int, str, str, int, int]] = [(0, "body", "", 0, 0)]  # parent, tag, key, first block, depth
    ends = [0]
    stack: list[tuple[LexborNode, int, int, int, bool]] = []  # node; what was current before it; is it a link
    current = depth = flags = 0
    pieces: list[str] = []
    link_chars = inline = links = 0

    def flush() -> None:
        nonlocal link_chars, inline
        if pieces:
            text = "".join(pieces)
            pieces.clear()
            text = text.strip("\r\n") if flags & _PRE else " ".join(text.split())
            if text and not text.isspace():
                found.append((text, current, link_chars, flags | inline | (FLAGS["a"] if link_chars else 0)))
        link_chars = inline = 0

    node: LexborNode | None = tree.body or tree.root
    while node is not None:
        tag = node.tag or ""
        child = None
        if tag == "-text":
            if text := node.text_content:
                pieces.append(text)
                if links:
                    link_chars += len(text.strip())
        elif tag in _INLINE:
            child = node.child
            if child is not None:
                is_link = tag == "a"
                links += is_link
                if tag == "button":
                    inline |= FLAGS["button"]
                stack.append((node, -1, 0, 0, is_link))
        elif tag in _NO_TEXT:
            if tag == "br":
                if flags & _PRE:
                    pieces.append("\n")
                else:
                    flush()
            elif tag == "script" and "math/tex" in ((node.attributes or {}).get("type") or ""):
                pieces.append(f"${(node.text(deep=True) or '').strip()}$")
                inline |= FLAGS["math"]
        elif tag == "math":
            pieces.append(_math(node))
            inline |= FLAGS["math"]
        else:
            flush()
            child = node.child
            if child is not None and depth == _DEEPEST:
                stack.append((node, -1, 0, 0, False))
            elif child is not None:
                stack.append((node, current, depth, flags, False))
                key, hidden = _key(node.attributes)
                flags |= FLAGS.get(tag, 0) | hidden
                depth += 1
                containers.append((current, tag, key, len(found), depth))
                current = len(ends)
                ends.append(0)
        if child is not None:
            node = child
            continue
        while (following := node.next) is None and stack:
            node, container, above, before, is_link = stack.pop()
            if container < 0:
                links -= is_link
            else:
                flush()
                ends[current] = len(found)
                current, depth, flags = container, above, before
        node = following
    flush()
    ends[0] = len(found)
    parents, tags, keys, firsts, depths = map(list, zip(*containers, strict=True))
    texts, places, linked, bits = map(list, zip(*found, strict=True)) if found else ([], [], [], [])
    return Blocks(texts, places, linked, bits, parents, tags, keys, firsts, ends, depths)


def _key(attributes: dict[str, str | None]) -> tuple[str, int]:
    """What a container is called, and its flag if it is hidden."""
    if not attributes:
        return "", 0
    key = " ".join(filter(None, (attributes.get("class"), attributes.get("id"))))
    for name in ("role", "itemprop"):
        if value := attributes.get(name):
            key += f" {name}:{value}"
    style = attributes.get("style")
    hidden = "hidden" in attributes or (style and "display" in style and "none" in style)
    return key, FLAGS["hidden"] if hidden else 0


def _math(node: LexborNode) -> str:
    annotation = node.css_first('annotation[encoding="application/x-tex"]')
    if annotation is not None:
        return f"${(annotation.text(deep=True) or '').strip()}$"
    return node.text(deep=True) or ""
