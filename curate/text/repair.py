"""Text decoded wrongly, decoded again: entities left in plain text, mojibake, halves of surrogate pairs.

ftfy finds and repairs mojibake, under bounds that make it linear. Two kinds that it leaves are added, each only
where all of a line agrees: MacRoman read as Latin-1 (`Coatl\x87n`), and Latin letters in UTF-8 read as
windows-1251 (`mГ©dicament`).
"""

from __future__ import annotations

import re
from collections.abc import Callable

import ftfy
from ftfy.badness import is_bad
from ftfy.chardata import UTF8_DETECTOR_RE
from ftfy.fixes import fix_c1_controls, restore_byte_a0, unescape_html

from millpond.curate.text.config import NormaliseConfig

ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][0-9A-Za-z]{1,23});")
_NESTED_AMPERSAND = re.compile(r"&(?:(?:amp|AMP|#0{0,4}38|#[xX]0{0,4}26);)+")
_NESTED_SEMICOLON = re.compile(r"(?:&(?:semi|#0{0,4}59|#[xX]0{0,4}3[bB]))+;")
#: What any of ftfy's signs of mojibake needs: a C1 control, two characters beyond ASCII in a row, or one of `ŒœÂÃ`
#: with no letter behind it. It begins with one set, which `re` looks for quickly.
SUSPICIOUS = re.compile("[^\x00-\x7f](?:(?<=[\x80-\x9f])|[^\x00-\x7f]|(?<=[ŒœÂÃ])(?![A-Za-z]))")
_C1 = re.compile("[\x80-\x9f]")
#: Bytes that are letters in MacRoman and, between lower-case letters, neither letter nor mark in windows-1252.
_MAC_LETTER = re.compile("[\x87-\x90\x98](?<=[a-z].)(?=[a-z])")
#: The first byte of most accented letters in UTF-8, and any second byte, as windows-1251 shows them.
_LATIN_AS_CYRILLIC = re.compile(f"[A-Za-z]Г[{re.escape(bytes(range(0x80, 0xC0)).decode('sloppy-windows-1251'))}]")


def repaired(text: str, bounds: NormaliseConfig) -> str:
    """Surrogate pairs joined, entities and mojibake decoded."""
    if _has_surrogates(text):
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "ignore")
    if "&" in text and "<" not in text and ENTITY.search(text):  # with a `<` it is text about markup
        text = unescape_html(_NESTED_AMPERSAND.sub("&amp;", _NESTED_SEMICOLON.sub(";", text)))
    if has_controls := _C1.search(text) is not None:
        text = _by_line(text, _MAC_LETTER, _from_mac)
    if "Г" in text:
        text = _by_line(text, _LATIN_AS_CYRILLIC, _to_latin)
    if _looks_bad(text):
        return fix_c1_controls(_decoded(text, bounds))
    return fix_c1_controls(text) if has_controls else text


def _by_line(text: str, sign: re.Pattern[str], repair: Callable[[str], str]) -> str:
    """Each line that has the sign, repaired."""
    if not sign.search(text):
        return text
    return "\n".join([repair(line) if sign.search(line) else line for line in text.split("\n")])


def _has_surrogates(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def _from_mac(line: str) -> str:
    return line.encode("latin-1").decode("mac-roman") if max(line) < "\xa0" else line


def _to_latin(line: str) -> str:
    try:
        return restore_byte_a0(line.encode("sloppy-windows-1251")).decode()
    except UnicodeError:  # it has other letters, or Cyrillic ones that were meant
        return line


def _looks_bad(text: str) -> bool:
    return SUSPICIOUS.search(text) is not None and any(_bad_line(line) for line in text.split("\n"))


def _bad_line(line: str) -> bool:
    # ftfy's test is thorough and slow: few lines of sound text should reach it.
    return not line.isascii() and SUSPICIOUS.search(line) is not None and is_bad(line)


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
