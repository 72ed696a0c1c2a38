"""Text as it was meant: wrongly decoded characters repaired, invisible ones dropped, the rest untouched.

`normalise` decodes entities left in plain text and mojibake (by ftfy), composes characters (NFC), and makes
white space plain: `\\n` ends a line, no line ends in spaces, no gap is wider than one blank line where it was
wider than two. It drops control characters but newline and tab, byte order marks, zero-width spaces, soft
hyphens and lone surrogates, and combining marks beyond 30 on one letter (UAX #15's stream-safe limit).
It keeps curly quotes, ligatures, full-width forms and text directions.

Guarantees: text that needs nothing comes out byte for byte; normalising twice changes nothing more; the time
is linear in the text whatever it holds, since repairs are bounded by counts (`NormaliseConfig`).
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache

import ftfy
from ftfy.badness import is_bad
from ftfy.chardata import UTF8_DETECTOR_RE
from ftfy.fixes import fix_c1_controls, unescape_html

from millpond.curate.config import NormaliseConfig

#: A repair can lay bare another one (mojibake inside mojibake); real text needs one or two rounds.
_ROUNDS = 10

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_INVISIBLE = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\xad\u180e\u200b\u2060-\u2064\u206a-\u206f\ufeff\ufff9-\ufffc]"
)
#: Joiners shape Indic and Arabic letters and build emoji; behind anything else they are debris.
_STRAY_JOINER = re.compile(
    "(?<![\u0590-\u1fff\u2190-\u2bff\ufb1d-\ufdff\ufe0f\ufe70-\ufefc\U0001f000-\U0001faff])[\u200c\u200d]"
)
#: Where combining marks beyond the basic plane lie, below the emoji; `re` is slow with many ranges up there.
_RARE_MARK = re.compile("[\U000101fd-\U0001efff]")
_LINE_BREAK = re.compile("\r\n?|[\u2028\u2029]")
_WIDE_GAP = re.compile(r"\n{4,}")
_TERMINAL_ESCAPE = re.compile("\x1b\\[[0-9;]*[A-Za-z]")
_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][0-9A-Za-z]{1,23});")
_NESTED_AMPERSAND = re.compile(r"&(?:(?:amp|AMP|#0{0,4}38|#[xX]0{0,4}26);)+")
#: What any of ftfy's signs of mojibake needs: a C1 control, two characters beyond ASCII in a row, or one of `ŒœÂÃ`
#: with no letter behind it. It begins with one set, which `re` looks for quickly.
_SUSPICIOUS = re.compile("[^\x00-\x7f](?:(?<=[\x80-\x9f])|[^\x00-\x7f]|(?<=[ŒœÂÃ])(?![A-Za-z]))")
#: What more combining marks on one letter than the limit need.
_FOREIGN_RUN = re.compile("[^\x00-\x7f][^\x00-\x7f]{30}")


def normalise(text: str, bounds: NormaliseConfig | None = None) -> str:
    """The text as it was meant. `bounds` limits the repair of mojibake."""
    bounds = bounds or NormaliseConfig()
    for _ in range(_ROUNDS):
        if text.isascii() and not _needs_work(text):
            return text
        better = _plain(_repaired(text, bounds))
        if better == text:
            return text
        text = better
    return text


def _needs_work(text: str) -> bool:
    """Whether ASCII text holds anything that could change."""
    return (
        " \n" in text
        or "\t\n" in text
        or "\n\n\n\n" in text
        or text[-1:] in (" ", "\t")
        or _CONTROL.search(text) is not None
        or ("&" in text and "<" not in text and _ENTITY.search(text) is not None)
    )


def _repaired(text: str, bounds: NormaliseConfig) -> str:
    """Surrogate pairs joined, entities and mojibake decoded."""
    if _has_surrogates(text):
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "ignore")
    if "&" in text and "<" not in text and _ENTITY.search(text):  # with a `<` it is text about markup
        text = unescape_html(_NESTED_AMPERSAND.sub("&amp;", text))
    if _looks_bad(text):
        text = _decoded(text, bounds)
    return fix_c1_controls(text)


def _has_surrogates(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def _looks_bad(text: str) -> bool:
    return _SUSPICIOUS.search(text) is not None and any(_bad_line(line) for line in text.split("\n"))


def _bad_line(line: str) -> bool:
    # ftfy's test is thorough and slow: few lines of sound text should reach it.
    return not line.isascii() and _SUSPICIOUS.search(line) is not None and is_bad(line)


def _decoded(text: str, bounds: NormaliseConfig) -> str:
    """Mojibake decoded: the text as a whole where it is consistent, else line by line."""
    whole = ftfy.fix_encoding(text, decode_inconsistent_utf8=False, fix_c1_controls=False)
    if not _looks_bad(whole):
        return whole
    lines = text.split("\n")
    bad = [place for place, line in enumerate(lines) if _bad_line(line)]
    if len(bad) > bounds.max_repair_lines:
        return text
    sequences = 0
    for place in bad:
        line = ftfy.fix_encoding(lines[place], decode_inconsistent_utf8=False, fix_c1_controls=False)
        if is_bad(line):
            sequences += sum(1 for _ in UTF8_DETECTOR_RE.finditer(line))
        lines[place] = line
    if sequences <= bounds.max_repair_sequences:
        for place in bad:
            lines[place] = ftfy.fix_encoding(lines[place])
    return "\n".join(lines)


def _plain(text: str) -> str:
    """Characters composed, invisible ones dropped, white space made plain. Linear in the text."""
    if "\x1b" in text:
        text = _TERMINAL_ESCAPE.sub("", text)
    if "\r" in text or "\u2028" in text or "\u2029" in text:
        text = _LINE_BREAK.sub("\n", text)
    lines = text.split("\n")
    wide = [place for place, line in enumerate(lines) if not line.isascii()]
    if wide:  # one pass over all of them: nothing below reaches across a newline
        cleaned = _plain_characters("\n".join([lines[place] for place in wide]))
        for place, line in zip(wide, cleaned.split("\n"), strict=True):
            lines[place] = line
    lines = [(line if line.isprintable() else _CONTROL.sub("", line)).rstrip() for line in lines]
    text = "\n".join(lines)
    return _WIDE_GAP.sub("\n\n", text) if "\n\n\n\n" in text else text


def _plain_characters(text: str) -> str:
    text = _INVISIBLE.sub("", text)
    if "\u200c" in text or "\u200d" in text:
        text = _STRAY_JOINER.sub("", text)
    if _FOREIGN_RUN.search(text):
        text = _excess_marks(0x20000 if _RARE_MARK.search(text) else 0x10000).sub(r"\1", text)
    return unicodedata.normalize("NFC", text)


@cache
def _excess_marks(limit: int) -> re.Pattern[str]:
    """Marks below the code point `limit` that stand 31st or later on one letter; `\\1` is the first 30."""
    marks = [code for code in range(limit) if unicodedata.combining(chr(code))]
    ranges, first = [], marks[0]
    for code, following in zip(marks, [*marks[1:], 0], strict=True):
        if following != code + 1:
            ranges.append(f"\\U{first:08x}-\\U{code:08x}")
            first = following
    mark = f"[{''.join(ranges)}]"
    return re.compile(f"({mark}{{30}}){mark}+")
