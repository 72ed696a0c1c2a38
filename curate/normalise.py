"""Text as it was meant: wrongly decoded characters repaired, invisible ones dropped, the rest untouched.

`normalise` decodes entities left in plain text and mojibake (`millpond.curate.text.repair`), puts characters into
their Unicode form (`millpond.curate.text.forms`), and makes white space plain: `\\n` ends a line, no line ends in
spaces, no gap is wider than one blank line where it was wider than two. It drops control characters but newline and
tab, byte order marks, zero-width spaces, soft hyphens and lone surrogates, and combining marks beyond 30 on one
letter. By default it keeps curly quotes, ligatures, full-width forms, capitals and text directions; each but the last
is a choice (`NormaliseConfig`).

Guarantees, for all choices: text that needs nothing comes out byte for byte; normalising twice changes nothing more;
the time is linear in the text whatever it holds, since repairs are bounded by counts. Where each repair lays bare
another, more than five deep, nobody meant it so: such a text is not repaired, only its characters and spaces are put
in order.
"""

from __future__ import annotations

import re

from millpond.curate.text.config import NormaliseConfig
from millpond.curate.text.forms import in_forms
from millpond.curate.text.repair import ENTITY, repaired

#: A repair can lay bare another one (mojibake inside mojibake); real text needs one or two rounds.
_ROUNDS = 6

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_INVISIBLE = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\xad\u180e\u200b\u2060-\u2064\u206a-\u206f\ufeff\ufff9-\ufffc]"
)
#: Joiners shape Indic and Arabic letters and build emoji; behind anything else they are debris.
_STRAY_JOINER = re.compile(
    "(?<![\u0590-\u1fff\u2190-\u2bff\ufb1d-\ufdff\ufe0f\ufe70-\ufefc\U0001f000-\U0001faff])[\u200c\u200d]"
)
_LINE_BREAK = re.compile("\r\n?|[\u2028\u2029]")
WIDE_GAP = re.compile(r"\n{4,}")
_TERMINAL_ESCAPE = re.compile("\x1b\\[[0-9;]*[A-Za-z]")

#: What a text is normalised by unless told.
_DEFAULT = NormaliseConfig()


def normalise(text: str, config: NormaliseConfig = _DEFAULT) -> str:
    """The text as it was meant."""
    found = _settled(text, config)
    if found is not None:
        return found
    # What is returned must come out of itself: a repaired text does, and so does a plain one that has no repaired one.
    plain = text
    for _ in range(_ROUNDS):
        better = _plain(plain, config)
        if better == plain:
            break
        plain = better
    found = None if plain is text else _settled(plain, config)
    return plain if found is None else found


def _settled(text: str, config: NormaliseConfig) -> str | None:
    """The text repaired until nothing changes any more; None where it goes on changing."""
    for _ in range(_ROUNDS):
        if text.isascii() and not _needs_work(text, config):
            return text
        better = _plain(repaired(text, config), config)
        if better == text:
            return text
        text = better
    return None


def _needs_work(text: str, config: NormaliseConfig) -> bool:
    """Whether ASCII text holds anything that could change."""
    return (
        " \n" in text
        or "\t\n" in text
        or "\n\n\n\n" in text
        or text[-1:] in (" ", "\t")
        or _CONTROL.search(text) is not None
        or ("&" in text and "<" not in text and ENTITY.search(text) is not None)
        or (config.lower_case and text != text.lower())
    )


def _plain(text: str, config: NormaliseConfig) -> str:
    """Characters in their forms, invisible ones dropped, white space made plain. Linear in the text."""
    if "\x1b" in text:
        text = _TERMINAL_ESCAPE.sub("", text)
    if "\r" in text or "\u2028" in text or "\u2029" in text:
        text = _LINE_BREAK.sub("\n", text)
    lines = text.split("\n")
    wide = [place for place, line in enumerate(lines) if not line.isascii()]
    if wide:  # one pass over all of them: nothing below reaches across a newline
        cleaned = _plain_characters("\n".join([lines[place] for place in wide]), config)
        for place, line in zip(wide, cleaned.split("\n"), strict=True):
            lines[place] = line
    lines = [(line if line.isprintable() else _CONTROL.sub("", line)).rstrip() for line in lines]
    text = "\n".join(lines)
    text = WIDE_GAP.sub("\n\n", text) if "\n\n\n\n" in text else text
    return text.lower() if config.lower_case else text


def _plain_characters(text: str, config: NormaliseConfig) -> str:
    text = _INVISIBLE.sub("", text)
    if "\u200c" in text or "\u200d" in text:
        text = _STRAY_JOINER.sub("", text)
    return in_forms(text, config)
