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
from functools import cache

from selectolax.lexbor import LexborHTMLParser, LexborNode

#: What the walk does with an element: goes on as if it were not there (inline, or void), ends the block,
#: notes that a link is open, passes over what is inside, or opens a container.
_TEXT, _PASSED, _BREAK, _LINK, _SILENT, _BLOCK, _PREFORMATTED = range(7)
_KINDS = {
    **dict.fromkeys(
        (
            *("area", "base", "col", "colgroup", "embed", "frame", "hr", "img", "input", "link"),
            *("meta", "param", "source", "track", "wbr"),
            *("abbr", "acronym", "b", "bdi", "bdo", "big", "button", "cite", "code", "data", "del", "dfn", "em"),
            *("font", "i", "ins", "kbd", "mark", "meter", "nobr", "output", "picture", "progress", "q", "rp", "rt"),
            *("ruby", "s", "samp", "small", "span", "strike", "strong", "sub", "sup", "time", "tt", "u", "var"),
        ),
        _PASSED,
    ),
    "br": _BREAK,
    "a": _LINK,
    **dict.fromkeys(
        (
            *("audio", "canvas", "datalist", "frameset", "head", "iframe", "map", "math", "noembed", "noframes"),
            *("object", "optgroup", "option", "script", "select", "style", "svg", "template", "textarea", "title"),
            "video",
        ),
        _SILENT,
    ),
    "pre": _PREFORMATTED,
}
_HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")
#: Elements whose blocks know that they lie inside; a block's `flags` has bit `FLAGS[tag]` for each.
_FLAGGED = (
    *_HEADINGS,
    *("a", "article", "aside", "blockquote", "dd", "dt", "figcaption", "figure", "footer", "form", "header"),
    *("li", "main", "nav", "noscript", "ol", "p", "pre", "section", "table", "td", "th", "ul", "hidden"),
)
FLAGS = {name: 1 << place for place, name in enumerate(_FLAGGED)}
_LINKED = FLAGS["a"]
HEADING = sum(FLAGS[name] for name in _HEADINGS)

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
    # One loop over every node of the page, in lexbor's own order. What it asks of a node is kept to numbers where it
    # can be, since each answer is a call into C. The order says nothing of ends: an element has ended where the node
    # behind it comes. `stop` is that node's address for the innermost open element; only links, containers and what
    # holds no text are opened, and a container gets its columns with its first text.
    found = Blocks([], [], [], [], [], [], [], [], [], [])
    texts, ends = found.text, found.end
    opened: list[LexborNode] = []
    shown: list[tuple[int, int]] = []  # number and flags of those containers among the opened that have shown text
    pieces: list[str] = []
    open_elements: list[tuple[int, int, int]] = []  # of the open elements: what `stop` was before, kind, address
    stop = preformatted = links = link_chars = 0
    silent = False

    def flush() -> None:
        nonlocal link_chars
        text = "".join(pieces)
        pieces.clear()
        text = text.strip("\r\n") if preformatted else _folded(text)
        if text and not (preformatted and text.isspace()):
            number, flags = shown[-1] if shown else (0, 0)
            for node in opened[len(shown) :]:
                key, hidden = _key(node.attributes)
                tag = node.tag or ""
                flags |= FLAGS.get(tag, 0) | hidden
                found.parent.append(number)
                found.tag.append(tag)
                found.key.append(key)
                found.first.append(len(texts))
                found.depth.append(len(shown))
                number = len(ends)
                ends.append(0)
                shown.append((number, flags))
            texts.append(text)
            found.container.append(number)
            found.link_chars.append(link_chars)
            found.flags.append(flags | _LINKED if link_chars else flags)
        link_chars = 0

    kind_of = _kinds().get
    root = tree.body or tree.root
    for node in root.traverse(include_text=True) if root is not None else ():
        address = node.mem_id
        while address == stop:
            stop, kind, _ = open_elements.pop()
            if kind >= _BLOCK:
                if pieces:
                    flush()
                opened.pop()
                if len(shown) > len(opened):
                    ends[shown.pop()[0]] = len(texts)
                if kind == _PREFORMATTED:
                    preformatted -= 1
            elif kind == _LINK:
                links -= 1
            else:
                silent = False
        if silent:
            continue
        kind = kind_of(node.tag_id, _BLOCK)
        if kind == _TEXT:
            if not pieces and not preformatted and node.is_empty_text_node:
                continue
            text = node.text_content or ""
            pieces.append(text)
            if links:
                link_chars += len(text.strip())
        elif kind == _BREAK:
            if preformatted:
                pieces.append("\n")
            elif pieces:
                flush()
        elif kind != _PASSED:
            if kind >= _BLOCK:
                if pieces:
                    flush()
                if len(opened) > _DEEPEST:
                    continue
                opened.append(node)
                if kind == _PREFORMATTED:
                    preformatted += 1
            elif kind == _LINK:
                links += 1
            else:
                silent = True
                if mathematics := _tex(node):
                    pieces.append(mathematics)
            following = node.next
            if following is None:
                following = _after(node, open_elements[-1][2] if open_elements else 0)
            open_elements.append((stop, kind, address))
            if following is not None:
                stop = following.mem_id
    if pieces:
        flush()
    for number, _ in shown:
        ends[number] = len(texts)
    return found


def _after(node: LexborNode, inside: int) -> LexborNode | None:
    """What comes after the last child of elements that are not opened themselves, below the one of that address."""
    above = node.parent
    while above is not None and above.mem_id != inside:
        if (following := above.next) is not None:
            return following
        above = above.parent
    return None


@cache
def _kinds() -> dict[int, int]:
    """What the walk does with an element, by lexbor's number of its tag; an unknown tag's is the page's own."""
    page = LexborHTMLParser("<p>text<!----></p>")
    kinds = {page.create_node(tag).tag_id: kind for tag, kind in _KINDS.items()}
    for node in page.css("p")[0].iter(include_text=True):
        kinds[node.tag_id] = _TEXT if node.is_text_node else _PASSED
    return kinds


def _folded(text: str) -> str:
    """White space folded. Printable text has no other than blanks, and mostly none to fold."""
    return text.strip(" ") if text.isprintable() and "  " not in text else " ".join(text.split())


def _key(attributes: dict[str, str | None]) -> tuple[str, int]:
    """What a container is called, and its flag if it is hidden."""
    if not attributes:
        return "", 0
    said = attributes.get
    key = said("class") or ""
    if name := said("id"):
        key = f"{key} {name}"
    if role := said("role"):
        key = f"{key} role:{role}"
    if itemprop := said("itemprop"):
        key = f"{key} itemprop:{itemprop}"
    style = said("style")
    hidden = "hidden" in attributes or (style and "display" in style and "none" in style)
    return key, FLAGS["hidden"] if hidden else 0


def _tex(node: LexborNode) -> str | None:
    """Mathematics as text: its TeX source, else what it shows."""
    tag = node.tag
    if tag == "math":
        annotation = node.css_first('annotation[encoding="application/x-tex"]')
        return f"${annotation.text().strip()}$" if annotation is not None else node.text()
    if tag == "script" and "math/tex" in (node.attributes.get("type") or ""):
        return f"${node.text().strip()}$"
    return None
