"""Hostile pages and texts by name, at full size: what costs parsers and normalisers quadratic time, memory or text.

For a page the usual extractors take up to half a minute, or lose what follows; ftfy takes up to 16 s for a text.
"""

from __future__ import annotations

import random

PROSE = "".join(f"<p>Ordinary sentence of prose number {n}, which an extractor should keep.</p>" for n in range(20))


def wrapped(html: str, head: str = "") -> str:
    """A page with ordinary prose, and some markup behind it or in its head."""
    return f"<html><head><title>t</title>{head}</head><body><article>{PROSE}{html}</article></body></html>"


_MARKUP = {
    "breaks": wrapped("a<br>" * 100_000),
    "attributes": wrapped("<p " + " ".join(f"a{n}=1" for n in range(30_000)) + ">x</p>"),
    "paragraphs": wrapped("<p>abc def ghi.</p>" * 60_000),
    "rows": wrapped("<table>" + "<tr><td>a</td><td>b</td></tr>" * 100_000 + "</table>"),
    "options": wrapped("<select>" + "<option>x" * 200_000),
    "metas": wrapped("", '<meta name="author" content="A B">' * 100_000),
    "deep": wrapped("<div>" * 300 + "</div>" * 300 + "<p>AFTERMARK text after the nest.</p>"),
    "big node": wrapped("<p>" + "word " * (11 << 18) + "</p><p>AFTERMARK</p>"),
    "json": wrapped("", '<script type="application/ld+json">' + '{"a":' * 100_000 + "</script>"),
    "laughs": '<!DOCTYPE l [<!ENTITY a "aaaaaaaaaa">'
    + "".join(f'<!ENTITY {chr(98 + n)} "{("&" + chr(97 + n) + ";") * 10}">' for n in range(9))
    + "]><p>&j;</p>",
    "endless tag": wrapped("<" + "a" * 140_000),
    "deep items": wrapped("<ul><li>" + "<div>" * 3900 + "a<br>" * 20_000),
    "unknown elements": wrapped("<li>" + "<x>a" * 20_000),
    "surrogates": wrapped("\ud800" * 1000),
    "nul": wrapped("a\0b"),
}
PAGES: dict[str, bytes] = {
    **{name: html.encode(errors="surrogatepass") for name, html in _MARKUP.items()},
    "utf-16": wrapped("").encode("utf-16-le"),
    "lie": wrapped("caf\xe9 " * 99, "<meta charset=utf-8>").encode("latin-1"),
    "noise": random.Random(0).randbytes(1 << 20),
    "one letter": b"\xbd\x00" + b"S" * 32_768,
    "nothing": b"",
}
TEXTS: dict[str, str] = {
    "ampersands": "&" + "amp;" * 10_000 + "lt;",
    "line ends": "\r\n" * 100_000,
    "latin-1": "".join(map(chr, random.Random(2).choices(range(128, 256), k=10**6))),
    "marks": "a" + "\u0301" * 10**6,
    "directions": "\u202e\u2066" * 10**5,
    "lone surrogate": "\ud800x",
    "controls": "\ufeff\0\x0b\x7f",
    "phrases": "\ufdfa" * 10**5,
    "no width": "\u200b" * 50,
    "special token": "text <|endoftext|> more",
    "no space": "".join(random.Random(3).choices("etaoin", k=10**6)),
    "one sign": "^" * 10**6,
}
