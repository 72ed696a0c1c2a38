"""Codes of languages in settings: those that identification gives, for no other is ever asked for."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

#: Of common languages: a code of three letters (ISO 639-2 and 639-3), and behind it the one that texts have.
_CODES = """
    ara ar ben bn bul bg cat ca ces cs cze cs chi zh cmn zh zho zh dan da deu de ger de ell el gre el eng en est et
    fas fa per fa fin fi fra fr fre fr heb he hin hi hrv hr hun hu ind id ita it jpn ja kor ko lav lv lit lt nld nl
    dut nl nob no nor no pol pl por pt ron ro rum ro rus ru slk sk slo sk slv sl spa es srp sr swe sv tam ta tel te
    tha th tur tr ukr uk urd ur vie vi
"""
#: Languages that set no spaces between words: a letter of their scripts counts as a word
#: (`millpond.curate.signals.scan`), and what is told by spaces or by the length of words tells nothing of them.
UNSPACED = ("ja", "km", "lo", "my", "th", "wuu", "yue", "zh")
_SHORT = dict(zip(_CODES.split()[::2], _CODES.split()[1::2], strict=True))


def check_languages(settings: Mapping[str, Collection[str]]) -> None:
    """Check language codes, by the name of the setting that has them. The model is opened if there are any.

    Raises:
        ValueError: no text is ever in such a language.
    """
    if not any(settings.values()):
        return
    from millpond.curate.signals.language import known_languages

    known = known_languages()
    for name, codes in settings.items():
        for code in codes:
            if code not in known:
                meant = _meant(code, known)
                hint = f"did you mean {meant}?" if meant else f"known: {', '.join(sorted(known))}"
                raise ValueError(f"{name}: no text is ever found to be in {code!r} ({hint})")


def _meant(code: str, known: Collection[str]) -> str | None:
    """`en` for `eng`, `EN` and `en-US`."""
    first = re.split("[-_]", code.strip().lower())[0]
    meant = _SHORT.get(first, first)
    return meant if meant in known else None
